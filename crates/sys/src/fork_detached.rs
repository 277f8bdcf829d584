//! Detached processes: forked processes that are not children of this process. Nothing is left to wait for when this process
//! becomes the workload, even when a detached process cannot be killed. Their parent is PID 1, or the subreaper above this process.

use super::process::{close_one, fork, pidfd, wait_for};
use super::signal::{self, owned};
use super::support::unsupported;
use super::{Pid, Signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read};
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, Ordering};

/// Size of the stack in bytes, as a program's first stack usually has; only touched pages take memory.
const STACK: usize = 8 << 20;
/// Size in bytes of the area below the stack that cannot be touched.
const GUARD: usize = 16 << 10;

/// The descriptor that a fork without exec must not keep; -1 where there is none.
static PRIVATE: AtomicI32 = AtomicI32::new(-1);

/// Names the one descriptor (the handover) that `fork_detached` closes in its children. While a copy of the handover is open, PID 1
/// does not see that prepare has become the workload.
pub fn keep_private(fd: BorrowedFd<'_>) {
    PRIVATE.store(fd.as_raw_fd(), Ordering::Relaxed);
}

fn close_private() {
    let fd = PRIVATE.swap(-1, Ordering::Relaxed);
    if fd >= 0 {
        drop(owned(fd));
    }
}

/// A process that is not our child.
#[derive(Debug)]
pub struct DetachedChild {
    pid: Pid,
    handle: Option<OwnedFd>,
}

/// The work of the process in between, and the pipe for its result.
struct ForkOrder<F> {
    body: Option<F>,
    answer: Pipe,
}

/// The two ends of a pipe as plain numbers, because each of three processes closes its own copies.
#[derive(Clone, Copy)]
struct Pipe {
    read: RawFd,
    write: RawFd,
}

/// Runs `body` in a detached process. A process in between forks it, and has ended when this function returns. The process in
/// between shares our memory where the system allows it, so that the memory is copied only once. Nothing depends on the sharing:
/// under user-mode emulation (qemu-user, Rosetta) and in some sandboxes a vfork is a fork, so the result comes over a pipe.
///
/// # Errors
/// EAGAIN (a limit of processes), ENOMEM, EMFILE, or the error of a sandbox.
pub fn fork_detached<F: FnOnce() -> u8>(body: F) -> nix::Result<DetachedChild> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    let answer = Pipe { read: read.as_raw_fd(), write: write.as_raw_fd() };
    let mut order = ForkOrder { body: Some(body), answer };
    let between = in_our_memory(&mut order).or_else(|_| fork(|| order.carry_out()))?;
    drop(write);
    let started = read_answer(&read);
    wait_for(between);
    let pid = started?;
    Ok(DetachedChild { pid, handle: pidfd(pid) })
}

/// Starts the process in between in our memory as vfork(2) does, on a stack of its own.
fn in_our_memory<F: FnOnce() -> u8>(order: &mut ForkOrder<F>) -> nix::Result<Pid> {
    let stack = Stack::new()?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is the new process's own. The order outlives the process, because this thread stands still until the
    // process has ended, or the process has copies of both. The process only forks, writes and ends.
    Errno::result(unsafe { libc::clone(begin::<F>, stack.top(), flags, ptr::from_mut(order).cast()) })
        .map(Pid::reported)
}

/// The main function of the process in between.
extern "C" fn begin<F: FnOnce() -> u8>(order: *mut c_void) -> c_int {
    // SAFETY: the pointer is the order of `fork_detached`, which reads the order only after this process has ended.
    unsafe { order.cast::<ForkOrder<F>>().as_mut() }.map_or(1, ForkOrder::carry_out).into()
}

