//! The clock, asked by a system call. The C library would ask the kernel's code in this process (vdso(7)): to find it there takes a start
//! more time than it asks for the time, and pages besides.

use super::retry::ATTEMPTS;
use libc::{c_int, clockid_t, timespec};

/// In place of the C library's own, for the standard library, too.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // The standard library panics where there is no time, and the call has no reason to fail.
    // SAFETY: the caller's pointer is passed on; the kernel checks it.
    let asked = |_| unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) == 0 };
    if (0..ATTEMPTS).any(asked) { 0 } else { -1 }
}
