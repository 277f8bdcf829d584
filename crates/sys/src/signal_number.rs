//! The number of a signal as a type, and the names of signals. It makes no system call.
//!
//! nix's `Signal` has no real-time signals, which Docker and systemd send, and loses a child that died by one.

use std::ffi::c_int;
use std::fmt;

/// The number of a signal, from 1 to 64, real-time signals included (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// The first real-time signal that programs see: glibc keeps 32 and 33 for itself, so Docker and systemd count from 34.
const RTMIN: u8 = 34;

/// Defines the constants and the table of names from the same rows.
macro_rules! signals {
    ($($name:ident = $number:ident,)*) => {
        impl Signal {
            $(
                #[doc = concat!("The signal ", stringify!($number), ".")]
                pub const $name: Signal = Signal(libc::$number as u8);
            )*
        }

        const NAMES: &[(&str, Signal)] = &[$((stringify!($name), Signal::$name)),*];
    };
}

signals! {
    HUP = SIGHUP,
    INT = SIGINT,
    QUIT = SIGQUIT,
    ILL = SIGILL,
    TRAP = SIGTRAP,
    ABRT = SIGABRT,
    BUS = SIGBUS,
    FPE = SIGFPE,
    KILL = SIGKILL,
    USR1 = SIGUSR1,
    SEGV = SIGSEGV,
    USR2 = SIGUSR2,
    PIPE = SIGPIPE,
    ALRM = SIGALRM,
    TERM = SIGTERM,
    STKFLT = SIGSTKFLT,
    CHLD = SIGCHLD,
    CONT = SIGCONT,
    STOP = SIGSTOP,
    TSTP = SIGTSTP,
    TTIN = SIGTTIN,
    TTOU = SIGTTOU,
    URG = SIGURG,
    XCPU = SIGXCPU,
    XFSZ = SIGXFSZ,
    VTALRM = SIGVTALRM,
    PROF = SIGPROF,
    WINCH = SIGWINCH,
    IO = SIGIO,
    PWR = SIGPWR,
    SYS = SIGSYS,
}

impl Signal {
    /// SIGRTMIN+3, with which systemd asks a container's init to halt (systemd(1)).
    pub const SYSTEMD_HALT: Signal = Signal(RTMIN + 3);

    /// The highest number (_NSIG in the kernel, which is 64 on every architecture that trainit is built for).
    pub const MAX: u8 = 64;

    /// Makes a signal of its number; `None` where no signal has this number, which includes 0.
    pub const fn new(number: c_int) -> Option<Self> {
        if number >= 1 && number <= Self::MAX as c_int { Some(Signal(number as u8)) } else { None }
    }

    /// Makes a signal of a number that the kernel has just reported.
    pub(crate) const fn reported(number: c_int) -> Self {
        Signal(number as u8)
    }

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns the number as system calls take it.
    pub(crate) const fn raw(self) -> c_int {
        self.0 as c_int
    }

    /// Iterates over all signals in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Signal> {
        (1..=Self::MAX).map(Signal)
    }

    /// Returns the set that holds this signal alone. Sets are as in /proc/PID/status: bit n - 1 is signal n (proc_pid_status(5)).
    pub const fn bit(self) -> u64 {
        1 << (self.0 as u32 - 1)
    }

    /// Tells whether a set holds this signal.
    pub const fn is_in(self, set: u64) -> bool {
        set & self.bit() != 0
    }

    /// Parses a signal's name or number: `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        match name.parse::<c_int>() {
            Ok(number) => Self::new(number),
            Err(_) => Self::named(name),
        }
    }

    fn named(name: &str) -> Option<Self> {
        let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest.get(1..)?.parse::<u8>().ok() };
        if let Some(rest) = name.strip_prefix("RTMIN").filter(|r| r.is_empty() || r.starts_with('+')) {
            return Self::real_time(RTMIN.checked_add(offset(rest)?)?);
        }
        if let Some(rest) = name.strip_prefix("RTMAX").filter(|r| r.is_empty() || r.starts_with('-')) {
            return Self::real_time(Self::MAX.checked_sub(offset(rest)?)?);
        }
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, signal)| *signal)
    }

    /// Accepts only real-time signals, so that an offset never leads out of them: `RTMAX-60` does not mean SIGILL.
    fn real_time(number: u8) -> Option<Self> {
        (RTMIN..=Self::MAX).contains(&number).then_some(Signal(number))
    }
}

/// Writes the signal's usual name, such as `SIGTERM` or `SIGRTMIN+3`, and `signal N` for a number that no program sees.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, signal)| signal == self) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 == RTMIN => f.write_str("SIGRTMIN"),
            None if self.0 > RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood_both_ways() {
        for signal in Signal::all().filter(|signal| ![32, 33].contains(&signal.number())) {
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal), "{signal}");
            assert_eq!(Signal::parse(&signal.number().to_string()), Some(signal));
        }
        assert_eq!(Signal::parse("usr1"), Some(Signal::USR1));
        assert_eq!(Signal::parse("SIGRTMAX-1"), Signal::new(63));
        assert_eq!(Signal::parse("RTMIN+3"), Some(Signal::SYSTEMD_HALT));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        let none = [
            "",
            "SIG",
            "0",
            "65",
            "-1",
            "RTMIN-1",
            "RTMIN+99",
            "RTMIN+",
            "RTMAX+1",
            "NOPE",
            "RTMIN+é",
            "RTMAX-60",
            "RTMIN+-5",
            "RTMIN+300",
            "256",
            "99999999999",
        ];
        for text in none {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
        assert_eq!([i32::MIN, -1, 0, 65, 256 + 15, i32::MAX].map(Signal::new), [None; 6]);
    }

    #[test]
    fn a_set_holds_the_signals_whose_bits_are_set() {
        let of_two = Signal::HUP.bit() | Signal::reported(64).bit();
        assert_eq!(of_two, 1 | 1 << 63);
        let held: Vec<u8> = Signal::all().filter(|signal| signal.is_in(of_two)).map(Signal::number).collect();
        assert_eq!(held, [1, 64]);
    }
}
