//! Shared memory, which is 64 MiB by Docker's default. What is free counts, not the size.

use super::HostTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use crate::config::Severity;
use crate::engine::Platform;
use nix::errno::Errno;

/// Size below which a data loader with a few workers, or NCCL, runs out of shared memory.
const LITTLE: u64 = 1 << 30;
/// The recommended size if nothing else is known.
const ADVISED: u64 = 8 << 30;

/// The size of shared memory, and its free part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SharedMemory {
    /// The size; zero is a tmpfs without a limit.
    pub size: u64,
    /// The free part.
    pub free: u64,
}

/// Hundredths of a size that may be in use: a fresh container has a few files there.
const USED: u64 = 10;

fn nearly(bytes: u64) -> u64 {
    bytes - bytes / 100 * USED
}

impl SharedMemory {
    /// Returns whether so many bytes are free, or nearly.
    fn has(self, bytes: u64) -> bool {
        self.free >= nearly(bytes)
    }

    /// Formats the size, and the free part where that is much less.
    pub(super) fn described(self) -> String {
        match self.size {
            0 => "without a limit".to_owned(),
            size if self.has(size) => text::size(size),
            size => format!("{}, {} free", text::size(size), text::size(self.free)),
        }
    }
}

impl HostTarget {
    pub(super) fn enough_shared_memory(&mut self) -> CheckResult {
        match nix::sys::statvfs::statvfs(&self.root.path("/dev/shm")) {
            Ok(stat) => {
                let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
                self.shm = Some(SharedMemory { size: bytes(stat.blocks()), free: bytes(stat.blocks_available()) });
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => return self.little("/dev/shm does not exist".to_owned()).found(),
            Err(_) => return Ok(()),
        }
        self.judge_shared_memory()
    }

    /// Judges the size, the free part, and the memory limit, which shared memory counts against (the kernel's cgroup-v2.rst).
    pub(super) fn judge_shared_memory(&self) -> CheckResult {
        self.within_memory()?;
        let Some(shm) = self.shm.filter(|shm| shm.size > 0) else { return Ok(()) };
        let size = text::size(shm.size);
        let asked =
            self.wanted.shm.map_or(String::new(), |minimum| format!(", host.shm asks for {}", text::size(minimum.0)));
        let wanted = self.wanted.shm.map_or(LITTLE, |minimum| minimum.0);
        if shm.size < wanted {
            return self.little(format!("/dev/shm is {size}{asked}")).found();
        }
        if shm.has(wanted) {
            return Ok(());
        }
        Failure::new(format!("of /dev/shm, {size}, only {} are free{asked}", text::size(shm.free)))
            .because("other processes, or jobs that were killed, hold the rest")
            .advice(match self.place {
                Platform::Container => "delete what is left (ls -l /dev/shm), or start it with a /dev/shm of its own instead of the host's",
                Platform::Pod => "delete what is left (ls -l /dev/shm), or give the pod its own: hostIPC: false and an emptyDir with medium: Memory",
                Platform::Host => "delete what is left: ls -l /dev/shm",
            })
            .level(self.wanted.shm.map(|_| Severity::Fail))
            .found()
    }

    /// Checks that the memory limit lets the required shared memory be used.
    fn within_memory(&self) -> CheckResult {
        let limits = (self.wanted.shm.map(|minimum| minimum.0), self.memory());
        let (Some(wanted), Some(memory)) = limits else { return Ok(()) };
        let left = self.limits().memory_left.unwrap_or(memory).min(memory);
        if memory >= wanted && left >= nearly(wanted) {
            return Ok(());
        }
        let more = Remedy::Start(Change::Memory { bytes: wanted.max(memory).saturating_mul(2) });
        let room = match memory < wanted {
            true => format!("only {} of memory may be used", text::size(memory)),
            false => format!("of {} of memory only {} are left", text::size(memory), text::size(left)),
        };
        Failure::new(format!("host.shm asks for {} of shared memory, and {room}", text::size(wanted)))
            .because("what is in /dev/shm counts as memory: a job that fills it is killed")
            .remedy(more)
            .advice("or ask for less with host.shm")
            .level(Some(Severity::Fail))
            .found()
    }

    fn little(&self, what: String) -> Failure {
        let bytes = self.wanted.shm.map_or(ADVISED, |minimum| minimum.0);
        Failure::new(what)
            .because("data loader workers and NCCL share memory through it, and die of a bus error when it is full")
            .remedy(Remedy::Start(Change::Shm { bytes }))
            .level(self.wanted.shm.map(|_| Severity::Fail))
    }
}
