//! Limits of the control group and of setrlimit(2) that a training hits hours later, with misleading errors.

use super::HostTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use crate::config::{LockedMemory, OpenFiles, Severity};
use crate::engine::launcher;
use gpu;
use sys::limits::{LimitedResource, UNLIMITED, limit};

/// Memory that a process needs for a GPU before it has loaded any data.
const LITTLE_MEMORY: u64 = 4 << 30;
/// Hard limit of open files below which a data loader with a few workers fails.
const FEW_FILES: u64 = 4096;
/// The recommended limit of open files.
const FILES: u64 = 65536;
/// Limit of locked memory below which RDMA buffers of a larger job cannot be registered.
const LITTLE_LOCKED: u64 = 1 << 30;
/// Number of processes that workers and their threads use up.
const FEW_PIDS: u64 = 1000;
/// Ratio of visible to usable CPUs above which the surplus threads cost much time.
const MANY_TIMES: u64 = 4;

impl HostTarget {
    pub(super) fn enough_memory(&mut self) -> CheckResult {
        let Some(memory) = self.memory().filter(|memory| *memory < LITTLE_MEMORY) else { return Ok(()) };
        let gpus = gpu::count(&self.root, &gpu::names(&self.root, "/dev")) as u64;
        if gpus == 0 {
            return Ok(());
        }
        Failure::new(format!("{} of memory beside {}", text::size(memory), text::count(gpus, "GPU")))
            .because("a training process needs more, and is killed by the kernel when it is used up")
            .remedy(Remedy::Start(Change::Memory { bytes: 64 << 30 }))
            .found()
    }

    /// torchrun sets OMP_NUM_THREADS itself.
    pub(super) fn as_many_threads_as_cpus(&mut self) -> CheckResult {
        let told = self.environment.get("OMP_NUM_THREADS").is_some() || self.wanted.threads_decided;
        let cpus = self.cpus();
        let much = u64::from(cpus.seen) * 1000 >= cpus.millis.saturating_mul(MANY_TIMES);
        if told || !much || launcher(&self.command, &["torchrun", "torch.distributed.run"]).is_some() {
            return Ok(());
        }
        let may = cpus.millis as f64 / 1000.0;
        let set = format!("host.threads: auto (TRAINIT_HOST_THREADS=auto), or OMP_NUM_THREADS={}", cpus.threads());
        Failure::new(format!("the time of {may} CPUs may be used, but programs see {}", cpus.seen))
            .because("OpenMP, MKL and NumPy start a thread for each CPU they see, and then wait for each other")
            .advice(set)
            .found()
    }

    pub(super) fn enough_files(&mut self) -> CheckResult {
        let Some(now) = limit(LimitedResource::Files) else { return Ok(()) };
        let (wanted, level) = match self.wanted.files {
            OpenFiles::AtLeast(count) => (u64::from(count), Some(Severity::Fail)),
            OpenFiles::Auto | OpenFiles::Inherited => (FEW_FILES, None),
        };
        if now.hard >= wanted {
            return Ok(());
        }
        let asked = level.map_or(String::new(), |_| format!(", host.nofile asks for {wanted}"));
        Failure::new(format!("at most {} files may be open at once{asked}", now.hard))
            .because("data loader workers hand tensors over as open files: `Too many open files`, `received 0 items of ancdata`")
            .remedy(ulimit("nofile", Some(if level.is_some() { wanted } else { FILES })))
            .level(level)
            .found()
    }

    pub(super) fn enough_locked_memory(&mut self) -> CheckResult {
        let Some(now) = limit(LimitedResource::LockedMemory) else { return Ok(()) };
        let wanted = self.wanted.locked.map(LockedMemory::bytes);
        if self.may_lock_all() || wanted.is_none() && self.rdma_nodes().is_empty() {
            return Ok(());
        }
        // A configured limit is also raised, up to the hard limit.
        let reached = if wanted.is_some() { now.hard } else { now.soft };
        if reached >= wanted.unwrap_or(LITTLE_LOCKED) {
            return Ok(());
        }
        let asked = match self.wanted.locked {
            None => String::new(),
            Some(LockedMemory::Unlimited) => ", host.memlock asks for all there is".to_owned(),
            Some(LockedMemory::AtLeast(size)) => format!(", host.memlock asks for {}", text::size(size.0)),
        };
        Failure::new(format!("{} of memory may be locked{asked}", text::size(reached)))
            .because("RDMA locks its buffers: `ibv_reg_mr failed with error Cannot allocate memory`")
            .remedy(ulimit("memlock", wanted.filter(|wanted| *wanted != UNLIMITED)))
            .level(wanted.map(|_| Severity::Fail))
            .found()
    }

    /// Returns whether the process has CAP_IPC_LOCK, so that the limit of locked memory does not apply.
    fn may_lock_all(&self) -> bool {
        const IPC_LOCK: u64 = 1 << 14;
        let status = self.root.text("/proc/self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set & IPC_LOCK != 0)
    }

    pub(super) fn enough_processes(&mut self) -> CheckResult {
        let Some(pids) = self.limits().pids.filter(|pids| pids.left < FEW_PIDS) else { return Ok(()) };
        Failure::new(format!("only {} more processes and threads may be started (limit {})", pids.left, pids.max))
            .because("each data loader worker and each of its threads counts: `Resource temporarily unavailable`")
            .remedy(Remedy::Start(Change::Pids(16384)))
            .found()
    }
}

/// Suggests a limit of setrlimit(2).
fn ulimit(name: &str, limit: Option<u64>) -> Remedy {
    Remedy::Start(Change::Ulimit { name: name.to_owned(), limit })
}