impl<F: FnOnce() -> u8> ForkOrder<F> {
    /// Forks, and writes the new pid, or the error as a negative number.
    fn carry_out(&mut self) -> u8 {
        let (body, answer) = (&mut self.body, self.answer);
        // The child takes the body from its own copy of the memory; here the body stays with its owner.
        let started = fork(|| {
            [answer.read, answer.write].into_iter().for_each(close_one);
            close_private();
            body.take().map_or(1, |body| body())
        });
        let word = started.map_or_else(|errno| -(errno as c_int), Pid::number).to_ne_bytes();
        // SAFETY: the pointer and the length are those of the word. A pipe takes so few bytes at once.
        unsafe { libc::write(answer.write, word.as_ptr().cast(), word.len()) };
        0
    }
}

/// Reads the pid that the process in between wrote; EAGAIN where it was killed before it could write.
fn read_answer(pipe: &OwnedFd) -> nix::Result<Pid> {
    let mut word = [0; size_of::<c_int>()];
    let length = loop {
        match read(pipe, &mut word) {
            Err(Errno::EINTR) => {}
            read => break read?,
        }
    };
    let number = c_int::from_ne_bytes(word);
    match Pid::new(number) {
        _ if length != word.len() => Err(Errno::EAGAIN),
        Some(pid) => Ok(pid),
        None => Err(Errno::from_raw(-number)),
    }
}

/// A stack for the process in between.
struct Stack(NonNull<c_void>);

impl Stack {
    fn new() -> nix::Result<Self> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
        );
        // SAFETY: the memory is new, at an address that the kernel chooses.
        let base = unsafe { libc::mmap(ptr::null_mut(), GUARD + STACK, protection, flags, -1, 0) };
        let base = NonNull::new(base).filter(|base| base.as_ptr() != libc::MAP_FAILED).ok_or_else(Errno::last)?;
        // SAFETY: this is the lower end of the same memory. Where the call fails, an overflow of the stack reaches other memory.
        unsafe { libc::mprotect(base.as_ptr(), GUARD, libc::PROT_NONE) };
        Ok(Stack(base))
    }

    /// Returns the upper end, from which stacks grow downwards.
    fn top(&self) -> *mut c_void {
        // SAFETY: the end of the same memory.
        unsafe { self.0.byte_add(GUARD + STACK) }.as_ptr()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: `new` made this mapping, and no code of this process runs on it.
        unsafe { libc::munmap(self.0.as_ptr(), GUARD + STACK) };
    }
}

impl DetachedChild {
    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills the process if it still runs; with pidfds (Linux 5.3) the signal never hits a recycled pid.
    pub fn kill(&self) {
        let Some(handle) = &self.handle else {
            let _ = signal::send(self.pid, Signal::KILL);
            return;
        };
        // SAFETY: no siginfo is passed.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), libc::SIGKILL, 0usize, 0) };
        if sent != 0 && unsupported(Errno::last()) {
            let _ = signal::send(self.pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Reaped, reap_one};

    #[test]
    fn a_process_aside_is_not_our_child_and_can_be_killed() {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let aside = fork_detached(|| {
            let _ = &write;
            std::thread::sleep(std::time::Duration::from_secs(60));
            0
        })
        .unwrap();
        drop(write);
        assert_eq!(reap_one(aside.pid()), Reaped::NoChildren);
        aside.kill();
        assert_eq!(nix::unistd::read(&read, &mut [0; 1]), Ok(0)); // end of file: its descriptors are closed
    }

    #[test]
    fn it_has_a_copy_of_our_memory_and_as_much_stack_as_others() {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let mut ours = [1u8; 100];
        let taken = String::from("7").into_bytes();
        fork_detached(|| {
            ours.fill(2);
            let deep = std::hint::black_box([3u8; 2 << 20]);
            let _ = nix::unistd::write(&write, &[taken[0], ours[0], deep[deep.len() - 1]]);
            drop(taken);
            0
        })
        .unwrap();
        drop(write);
        let mut told = [0; 4];
        assert_eq!(nix::unistd::read(&read, &mut told), Ok(3));
        assert_eq!((told, ours[0]), ([b'7', 2, 3, 0], 1));
    }
}
