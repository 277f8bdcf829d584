//! A hook that a shell sources (`. FILE`), so that it can export variables.
//!
//! Afterwards the shell starts a program whose environment is copied as the kernel has it, with NUL between the variables
//! (proc_pid_environ(5)). No quoting has to be undone, because there is none.

use crate::error::Result;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;
use sys::environment::Environment;
use sys::support::unsupported;

/// Longest environment that is read: more than execve(2) takes.
const MAX: u64 = 4 << 20;

/// A shell's own variables, which are not exports of the hook.
const SHELLS_OWN: [&str; 4] = ["_", "SHLVL", "PWD", "OLDPWD"];

/// The file for a shell's variables: a file without a name, which the shell inherits.
pub(super) struct Exported(File);

impl Exported {
    /// Makes an empty file.
    ///
    /// # Errors
    /// The error of memfd_create(2), or of open(2) in TMPDIR where that call is missing.
    pub(super) fn new() -> io::Result<Self> {
        match memfd_create(c"variables", MFdFlags::empty()) {
            Err(errno) if unsupported(errno) => {
                let file = temporary::unnamed(&std::env::temp_dir(), "trainit-variables-")?;
                fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
                Ok(Exported(file))
            }
            made => Ok(Exported(made?.into())),
        }
    }

    /// Returns the shell command that sources this file.
    ///
    /// A file that calls `exit` leaves its variables, too. Its output does not become the workload's.
    ///
    /// # Errors
    /// There is no shell.
    pub(super) fn command(&self, file: &Path, words: &[OsString], environment: &Environment) -> Result<Command> {
        let path = environment.get("PATH").unwrap_or(OsStr::new("/usr/bin:/bin"));
        let shell = ["bash", "sh"].into_iter().find_map(|shell| which::which_in(shell, Some(path), "/").ok());
        let Some(shell) = shell else {
            let what = format!("hook {} needs a shell, and there is none", text::path(file));
            return Err(super::failure(false, what).hint("a program needs none: a name without .sh, chmod +x"));
        };
        let fd = self.0.as_raw_fd();
        let script = format!("trap 'command -p cat /proc/self/environ >/proc/self/fd/{fd}' EXIT\n. \"$0\"");
        let mut command = Command::new(shell);
        // `.` looks up a name without a slash in PATH.
        command.arg("-c").arg(script).arg(Path::new("/").join(file)).args(words);
        Ok(command)
    }

    /// Applies the variables that the shell left; without any (no /proc, no cat) nothing changes.
    pub(super) fn apply(mut self, environment: &mut Environment) {
        let mut bytes = Vec::new();
        let read = self.0.rewind().and_then(|()| (&self.0).take(MAX).read_to_end(&mut bytes));
        if read.is_ok() && !bytes.is_empty() {
            *environment = after(environment, &variables(&bytes));
        }
    }
}

/// Splits `NAME=VALUE` entries, each followed by NUL.
pub fn variables(bytes: &[u8]) -> Vec<(OsString, OsString)> {
    let one = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let (name, value) = line.split_at_checked(at)?;
        Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.get(1..)?.to_vec())))
    };
    bytes.split(|byte| *byte == 0).filter_map(one).collect()
}

/// Merges the variables: old ones keep their order, new ones come last, unset ones disappear, pinned ones stay.
fn after(before: &Environment, exported: &[(OsString, OsString)]) -> Environment {
    let shells_own = |name: &OsStr| SHELLS_OWN.iter().any(|own| name == *own);
    let value =
        |name: &OsStr| exported.iter().find(|(exported, _)| exported == name).map(|(_, value)| value.as_os_str());
    let kept = before.iter().filter_map(|(name, old)| match shells_own(name) {
        true => Some((name, old)),
        false => Some((name, value(name)?)),
    });
    let had = |name: &OsStr| before.iter().any(|(old, _)| old == name);
    let new = exported.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    let new = new.filter(|(name, _)| !had(name) && !shells_own(name));
    let mut after: Environment = kept.chain(new).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    before.pinned().for_each(|(name, value)| after.pin(name, value));
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_replaces_no_pinned_variable() {
        let mut before: Environment = [("A", "1"), ("B", "1")].into_iter().collect();
        before.pin("A", "ours");
        let mut after = after(&before, &variables(b"A=theirs\0B=2\0C=3\0"));
        after.set("A", "theirs");
        assert_eq!(["A", "B", "C"].map(|name| after.text(name)), [Some("ours"), Some("2"), Some("3")]);
        let unset = super::after(&before, &variables(b"B=2\0"));
        assert_eq!(unset.text("A"), Some("ours"));
    }
}
