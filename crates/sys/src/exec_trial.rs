//! Whether the kernel would execute a command: a traced child tries, and is killed before the first instruction of the program.
//!
//! Source: ptrace(2), PTRACE_O_TRACEEXEC and PTRACE_O_EXITKILL (Linux 3.8).

use super::process::{Reaped, fork, wait_for};
use super::retry::uninterrupted;
use super::{Pid, Signal, process};
use nix::errno::Errno;
use std::ffi::{CStr, CString, c_long};

/// What a trial has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecTrial {
    /// The kernel executes the command.
    Starts,
    /// execve(2) fails with this error.
    Fails(Errno),
    /// Nothing can be told: tracing is forbidden here, or there may be no more processes.
    Unknown,
}

/// Tries what `process::execute` would do. Only for processes with one thread; the child has ended when this returns.
///
/// Under a security module a traced exec may be denied where an untraced one is not, so EACCES and EPERM prove nothing.
pub fn exec_trial(argv: &[CString], environment: &[&CStr], path: &[u8]) -> ExecTrial {
    let child = fork(|| {
        // SAFETY: PTRACE_TRACEME takes no pointers, and a stop by oneself neither.
        let traced = trace(libc::PTRACE_TRACEME as c_long, 0, 0).is_ok() && unsafe { libc::raise(libc::SIGSTOP) } == 0;
        // Without a tracer the program would run.
        if traced { process::execute(argv, environment, path) as i32 as u8 } else { 0 }
    });
    child.map_or(ExecTrial::Unknown, watch)
}

/// Waits for the child's own stop, lets it go on to its exec, and kills it there.
fn watch(child: Pid) -> ExecTrial {
    let first = wait_for(child);
    if !matches!(first, Reaped::Suspended(..)) {
        return ExecTrial::Unknown;
    }
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    let goes_on = trace(libc::PTRACE_SETOPTIONS as c_long, child.number(), options.into())
        .and_then(|()| trace(libc::PTRACE_CONT as c_long, child.number(), 0));
    let reaped = goes_on.map(|()| wait_for(child));
    match reaped {
        Ok(Reaped::One(_, process::Ended::Exited(errno))) if errno != 0 => {
            ExecTrial::Fails(Errno::from_raw(errno.into()))
        }
        Ok(Reaped::One(..)) => ExecTrial::Unknown,
        Ok(Reaped::Suspended(_, signal)) => {
            end(child);
            // Any other signal was for the process, and came before the exec.
            if signal == TRAP { ExecTrial::Starts } else { ExecTrial::Unknown }
        }
        _ => {
            end(child);
            ExecTrial::Unknown
        }
    }
}

/// The signal of a stop at an exec.
const TRAP: Signal = Signal::TRAP;

/// Kills the child and takes its status.
fn end(child: Pid) {
    // SAFETY: kill(2) takes no pointers.
    let _ = uninterrupted(|| Errno::result(unsafe { libc::kill(child.number(), libc::SIGKILL) }));
    while matches!(wait_for(child), Reaped::Suspended(..)) {}
}

fn trace(request: c_long, pid: i32, data: c_long) -> nix::Result<()> {
    // SAFETY: none of the requests here takes a pointer, as `data` is a number.
    Errno::result(unsafe { libc::syscall(libc::SYS_ptrace, request, c_long::from(pid), 0 as c_long, data) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn trial(words: &[&str]) -> ExecTrial {
        let argv: Vec<CString> = words.iter().map(|word| CString::new(*word).unwrap()).collect();
        exec_trial(&argv, &[c"PATH=/bin"], b"/usr/bin:/bin")
    }

    /// Each test forks, and the runner has threads: the child only makes system calls and reads a small file.
    #[test]
    fn the_kernel_says_what_it_would_start_and_nothing_runs() {
        let place = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = place.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let ran = place.path().join("ran");
        let touch = format!("#!/bin/sh\ntouch {}\n", ran.display());
        if trial(&["true"]) == ExecTrial::Unknown {
            return println!("SKIPPED: ptrace(2) is forbidden here");
        }
        let script = put("script", touch.as_bytes());
        assert_eq!((trial(&["true"]), trial(&[&script])), (ExecTrial::Starts, ExecTrial::Starts));
        assert!(!ran.exists(), "the program has run");
        let broken = put("broken", b"\x7fELF\x02\x01\x01\0 and nothing else \0\0");
        assert_eq!(trial(&[&broken]), ExecTrial::Fails(Errno::ENOEXEC));
        let gone = put("gone", b"#!/no/such/interpreter\n");
        assert_eq!(trial(&[&gone]), ExecTrial::Fails(Errno::ENOENT));
        let long = "x".repeat(200_000);
        assert_eq!(trial(&["true", &long]), ExecTrial::Fails(Errno::E2BIG));
    }
}
