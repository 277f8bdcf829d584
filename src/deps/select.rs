//! Selects the requirement files of a start.

use super::DepsRequest;
use super::interpreter;
use super::left_alone::{self, LeftAlone};
use super::manifest::{self, ManifestKind, ProjectParts};
use super::requirement_file::unreadable;
use super::starts::{self, Starts};
use crate::config::Requirements;
use crate::error::Result;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of the file that is found without configuration.
const NAME: &str = "requirements.txt";

/// The selected files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileSelection {
    /// Absolute paths.
    pub files: Vec<PathBuf>,
    /// The parts of each project file; other files have none.
    pub parts: Vec<(PathBuf, ProjectParts)>,
    /// Whether they were found and not named.
    pub found: bool,
}

impl FileSelection {
    /// Returns the parts of a project that are installed.
    pub(super) fn parts_of(&self, file: &Path) -> ProjectParts {
        let found = self.parts.iter().find(|(known, _)| known == file);
        found.map_or_else(|| ProjectParts { base: true, ..ProjectParts::default() }, |(_, parts)| parts.clone())
    }
}

/// The result of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// There are files.
    Files(FileSelection),
    /// There are none; perhaps some under other names are left alone.
    Nothing(Option<LeftAlone>),
}

impl Selected {
    /// Returns the files.
    pub(super) fn files(self) -> Option<FileSelection> {
        match self {
            Selected::Files(files) => Some(files),
            Selected::Nothing(_) => None,
        }
    }
}

/// Selects the files. `tell` gets a line about a file that is left alone.
///
/// # Errors
/// Fails for a named file that does not exist or is a directory (116).
pub(super) fn select(request: &DepsRequest<'_>, tell: &mut dyn FnMut(&str)) -> Result<Selected> {
    match &request.settings.deps_requirements.value {
        Requirements::Off => Ok(Selected::Nothing(None)),
        Requirements::Files(names) if names.is_empty() => Ok(Selected::Nothing(None)),
        Requirements::Files(names) => {
            let selection = named(&request.code, names);
            let origin = request.settings.deps_requirements.origin.to_string();
            selection
                .files
                .iter()
                .try_for_each(|file| exists(file, Some(&format!("deps.requirements from {origin}"))))?;
            Ok(Selected::Files(selection))
        }
        Requirements::Auto => automatic(request, tell),
    }
}

/// Returns the files of these names. A project that is named more than once is one file with all parts.
fn named(code: &Path, names: &[PathBuf]) -> FileSelection {
    let mut selection = FileSelection { files: Vec::new(), parts: Vec::new(), found: false };
    for name in names {
        let whole = code.join(name);
        let (file, parts) = match manifest::parts(name) {
            Some((file, parts)) => (code.join(file), Some(parts)),
            None => (whole, None),
        };
        match (selection.parts.iter_mut().find(|(known, _)| *known == file), parts) {
            (Some((_, known)), Some(parts)) => known.add(parts),
            (_, parts) => {
                selection.parts.extend(parts.map(|parts| (file.clone(), parts)));
                selection.files.push(file);
            }
        }
    }
    selection
}

fn exists(file: &Path, from: Option<&str>) -> Result<()> {
    match std::fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(unreadable(file, io::ErrorKind::IsADirectory.into(), from)),
        Ok(_) => match manifest::kind(file) {
            ManifestKind::Foreign(hint) => Err(manifest::refused(file, hint)),
            _ => Ok(()),
        },
        Err(error) => Err(unreadable(file, error, from)),
    }
}

fn automatic(request: &DepsRequest<'_>, tell: &mut dyn FnMut(&str)) -> Result<Selected> {
    let file = request.code.join(NAME);
    let missing = matches!(std::fs::metadata(&file), Err(error) if error.kind() == io::ErrorKind::NotFound);
    left_alone::uv_run(request).iter().for_each(|line| tell(line));
    if missing || !is_code_directory(request) {
        let left = left_alone(request);
        left.iter().for_each(|left| tell(&left.line));
        return Ok(Selected::Nothing(left));
    }
    if !is_python(request) {
        let name = request.command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        tell(&format!(
            "{} is left alone, since {name} is not Python; TRAINIT_DEPS_REQUIREMENTS={NAME} installs it",
            file.display()
        ));
        return Ok(Selected::Nothing(None));
    }
    exists(&file, None)?;
    Ok(Selected::Files(FileSelection { files: vec![file], parts: Vec::new(), found: true }))
}

/// Returns the requirements of a Python program that are left alone, where no file has the usual name.
fn left_alone(request: &DepsRequest<'_>) -> Option<LeftAlone> {
    let code = is_code_directory(request).then_some(request.code.as_path());
    is_python(request).then(|| left_alone::find(request, code)).flatten()
}

