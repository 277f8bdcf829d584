//! The rank of this process among those that want a processor or a disk.

/// The niceness of a process that yields to all others, of 19 at most (setpriority(2)).
const NICE: libc::c_int = 15;
/// Best effort, at the lowest of its eight levels (ioprio_set(2)): the idle class could wait for ever.
const IO: libc::c_int = 2 << 13 | 7;
/// `IOPRIO_WHO_PROCESS` (ioprio_set(2)).
const WHO_PROCESS: libc::c_int = 1;

/// Lets other processes go first, at the processors and at disks. Where the kernel refuses that, all goes on as before.
pub fn yield_to_others() {
    // SAFETY: both calls take numbers only, and 0 means this process, or its calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, IO);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn other_processes_go_first() {
        let nice = std::thread::spawn(|| {
            super::yield_to_others();
            // SAFETY: the call takes numbers only.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
        });
        assert_eq!(nice.join().ok(), Some(super::NICE));
    }
}
