//! Finds requirements that a start does not install: files beside the script or under other usual names, requirements inside of the
//! script, projects of `uv run`. It reads directories and the beginning of the script, and decides nothing.

use super::DepsRequest;
use super::manifest;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most entries of a directory that are looked at.
const ENTRIES: usize = 1000;

/// The beginning of a script in which its own requirements are looked for, in bytes.
const HEAD: u64 = 8192;

/// Directories of a project that hold requirement files.
const USUAL_DIRECTORIES: [&str; 6] = ["requirements", "src", "docker", "env", "train", "training"];

/// Words in the names of files that training does not need.
const FOR_OTHERS: [&str; 7] = ["dev", "test", "doc", "lint", "build", "ci", "example"];

/// Requirements that a start leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// A line for the start.
    pub line: String,
    /// What may be the reason, in a few words, for the end of a job that may have missed a module.
    pub what: String,
}

/// Finds requirements of a Python program without a `requirements.txt`. `code` is the code directory, unless that may hold anything.
pub(super) fn find(request: &DepsRequest<'_>, code: Option<&Path>) -> Option<LeftAlone> {
    let script = script(request);
    let files = usual_files(code, script.as_deref());
    if let Some(first) = files.first() {
        let what = not_installed(&format!("{} (TRAINIT_DEPS_REQUIREMENTS={})", super::names(&files), first.display()));
        let (name, verb) = (super::names(&files), if files.len() == 1 { "is" } else { "are" });
        let line = format!("{name} {verb} left alone; TRAINIT_DEPS_REQUIREMENTS={} installs it", first.display());
        return Some(LeftAlone { line, what });
    }
    if let Some(script) = script.filter(|script| has_own_requirements(script)) {
        let what = format!("the requirements that {} names itself (PEP 723)", script.display());
        let line = format!("{what} are left alone: write them into {}/requirements.txt", request.code.display());
        return Some(LeftAlone { line, what: not_installed(&what) });
    }
    let line = manifest::hint(code?)?;
    let what = not_installed(line.split(" is left alone").next().unwrap_or_default());
    Some(LeftAlone { line, what })
}

fn not_installed(what: &str) -> String {
    format!("not installed was {what}")
}

/// Returns a line about `uv run` in a project: it makes an environment of its own.
pub(super) fn uv_run(request: &DepsRequest<'_>) -> Option<String> {
    let mut words = request.command.iter();
    let is_uv = words.next().is_some_and(|word| Path::new(word).file_name() == Some(OsStr::new("uv")));
    let options: Vec<_> = words.clone().take_while(|word| word.to_string_lossy().starts_with("--")).collect();
    let is_run = is_uv && words.find(|word| !word.to_string_lossy().starts_with("--")) == Some(&"run".into());
    let is_elsewhere = ["--no-project", "--active"].iter().any(|flag| request.command.contains(&(*flag).into()));
    let is_set = request.environment.get("UV_PROJECT_ENVIRONMENT").is_some();
    if !is_run || is_elsewhere || is_set || !options.is_empty() {
        return None;
    }
    let project = request.workdir.ancestors().find(|dir| dir.join("pyproject.toml").is_file())?;
    let environment = project.join(".venv");
    let settings = std::fs::read_to_string(environment.join("pyvenv.cfg")).unwrap_or_default();
    let sees_image = settings.lines().any(|line| line.replace(' ', "") == "include-system-site-packages=true");
    let file = if project.join("uv.lock").is_file() { "uv.lock" } else { "pyproject.toml" };
    (!sees_image).then(|| {
        format!(
            "uv run works in {}, which does not see the image's packages; to use them, start python itself with TRAINIT_DEPS_REQUIREMENTS={}",
            environment.display(),
            project.join(file).display()
        )
    })
}

/// Returns what to say if `python` and `python3` belong to two environments and the command names neither.
pub(super) fn two_pythons(chosen: &Path, other: Option<PathBuf>) -> Option<LeftAlone> {
    let other = other.filter(|other| !is_same_environment(chosen, other))?;
    let (chosen, other) = (chosen.display(), other.display());
    Some(LeftAlone {
        line: format!(
            "packages are for {chosen}; {other} is another environment (TRAINIT_DEPS_PYTHON={other} chooses it)"
        ),
        what: format!("packages are for {chosen}, and not for {other} (TRAINIT_DEPS_PYTHON={other})"),
    })
}

/// Checks whether two interpreters see the same packages. A virtual environment is known by its directory, since its interpreter is a link.
fn is_same_environment(one: &Path, other: &Path) -> bool {
    let directory = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    let is_virtual = |path: &Path| path.parent().is_some_and(|bin| bin.join("../pyvenv.cfg").exists());
    let is_one_file = || one.canonicalize().ok().is_some_and(|found| other.canonicalize().ok() == Some(found));
    directory(one) == directory(other) || (is_one_file() && !is_virtual(one) && !is_virtual(other))
}

