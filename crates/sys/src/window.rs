//! The size of a terminal's window.

use nix::pty::Winsize;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Returns the size in rows and columns, if the descriptor is a terminal (ioctl_tty(2), TIOCGWINSZ).
pub fn window_size(terminal: BorrowedFd<'_>) -> Option<Winsize> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the structure outlives the call, and the request fills exactly this structure.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then_some(size)
}
