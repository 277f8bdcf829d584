//! Classifies a command line: a Python interpreter, a script of one, a launcher of training jobs, or another program. It reads files and
//! starts nothing.

use super::shebang::{self, NamedInterpreter, is_python, name_of};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The kind of program that a command line starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    /// A Python program, with the path of the interpreter if it is known.
    Python(Option<PathBuf>),
    /// Another program.
    Other,
}

/// The places where programs are looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup<'a> {
    /// The value of PATH.
    pub path: Option<&'a OsStr>,
    /// The working directory, for names with a slash.
    pub workdir: &'a Path,
}

impl Lookup<'_> {
    /// Finds the file that would be executed.
    pub(super) fn program(&self, name: impl AsRef<OsStr>) -> Option<PathBuf> {
        which::which_in(name.as_ref(), self.path, self.workdir).ok()
    }
}

/// Programs that start the rest of their command line.
const WRAPPERS: [&str; 22] = [
    "env",
    "nice",
    "ionice",
    "nohup",
    "setsid",
    "stdbuf",
    "numactl",
    "taskset",
    "chrt",
    "time",
    "timeout",
    "exec",
    "xvfb-run",
    "mpirun",
    "mpiexec",
    "srun",
    "tini",
    "dumb-init",
    "gosu",
    "su-exec",
    "nsys",
    "ncu",
];

/// Launchers and servers written in Python, known by name because the requirements may still have to install them.
const LAUNCHERS: [&str; 19] = [
    "torchrun",
    "accelerate",
    "deepspeed",
    "horovodrun",
    "composer",
    "lightning",
    "fabric",
    "tune",
    "axolotl",
    "ray",
    "jupyter",
    "jupyter-lab",
    "jupyter-notebook",
    "jupyterhub-singleuser",
    "ipython",
    "tensorboard",
    "streamlit",
    "mlflow",
    "pytest",
];

/// Classifies a command line.
pub(super) fn look(command: &[OsString], lookup: Lookup<'_>) -> Starts {
    let Some((first, rest)) = command.split_first() else { return Starts::Other };
    if !WRAPPERS.contains(&name_of(first).as_ref()) {
        return look_at(first, lookup);
    }
    rest.iter().map(|word| look_at(word, lookup)).find(|starts| *starts != Starts::Other).unwrap_or(Starts::Other)
}

/// Returns the position of the word that names an interpreter, which may stand behind programs that start it.
pub(super) fn interpreter_at(command: &[OsString]) -> Option<usize> {
    let starts_others = command.first().is_some_and(|first| WRAPPERS.contains(&name_of(first).as_ref()));
    let reach = if starts_others { command.len() } else { 1 };
    command.iter().take(reach).position(|word| is_python(&name_of(word)))
}

fn look_at(word: &OsStr, lookup: Lookup<'_>) -> Starts {
    let name = name_of(word);
    let file = lookup.program(word);
    if is_python(&name) {
        return Starts::Python(file);
    }
    match file.as_deref().and_then(|file| interpreter_of(file, lookup)) {
        Some(interpreter) => Starts::Python(interpreter),
        None if LAUNCHERS.contains(&name.as_ref()) || (name.ends_with(".py") && word.as_bytes().contains(&b'/')) => {
            Starts::Python(None)
        }
        None => Starts::Other,
    }
}

/// Checks whether a file is a script. An interpreter that is a script is a shim for the real one (pyenv, asdf).
pub(super) fn is_script(file: &Path) -> bool {
    start_of(file).starts_with(b"#!")
}

/// Returns the interpreter of a Python script: `None` for any other file, `Some(None)` if the interpreter does not exist.
fn interpreter_of(file: &Path, lookup: Lookup<'_>) -> Option<Option<PathBuf>> {
    Some(match shebang::parse(&start_of(file))?.interpreter {
        NamedInterpreter::Path(path) => Some(path),
        NamedInterpreter::Name(name) => lookup.program(name),
        NamedInterpreter::Beside(name) => Some(file.canonicalize().ok()?.with_file_name(name)),
    })
}

