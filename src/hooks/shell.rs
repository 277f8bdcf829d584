//! A hook that a shell reads: `. FILE`, so that it can export variables, and then the variables as the kernel has them for a
//! program that this shell starts, with NUL between (proc_pid_environ(5)). No quoting is undone, because there is none.

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
use sys::temporary::TemporaryFile;

/// More than execve(2) takes.
const MAX: u64 = 4 << 20;

/// A shell's own variables, which say nothing.
const SHELLS_OWN: [&str; 4] = ["_", "SHLVL", "PWD", "OLDPWD"];

/// Where a shell leaves its variables: a file without a name, which it inherits.
pub struct Exported(File);

impl Exported {
    /// An empty one.
    ///
    /// # Errors
    /// What memfd_create(2) says, or open(2) in TMPDIR where that call is not there.
    pub fn new() -> io::Result<Self> {
        match memfd_create(c"variables", MFdFlags::empty()) {
            Err(errno) if unsupported(errno) => {
                let file = TemporaryFile::make(&std::env::temp_dir(), "trainit-variables-")?.unnamed()?;
                fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
                Ok(Exported(file))
            }
            made => Ok(Exported(made?.into())),
        }
    }

    /// The shell that reads this file. Also a file that says `exit` leaves its variables, and what it prints is not the workload's
    /// output.
    ///
    /// # Errors
    /// There is no shell.
    pub fn command(&self, file: &Path, words: &[OsString], environment: &Environment) -> Result<Command> {
        let path = environment.get("PATH").unwrap_or(OsStr::new("/usr/bin:/bin"));
        let shell = ["bash", "sh"].into_iter().find_map(|shell| which::which_in(shell, Some(path), "/").ok());
        let Some(shell) = shell else {
            let what = format!("hook {} needs a shell, and there is none", text::path(file));
            return Err(super::failure(false, what).hint("a program needs none: a name without .sh, chmod +x"));
        };
        let fd = self.0.as_raw_fd();
        let script = format!("trap 'command -p cat /proc/self/environ >/proc/self/fd/{fd}' EXIT\n. \"$0\"");
        let mut command = Command::new(shell);
        // `.` looks a name without a slash up in PATH.
        command.arg("-c").arg(script).arg(Path::new("/").join(file)).args(words);
        Ok(command)
    }

    /// Takes over what the shell left. Where it left nothing (no /proc, no cat) nothing changes.
    pub fn apply(mut self, environment: &mut Environment) {
        let mut bytes = Vec::new();
        let read = self.0.rewind().and_then(|()| (&self.0).take(MAX).read_to_end(&mut bytes));
        if read.is_ok() && !bytes.is_empty() {
            *environment = after(environment, &variables(&bytes));
        }
    }
}

/// `NAME=VALUE` with NUL behind each.
pub fn variables(bytes: &[u8]) -> Vec<(OsString, OsString)> {
    let one = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let (name, value) = line.split_at_checked(at)?;
        Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.get(1..)?.to_vec())))
    };
    bytes.split(|byte| *byte == 0).filter_map(one).collect()
}

/// What was there keeps its order, what is new comes last, what was unset is gone; what is pinned stays as it was.
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
