//! Holds of the sources' shape what no compiler holds: how a file opens and how long it gets. Which crate may know which stands in the
//! manifests, where `unsafe` may stand in the lints, and import circles are found by scripts/structure.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::collections::BTreeSet;
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
    fn shipped(&self) -> impl Iterator<Item = &str> {
        let text = self.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    collect(&root().join("crates"), &mut paths);
    collect(&root().join("transfer"), &mut paths);
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
    let long =
        sources().into_iter().map(|source| (source.shipped().count(), source)).filter(|(count, _)| *count > LINES);
    let line = |(count, source): (usize, Source)| {
        format!("{}: {count} lines of code; above {LINES} a file holds two nouns", source.path.display())
    };
    report(long.map(line).collect());
}

/// The crates that one crate names in its `[dependencies]`, by `cargo tree`; with `--edges normal` those of tests are left out.
fn dependencies(package: &str) -> BTreeSet<String> {
    let words = ["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--depth", "1", "--package"];
    let shown = Command::new(env!("CARGO")).args(words).arg(package).current_dir(root()).output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let tree = String::from_utf8_lossy(&shown.stdout).into_owned();
    let names = tree.lines().skip(1).filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn pid_1_is_made_of_three_crates_and_few_libraries() {
    let allowed: [(&str, &[&str]); 3] = [
        ("trainit-supervisor", &["humantime", "libc", "nix", "serde", "serde_json", "trainit-protocol", "trainit-sys"]),
        ("trainit-sys", &["libc", "memchr", "nix", "postcard", "serde"]),
        ("trainit-protocol", &["nix", "postcard", "serde"]),
    ];
    for (package, allowed) in allowed {
        assert_eq!(dependencies(package), allowed.iter().map(|name| (*name).to_owned()).collect(), "{package}");
    }
}

#[test]
fn the_store_knows_neither_packages_nor_the_binary() {
    let ours = dependencies("trainit-store").into_iter().filter(|name| name.starts_with("trainit"));
    assert_eq!(ours.collect::<Vec<_>>(), ["trainit-protocol", "trainit-sys", "trainit-temporary", "trainit-text"]);
}

#[test]
fn only_the_table_of_remedies_names_the_options_of_what_starts_containers() {
    let table = ["src/report/remedy", "src/engine/starter.rs"].map(|path| root().join(path).display().to_string());
    let foreign =
        ["docker run", "docker exec", "docker -v", "podman run", "apptainer run", "enroot start", "-e TRAINIT_"];
    let sources = sources();
    let others =
        sources.iter().filter(|source| !table.iter().any(|path| source.path.display().to_string().starts_with(path)));
    let lines = others.flat_map(|source| source.shipped().map(move |line| (source, line)));
    let said = lines.filter(|(_, line)| foreign.iter().any(|words| line.contains(words)));
    report(said.map(|(source, line)| format!("{}: {line}", source.path.display())).collect());
}
