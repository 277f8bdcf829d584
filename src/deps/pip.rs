//! Merges pip's settings from its variables and files, as pip does. Pure except for reading the files.

use super::python::Python;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;

/// One setting of pip for an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipSetting {
    /// The name as an option without leading dashes: `index-url`.
    pub name: String,
    /// The value as written.
    pub value: String,
    /// The variable or file that contains it.
    pub origin: String,
}

impl PipSetting {
    /// Checks whether a switch is on, as pip reads it.
    pub fn is_on(&self) -> bool {
        ["1", "y", "yes", "t", "true", "on"].contains(&self.value.trim().to_ascii_lowercase().as_str())
    }
}

/// Returns the settings in force, sorted by name.
pub fn settings(root: &Root, environment: &Environment, python: &Python) -> Vec<PipSetting> {
    merged(&paths(root, environment, &python.prefix), environment)
}

/// Merges the settings of files, the weakest first, and of variables.
pub fn merged(paths: &[PathBuf], environment: &Environment) -> Vec<PipSetting> {
    let mut files = BTreeMap::new();
    for path in paths {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let origin = path.display().to_string();
        for (section, name, value) in parse(&bytes) {
            files.insert((section, name), (value, origin.clone()));
        }
    }
    // [install] wins over [global] in whichever file, and a variable wins over both.
    let of = |wanted: &'static str| files.iter().filter(move |((section, _), _)| section == wanted);
    let mut merged = BTreeMap::new();
    for ((_, name), (value, origin)) in of("global").chain(of("install")) {
        merged.insert(name.clone(), (value.clone(), origin.clone()));
    }
    for (name, value, origin) in variables(environment) {
        merged.insert(name, (value, origin));
    }
    let nonempty = merged.into_iter().filter(|(_, (value, _))| !value.is_empty());
    nonempty.map(|(name, (value, origin))| PipSetting { name: canonical(&name), value, origin }).collect()
}

/// Replaces an alias of a setting by its main name.
fn canonical(name: &str) -> String {
    match name {
        "default-timeout" => "timeout",
        "pypi-url" => "index-url",
        name => name,
    }
    .to_owned()
}

fn variables(environment: &Environment) -> impl Iterator<Item = (String, String, String)> {
    environment.iter().filter_map(|(variable, value)| {
        let name = variable.to_str()?.strip_prefix("PIP_").filter(|name| *name != "CONFIG_FILE")?;
        Some((normalized(name), value.to_str()?.to_owned(), format!("PIP_{name}")))
    })
}

/// Normalizes an option's name from a file or a variable: pip accepts any case, and `_` or `-`, also as a prefix.
pub fn normalized(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-").trim_start_matches("--").to_owned()
}

/// Lists pip's files, the weakest first; `prefix` is the interpreter's.
pub fn paths(root: &Root, environment: &Environment, prefix: &Path) -> Vec<PathBuf> {
    let named = environment.get("PIP_CONFIG_FILE").map(PathBuf::from);
    if named.as_deref() == Some(Path::new("/dev/null")) {
        return Vec::new();
    }
    let home = environment.get("HOME").map(PathBuf::from);
    let shared = environment.get("XDG_CONFIG_DIRS").unwrap_or(OsStr::new("/etc/xdg"));
    let mut paths: Vec<_> = std::env::split_paths(shared).map(|dir| root.path(dir.join("pip/pip.conf"))).collect();
    paths.push(root.path("/etc/pip.conf"));
    if !named.as_ref().is_some_and(|path| path.exists()) {
        let config =
            environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
        paths.extend(home.map(|home| home.join(".pip/pip.conf")));
        paths.extend(config.map(|config| config.join("pip/pip.conf")));
    }
    paths.push(prefix.join("pip.conf"));
    paths.extend(named);
    paths
}

/// Parses an INI file into (section, name, value); lines of other forms are skipped.
pub fn parse(bytes: &[u8]) -> Vec<(String, String, String)> {
    let text = requirements::file::decode(bytes);
    let mut section = String::new();
    let mut found: Vec<(String, String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) || trimmed.is_empty() {
            open &= !trimmed.is_empty();
        } else if let Some((_, _, value)) = found.last_mut().filter(|_| open && line.starts_with([' ', '\t'])) {
            value.push('\n');
            value.push_str(trimmed);
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.to_owned();
            open = false;
        } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
            found.push((section.clone(), normalized(name.trim()), value.trim().to_owned()));
            open = true;
        }
    }
    for (_, _, value) in &mut found {
        *value = value.trim().to_owned();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(pairs: &[(&str, &str)], prefix: &Path) -> Vec<(String, String)> {
        let environment: Environment = pairs.iter().copied().collect();
        let python = Python { prefix: prefix.to_owned(), ..super::super::python::tests::example() };
        settings(&Root::at(prefix.join("root")), &environment, &python)
            .into_iter()
            .map(|found| (found.name, found.value))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn files_of_pip_are_read_as_pip_does() {
        let text = b"# c\n[global]\nindex_url = https://a/simple\nfind-links =\n    /one\n    /two\n\n[install]\nno-index: true\n[list]\nformat=columns\n";
        let found = parse(text);
        assert_eq!(found[0], ("global".into(), "index-url".into(), "https://a/simple".into()));
        assert_eq!(found[1].2, "/one\n/two");
        assert_eq!(found[2], ("install".into(), "no-index".into(), "true".into()));
    }

    #[test]
    fn a_variable_wins_over_the_environments_file_over_the_users() {
        let (home, prefix) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(home.path().join(".config/pip")).unwrap();
        std::fs::write(
            home.path().join(".config/pip/pip.conf"),
            "[global]\nindex-url=user\nretries=1\ntimeout=1\n[list]\nx=1\n",
        )
        .unwrap();
        std::fs::write(prefix.path().join("pip.conf"), "[global]\nindex-url=site\nretries=2\n").unwrap();
        let base = [("HOME", home.path().to_str().unwrap()), ("PIP_RETRIES", "3")];
        let expected = [pair("index-url", "site"), pair("retries", "3"), pair("timeout", "1")];
        assert_eq!(of(&base, prefix.path()), expected);
    }

    #[test]
    fn dev_null_turns_files_off_and_empty_values_do_not_count() {
        let prefix = tempfile::tempdir().unwrap();
        std::fs::write(prefix.path().join("pip.conf"), "[global]\nretries=2\n").unwrap();
        assert_eq!(
            of(&[("PIP_CONFIG_FILE", "/dev/null"), ("PIP_PRE", ""), ("PIP_NO_INDEX", "1")], prefix.path()),
            [pair("no-index", "1")]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