fn is_python(request: &DepsRequest<'_>) -> bool {
    request.by_mode || starts::look(request.command, interpreter::lookup(request)) != Starts::Other
}

/// Checks that the directory holds code: a `requirements.txt` in the root or home directory may belong to anything.
fn is_code_directory(request: &DepsRequest<'_>) -> bool {
    let home = request.environment.get("HOME").map(Path::new);
    let inode = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let code = inode(&request.code);
    let same = |other: &Path| request.code == other || code.is_some() && code == inode(other);
    request.settings.code_path.value.is_some() || !(same(Path::new("/")) || home.is_some_and(same))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OriginValue, Settings, ValueOrigin};
    use std::ffi::OsString;
    use sys::Root;
    use sys::environment::Environment;

    struct Case {
        settings: Settings,
        code: PathBuf,
        command: Vec<OsString>,
        by_mode: bool,
        home: PathBuf,
    }

    impl Case {
        fn new(code: &Path) -> Self {
            let command = vec!["python".into(), "train.py".into()];
            Case { settings: Settings::default(), code: code.to_owned(), command, by_mode: false, home: "/root".into() }
        }

        fn select(&self) -> Result<(Option<FileSelection>, Vec<String>)> {
            let environment: Environment =
                [("PATH", "/none"), ("HOME", self.home.to_str().unwrap())].into_iter().collect();
            let root = Root::real();
            let (settings, command) = (&self.settings, self.command.as_slice());
            let (workdir, code) = (self.code.clone(), self.code.clone());
            let request = DepsRequest {
                root: &root,
                settings,
                environment: &environment,
                workdir,
                code,
                command,
                by_mode: self.by_mode,
                kind: Default::default(),
            };
            let mut told = Vec::new();
            select(&request, &mut |line| told.push(line.to_owned())).map(|found| (found.files(), told))
        }
    }

    fn code() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "numpy\n").unwrap();
        dir
    }

    #[test]
    fn the_file_in_the_code_directory_is_found_for_python() {
        let dir = code();
        let found = Case::new(dir.path()).select().unwrap().0.unwrap();
        assert_eq!(found, FileSelection { files: vec![dir.path().join(NAME)], parts: Vec::new(), found: true });
        assert_eq!(Case::new(&dir.path().join("none")).select().unwrap().0, None);
    }

    #[test]
    fn for_another_program_it_is_left_alone_and_a_line_says_so() {
        let dir = code();
        let mut case = Case::new(dir.path());
        case.command = vec!["bash".into(), "run.sh".into()];
        let (found, told) = case.select().unwrap();
        assert!(found.is_none() && told.len() == 1 && told[0].contains("bash is not Python"));
        case.by_mode = true;
        assert!(case.select().unwrap().0.is_some());
    }

    #[test]
    fn a_home_directory_is_no_code_unless_it_is_named_so() {
        let dir = code();
        let mut case = Case::new(dir.path());
        case.home = dir.path().to_owned();
        assert!(case.select().unwrap().0.is_none());
        case.settings.code_path.value = Some(dir.path().to_owned());
        assert!(case.select().unwrap().0.is_some());
    }

    #[test]
    fn what_is_left_alone_is_told_in_a_line_and_handed_on() {
        let dir = code();
        let mut case = Case::new(dir.path());
        std::fs::write(dir.path().join("train.py"), "").unwrap();
        case.home = dir.path().to_owned();
        let (found, told) = case.select().unwrap();
        assert!(found.is_none() && told.len() == 1 && told[0].contains("requirements.txt is left alone"), "{told:?}");
    }

    #[test]
    fn a_directory_in_the_files_place_is_a_forgotten_host_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(NAME)).unwrap();
        let error = Case::new(dir.path()).select().unwrap_err();
        assert_eq!(error.exit().code(), 116);
        assert!(format!("{error:#}").contains("host's file of -v does not exist"), "{error}");
    }

    #[test]
    fn a_named_file_that_is_missing_is_told_with_who_named_it() {
        let dir = code();
        let mut case = Case::new(dir.path());
        let origin = ValueOrigin::Environment("TRAINIT_DEPS_REQUIREMENTS".into());
        case.settings.deps_requirements = OriginValue { value: Requirements::Files(vec!["gone.txt".into()]), origin };
        let error = format!("{:#}", case.select().unwrap_err());
        assert!(
            error.contains("gone.txt does not exist") && error.contains("from TRAINIT_DEPS_REQUIREMENTS"),
            "{error}"
        );
        case.settings.deps_requirements.value = Requirements::Off;
        assert_eq!(case.select().unwrap().0, None);
    }
}
