//! The entry file: `code.entry`, or the file that the command names. A script that is missing or cannot start is reported before an
//! installation that may take ten minutes. Commands are interpreted no further than that.

use super::obstacle::{self, Obstacle};
use super::path_facts::PathFacts;
use super::step::{CheckResult, Failure};
use super::{Change, Remedy, failures, near_name};
use crate::config::Severity;
use crate::engine::{PYTHON_WITH_VALUE, is_python};
use nix::libc::{EACCES, ENOENT};
use protocol::exit_code::Exit;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An entry file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryFile {
    /// Its path.
    pub path: PathBuf,
    how: EntryUse,
    configured: bool,
    /// The word or value that names it.
    word: String,
}

/// How the entry file will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryUse {
    /// An interpreter reads the file.
    Read,
    /// A shell reads the file.
    Shell,
    /// The kernel executes the file.
    Executed,
    /// The file is probably an argument of a launcher.
    Launched,
}

const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];
const LAUNCHERS: [&str; 5] = ["torchrun", "accelerate", "deepspeed", "horovodrun", "composer"];
const LAUNCHER_MODULES: [&str; 4] =
    ["torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch", "deepspeed.launcher.runner"];

impl EntryFile {
    /// Makes the configured entry file, relative to the code directory; the command decides how the file is used.
    pub(super) fn configured(path: &Path, code: &Path, workdir: &Path, command: &[OsString]) -> Self {
        let (word, path) = (path.to_string_lossy().into_owned(), code.join(path));
        let same = EntryFile::named(command, workdir).filter(|entry| entry.path == path);
        let shell = path.extension() == Some(OsStr::new("sh"));
        let how = same.map_or(if shell { EntryUse::Shell } else { EntryUse::Read }, |entry| entry.how);
        EntryFile { path, how, configured: true, word }
    }

    /// Finds the entry file that a command names, relative to the working directory.
    pub(super) fn named(command: &[OsString], workdir: &Path) -> Option<Self> {
        let (program, words) = command.split_first()?;
        let name = Path::new(program).file_name()?.to_str()?;
        let (word, how) = match name {
            _ if is_python(program) => after_python(words)?,
            _ if SHELLS.contains(&name) => (after_shell(words)?, EntryUse::Shell),
            _ if LAUNCHERS.contains(&name) => (first_script(words)?, EntryUse::Launched),
            _ if program.as_bytes().contains(&b'/') => (program.as_os_str(), EntryUse::Executed),
            _ => return None,
        };
        let (path, word) = (workdir.join(word), word.to_string_lossy().into_owned());
        Some(EntryFile { path, how, configured: false, word })
    }

    /// Returns the change that names the existing file which was meant, if there is one: a name like it in the directory that the word
    /// starts from, or the same name there.
    pub(super) fn meant(&self, workdir: &Path, code: &Path) -> Option<Change> {
        let base = if self.configured { code } else { workdir };
        let wanted = Path::new(&self.word);
        let (base, wanted, absolute) = match wanted.is_absolute() {
            true => (wanted.parent()?, Path::new(wanted.file_name()?), true),
            false => (base, wanted, false),
        };
        let found = near_name::near(base, wanted)?;
        let to = if absolute { base.join(found) } else { found }.into_os_string().into_string().ok()?;
        Some(match self.configured {
            true => Change::Env { name: "TRAINIT_CODE_ENTRY".to_owned(), value: Some(to) },
            false => Change::Word { from: self.word.clone(), to },
        })
    }

    /// Returns the configured path below the code directory, for messages.
    pub(super) fn shown(&self, code: &Path) -> Option<String> {
        self.configured.then(|| text::path(self.path.strip_prefix(code).unwrap_or(&self.path)))
    }

    /// Checks that the file exists and can be used. `instead` suggests other files.
    pub(super) fn check(&self, mut file: PathFacts, instead: impl FnOnce() -> Remedy) -> CheckResult {
        if self.how == EntryUse::Executed && !self.configured && file.path.symlink_metadata().is_err() {
            // The dependencies may bring the program; if they do not, exec reports it.
            return Ok(());
        }
        let level = (self.how == EntryUse::Launched && !self.configured).then_some(Severity::Warn);
        file.responds()?;
        file.exists(true, instead).map_err(|failure| Box::new(failure.level(level)))?;
        if self.how == EntryUse::Executed {
            return obstacle::obstacle_of(&file.path).map_or(Ok(()), |found| self.cannot_start(&file, &found));
        }
        self.readable(&file, level)?;
        let stumble = (self.how == EntryUse::Shell).then(|| obstacle::obstacle_of_shell(&file.path)).flatten();
        stumble.map_or(Ok(()), |found| {
            let what = format!("{} will not run as it is", file.shown);
            Failure::new(what)
                .because(found.because.clone())
                .remedy(mend(&file, &found))
                .level(Some(Severity::Warn))
                .found()
        })
    }

