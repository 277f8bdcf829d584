//! Finds the launcher that a command line starts, behind wrappers and interpreters: `numactl --all python -m torch.distributed.run`.
//!
//! A word that only has its name, as in `python train.py --data /mnt/accelerate`, is no launcher.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Programs that start another program, given after their own options.
const WRAPPERS: [&str; 34] = [
    "catchsegv",
    "chroot",
    "chrt",
    "conda",
    "dumb-init",
    "env",
    "gosu",
    "hatch",
    "ionice",
    "mamba",
    "memray",
    "micromamba",
    "ncu",
    "nice",
    "nohup",
    "nsys",
    "numactl",
    "pdm",
    "pipenv",
    "pixi",
    "poetry",
    "py-spy",
    "rye",
    "setpriv",
    "setsid",
    "stdbuf",
    "su-exec",
    "sudo",
    "taskset",
    "time",
    "timeout",
    "tini",
    "uv",
    "xvfb-run",
];
/// Python's options that take a separate value.
pub const PYTHON_WITH_VALUE: [&str; 3] = ["-X", "-W", "--check-hash-based-pycs"];

/// Returns the index of the launcher: a program of one of these names, or a module that Python runs.
pub fn launcher(command: &[OsString], names: &[&str]) -> Option<usize> {
    let named = |word: &OsString| is_one_of(word, names);
    let mut at = 0;
    loop {
        let word = command.get(at)?;
        if named(word) {
            return Some(at);
        }
        if is_python(word) {
            return python_runs(command, at).filter(|at| command.get(*at).is_some_and(named));
        }
        if !is_one_of(word, &WRAPPERS) {
            return None;
        }
        at = wrapped(command, at, &named)?;
    }
}

/// Returns the indexes of the Python interpreter that a command starts, and of the script or module that it runs.
pub(super) fn python(command: &[OsString]) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        let word = command.get(at)?;
        if is_python(word) {
            return Some((at, python_runs(command, at)?)).filter(|(_, runs)| *runs < command.len());
        }
        if !is_one_of(word, &WRAPPERS) {
            return None;
        }
        at = wrapped(command, at, &|_| false)?;
    }
}

/// Returns the program that a wrapper starts, if it is one of the named ones.
///
/// A word behind an option may be the option's value (`conda run -n accelerate python …`), so it counts only if no other word does.
fn wrapped(command: &[OsString], wrapper: usize, named: &dyn Fn(&OsString) -> bool) -> Option<usize> {
    let fits = |word: &OsString| named(word) || is_python(word) || is_one_of(word, &WRAPPERS);
    let is_option = |at: usize| command.get(at).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    let is_value = |at: usize| at > wrapper + 1 && is_option(at - 1);
    let all = || (wrapper + 1..command.len()).filter(|at| command.get(*at).is_some_and(fits));
    all().find(|at| !is_value(*at)).or_else(|| all().next())
}

/// Returns the module or script that Python runs.
fn python_runs(command: &[OsString], python: usize) -> Option<usize> {
    let mut at = python + 1;
    loop {
        match command.get(at)?.to_str() {
            Some("-m") => return Some(at + 1),
            Some("-" | "-c") => return None,
            Some(option) if PYTHON_WITH_VALUE.contains(&option) => at += 2,
            Some(option) if option.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
}

/// Returns whether a word is a Python interpreter: `python`, `python3`, `python3.12`, `python3.13t`.
pub fn is_python(word: &OsStr) -> bool {
    let name = base(word).to_str();
    let version = name.and_then(|name| name.strip_prefix("python")).map(|version| version.trim_end_matches('t'));
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

fn is_one_of(word: &OsStr, names: &[&str]) -> bool {
    let base = base(word);
    names.iter().any(|name| base == OsStr::new(name))
}

fn base(word: &OsStr) -> &OsStr {
    Path::new(word).file_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 3] = ["torchrun", "accelerate", "torch.distributed.run"];

    fn found(line: &str) -> Option<String> {
        let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        launcher(&command, &NAMES).map(|at| command[at].to_string_lossy().into_owned())
    }

    #[test]
    fn a_launcher_is_found_behind_interpreters_and_wrappers() {
        for (line, name) in [
            ("torchrun train.py", "torchrun"),
            ("/opt/venv/bin/torchrun --nproc-per-node 8 train.py", "/opt/venv/bin/torchrun"),
            ("python3.12 -u -X dev -m torch.distributed.run train.py", "torch.distributed.run"),
            ("python /opt/venv/bin/accelerate launch train.py", "/opt/venv/bin/accelerate"),
            ("env A=1 B=2 nice -n 5 torchrun train.py", "torchrun"),
            ("numactl --all torchrun train.py", "torchrun"),
            ("conda run -n base accelerate launch train.py", "accelerate"),
            ("uv run --with rich python -m torch.distributed.run x.py", "torch.distributed.run"),
            ("nsys profile -o torchrun torchrun train.py", "torchrun"),
        ] {
            assert_eq!(found(line).as_deref(), Some(name), "{line}");
        }
    }

    #[test]
    fn a_word_that_only_has_its_name_is_none() {
        for line in [
            "python train.py --data /x/accelerate",
            "python train.py accelerate",
            "python -m train torchrun",
            "python -c accelerate",
            "bash accelerate",
            "./train.sh torchrun",
            "conda run -n accelerate python train.py",
            "uv run --with accelerate python train.py",
            "env accelerated=1 python train.py",
            "python -m",
            "nice",
            "",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_taken(words in proptest::collection::vec("(env|python|-m|-X|-n|torchrun|x|)", 0..8)) {
            let command: Vec<OsString> = words.iter().map(OsString::from).collect();
            let at = launcher(&command, &NAMES);
            prop_assert!(at.is_none_or(|at| command[at] == "torchrun"));
        }
    }
}
