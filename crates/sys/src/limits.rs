//! What this process may use, as the kernel has it: CPUs by affinity, memory of the machine, and the limits of setrlimit(2), which
//! an exec hands on.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::mem::MaybeUninit;

/// No limit.
pub const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What counts.
    pub soft: u64,
    /// As far as the soft one may be raised.
    pub hard: u64,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedResource {
    /// Open files.
    Files,
    /// Bytes of memory that may be locked.
    LockedMemory,
}

impl LimitedResource {
    fn resource(self) -> Resource {
        match self {
            LimitedResource::Files => Resource::RLIMIT_NOFILE,
            LimitedResource::LockedMemory => Resource::RLIMIT_MEMLOCK,
        }
    }
}

/// The limit of this process; none where a sandbox does not tell.
pub fn limit(kind: LimitedResource) -> Option<Limit> {
    getrlimit(kind.resource()).ok().map(|(soft, hard)| Limit { soft, hard })
}

/// Raises the soft limit to `wanted`, or as near as the hard one permits, which needs no rights; never lowers it.
pub fn raise(kind: LimitedResource, wanted: u64) -> Option<Limit> {
    let now = limit(kind)?;
    let soft = now.soft.max(wanted.min(now.hard));
    if soft != now.soft {
        let _ = setrlimit(kind.resource(), soft, now.hard);
    }
    limit(kind)
}

/// How many CPUs this process may run on (sched_getaffinity(2)); none where there are more than anybody has.
pub fn cpus() -> Option<u32> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the set has the size that is given, and 0 is this process.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) };
    // SAFETY: all bit patterns are valid, and it was zeroed before.
    let set = unsafe { set.assume_init() };
    // SAFETY: it only counts the bits of the set.
    let count = if result < 0 { 0 } else { unsafe { libc::CPU_COUNT(&set) } };
    u32::try_from(count).ok().filter(|count| *count > 0)
}

/// The machine's memory in bytes.
pub fn machine_memory() -> Option<u64> {
    nix::sys::sysinfo::sysinfo().ok().map(|info| info.ram_total())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cpus_and_memory() {
        let available = std::thread::available_parallelism().unwrap().get();
        assert!(cpus().unwrap() as usize >= available, "an affinity is no less than what a quota leaves of it");
        assert!(machine_memory().unwrap() > 64 << 20);
    }

    #[test]
    fn a_limit_is_never_lowered() {
        let before = limit(LimitedResource::Files).unwrap();
        assert_eq!(raise(LimitedResource::Files, 1), Some(before));
    }
}
