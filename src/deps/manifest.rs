//! Knows the files of other tools that declare dependencies, and what to report about a file that trainit does not use.

use super::refusal::permanent;
use super::requirement_file;
use crate::error::Error;
use requirements::packaging::Name;
use serde::Serialize;
use std::path::{Component, Path, PathBuf};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManifestKind {
    /// Requirements in pip's format.
    Requirements,
    /// A project file (PEP 621).
    Project,
    /// A lock file of uv.
    UvLock,
    /// A file of another tool, with the advice for it.
    Foreign(&'static str),
}

/// The name of a project file.
const PROJECT: &str = "pyproject.toml";

/// File names, in the order in which a start without requirements.txt looks for them.
const KINDS: [(&str, ManifestKind); 8] = [
    ("uv.lock", ManifestKind::UvLock),
    (PROJECT, ManifestKind::Project),
    ("pylock.toml", ManifestKind::Foreign("uv pip compile or uv export makes a requirements.txt of it")),
    ("environment.yml", ManifestKind::Foreign("conda env update -f environment.yml belongs into the image's build")),
    ("environment.yaml", ManifestKind::Foreign("conda env update -f environment.yaml belongs into the image's build")),
    ("poetry.lock", ManifestKind::Foreign("poetry export -o requirements.txt makes one that trainit reads")),
    ("Pipfile.lock", ManifestKind::Foreign("pipenv requirements >requirements.txt makes one that trainit reads")),
    ("Pipfile", ManifestKind::Foreign("pipenv requirements >requirements.txt makes one that trainit reads")),
];

/// The parts of a project that are installed: its dependencies, those of extras, and dependency groups (PEP 735).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ProjectParts {
    /// Whether the project's own dependencies are installed. A group alone has none of them, as for `pip install --group`.
    pub base: bool,
    /// The extras.
    pub extras: Vec<String>,
    /// The groups.
    pub groups: Vec<String>,
}

impl ProjectParts {
    /// Adds other parts of the same project.
    pub(super) fn add(&mut self, other: ProjectParts) {
        self.base |= other.base;
        self.extras.extend(other.extras);
        self.groups.extend(other.groups);
    }
}

/// Splits a name in `deps.requirements` into the file and the parts: `pyproject.toml[train,eval]`, `.[train]`, `pyproject.toml:group`.
/// `None` for any other name.
pub(super) fn parts(name: &Path) -> Option<(PathBuf, ProjectParts)> {
    let text = name.to_str()?;
    let (file, parts) = match (text.strip_suffix(']').and_then(|text| text.rsplit_once('[')), text.rsplit_once(':')) {
        (Some((file, extras)), _) => (file, ProjectParts { base: true, extras: words(extras)?, ..Default::default() }),
        (None, Some((file, groups))) => (file, ProjectParts { groups: words(groups)?, ..Default::default() }),
        (None, None) => (text, ProjectParts { base: true, ..Default::default() }),
    };
    let is_directory = file.is_empty() || matches!(Path::new(file).components().next_back(), Some(Component::CurDir));
    let file = if is_directory { Path::new(file).join(PROJECT) } else { file.into() };
    matches!(kind(&file), ManifestKind::Project | ManifestKind::UvLock).then_some((file, parts))
}

/// Returns the comma-separated names of extras or groups; `None` if one is no name.
fn words(list: &str) -> Option<Vec<String>> {
    let names = list.split(',').map(str::trim);
    names.map(|name| Name::parse(name).map(|_| name.to_owned())).collect()
}

/// Returns the kind of a file by its name.
pub(super) fn kind(file: &Path) -> ManifestKind {
    let name = file.file_name().unwrap_or_default();
    KINDS.iter().find(|(known, _)| name == *known).map_or(ManifestKind::Requirements, |(_, kind)| *kind)
}

/// Returns a line about such a file in a directory without requirements.txt; `None` if no file there declares dependencies.
pub(super) fn hint(directory: &Path) -> Option<String> {
    let (name, kind) = KINDS.iter().find(|(name, kind)| asks(&directory.join(name), *kind))?;
    let file = directory.join(name);
    Some(match kind {
        ManifestKind::Foreign(hint) => format!("{} is left alone: {hint}", file.display()),
        _ => format!("{} is left alone; TRAINIT_DEPS_REQUIREMENTS={name} installs what it asks for", file.display()),
    })
}

/// Checks that a file exists and declares dependencies: a pyproject.toml may configure only a formatter.
fn asks(file: &Path, kind: ManifestKind) -> bool {
    match kind {
        ManifestKind::Project => requirement_file::read(file).is_ok_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.contains("[project]") && text.lines().any(|line| line.starts_with("dependencies"))
        }),
        _ => file.is_file(),
    }
}

/// Returns the error for a named file of another tool.
pub(super) fn refused(file: &Path, hint: &'static str) -> Error {
    permanent(format!("{} is not for trainit to install from", file.display())).hint(hint)
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
    fn extras_and_groups_of_a_project_are_told_from_names_of_files() {
        let of = |name: &str| parts(Path::new(name)).map(|(file, parts)| (file.display().to_string(), parts));
        let extras = |names: &[&str]| ProjectParts {
            base: true,
            extras: names.iter().map(|name| (*name).to_owned()).collect(),
            groups: Vec::new(),
        };
        assert_eq!(of("pyproject.toml"), Some(("pyproject.toml".into(), extras(&[]))));
        assert_eq!(
            of("sub/pyproject.toml[train, eval]"),
            Some(("sub/pyproject.toml".into(), extras(&["train", "eval"])))
        );
        assert_eq!(of(".[train]"), Some(("./pyproject.toml".into(), extras(&["train"]))));
        assert_eq!(of("."), Some(("./pyproject.toml".into(), extras(&[]))));
        let group = ProjectParts { groups: vec!["gpu".into()], ..ProjectParts::default() };
        assert_eq!(of("uv.lock:gpu"), Some(("uv.lock".into(), group)));
        for name in ["requirements.txt", "requirements.txt[a]", "a:b", "pyproject.toml[]", "pyproject.toml[a b]"] {
            assert_eq!(of(name), None, "{name}");
        }
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