    fn readable(&self, file: &PathFacts, level: Option<Severity>) -> CheckResult {
        let Some(meta) = file.metadata() else { return file.readable() };
        if meta.is_dir() && !self.is_package(&file.path) {
            return Failure::new(format!("{} is a directory, not a file", file.shown))
                .because("for a missing file that is mounted the engine makes a directory")
                .remedy(file.another_file())
                .level(level)
                .found();
        }
        if meta.len() == 0 && meta.is_file() && self.configured {
            return Failure::new(format!("{} is empty", file.shown)).found();
        }
        failures::one_byte(&file.path).or_else(|errno| file.refused("read", errno).level(level).found())
    }

    /// Returns whether Python can run this directory, which needs a `__main__.py`.
    fn is_package(&self, directory: &Path) -> bool {
        self.how == EntryUse::Read && !self.configured && directory.join("__main__.py").exists()
    }

    /// Makes the failure for a file that cannot start. The command itself ends with a shell's exit code, before or after an installation;
    /// a configured entry file ends with the code of a check.
    fn cannot_start(&self, file: &PathFacts, found: &Obstacle) -> CheckResult {
        let errno = if found.missing { ENOENT } else { EACCES };
        let failure = Failure::new(format!("{} cannot be started", file.shown));
        let level = found.may_be_emulated.then_some(Severity::Warn);
        let failure = failure.because(found.because.clone()).remedy(mend(file, found)).level(level);
        if self.configured { failure } else { failure.exit(Exit::of_exec(errno)) }.found()
    }
}

/// Makes the remedy for an obstacle: its command, typed where the file is kept, or its advice.
fn mend(file: &PathFacts, found: &Obstacle) -> Remedy {
    match found.command {
        Some(command) => file.by_command(|path| format!("{command} {path}")),
        None => found.remedy(),
    }
}

/// Finds the script after Python's own options; with `-m` it is the launcher's script, or there is none.
fn after_python(words: &[OsString]) -> Option<(&OsStr, EntryUse)> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("-m") => {
                let known =
                    LAUNCHER_MODULES.iter().any(|module| words.as_slice().first().is_some_and(|word| word == module));
                return known.then(|| Some((first_script(words.as_slice())?, EntryUse::Launched)))?;
            }
            Some("-" | "-c") => return None,
            Some(option) if PYTHON_WITH_VALUE.contains(&option) => _ = words.next(),
            Some(option) if option.starts_with('-') => {
                if option.len() < 2 || (!option.starts_with("--") && option.contains(['c', 'm'])) {
                    return None;
                }
            }
            _ => return Some((word, EntryUse::Read)),
        }
    }
    None
}

/// Finds the script after a shell's single-letter options; other forms are not understood.
fn after_shell(words: &[OsString]) -> Option<&OsStr> {
    let plain = |word: &&OsString| {
        word.to_str().is_some_and(|w| w.starts_with('-') && w.bytes().skip(1).all(|b| b"euxvlfhnp".contains(&b)))
    };
    let word = words.iter().find(|word| !plain(word))?;
    let path = word.as_bytes().contains(&b'/') || Path::new(word).extension().is_some();
    (path && !word.as_bytes().starts_with(b"-")).then_some(word)
}

/// Returns the first word of a launcher's arguments that looks like a script.
fn first_script(words: &[OsString]) -> Option<&OsStr> {
    let script = |word: &&OsString| word.as_bytes().ends_with(b".py") && !word.as_bytes().starts_with(b"-");
    words.iter().find(script).map(OsString::as_os_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> Option<(String, EntryUse)> {
        let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        EntryFile::named(&command, Path::new("")).map(|entry| (entry.path.display().to_string(), entry.how))
    }

    #[test]
    fn the_script_is_found_behind_options() {
        let is = |line, path: &str, how| assert_eq!(named(line), Some((path.to_owned(), how)), "{line}");
        is("python train.py --lr 3", "train.py", EntryUse::Read);
        is("/opt/venv/bin/python3.12 -u -X dev -W ignore src/train.py x.py", "src/train.py", EntryUse::Read);
        is("bash -eux run.sh", "run.sh", EntryUse::Shell);
        is("./train --lr 3", "./train", EntryUse::Executed);
        is("torchrun --nproc-per-node 8 train.py --out a.py", "train.py", EntryUse::Launched);
        is("python -m torch.distributed.run --nnodes=1 train.py", "train.py", EntryUse::Launched);
        is("accelerate launch --num_processes 2 a/b.py", "a/b.py", EntryUse::Launched);
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        for line in [
            "python",
            "python -c x.py",
            "python -m pkg x.py",
            "python - x.py",
            "python -uc x.py",
            "bash -c x.sh",
            "bash",
            "sleep 1",
            "nvidia-smi",
            "sh script",
            "bash --rcfile x.sh",
            "pythonx train.py",
            "torchrun --help",
        ] {
            assert_eq!(named(line), None, "{line}");
        }
    }

    #[test]
    fn a_configured_entry_is_used_as_the_command_uses_it() {
        let (code, workdir) = (Path::new("/code"), Path::new("/code"));
        let how = |path: &str, line: &str| {
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            EntryFile::configured(Path::new(path), code, workdir, &command).how
        };
        assert_eq!((how("run", "./run"), how("run", "/code/run")), (EntryUse::Executed, EntryUse::Executed));
        assert_eq!((how("run.sh", "sleep 1"), how("a.py", "sleep 1")), (EntryUse::Shell, EntryUse::Read));
    }
}
