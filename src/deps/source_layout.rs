//! Finds the code of projects whose dependencies are installed without the projects themselves: with a `src` directory, or as members of a
//! workspace, Python does not find it by itself.

use std::path::{Path, PathBuf};
use sys::environment::Environment;

/// Returns a line with the value of PYTHONPATH that projects need; `None` if Python finds their code. The first project is the one that is
/// worked in.
pub(super) fn line(projects: &[PathBuf], environment: &Environment) -> Option<String> {
    let known: Vec<_> = environment.get("PYTHONPATH").into_iter().flat_map(std::env::split_paths).collect();
    let needed = projects.iter().enumerate().filter_map(|(number, project)| sources(project, number > 0));
    let needed: Vec<_> = needed.filter(|path| !known.contains(path)).map(|path| path.display().to_string()).collect();
    (!needed.is_empty()).then(|| {
        format!("the project itself is not installed: Python finds its code with PYTHONPATH={}", needed.join(":"))
    })
}

/// Returns the directory of a project's code, if Python does not look there. `is_member` means that nobody works in it.
fn sources(project: &Path, is_member: bool) -> Option<PathBuf> {
    let below = project.join("src");
    let has_code = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| path.join("__init__.py").is_file() || path.extension().is_some_and(|end| end == "py"))
    };
    let project = || is_member.then(|| plain(project)).filter(|path| has_code(path));
    Some(plain(&below)).filter(|below| has_code(below)).or_else(project)
}

/// Removes `.` from a path.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_a_src_directory_and_of_members_is_told_with_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        for package in ["a/src/mine", "b/flat", "c"] {
            std::fs::create_dir_all(dir.path().join(package)).unwrap();
            std::fs::write(dir.path().join(package).join("__init__.py"), "").unwrap();
        }
        let at = |name: &str| dir.path().join(name);
        let none = Environment::default();
        let told = line(&[at("a/."), at("b")], &none).unwrap();
        assert!(told.ends_with(&format!("PYTHONPATH={}:{}", at("a/src").display(), at("b").display())), "{told}");
        assert_eq!(line(&[at("b")], &none), None, "the directory that is worked in is found");
        let known: Environment = [("PYTHONPATH", at("a/src").to_str().unwrap())].into_iter().collect();
        assert_eq!(line(&[at("a")], &known), None);
    }
}
