//! The number of CPUs that this container may use, and the number of processes of one job that share them.
//!
//! Programs that start one thread for each visible CPU get this wrong.

use super::launcher;
use std::ffi::OsString;
use sys::cgroup::Limits;
use sys::environment::Environment;
use world::Scope;

/// The usable CPUs, and the number of processes that share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus {
    /// Number of CPUs that programs see: those of the affinity mask.
    pub seen: u32,
    /// The limit of the control group or the scheduler, in thousandths of a CPU.
    pub millis: u64,
    /// Number of processes of this job on this machine.
    pub ranks: u32,
}

/// The variable with the number of ranks that torchrun is going to start on this node.
const TORCHRUN: &str = "PET_NPROC_PER_NODE";

/// Slurm's variables with the number of tasks on each node, which may be a list.
const SLURM: [&str; 2] = ["SLURM_NTASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE"];

/// Launchers, by program or module.
const LAUNCHERS: [&str; 8] = [
    "torchrun",
    "torch.distributed.run",
    "torch.distributed.launch",
    "accelerate",
    "accelerate.commands.launch",
    "deepspeed",
    "mpirun",
    "mpiexec",
];

/// The launchers' options for the number of processes on this node.
const OPTIONS: [&str; 9] = [
    "--nproc-per-node",
    "--nproc_per_node",
    "--num-processes",
    "--num_processes",
    "--num-gpus",
    "--num_gpus",
    "-np",
    "-n",
    "--n",
];

impl Cpus {
    /// Combines the kernel's limits, the surroundings and the command line; `gpus` counts the GPUs, where one rank is started for each.
    pub fn new(
        seen: u32,
        limits: &Limits,
        environment: &Environment,
        command: &[OsString],
        gpus: impl FnOnce() -> u32,
    ) -> Self {
        let seen = seen.max(1);
        let of_task = number(environment, "SLURM_CPUS_PER_TASK").map(|cpus| u64::from(cpus) * 1000);
        let millis = [Some(u64::from(seen) * 1000), limits.millicpus, of_task].into_iter().flatten().min();
        let launched = launched(command, gpus);
        // Slurm's CPUs belong to one task, and are not shared with the others.
        let slurm = SLURM.iter().filter(|_| of_task.is_none());
        let told = || ranks().chain(slurm).find_map(|name| number(environment, name));
        Cpus { seen, millis: millis.unwrap_or(1000), ranks: launched.or_else(told).unwrap_or(1).max(1) }
    }

    /// Returns the share of one rank: whole CPUs, at least one.
    pub fn threads(self) -> u32 {
        let share = self.millis / 1000 / u64::from(self.ranks.max(1));
        u32::try_from(share).unwrap_or(u32::MAX).max(1)
    }
}

/// Returns the variables with the number of ranks on this node, the most reliable first: torchrun's own, because it starts the ranks.
fn ranks() -> impl Iterator<Item = &'static &'static str> {
    let of_each_rank = world::TABLE.iter().filter(|row| row.scope == Scope::Process);
    std::iter::once(&TORCHRUN).chain(of_each_rank.flat_map(|row| row.local_size))
}

/// Parses a number; Slurm writes `4(x2)` for four on each of two nodes.
fn number(environment: &Environment, name: &str) -> Option<u32> {
    let text = environment.text(name)?;
    text.split('(').next()?.trim().parse().ok().filter(|number| *number > 0)
}

/// Returns the number of ranks that a launcher on the command line is going to start here.
fn launched(command: &[OsString], gpus: impl FnOnce() -> u32) -> Option<u32> {
    let at = launcher(command, &LAUNCHERS)?;
    let mut words =
        command.iter().skip(at + 1).map_while(|word| word.to_str()).take_while(|word| !word.ends_with(".py"));
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        if OPTIONS.contains(&name) {
            return match value.or_else(|| words.next())? {
                "gpu" | "auto" => Some(gpus()),
                number => number.parse().ok(),
            };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(millicpus: Option<u64>, variables: &[(&str, &str)], line: &str) -> Cpus {
        let command: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let limits = Limits { millicpus, ..Limits::default() };
        Cpus::new(128, &limits, &variables.iter().copied().collect(), &command, || 8)
    }

    #[test]
    fn each_rank_gets_its_share_of_what_may_be_used() {
        let threads = |millis, variables: &[(&str, &str)], line| cpus(millis, variables, line).threads();
        assert_eq!(threads(None, &[], "python train.py"), 128);
        assert_eq!(threads(Some(46_000), &[], "torchrun --nproc-per-node=8 train.py"), 5);
        assert_eq!(threads(Some(46_000), &[], "python -m torch.distributed.run --nproc_per_node gpu train.py"), 5);
        assert_eq!(threads(Some(8000), &[("LOCAL_WORLD_SIZE", "4")], "python train.py"), 2);
        assert_eq!(threads(Some(1500), &[], "python x.py"), 1);
        assert_eq!(threads(Some(500), &[("LOCAL_WORLD_SIZE", "8")], "python x.py"), 1);
        assert_eq!(threads(Some(8000), &[("PET_NPROC_PER_NODE", "2")], "torchrun train.py"), 4);
        assert_eq!(
            threads(Some(8000), &[], "torchrun train.py --nproc-per-node 4"),
            8,
            "that is the script's own option"
        );
    }

    #[test]
    fn slurm_gives_cpus_to_tasks_or_to_all_of_them() {
        let shared = [("SLURM_NTASKS_PER_NODE", "4(x2)")];
        assert_eq!(cpus(None, &shared, "python x.py").threads(), 32);
        let own = [("SLURM_NTASKS_PER_NODE", "4"), ("SLURM_CPUS_PER_TASK", "16")];
        assert_eq!(cpus(None, &own, "python x.py").threads(), 16);
        assert_eq!(cpus(None, &own, "torchrun --nproc-per-node 2 x.py").threads(), 8);
    }

    #[test]
    fn nonsense_is_one_rank() {
        let odd = [("LOCAL_WORLD_SIZE", "0"), ("SLURM_NTASKS_PER_NODE", "many")];
        assert_eq!(cpus(Some(4000), &odd, "torchrun --nproc-per-node many x.py").ranks, 1);
        assert_eq!(cpus(Some(0), &[("LOCAL_WORLD_SIZE", "4294967295")], "").threads(), 1);
    }
}