/// Returns the script that the command starts.
fn script(request: &DepsRequest<'_>) -> Option<PathBuf> {
    let is_script = |path: &PathBuf| path.extension().is_some_and(|end| end == "py" || end == "sh") && path.is_file();
    request.command.iter().map(|word| request.workdir.join(word)).find(is_script)
}

/// Finds requirement files under usual names: beside the script, in the code directory, and in its usual directories.
fn usual_files(code: Option<&Path>, script: Option<&Path>) -> Vec<PathBuf> {
    let beside = script.and_then(Path::parent).filter(|beside| *beside != Path::new("/"));
    let below = code.iter().flat_map(|code| USUAL_DIRECTORIES.iter().map(|name| code.join(name)));
    let directories = [beside, code].into_iter().flatten().map(Path::to_owned).chain(below);
    directories.map(|directory| in_directory(&directory)).find(|files| !files.is_empty()).unwrap_or_default()
}

/// Returns the requirement files of a directory: `requirements.txt` alone where it is there, else at most three.
fn in_directory(directory: &Path) -> Vec<PathBuf> {
    let usual = directory.join("requirements.txt");
    if usual.is_file() {
        return vec![usual];
    }
    let within = directory.file_name() == Some(OsStr::new("requirements"));
    let entries = std::fs::read_dir(directory).into_iter().flatten().take(ENTRIES).flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut files: Vec<_> = names.filter(|name| is_usual(name, within)).map(|name| directory.join(name)).collect();
    files.retain(|file| file.is_file());
    files.sort();
    files.truncate(3);
    files
}

/// Checks whether a file's name is a usual one for the requirements of a training.
fn is_usual(name: &str, within: bool) -> bool {
    let name = name.to_ascii_lowercase();
    let Some(stem) = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".in")) else { return false };
    let is_for_others = stem
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| FOR_OTHERS.iter().any(|other| word.starts_with(other)));
    (within || stem.starts_with("requirement") || stem.starts_with("reqs")) && !is_for_others
}

/// Checks whether a script names requirements in its first lines (PEP 723).
fn has_own_requirements(script: &Path) -> bool {
    let mut head = Vec::new();
    let _ = std::fs::File::open(script).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    let head = String::from_utf8_lossy(&head);
    let block = head.split_once("# /// script").map(|(_, rest)| rest.split("\n# ///").next().unwrap_or_default());
    block.is_some_and(|block| block.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with("dependencies")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn found(files: &[(&str, &str)], script: Option<&str>) -> Vec<String> {
        let dir = project(files);
        let script = script.map(|script| dir.path().join(script));
        let files = usual_files(Some(dir.path()), script.as_deref());
        files.iter().map(|file| file.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
    }

    #[test]
    fn requirement_files_are_found_beside_the_script_and_under_usual_names() {
        let none: [&str; 0] = [];
        assert_eq!(found(&[("src/requirements.txt", "")], Some("src/train.py")), ["src/requirements.txt"]);
        assert_eq!(found(&[("a/b/requirements-gpu.txt", "")], Some("a/b/train.py")), ["a/b/requirements-gpu.txt"]);
        assert_eq!(found(&[("requirements.in", "")], None), ["requirements.in"]);
        assert_eq!(found(&[("Requirements.TXT", "")], None), ["Requirements.TXT"]);
        assert_eq!(
            found(&[("requirements/base.txt", ""), ("requirements/dev.txt", "")], None),
            ["requirements/base.txt"]
        );
        assert_eq!(
            found(&[("requirements_dev.txt", ""), ("test-requirements.txt", ""), ("README.txt", "")], None),
            none
        );
        assert_eq!(found(&[("train.py", "")], Some("train.py")), none);
    }

    #[test]
    fn requirements_inside_of_a_script_are_seen() {
        let with = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n#   \"torch\",\n# ]\n# ///\nimport torch\n";
        let dir = project(&[
            ("a.py", with),
            ("b.py", "# /// script\n# requires-python = '>=3'\n# ///\n"),
            ("c.py", "dependencies = 1\n"),
        ]);
        let has = |name: &str| has_own_requirements(&dir.path().join(name));
        assert_eq!((has("a.py"), has("b.py"), has("c.py"), has("gone.py")), (true, false, false, false));
    }

    #[test]
    fn two_pythons_are_told_apart_by_their_environment() {
        let dir = project(&[
            ("usr/bin/python3.11", ""),
            ("venv/pyvenv.cfg", ""),
            ("venv/bin/x", ""),
            ("usr/local/bin/python", "#!/bin/sh"),
        ]);
        let at = |name: &str| dir.path().join(name);
        for (link, to) in [
            ("usr/bin/python3", "python3.11"),
            ("usr/bin/python", "python3"),
            ("venv/bin/python", "../../usr/bin/python3.11"),
        ] {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        let line = |other: &str| two_pythons(&at("usr/bin/python3"), Some(at(other)));
        assert_eq!(line("usr/bin/python"), None);
        assert!(line("venv/bin/python").unwrap().line.contains("TRAINIT_DEPS_PYTHON="));
        assert!(line("usr/local/bin/python").is_some());
        assert_eq!(two_pythons(&at("usr/bin/python3"), None), None);
    }
}
