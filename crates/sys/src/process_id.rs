//! Processes and process groups by their numbers, as types, and what a signal can be sent to.
//!
//! Elsewhere a group is never a negative number: kill(2) and waitpid(2) have that convention, and it stays behind these types.

use std::ffi::c_int;
use std::fmt;
use std::str::FromStr;

/// The id of a process or thread in this pid namespace, above 0 (credentials(7)). A reaped process's id may be another one's a moment
/// later; with the start time (`proc::start_time`) it names one process for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(c_int);

/// The id of a process group in this pid namespace, above 0: the id of the process that made the group (setpgid(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pgid(c_int);

/// What a signal is sent to (kill(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KillTarget {
    /// One process.
    Process(Pid),
    /// Every process of a group.
    Group(Pgid),
    /// Every process that this one may signal, except for itself and PID 1. Only for PID 1 of a namespace: elsewhere these are the host's.
    Everyone,
}

impl Pid {
    /// The first process of a pid namespace.
    pub const FIRST: Pid = Pid(1);

    /// Makes an id of a number; `None` where no process can have this number, which includes 0.
    pub const fn new(number: c_int) -> Option<Self> {
        if number > 0 { Some(Pid(number)) } else { None }
    }

    /// Makes an id of a number that the kernel has just reported for a process.
    pub(crate) const fn reported(number: c_int) -> Self {
        Pid(number)
    }

    /// Returns the id of this process.
    pub fn own() -> Self {
        Pid(std::process::id() as c_int)
    }

    /// Returns the id of this process's parent; `None` where the parent is outside of this pid namespace.
    pub fn parent() -> Option<Self> {
        Self::new(nix::unistd::getppid().as_raw())
    }

    /// Returns the id of a child.
    pub fn of(child: &std::process::Child) -> Self {
        Pid(child.id() as c_int)
    }

    /// Returns the number.
    pub const fn number(self) -> c_int {
        self.0
    }
}

impl Pgid {
    /// Makes an id of a number that the kernel has just reported for a group.
    pub(crate) const fn reported(number: c_int) -> Self {
        Pgid(number)
    }

    /// Returns the group that this process leads, or would lead: a group has its first process's number.
    pub const fn led_by(leader: Pid) -> Self {
        Pgid(leader.0)
    }

    /// Returns the group of a process; `None` where the process has ended, or is outside of this pid namespace.
    pub fn of(process: Pid) -> Option<Self> {
        let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(process.0))).ok()?.as_raw();
        (group > 0).then_some(Pgid(group))
    }

    /// Returns the process whose number the group has; it may have ended.
    pub const fn leader(self) -> Pid {
        Pid(self.0)
    }

    /// Returns the number.
    pub const fn number(self) -> c_int {
        self.0
    }
}

impl KillTarget {
    /// Returns the process, or the leader of the group; `None` for every process.
    pub const fn process(self) -> Option<Pid> {
        match self {
            KillTarget::Process(pid) => Some(pid),
            KillTarget::Group(group) => Some(group.leader()),
            KillTarget::Everyone => None,
        }
    }

    /// Returns the number that kill(2) takes.
    pub(crate) const fn raw(self) -> c_int {
        match self {
            KillTarget::Process(pid) => pid.0,
            KillTarget::Group(group) => -group.0,
            KillTarget::Everyone => -1,
        }
    }
}

impl From<Pid> for KillTarget {
    fn from(pid: Pid) -> Self {
        KillTarget::Process(pid)
    }
}

impl From<Pgid> for KillTarget {
    fn from(group: Pgid) -> Self {
        KillTarget::Group(group)
    }
}

/// A text that is the number of no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPid;

impl FromStr for Pid {
    type Err = NoPid;

    fn from_str(text: &str) -> Result<Self, NoPid> {
        text.parse().ok().and_then(Self::new).ok_or(NoPid)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Pgid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_kill_would_take_for_more_than_one_process_is_no_pid() {
        assert_eq!([i32::MIN, -7, -1, 0].map(Pid::new), [None; 4]);
        assert_eq!(["0", "-1", "", "x", "99999999999"].map(Pid::from_str), [Err(NoPid); 5]);
        assert_eq!((Pid::new(1), "7".parse()), (Some(Pid::FIRST), Ok(Pid(7))));
    }

    #[test]
    fn a_target_is_what_kill_takes() {
        let targets = [KillTarget::from(Pid(7)), Pgid::led_by(Pid(7)).into(), KillTarget::Everyone];
        assert_eq!(targets.map(KillTarget::raw), [7, -7, -1]);
        assert_eq!(targets.map(KillTarget::process), [Some(Pid(7)), Some(Pid(7)), None]);
    }

    #[test]
    fn this_process_is_in_a_group() {
        assert_eq!(Pgid::of(Pid::own()).map(Pgid::number), Some(nix::unistd::getpgrp().as_raw()));
    }
}
