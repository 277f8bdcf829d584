//! Knows the files of other tools that declare dependencies, and what to report about a file that trainit does not use.

use super::refusal::permanent;
use super::requirement_file;
use crate::error::Error;
use std::path::Path;

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

/// File names, in the order in which a start without requirements.txt looks for them.
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
