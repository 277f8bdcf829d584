//! Parses the first lines of a script for the Python that runs it, with its options (execve(2), "Interpreter scripts"; env(1), -S). Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most words of a first line that are read; the kernel reads 256 bytes.
const WORDS: usize = 64;

/// Returns the last part of a path.
pub(super) fn name_of(word: &OsStr) -> std::borrow::Cow<'_, str> {
    Path::new(word).file_name().unwrap_or_default().to_string_lossy()
}

/// Recognizes `python`, `python3`, `python3.12`, `python3.13t`, `pypy3`.
pub(super) fn is_python(name: &str) -> bool {
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|v| v.strip_suffix('t').unwrap_or(v).bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// The way in which a script starts Python.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shebang {
    /// The interpreter.
    pub interpreter: NamedInterpreter,
    /// Variables that `env` sets for it, as `NAME=VALUE`.
    pub variables: Vec<OsString>,
    /// The interpreter's words before the script.
    pub options: Vec<OsString>,
}

/// The way in which a script names its interpreter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NamedInterpreter {
    /// By its path.
    Path(PathBuf),
    /// By its name on PATH.
    Name(OsString),
    /// By its name in the script's own directory.
    Beside(OsString),
}

impl NamedInterpreter {
    fn with(self, options: impl IntoIterator<Item = OsString>) -> Shebang {
        Shebang { interpreter: self, variables: Vec::new(), options: options.into_iter().take(WORDS).collect() }
    }
}

/// Parses the beginning of a script; `None` if its interpreter is not Python.
pub(super) fn parse(start: &[u8]) -> Option<Shebang> {
    let mut lines = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n');
    let line = lines.next()?.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (program, rest) = line.split_at_checked(end)?;
    let (program, rest) = (OsStr::from_bytes(program), rest.trim_ascii());
    match name_of(program).as_ref() {
        "sh" => trampoline(lines.next()?),
        "env" => by_env(rest),
        // The kernel passes all that follows as one word.
        name => is_python(name)
            .then(|| NamedInterpreter::Path(program.into()).with((!rest.is_empty()).then(|| owned(rest)))),
    }
}

fn owned(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(WORDS)
}

/// Parses the words behind `env`. Only with -S there may be more than one.
fn by_env(rest: &[u8]) -> Option<Shebang> {
    let mut words = words(rest).peekable();
    let (mut variables, mut is_split) = (Vec::new(), false);
    while let Some(word) = words.next() {
        let takes_next = [b"-u".as_slice(), b"-C", b"--unset", b"--chdir"].contains(&word);
        if let Some(first) = split_string(word) {
            is_split = true;
            if !first.is_empty() {
                return python(first, variables, words);
            }
        } else if takes_next {
            words.next();
        } else if word.contains(&b'=') && !word.starts_with(b"-") {
            variables.push(owned(word));
        } else if !word.starts_with(b"-") {
            return python(word, variables, words.take_while(|_| is_split));
        }
    }
    None
}

/// Returns what follows -S in the same word; other letters may stand before it.
fn split_string(word: &[u8]) -> Option<&[u8]> {
    let letters = word.strip_prefix(b"--split-string=");
    letters.or_else(|| {
        let letters = word.strip_prefix(b"-").filter(|letters| !letters.starts_with(b"-"))?;
        let at = letters.iter().position(|letter| *letter == b'S')?;
        let before = letters.get(..at)?;
        before.iter().all(|letter| b"iv0".contains(letter)).then(|| letters.get(at + 1..)).flatten()
    })
}

/// Makes the result of the interpreter's word and those behind it; what is quoted is not read.
fn python<'a>(word: &[u8], variables: Vec<OsString>, behind: impl Iterator<Item = &'a [u8]>) -> Option<Shebang> {
    let word = OsStr::from_bytes(word);
    let plain = behind.take_while(|word| !word.iter().any(|byte| b"'\"\\$".contains(byte)));
    let named = if word.as_bytes().contains(&b'/') {
        NamedInterpreter::Path(word.into())
    } else {
        NamedInterpreter::Name(word.to_owned())
    };
    is_python(&name_of(word)).then(|| Shebang { variables, ..named.with(plain.map(owned)) })
}

