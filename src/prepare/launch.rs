//! The last step: this process becomes the workload.

use super::preparation::PreparedWorkload;
use crate::check::{Obstacle, obstacle_of};
use crate::error::{Error, ErrorKind};
use nix::errno::Errno;
use protocol::errno::{ErrnoCause, cause};
use protocol::handover::{HandoverWriter, Message};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use sys::environment::Environment;
use sys::process;
use sys::signal::InheritedSignals;
use tracing::{Level, debug, enabled};

/// What the C library searches when PATH is not set.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Restores everything inherited and execs the workload. Returns only after a failure, which it has sent to PID 1.
pub(super) fn launch(ready: &PreparedWorkload, handover: &HandoverWriter, inherited: &InheritedSignals) -> Error {
    let PreparedWorkload { command, environment } = ready;
    let argv: Vec<CString> = command.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    let path = environment.get("PATH").map_or(DEFAULT_PATH, OsStr::as_bytes);
    told(command, environment);
    let environment = environment.to_envp();
    handover.send(&Message::Launching(text::command(command)));
    process::end_with_parent(); // repeated, because a change of the user resets it (PR_SET_PDEATHSIG)
    inherited.give_back();
    let errno = process::execute(&argv, &environment, path);
    let name = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    handover.send(&Message::Failed { errno: errno as i32, name: name.clone() });
    failure(&name, errno, file(&name, path).and_then(|file| obstacle_of(&file)))
}

/// Logs the command, and the names of the variables that trainit has changed; never their values.
fn told(command: &[OsString], environment: &Environment) {
    if !enabled!(target: "start", Level::DEBUG) {
        return;
    }
    let before = Environment::inherited();
    let (old, new) = (before.names(), environment.names());
    let listed = |names: &mut dyn Iterator<Item = &OsStr>| {
        names.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    debug!(
        target: "start",
        changed = listed(&mut environment.changed_since(&before).map(|(name, _)| name)),
        removed = listed(&mut old.difference(&new).copied()),
        "variables of the workload"
    );
    debug!(target: "start", command = %text::command(command), "execve");
}

/// Returns the file that was tried: a path as it is, a name as PATH has it.
fn file(name: &str, path: &[u8]) -> Option<PathBuf> {
    if name.contains('/') { Some(name.into()) } else { which::which_in(name, Some(OsStr::from_bytes(path)), ".").ok() }
}

fn failure(name: &str, errno: Errno, obstacle: Option<Obstacle>) -> Error {
    let error = Error::new(ErrorKind::Exec(errno), format!("cannot run {name}"));
    if let Some(Obstacle { because, advice, .. }) = obstacle.filter(|_| cause(errno).is_none()) {
        return error.because(because).hint(advice);
    }
    if let Some(ErrnoCause { because, advice }) = cause(errno) {
        return error.caused_by(errno).because(because).hint(advice);
    }
    let error = error.caused_by(errno);
    match errno {
        Errno::ELOOP => error.hint("a circle of links, or an automount that does not reach into this container"),
        Errno::ENOENT if name.contains('/') => error.hint("mount it, or name a program that is in this image"),
        Errno::ENOENT => error.hint("it is not on PATH in this image"),
        Errno::EACCES => error.hint("what PATH has of this name may not be executed: chmod +x, or another user"),
        Errno::ENOEXEC => error.hint("it is built for another machine, or lacks its first line (#!…)"),
        _ => error,
    }
}
