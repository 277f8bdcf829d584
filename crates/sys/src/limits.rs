//! The kernel's limits of this process: its CPUs by affinity, the machine's memory, and the limits of setrlimit(2), which an exec
//! hands on.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::mem::MaybeUninit;

/// The value of a limit that does not limit.
pub const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// A soft and a hard limit (setrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The limit that counts.
    pub soft: u64,
    /// How far the soft limit may be raised.
    pub hard: u64,
}

/// A resource that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedResource {
    /// Number of open files (RLIMIT_NOFILE).
    Files,
    /// Bytes of memory that may be locked (RLIMIT_MEMLOCK).
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

/// Returns the limit of this process; `None` where a sandbox does not tell.
pub fn limit(kind: LimitedResource) -> Option<Limit> {
    getrlimit(kind.resource()).ok().map(|(soft, hard)| Limit { soft, hard })
}

/// Raises the soft limit to `wanted`, or to the hard limit if that is lower, which needs no rights. The limit is never lowered.
pub fn raise(kind: LimitedResource, wanted: u64) -> Option<Limit> {
    let now = limit(kind)?;
    let soft = now.soft.max(wanted.min(now.hard));
    if soft != now.soft {
        let _ = setrlimit(kind.resource(), soft, now.hard);
    }
    limit(kind)
}

/// Counts the CPUs that this process may run on (sched_getaffinity(2)); `None` where the machine has more CPUs than the set holds.
pub fn cpus() -> Option<u32> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the set has the given size, and 0 means this process.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) };
    // SAFETY: all bit patterns are valid, and the set was zeroed before.
    let set = unsafe { set.assume_init() };
    // SAFETY: the macro only counts the bits of the set.
    let count = if result < 0 { 0 } else { unsafe { libc::CPU_COUNT(&set) } };
    u32::try_from(count).ok().filter(|count| *count > 0)
}

/// Returns the machine's memory in bytes.
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
