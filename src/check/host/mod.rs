//! The resources that the machine gives a container. These checks read /proc, /sys, /dev and /etc and cannot hang; `scratch` checks the
//! directories for temporary files and caches.

mod interface;
mod limits;
mod network;
pub(super) mod scratch;
mod shm;

use super::rules::Rules;
use super::step::{CheckResult, Step, Target};
use super::task::CheckTask;
use super::{Check, CheckContext, FindingFacts, HostFacts, Transient};
use crate::config::{LockedMemory, OpenFiles, Severity, Size, Threads, ValueOrigin};
use crate::engine::{Cpus, Platform};
use gpu;
use protocol::exit_code::FailureFamily;
use shm::SharedMemory;
use std::cell::OnceCell;
use std::ffi::OsString;
use std::rc::Rc;
use sys::cgroup::{self, Limits};
use sys::environment::Environment;
use sys::{Root, limits as own};

/// The machine and its facts during the checks.
pub(super) struct HostTarget {
    root: Root,
    place: Platform,
    environment: Environment,
    command: Vec<OsString>,
    wanted: HostRequirements,
    limits: OnceCell<Limits>,
    shm: Option<SharedMemory>,
}

/// The requirements of the configuration.
#[derive(Clone, Copy, Debug, Default)]
struct HostRequirements {
    shm: Option<Size>,
    files: OpenFiles,
    locked: Option<LockedMemory>,
    /// Whether a variable or a key already sets the number of threads.
    threads_decided: bool,
}

const fn check(id: &'static str, about: &'static str, remedy: &'static str) -> Check {
    Check { id, family: FailureFamily::Host, severity: Severity::Warn, passing: Transient::Never, about, remedy }
}

/// Makes a step that no other step depends on.
const fn step(check: Check, ask: fn(&mut HostTarget) -> CheckResult) -> Step<HostTarget> {
    Step { check, base: false, ask }
}

/// The checks of this family in the order in which they run.
pub(super) const STEPS: &[Step<HostTarget>] = &[
    step(
        check(
            "host.shm",
            "at least 1 GiB of /dev/shm is free, or nearly; with `host.shm` at least that, also of memory, else the start fails",
            "`--shm-size=8g`, or `--ipc=host`",
        ),
        HostTarget::enough_shared_memory,
    ),
    step(
        check("host.memory", "beside GPUs there are at least 4 GiB of memory", "`--memory`"),
        HostTarget::enough_memory,
    ),
    step(
        check(
            "host.threads",
            "programs do not see four times the CPUs that they may use, unless OMP_NUM_THREADS is set",
            "`host.threads: auto`, or OMP_NUM_THREADS",
        ),
        HostTarget::as_many_threads_as_cpus,
    ),
    step(
        check(
            "host.nofile",
            "4096 files may be open at once; with `host.nofile` so many, else the start fails",
            "`--ulimit nofile=65536`",
        ),
        HostTarget::enough_files,
    ),
    step(
        check(
            "host.memlock",
            "without CAP_IPC_LOCK: with RDMA devices 1 GiB may be locked; with `host.memlock` so much, else the start fails",
            "`--ulimit memlock=-1`",
        ),
        HostTarget::enough_locked_memory,
    ),
    step(
        check(
            "host.rdma",
            "RDMA devices are there and may be opened, those of NCCL_IB_HCA, or where this check is set to `warn` or `fail`",
            "`--device=/dev/infiniband --cap-add IPC_LOCK`",
        ),
        HostTarget::rdma_devices,
    ),
    step(
        check(
            "host.interface",
            "with several GPUs or ranks: the interfaces of NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME are here",
            "name one that is here; `--network host`",
        ),
        HostTarget::named_interfaces,
    ),
    step(
        check("host.pids", "1000 more processes and threads may be started", "`--pids-limit`"),
        HostTarget::enough_processes,
    ),
    step(
        check(
            "host.hostname",
            "with several ranks: the host's own name can be resolved (set to `warn` or `fail`: it stands in /etc/hosts)",
            "`--hostname`, or `--add-host NAME:127.0.0.1`",
        ),
        HostTarget::own_name,
    ),
    step(
        check(
            "host.proxy",
            "with a proxy for HTTP: localhost is excepted, and both cases of a variable say the same",
            "`-e no_proxy=localhost,127.0.0.1`",
        ),
        HostTarget::proxy_spares_this_machine,
    ),
];