/// Parses the second line of a script whose interpreter has a long or relative path: sh executes that line, and Python reads it as a
/// string.
fn trampoline(line: &[u8]) -> Option<Shebang> {
    let line = line.strip_prefix(b"'''exec' ")?;
    let text = String::from_utf8_lossy(line);
    if let Some((_, rest)) = text.strip_prefix("\"$(dirname").and_then(|rest| rest.split_once("/'")) {
        let (name, rest) = rest.split_once('\'')?;
        return is_python(name).then(|| NamedInterpreter::Beside(name.into()).with(options(rest)));
    }
    let (path, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_once(' ').unwrap_or((text.as_ref(), "")),
    };
    is_python(&name_of(path.as_ref())).then(|| NamedInterpreter::Path(path.into()).with(options(rest)))
}

/// Returns the options before the script's name.
fn options(rest: &str) -> impl Iterator<Item = OsString> {
    rest.split_ascii_whitespace().take_while(|word| word.starts_with('-')).map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options_of(text: &str) -> Option<(Vec<String>, Vec<String>)> {
        let plain = |words: Vec<OsString>| words.into_iter().map(|word| word.into_string().unwrap()).collect();
        parse(text.as_bytes()).map(|found| (plain(found.variables), plain(found.options)))
    }

    fn only_options(text: &str) -> Vec<String> {
        options_of(text).unwrap().1
    }

    #[test]
    fn the_interpreters_options_are_read_as_kernel_and_env_pass_them() {
        for (text, options) in [
            ("#!/usr/bin/python3\n", &[][..]),
            ("#! /usr/bin/python3 -I\r\n", &["-I"]),
            ("#!/usr/bin/python3 -s -P\n", &["-s -P"]),
            ("#!/usr/bin/env python3\n", &[]),
            ("#!/usr/bin/env -S python3 -s -X dev\n", &["-s", "-X", "dev"]),
            ("#!/usr/bin/env -S -i python3 -s\n", &["-s"]),
            ("#!/usr/bin/env -vS python3 -s\n", &["-s"]),
            ("#!/usr/bin/env -Spython3 -s\n", &["-s"]),
            ("#!/usr/bin/env --split-string=python3 -s\n", &["-s"]),
            ("#!/usr/bin/env -S python3 'quoted' -s\n", &[]),
            // env is given one word, and finds no program of that name.
            ("#!/usr/bin/env python3 -s\n", &[]),
            ("#!/bin/sh\n'''exec' \"/a b/python3\" -sP \"$0\" \"$@\"\n", &["-sP"]),
            ("#!/bin/sh\n'''exec' /a/python3 -E \"$0\" \"$@\"\n", &["-E"]),
            ("#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' -I \"$0\"\n", &["-I"]),
        ] {
            assert_eq!(only_options(text), options, "{text}");
        }
        let (variables, options) = options_of("#!/usr/bin/env -S -u X PYTHONNOUSERSITE=1 python3 -u\n").unwrap();
        assert_eq!((variables, options), (vec!["PYTHONNOUSERSITE=1".to_owned()], vec!["-u".to_owned()]));
    }

    #[test]
    fn another_interpreter_is_none() {
        for text in ["", "#!", "#!/bin/sh\necho\n", "#!/usr/bin/env -S bash -c python3\n", "#!/usr/bin/env -S\n", "x"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            head in prop_oneof![Just("#!/bin/sh\n'''exec' "), Just("#!/usr/bin/env "), Just("#!"), Just("")],
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = parse(&[head.as_bytes(), &bytes].concat());
        }
    }
}
