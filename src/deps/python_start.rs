//! Reads from a command line and its variables where the started Python is going to look for packages besides the interpreter's own
//! directories (docs.python.org: "Command line and environment"). It asks the file system about the
//! script alone, whose first line may have options of its own.

use super::overlay::HOOK;
use super::starts::{self, Lookup};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::environment::Environment;

/// The way in which a command line starts Python.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PythonStart {
    /// The directory of the script, or the working directory; `None` if there is none on the path.
    pub first: Option<PathBuf>,
    /// The directories of PYTHONPATH, without trainit's own.
    pub python_path: Vec<PathBuf>,
    /// The directory that contains the user's own packages (`~/.local`); `None` if Python does not look there.
    pub user_base: Option<PathBuf>,
    /// Whether variables for Python count.
    pub reads_variables: bool,
    /// Whether the interpreter is looked up on PATH, where an overlay comes first.
    pub by_name: bool,
    /// The interpreter's options that change where it looks.
    pub options: Vec<OsString>,
}

/// The options that change where Python looks, and what comes behind them.
#[derive(Debug, Default)]
struct Options<'a> {
    letters: Vec<u8>,
    /// The words from the script on; empty for `-c`, `-m` and standard input.
    script: &'a [OsString],
}

impl PythonStart {
    /// Reads a command line.
    pub(super) fn of(command: &[OsString], environment: &Environment, lookup: Lookup<'_>) -> Self {
        let by_script = || starts::by_script(command, lookup).map(|(words, at)| (Cow::Owned(words), Some(at)));
        let (command, at) = match starts::interpreter_at(command) {
            None => by_script().unwrap_or((Cow::Borrowed(command), None)),
            at => (Cow::Borrowed(command), at),
        };
        let command = command.as_ref();
        let before = command.get(..at.unwrap_or(0)).unwrap_or_default();
        let options = at.and_then(|at| command.get(at + 1..)).map(Options::of).unwrap_or_default();
        let has = |letters: &[u8]| options.letters.iter().any(|letter| letters.contains(letter));
        let reads_variables = !has(b"EI");
        let value = |name: &str| set_by_env(before, name).or_else(|| environment.get(name).map(OsStr::to_owned));
        let variable = |name: &str| value(name).filter(|value| reads_variables && !value.is_empty());
        let is_safe = has(b"PI") || variable("PYTHONSAFEPATH").is_some();
        let home = || value("HOME").map(|home| Path::new(&home).join(".local"));
        let user_base = variable("PYTHONUSERBASE").map(PathBuf::from).or_else(home);
        let without_user = has(b"sIS") || variable("PYTHONNOUSERSITE").is_some();
        PythonStart {
            first: first(command, at, &options, lookup).filter(|_| !is_safe),
            python_path: variable("PYTHONPATH").map(|list| paths(&list, lookup.workdir)).unwrap_or_default(),
            user_base: user_base.filter(|_| !without_user),
            reads_variables,
            by_name: at.and_then(|at| command.get(at)).is_some_and(|word| !word.as_bytes().contains(&b'/')),
            options: options.letters.iter().map(|letter| format!("-{}", char::from(*letter)).into()).collect(),
        }
    }
}

impl<'a> Options<'a> {
    fn of(words: &'a [OsString]) -> Self {
        let (mut found, mut at) = (Options::default(), 0);
        while let Some(word) = words.get(at).map(|word| word.as_bytes()) {
            let Some(letters) = word.strip_prefix(b"-").filter(|rest| !rest.is_empty()) else {
                found.script = if word == b"-" { &[] } else { words.get(at..).unwrap_or_default() };
                return found;
            };
            let end = letters.iter().position(|letter| b"cmWX-".contains(letter));
            let plain = letters.get(..end.unwrap_or(letters.len())).unwrap_or_default();
            found.letters.extend(plain.iter().filter(|letter| b"EIPSs".contains(letter)));
            match end.and_then(|end| letters.get(end).map(|letter| (*letter, letters.len() - end == 1))) {
                Some((b'c' | b'm', _)) => return found,
                // The value of -W and -X is the rest of the word or the next word.
                Some((b'W' | b'X', true)) => at += 2,
                _ if word == b"--check-hash-based-pycs" => at += 2,
                _ => at += 1,
            }
        }
        found
    }
}

/// Returns the first directory of the path: that of the script, which may stand behind a launcher, else the working directory.
fn first(command: &[OsString], at: Option<usize>, options: &Options<'_>, lookup: Lookup<'_>) -> Option<PathBuf> {
    let real = |word: &OsString| lookup.workdir.join(word).canonicalize().ok();
    let behind_launcher = || command.iter().skip(1).filter(|word| word.as_bytes().ends_with(b".py")).find_map(real);
    let own = options.script.first();
    let is_launcher = own.is_none_or(|word| !word.as_bytes().ends_with(b".py"));
    let behind = is_launcher.then(behind_launcher).flatten();
    let script = behind.or_else(|| own.and_then(real));
    match script {
        Some(directory) if directory.is_dir() => Some(directory),
        Some(script) => script.parent().map(Path::to_owned),
        None => at.map(|_| lookup.workdir.to_owned()),
    }
}

/// Returns the value that `env NAME=VALUE python …` gives a variable.
fn set_by_env(before: &[OsString], name: &str) -> Option<OsString> {
    let value = |word: &OsString| Some(word.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_owned());
    before.iter().rev().find_map(value).map(|value| OsStr::from_bytes(&value).to_owned())
}

/// Splits PYTHONPATH, in which an empty or relative path is one in the working directory.
fn paths(list: &OsStr, workdir: &Path) -> Vec<PathBuf> {
    let own = |path: &PathBuf| path.components().any(|part| part.as_os_str() == HOOK);
    let all = std::env::split_paths(list).filter(|path| !own(path));
    all.map(|path| if path.as_os_str().is_empty() { workdir.to_owned() } else { workdir.join(path) }).collect()
}

#[cfg(test)]
#[path = "python_start/tests.rs"]
mod tests;