/// Plans one task: nothing in it can hang.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    CheckTask::of_machine(STEPS, rules, HostTarget::of(context, host_facts)).into_iter().collect()
}

/// Returns the number of threads and the CPUs of this container, if `host.threads` wants the workload, which gets this environment, to know
/// them.
pub fn threads(context: &CheckContext, environment: &Environment) -> Option<(u32, Cpus)> {
    let share = || cpus(&context.root, &cgroup::limits(&context.root), environment, &context.command);
    let cpus = (context.settings.host_threads.value != Threads::Off).then(share)?;
    Some((context.settings.host_threads.count(|| cpus.threads())?, cpus))
}

/// Returns the number of GPUs that this container sees, by their device files.
pub fn visible_gpus(root: &Root) -> u32 {
    u32::try_from(gpu::count(root, &gpu::names(root, "/dev"))).unwrap_or_default()
}

/// Returns the CPUs of this container and the number of processes that share them.
fn cpus(root: &Root, limits: &Limits, environment: &Environment, command: &[OsString]) -> Cpus {
    let gpus = || visible_gpus(root).max(1);
    Cpus::new(own::cpus().unwrap_or(1), limits, environment, command, gpus)
}

impl HostTarget {
    /// Takes the machine and the requirements; the checks ask for the facts.
    pub(super) fn of(context: &CheckContext, host_facts: &HostFacts) -> Self {
        let settings = &context.settings;
        let wanted = HostRequirements {
            shm: settings.host_shm.value,
            files: settings.host_nofile.value,
            locked: settings.host_memlock.value,
            threads_decided: settings.host_threads.origin != ValueOrigin::Default,
        };
        HostTarget {
            root: context.root.clone(),
            place: host_facts.platform(),
            environment: context.environment.clone(),
            command: context.command.clone(),
            wanted,
            limits: OnceCell::new(),
            shm: None,
        }
    }

    fn limits(&self) -> &Limits {
        self.limits.get_or_init(|| cgroup::limits(&self.root))
    }

    fn cpus(&self) -> Cpus {
        cpus(&self.root, self.limits(), &self.environment, &self.command)
    }

    /// Returns the usable memory: the smaller of the machine's and the control group's.
    fn memory(&self) -> Option<u64> {
        [own::machine_memory(), self.limits().memory].into_iter().flatten().min()
    }
}

impl Target for HostTarget {
    const MAIN: &'static str = "host.shm";

    fn name(&self) -> Option<String> {
        None
    }

    fn summary(&mut self) -> Option<String> {
        let shm = self.shm.map_or("without a limit".to_owned(), SharedMemory::described);
        let memory = self.memory().map(|memory| format!(", memory {}", text::size(memory))).unwrap_or_default();
        let cpus = self.cpus().millis.div_ceil(1000);
        Some(format!("/dev/shm {shm}{memory}, {}", text::count(cpus, "CPU")))
    }

    fn facts(&self) -> FindingFacts {
        let cpus = self.cpus();
        let limit = |kind| own::limit(kind).map(|limit| limit.soft);
        let facts = [
            ("shm_bytes", self.shm.map(|shm| shm.size)),
            ("shm_free_bytes", self.shm.map(|shm| shm.free)),
            ("memory_bytes", self.memory()),
            ("cpus_seen", Some(cpus.seen.into())),
            ("millicpus", Some(cpus.millis)),
            ("local_ranks", Some(cpus.ranks.into())),
            ("pids_left", self.limits().pids.map(|pids| pids.left)),
            ("nofile", limit(own::LimitedResource::Files)),
            ("memlock", limit(own::LimitedResource::LockedMemory).filter(|limit| *limit != own::UNLIMITED)),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
    }
}

#[cfg(test)]
mod tests;
