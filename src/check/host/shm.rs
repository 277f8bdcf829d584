//! Shared memory, which is 64 MiB by Docker's default.

use super::HostTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use crate::config::Severity;
use nix::errno::Errno;

/// Size below which a data loader with a few workers, or NCCL, runs out of shared memory.
const LITTLE: u64 = 1 << 30;
/// The recommended size if nothing else is known.
const ADVISED: u64 = 8 << 30;

impl HostTarget {
    pub(super) fn enough_shared_memory(&mut self) -> CheckResult {
        match nix::sys::statvfs::statvfs(&self.root.path("/dev/shm")) {
            Ok(stat) => self.shm = Some(stat.blocks().saturating_mul(stat.fragment_size())),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return self.little("/dev/shm does not exist".to_owned()).found(),
            Err(_) => return Ok(()),
        }
        self.judge_shared_memory()
    }

    /// Judges the size. A size of zero is a tmpfs without a limit.
    pub(super) fn judge_shared_memory(&self) -> CheckResult {
        let Some(size) = self.shm.filter(|size| *size > 0) else { return Ok(()) };
        match self.wanted.shm {
            Some(minimum) if size < minimum.0 => self
                .little(format!("/dev/shm is {}, host.shm asks for {}", text::size(size), text::size(minimum.0)))
                .found(),
            None if size < LITTLE => self.little(format!("/dev/shm is {}", text::size(size))).found(),
            _ => Ok(()),
        }
    }

    fn little(&self, what: String) -> Failure {
        let bytes = self.wanted.shm.map_or(ADVISED, |minimum| minimum.0);
        let remedy = match self.place.is_container() {
            true => Remedy::Start(Change::Shm { bytes }),
            false => Remedy::Do(format!("mount -o remount,size={bytes} /dev/shm")),
        };
        Failure::new(what)
            .because("data loader workers and NCCL share memory through it, and die of a bus error when it is full")
            .remedy(remedy)
            .level(self.wanted.shm.map(|_| Severity::Fail))
    }
}