/// Returns the command line with which a Python script's own first line starts Python, and the interpreter's position in it; `None` if no
/// such script is started. A launcher is left out: it starts other Pythons, without the options of its own.
pub(super) fn by_script(command: &[OsString], lookup: Lookup<'_>) -> Option<(Vec<OsString>, usize)> {
    let starts_others = command.first().is_some_and(|first| WRAPPERS.contains(&name_of(first).as_ref()));
    let reach = if starts_others { command.len() } else { 1 };
    let mut scripts =
        command.iter().take(reach).enumerate().filter(|(_, word)| !LAUNCHERS.contains(&name_of(word).as_ref()));
    let (at, file, script) = scripts.find_map(|(at, word)| {
        let file = lookup.program(word)?;
        let script = shebang::parse(&start_of(&file))?;
        Some((at, file, script))
    })?;
    let interpreter = match script.interpreter {
        NamedInterpreter::Path(path) => path.into(),
        NamedInterpreter::Name(name) => name,
        NamedInterpreter::Beside(name) => file.canonicalize().ok()?.with_file_name(name).into(),
    };
    let (before, behind) = (command.get(..at)?, command.get(at + 1..)?);
    let before = [before, &script.variables].concat();
    let at = before.len();
    Some(([before, vec![interpreter], script.options, vec![file.into()], behind.to_vec()].concat(), at))
}

fn start_of(file: &Path) -> Vec<u8> {
    let mut start = Vec::new();
    let _ = std::fs::File::open(file).and_then(|file| file.take(512).read_to_end(&mut start));
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
        let file = dir.join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn starts(dir: &Path, words: &str) -> Starts {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        look(&words, Lookup { path: Some(dir.as_os_str()), workdir: dir })
    }

    #[test]
    fn an_interpreter_is_found_by_name_on_the_workloads_path() {
        let dir = tempfile::tempdir().unwrap();
        let python = program(dir.path(), "python3.12", "");
        assert_eq!(starts(dir.path(), "python3.12 train.py"), Starts::Python(Some(python.clone())));
        assert_eq!(starts(dir.path(), "env A=1 python3.12 train.py"), Starts::Python(Some(python)));
        assert_eq!(starts(dir.path(), "python train.py"), Starts::Python(None));
        assert_eq!(starts(dir.path(), "pythonista x.py"), Starts::Other);
    }

    #[test]
    fn a_script_tells_its_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let python = program(dir, "python", "");
        program(dir, "torchrun", "#!/opt/venv/bin/python\n");
        program(dir, "tool", "#!/usr/bin/env -S python -u\n");
        program(dir, "long", "#!/bin/sh\n'''exec' \"/a b/python3\" \"$0\" \"$@\"\n' '''\n");
        let moved = "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n";
        program(dir, "moved", moved);
        program(dir, "run.sh", "#!/bin/bash\npython train.py\n");
        assert_eq!(starts(dir, "torchrun --nproc 2 t.py"), Starts::Python(Some("/opt/venv/bin/python".into())));
        assert_eq!(starts(dir, "tool"), Starts::Python(Some(python)));
        assert_eq!(starts(dir, "long"), Starts::Python(Some("/a b/python3".into())));
        assert_eq!(starts(dir, "moved"), Starts::Python(Some(dir.canonicalize().unwrap().join("python3"))));
        assert_eq!(starts(dir, "./run.sh"), Starts::Other);
        assert_eq!(starts(dir, "bash run.sh"), Starts::Other);
    }

    #[test]
    fn a_launcher_that_is_not_installed_yet_is_known_by_name() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(starts(dir.path(), "accelerate launch train.py"), Starts::Python(None));
        assert_eq!(starts(dir.path(), "ls train.py"), Starts::Other);
        assert_eq!(look(&[], Lookup { path: None, workdir: dir.path() }), Starts::Other);
    }
}
