//! Files of other tools that say what a project needs. Those of pyproject.toml and uv.lock become requirements when they are named
//! (`deps.requirements: pyproject.toml`); of the others it is told what can be done with them.

use super::install::Installation;
use super::refusal::permanent;
use super::{cache_dirs, requirement_file, run};
use crate::error::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use sys::temporary::TemporaryFile;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    /// Lines for pip.
    Requirements,
    /// A project, by PEP 621.
    Project,
    /// What uv has locked.
    UvLock,
    /// Another tool's; what to do about it.
    Foreign(&'static str),
}

/// Files by name, in the order in which a start that has no requirements.txt looks for them.
const KINDS: [(&str, ManifestKind); 8] = [
    ("uv.lock", ManifestKind::UvLock),
    ("pyproject.toml", ManifestKind::Project),
    ("pylock.toml", ManifestKind::Foreign("uv pip compile or uv export makes a requirements.txt of it")),
    ("environment.yml", ManifestKind::Foreign("conda env update -f environment.yml belongs into the image's build")),
    ("environment.yaml", ManifestKind::Foreign("conda env update -f environment.yaml belongs into the image's build")),
    ("poetry.lock", ManifestKind::Foreign("poetry export -o requirements.txt makes one that trainit reads")),
    ("Pipfile.lock", ManifestKind::Foreign("pipenv requirements >requirements.txt makes one that trainit reads")),
    ("Pipfile", ManifestKind::Foreign("pipenv requirements >requirements.txt makes one that trainit reads")),
];

/// Before each requirement that Python finds, so that what a sitecustomize prints is not taken for one; and before what is wrong.
const ASKS: &str = "trainit-asks:";
const WRONG: &str = "trainit-wrong:";

/// Reads a project's dependencies: in Python, which knows TOML, or whose pip does.
const QUESTION: &str = r#"
import sys
sys.path[:] = [p for p in sys.path if p]
def wrong(what):
    print("\ntrainit-wrong:" + what)
    sys.exit(1)
try:
    import tomllib
except ImportError:
    try:
        from pip._vendor import tomli as tomllib
    except ImportError:
        wrong("this Python cannot read TOML: 3.11 or newer can, or one with a newer pip")
try:
    with open(sys.argv[1], "rb") as file:
        project = tomllib.load(file).get("project")
except Exception as error:
    wrong(str(error))
if not isinstance(project, dict):
    wrong("it has no table [project]")
if "dependencies" in project.get("dynamic", ()):
    wrong("its dependencies are dynamic: only building the project tells them")
for line in project.get("dependencies", ()):
    print("\ntrainit-asks:" + str(line))
"#;

/// What a file is, by its name.
pub fn kind(file: &Path) -> ManifestKind {
    let name = file.file_name().unwrap_or_default();
    KINDS.iter().find(|(known, _)| name == *known).map_or(ManifestKind::Requirements, |(_, kind)| *kind)
}

/// A line about such a file in a directory that has no requirements.txt; none if there is none that asks for anything.
pub fn hint(directory: &Path) -> Option<String> {
    let (name, kind) = KINDS.iter().find(|(name, kind)| asks(&directory.join(name), *kind))?;
    let file = directory.join(name);
    Some(match kind {
        ManifestKind::Foreign(hint) => format!("{} is left alone: {hint}", file.display()),
        _ => format!("{} is left alone; TRAINIT_DEPS_REQUIREMENTS={name} installs what it asks for", file.display()),
    })
}

/// Whether it is there and asks for something: a pyproject.toml may be there for a formatter alone.
fn asks(file: &Path, kind: ManifestKind) -> bool {
    match kind {
        ManifestKind::Project => requirement_file::read(file).is_ok_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.contains("[project]") && text.lines().any(|line| line.starts_with("dependencies"))
        }),
        _ => file.is_file(),
    }
}

/// Another tool's file that was named.
pub fn refused(file: &Path, hint: &'static str) -> Error {
    permanent(format!("{} is not for trainit to install from", file.display())).hint(hint)
}

/// The requirement files of an installation; those that were made are gone when this is dropped.
#[derive(Debug, Default)]
pub struct ManifestFiles {
    /// For the installer.
    pub paths: Vec<PathBuf>,
    /// What the made ones ask for, each behind who asks.
    pub asked: Vec<(String, String)>,
    made: Vec<TemporaryFile>,
}

