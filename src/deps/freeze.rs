//! Lists what the workload's Python can import, as a requirements file, from names in its directories: no interpreter runs once one start
//! has asked it.

use super::import_path::ImportPath;
use super::overlay::{HOOK, Overlay};
use super::python::{self, Python};
use super::python_start::PythonStart;
use super::refusal::permanent;
use super::starts::{self, Starts};
use super::{DepsOutcome, DepsRequest, cache_dirs, interpreter};
use crate::error::Result;
use requirements::installed::Folders;
use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::environment::Environment;

/// How long a start waits for an interpreter that only the history asks about.
const ANSWER: Duration = Duration::from_secs(10);

/// Digits of a hash that are shown and kept.
const DIGITS: usize = 12;

/// The packages of a Python.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenPackages {
    /// One line for each package, sorted by name, secrets masked.
    pub text: String,
    /// The first digits of the text's SHA-256.
    pub hash: String,
}

impl FrozenPackages {
    fn of(lines: &[String]) -> Self {
        let line = |line: &String| if line.contains("://") { text::masked(line) } else { line.clone() } + "\n";
        let text: String = lines.iter().map(line).collect();
        let hash = Sha256::digest(&text).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        FrozenPackages { text, hash }
    }
}

/// Lists the packages that a workload would have now.
///
/// # Errors
/// There is no Python, or it cannot be asked (116).
pub fn freeze(request: &DepsRequest<'_>) -> Result<FrozenPackages> {
    let settled = super::settled(request).ok().flatten();
    let changes = settled.as_ref().map(DepsOutcome::environment).unwrap_or_default();
    let python = match interpreter::find(request) {
        Ok(found) => known(&found, request.environment, None)?,
        Err(error) if request.settings.deps_python.value.is_some() => return Err(error),
        Err(_) => {
            return Err(permanent("there is no Python here, so nothing can be imported".to_owned())
                .hint("name it: TRAINIT_DEPS_PYTHON=/path/to/python"));
        }
    };
    Ok(list(request, &python, changes))
}

/// Lists the packages of a start with the variables that its dependency step sets; `None` if the workload is no Python program, or if its
/// interpreter does not answer. With `asks` an interpreter is asked that no start has asked yet.
pub fn frozen(request: &DepsRequest<'_>, changes: &[(OsString, OsString)], asks: bool) -> Option<FrozenPackages> {
    let lookup = interpreter::lookup(request);
    if asks && !request.by_mode && starts::look(request.command, lookup) == Starts::Other {
        return None;
    }
    let found = interpreter::find(request).ok()?;
    let python = if asks {
        known(&found, request.environment, Some(Instant::now() + ANSWER)).ok()
    } else {
        python::remembered(&found, request.environment)
    };
    Some(list(request, &python?, changes))
}

/// Returns what is known of an interpreter, or asks it and keeps the answer.
fn known(found: &interpreter::Interpreter, environment: &Environment, deadline: Option<Instant>) -> Result<Python> {
    let remembered = python::remembered(found, environment).filter(|python| python.holds(&Folders::default()));
    if let Some(python) = remembered {
        return Ok(python);
    }
    let python = python::ask(found, environment, deadline)?;
    cache_dirs::writable(environment).iter().for_each(|place| python.remember_in(place));
    Ok(python)
}

fn list(request: &DepsRequest<'_>, python: &Python, changes: &[(OsString, OsString)]) -> FrozenPackages {
    let start = PythonStart::of(request.command, request.environment, interpreter::lookup(request));
    let changed = changes.iter().find(|(name, _)| name == "PYTHONPATH").map(|(_, value)| value.as_os_str());
    let root = changed.or_else(|| request.environment.get("PYTHONPATH")).and_then(overlay_root);
    let layer = root.map(|root| Overlay { root, python });
    let folders = Folders::default();
    let path = ImportPath::of(python, &start, layer.as_ref(), &folders);
    FrozenPackages::of(&path.installed(&folders).frozen())
}

/// Returns the overlay that a PYTHONPATH leads to.
fn overlay_root(list: &OsStr) -> Option<PathBuf> {
    let mut hooks = std::env::split_paths(list).filter(|path| path.ends_with(HOOK));
    hooks.next().and_then(|hook| hook.parent().map(Path::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_text_and_passwords_are_in_neither() {
        let of = |line: &str| FrozenPackages::of(&["a==1".to_owned(), line.to_owned()]);
        let list = of("b @ https://me:geheim@h/b-1.whl");
        assert!(list.text.starts_with("a==1\nb @ https://") && !list.text.contains("geheim"), "{}", list.text);
        // printf 'a==1\nb==2\n' | sha256sum
        assert_eq!(of("b==2").hash, "913f6e401ad0");
    }

    #[test]
    fn an_overlay_is_found_by_its_hook() {
        let root = |list: &str| overlay_root(OsStr::new(list));
        assert_eq!(root("/a:/cache/layers/0/env/trainit-hook:/b"), Some("/cache/layers/0/env".into()));
        assert_eq!(root("/a:/b"), None);
    }
}
