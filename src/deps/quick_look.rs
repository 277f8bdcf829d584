//! Describes a Python by file names alone, without starting or importing anything.

use std::fs;
use std::path::{Path, PathBuf};

/// The frameworks to look for, of which only the first one is reported.
const FRAMEWORKS: [&str; 3] = ["torch", "jax", "tensorflow"];

/// Returns `3.11 (/opt/venv/bin/python), torch 2.8.0`; unknown parts are left out.
pub fn words(python: &Path) -> String {
    let version = version(python);
    let place = python.display();
    let known = version.as_deref().map_or_else(|| place.to_string(), |version| format!("{version} ({place})"));
    match version.and_then(|version| framework(python, minor(&version))) {
        Some((name, version)) => format!("{known}, {name} {version}"),
        None => known,
    }
}

/// Returns the version: a virtual environment's configuration contains it, else the resolved file name does.
fn version(python: &Path) -> Option<String> {
    let noted = prefix(python).and_then(|prefix| fs::read_to_string(prefix.join("pyvenv.cfg")).ok());
    let noted = noted.as_deref().and_then(|text| text.lines().find_map(version_line));
    let named = || {
        let real = fs::canonicalize(python).ok()?;
        let version = real.file_name()?.to_str()?.strip_prefix("python")?.to_owned();
        version.contains('.').then_some(version)
    };
    noted.or_else(named)
}

fn version_line(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    let is_it = ["version", "version_info"].contains(&name.trim());
    is_it.then(|| value.trim().split('.').take(3).collect::<Vec<_>>().join("."))
}

/// Returns `3.11` for `3.11.9`.
fn minor(version: &str) -> &str {
    version.match_indices('.').nth(1).and_then(|(at, _)| version.get(..at)).unwrap_or(version)
}

fn prefix(python: &Path) -> Option<PathBuf> {
    Some(python.parent()?.parent()?.to_owned())
}

fn framework(python: &Path, minor: &str) -> Option<(&'static str, String)> {
    let real = fs::canonicalize(python).ok();
    let prefixes = [prefix(python), real.as_deref().and_then(prefix), Some("/usr/local".into())];
    let below = ["site-packages", "dist-packages"].map(|name| format!("lib/python{minor}/{name}"));
    let own = prefixes.iter().flatten().flat_map(|prefix| below.iter().map(|below| prefix.join(below)));
    let names: Vec<String> = own
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    FRAMEWORKS.iter().find_map(|framework| {
        let of = |name: &String| {
            let version = name.strip_suffix(".dist-info")?.strip_prefix(framework)?.strip_prefix('-')?;
            Some(version.to_owned())
        };
        names.iter().find_map(of).map(|version| (*framework, version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_python_is_known_by_its_real_name_its_environments_note_and_its_packages() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("usr/bin")).unwrap();
        fs::create_dir_all(at("usr/lib/python3.11/site-packages/torch-2.8.0+cu129.dist-info")).unwrap();
        fs::write(at("usr/bin/python3.11"), "").unwrap();
        symlink("python3.11", at("usr/bin/python3")).unwrap();
        assert!(words(&at("usr/bin/python3")).starts_with("3.11 (/"));
        assert!(words(&at("usr/bin/python3")).ends_with("), torch 2.8.0+cu129"));
        fs::create_dir_all(at("venv/bin")).unwrap();
        symlink(at("usr/bin/python3"), at("venv/bin/python")).unwrap();
        fs::write(at("venv/pyvenv.cfg"), "home = /usr/bin\nversion_info = 3.12.1.final.0\n").unwrap();
        assert!(words(&at("venv/bin/python")).starts_with("3.12.1 ("));
        assert_eq!(words(Path::new("/no/such/python")), "/no/such/python");
    }

    #[test]
    fn the_minor_version_is_the_first_two_numbers() {
        assert_eq!(["3.11.9", "3.11", "3"].map(minor), ["3.11", "3.11", "3"]);
    }
}
