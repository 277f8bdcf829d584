//! Holds of the sources' shape what no compiler holds: how a file opens and how long it gets. Which crate may know which stands in the
//! manifests, where `unsafe` may stand in the lints, and import circles are found by scripts/structure.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The longest file, without its tests, comments and blank lines (as clippy counts functions).
const LINES: usize = 400;

/// A source file of a crate, without those that hold only tests.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The lines of code that are shipped.
    fn shipped(&self) -> usize {
        let text = self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    collect(&root().join("crates"), &mut paths);
    paths.sort();
    assert!(paths.len() > 300, "only {} source files were found", paths.len());
    paths.into_iter().map(|path| Source { text: std::fs::read_to_string(&path).unwrap(), path }).collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_owned();
        match path.is_dir() {
            true if name != "tests" && name != "target" => collect(&path, into),
            false if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" => {
                into.push(path)
            }
            _ => {}
        }
    }
}

/// Panics with all complaints at once: a person mends them together.
fn report(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    let line = |source: Source| format!("{}: opens with no `//!`: what it is for", source.path.display());
    report(silent.map(line).collect());
}

#[test]
fn no_file_is_too_long_to_read() {
    let long = sources().into_iter().map(|source| (source.shipped(), source)).filter(|(count, _)| *count > LINES);
    let line = |(count, source): (usize, Source)| {
        format!("{}: {count} lines of code; above {LINES} a file holds two nouns", source.path.display())
    };
    report(long.map(line).collect());
}

#[test]
fn the_supervisor_is_made_of_sys_and_protocol_alone() {
    let shown = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            "trainit-supervisor",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let ours = tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| name.starts_with("trainit"));
    let ours: std::collections::BTreeSet<&str> = ours.collect();
    assert_eq!(ours, ["trainit-protocol", "trainit-supervisor", "trainit-sys"].into(), "{tree}");
}
