//! The terminal's foreground.

use nix::unistd::{Pid, getpgrp, setpgid, tcgetpgrp, tcsetpgrp};
use std::io::IsTerminal;

/// Puts this process into a group of its own, and into the terminal's foreground if its old group was there. A terminal that is not
/// ours to give (ENOTTY, EPERM) is left alone. Call with TTOU blocked: a background process that does this is stopped by it.
pub fn take_foreground() {
    let stdin = std::io::stdin();
    let in_front = tcgetpgrp(&stdin) == Ok(getpgrp());
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    if in_front {
        let _ = tcsetpgrp(&stdin, getpgrp());
    }
}

/// Whether a person sits at both ends of this process.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}