/// Makes requirement files of those that are none. `uv` is where uv is, `locked` whether hashes are held.
///
/// # Errors
/// They cannot be read, or there is no uv to read them (116).
pub fn files(job: &Installation<'_>, uv: Option<&Path>) -> Result<ManifestFiles> {
    let mut files = ManifestFiles::default();
    for file in &job.wanted.selection.files {
        let text = match kind(file) {
            ManifestKind::Project => of_project(job, file)?,
            ManifestKind::UvLock => of_lock(job, file, uv)?,
            ManifestKind::Requirements | ManifestKind::Foreign(_) => {
                files.paths.push(file.clone());
                continue;
            }
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.asked.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
        files.add(job, &text)?;
    }
    Ok(files)
}

impl ManifestFiles {
    fn add(&mut self, job: &Installation<'_>, text: &str) -> Result<()> {
        let made = cache_dirs::temporary(job.wanted.request.environment, "trainit-requirements-");
        let made = made.and_then(|mut made| made.file().write_all(text.as_bytes()).ok().map(|()| made));
        let made = made.ok_or_else(|| permanent("no temporary file can be written".to_owned()).hint("set TMPDIR"))?;
        self.paths.push(made.path().to_owned());
        self.made.push(made);
        Ok(())
    }
}

fn of_project(job: &Installation<'_>, file: &Path) -> Result<String> {
    let mut command = Command::new(&job.target.python.executable);
    command.args(["-E", "-c", QUESTION]).arg(file);
    let output = said(job, command, file)?;
    let marked = |mark| output.lines().filter_map(move |line| line.strip_prefix(mark));
    match marked(WRONG).next() {
        Some(wrong) => Err(unreadable(file, wrong).hint("or name what it needs in a requirements.txt")),
        None => Ok(marked(ASKS).map(|line| format!("{line}\n")).collect()),
    }
}

/// The project itself is code that lies there, so only what it needs is installed. Versions that the image keeps have other hashes.
fn of_lock(job: &Installation<'_>, file: &Path, uv: Option<&Path>) -> Result<String> {
    let uv =
        uv.ok_or_else(|| unreadable(file, "only uv can read it, and there is no uv").hint("put uv into the image"))?;
    let mut command = Command::new(uv);
    command.args([
        "export",
        "--quiet",
        "--frozen",
        "--no-config",
        "--no-python-downloads",
        "--no-emit-workspace",
        "--no-dev",
    ]);
    command
        .args(["--no-header", "--no-annotate", "--format", "requirements-txt", "--python"])
        .arg(&job.target.python.executable);
    command.args((!job.kept.is_empty()).then_some("--no-hashes"));
    command.arg("--project").arg(file.parent().unwrap_or(Path::new("/")));
    said(job, command, file)
}

fn said(job: &Installation<'_>, mut command: Command, file: &Path) -> Result<String> {
    run::with_environment(&mut command, job.wanted.request.environment);
    command.current_dir(file.parent().unwrap_or(Path::new("/")));
    let answer = run::capture(command, job.deadline).map_err(|error| unreadable(file, &error.to_string()))?;
    let has_words = answer.output.lines().any(|line| line.starts_with(WRONG));
    if answer.succeeded() || has_words { Ok(answer.output) } else { Err(unreadable(file, answer.output.trim())) }
}

fn unreadable(file: &Path, why: &str) -> Error {
    permanent(format!("{} cannot be installed from", file.display())).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name() {
        assert_eq!(kind(Path::new("/code/uv.lock")), ManifestKind::UvLock);
        assert_eq!(kind(Path::new("pyproject.toml")), ManifestKind::Project);
        assert_eq!(kind(Path::new("/code/requirements-dev.txt")), ManifestKind::Requirements);
        assert!(matches!(kind(Path::new("environment.yml")), ManifestKind::Foreign(hint) if hint.contains("conda")));
    }

    #[test]
    fn a_pyproject_for_a_formatter_is_nobodys_business() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(hint(dir.path()), None);
        write("pyproject.toml", "[tool.ruff]\nline-length = 100\n");
        assert_eq!(hint(dir.path()), None);
        write("Pipfile", "");
        assert!(hint(dir.path()).unwrap().contains("pipenv requirements"));
        write("pyproject.toml", "[project]\nname = 'x'\ndependencies = ['a']\n");
        assert!(hint(dir.path()).unwrap().contains("TRAINIT_DEPS_REQUIREMENTS=pyproject.toml"));
    }
}
