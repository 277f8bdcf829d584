//! A late PID 1: a run of trainit that is stopped (ptrace(2)) right after its fork, and once more before its first wait for a
//! child.

use super::{own_proc, set_signals, skip};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::ptr::null_mut;
use std::time::Duration;

/// How long each stop lasts: longer than a short command runs.
const HELD: Duration = Duration::from_millis(500);

/// Runs a command as a late PID 1 of a fresh namespace, with `given` as descriptor 7 where there is one. `None` where no process
/// can be traced, because ptrace(2) is forbidden.
pub fn run_late(command: Command, given: Option<&OwnedFd>) -> Option<Output> {
    let given = given.map(AsRawFd::as_raw_fd);
    let run = move || {
        let mut command = command;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: unshare(2) changes this thread only, which ends soon; only plain system calls run between fork and exec.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWPID), 0, "unshare(CLONE_NEWPID)");
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::setsid();
                own_proc()?;
                set_signals(0, 0);
                if given.is_some_and(|fd| libc::dup2(fd, 7) != 7) {
                    return Err(std::io::Error::last_os_error());
                }
                let traced = libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>());
                if traced == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
            });
        }
        match command.spawn() {
            Ok(child) => {
                hold(child.id() as c_int);
                Some(child.wait_with_output().unwrap())
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                skip("no process can be traced here");
                None
            }
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::spawn(run).join().unwrap()
}

/// Follows a process from its exec to its first wait for a child. The process is stopped there, and right after its fork.
fn hold(pid: c_int) {
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACECLONE;
    let (mut status, mut forked) = (wait_for_stop(pid), false);
    trace(libc::PTRACE_SETOPTIONS, pid, 0, options | libc::PTRACE_O_EXITKILL);
    while libc::WIFSTOPPED(status) {
        let signal = libc::WSTOPSIG(status);
        match (signal, status >> 16) {
            (libc::SIGTRAP, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_CLONE) => {
                let_go_of_child(pid);
                forked = true;
                std::thread::sleep(HELD);
            }
            (signal, _) if signal == libc::SIGTRAP | 0x80 && forked && is_entering_wait(pid) => {
                std::thread::sleep(HELD);
                return trace(libc::PTRACE_DETACH, pid, 0, 0);
            }
            _ => {}
        }
        let passed_on = if signal & 0x7f == libc::SIGTRAP { 0 } else { signal };
        trace(libc::PTRACE_SYSCALL, pid, 0, passed_on);
        status = wait_for_stop(pid);
    }
    panic!("{pid} ended before it waited for a child: {status:#x}");
}

fn let_go_of_child(pid: c_int) {
    let mut child: libc::c_ulong = 0;
    // SAFETY: the kernel writes one word.
    let asked = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, null_mut::<u8>(), &raw mut child) };
    assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
    wait_for_stop(child as c_int);
    trace(libc::PTRACE_DETACH, child as c_int, 0, 0);
}

fn is_entering_wait(pid: c_int) -> bool {
    // struct ptrace_syscall_info: the first byte is the kind of stop; on entry, the fourth word is the call's number.
    let mut info = [0u64; 16];
    // SAFETY: the kernel writes at most the given number of bytes.
    let asked = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size_of_val(&info), info.as_mut_ptr()) };
    assert!(asked > 0, "PTRACE_GET_SYSCALL_INFO: {}", std::io::Error::last_os_error());
    info[0] & 0xff == u64::from(libc::PTRACE_SYSCALL_INFO_ENTRY) && info[3] == libc::SYS_wait4 as u64
}

#[track_caller]
fn trace(request: libc::c_uint, pid: c_int, address: usize, data: c_int) {
    // SAFETY: these requests take numbers.
    let done = unsafe { libc::ptrace(request as _, pid, address, data as usize) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

fn wait_for_stop(pid: c_int) -> c_int {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
    status
}
