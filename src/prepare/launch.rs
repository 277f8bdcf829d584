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
use sys::signal::InheritedSignals;
use sys::{ExecTrial, exec_trial, process};
use tracing::{Level, debug, enabled};

/// What the C library searches when PATH is not set.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Restores everything inherited and execs the workload. Returns only after a failure, which it has sent to PID 1.
pub(super) fn launch(ready: &PreparedWorkload, handover: &HandoverWriter, inherited: &InheritedSignals) -> Error {
    let PreparedWorkload { command, environment } = ready;
    let (argv, path) = (argv(command), search_path(environment));
    told(command, environment);
    let environment = environment.to_envp();
    handover.send(&Message::Launching(text::command(command)));
    process::end_with_parent(); // repeated, because a change of the user resets it (PR_SET_PDEATHSIG)
    inherited.give_back();
    let errno = process::execute(&argv, &environment, path);
    let name = name_of(command);
    handover.send(&Message::Failed { errno: errno as i32, name: name.clone() });
    failed_exec(&name, errno, path)
}

/// Has the kernel try the exec in a child that it stops before the first instruction; returns the error with which the exec fails.
///
/// What may pass by itself, and what a security module may forbid only to a traced process, is left to the real exec.
pub(super) fn tried_failure(workload: &PreparedWorkload) -> Option<Error> {
    let PreparedWorkload { command, environment } = workload;
    let path = search_path(environment);
    let ExecTrial::Fails(errno) = exec_trial(&argv(command), &environment.to_envp(), path) else { return None };
    let doubtful = [Errno::EACCES, Errno::EPERM, Errno::EAGAIN, Errno::ENOMEM, Errno::ETXTBSY, Errno::EINTR];
    (!doubtful.contains(&errno)).then(|| failed_exec(&name_of(command), errno, path))
}

fn argv(command: &[OsString]) -> Vec<CString> {
    command.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect()
}

fn search_path(environment: &Environment) -> &[u8] {
    environment.get("PATH").map_or(DEFAULT_PATH, OsStr::as_bytes)
}

fn name_of(command: &[OsString]) -> String {
    command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn failed_exec(name: &str, errno: Errno, path: &[u8]) -> Error {
    failure(name, errno, file(name, path).and_then(|file| obstacle_of(&file)))
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

/// Returns why a command would not start, as far as its file tells. A program of another machine may be emulated, so only a start tells.
pub(super) fn obstacle(command: &[OsString], environment: &Environment) -> Option<Error> {
    unstartable(command, environment, |found| !found.may_be_emulated)
}

/// Returns the error that an exec of this command is certain to end with.
pub(super) fn certain_failure(command: &[OsString], environment: &Environment) -> Option<Error> {
    unstartable(command, environment, |found| !found.may_be_emulated && !found.goes_to_shell)
}

fn unstartable(command: &[OsString], environment: &Environment, counts: fn(&Obstacle) -> bool) -> Option<Error> {
    let name = command.first()?.to_string_lossy();
    let path = search_path(environment);
    match file(&name, path) {
        Some(file) if file.exists() => {
            let obstacle = obstacle_of(&file).filter(counts)?;
            let errno = if obstacle.missing { Errno::ENOENT } else { Errno::EACCES };
            Some(failure(&name, errno, Some(obstacle)))
        }
        Some(_) => Some(failure(&name, Errno::ENOENT, None)),
        None if is_closed(&name, path) => Some(failure(&name, Errno::EACCES, None)),
        None => Some(failure(&name, Errno::ENOENT, None)),
    }
}

/// Returns whether PATH has a file of this name, which may not be executed.
fn is_closed(name: &str, path: &[u8]) -> bool {
    std::env::split_paths(OsStr::from_bytes(path)).any(|directory| directory.join(name).is_file())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_what_no_exec_could_start_is_certain_to_fail() {
        let place = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8], mode| {
            std::fs::write(place.path().join(name), text).unwrap();
            std::fs::set_permissions(place.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        put("script", b"#!/bin/sh\n", 0o755);
        put("no-first-line", b"exit 0\n", 0o755);
        put("marked", b"\xef\xbb\xbf#!/bin/sh\n", 0o755);
        put("closed", b"#!/bin/sh\n", 0o644);
        put("gone", b"#!/no/such/sh\n", 0o755);
        let code = |name: &str, path: &str| {
            let environment = [("PATH", path)].into_iter().collect();
            certain_failure(&[OsString::from(name)], &environment).map(|error| error.exit().code())
        };
        let here = place.path().to_str().unwrap();
        let codes = ["script", "no-first-line", "marked", "closed", "gone", "absent"].map(|name| code(name, here));
        assert_eq!(codes, [None, None, None, Some(126), Some(127), Some(127)]);
        let file = |name: &str| code(place.path().join(name).to_str().unwrap(), "/nowhere");
        assert_eq!(["script", "closed", "absent"].map(file), [None, Some(126), Some(127)]);
        assert_eq!((code("sh", "/nowhere:/bin"), code("sh", "/nowhere")), (None, Some(127)));
    }
}
