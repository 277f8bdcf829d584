//! The job around a start: found once, told in one row, and handed to the workload as variables.

use crate::check::{self, CheckContext, Status};
use crate::config::Settings;
use crate::engine;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Plan;
use crate::report::{Console, LogNode};
use protocol::handover::{OnHang, StopSignal, WorkloadKind};
use std::ffi::OsString;
use std::time::Duration;
use sys::environment::Environment;
use world::{Filled, Known, Scope, World};

/// The variables about the job, which the workload gets with this start's values or not at all.
const NODES: &str = "TRAINIT_NODES";
const NODE: &str = "TRAINIT_NODE";
const RANK: &str = "TRAINIT_RANK";
const SIZE: &str = "TRAINIT_SIZE";
const MASTER: &str = "TRAINIT_MASTER";

/// Finds the world of a start in train mode; other modes have none.
pub(super) fn find(context: &CheckContext, plan: &Plan) -> Option<World> {
    let command = &plan.command;
    (plan.kind == WorkloadKind::Train).then_some(())?;
    let gpus = || check::visible_gpus(&context.root);
    engine::world(&context.root, &context.environment, &context.settings, command, &gpus)
}

/// Makes the command start torchrun, if `launch` wants that and this process stands for a node.
pub(super) fn launch(world: Option<&World>, context: &mut CheckContext, plan: &mut Plan) {
    let is_node = world.is_some_and(|world| world.scope == Scope::Node);
    let launched = || engine::with_torchrun(&plan.command);
    if let Some(command) = (context.settings.launch.is_some() && is_node).then(launched).flatten() {
        context.command.clone_from(&command);
        plan.command = command;
    }
}

/// Refuses restarts in place where one process of several would start again alone, and the trainer's others would not wait for it.
///
/// # Errors
/// `restart.max` or `watchdog.action: restart` with such a trainer (78).
pub(super) fn restartable(world: Option<&World>, context: &CheckContext, command: &[OsString]) -> Result<()> {
    let settings = &context.settings;
    let hangs = settings.watchdog_action.value == OnHang::Restart;
    let key = if settings.restart_max.value > 0 { "restart.max" } else { "watchdog.action: restart" };
    let Some(world) = world.filter(|_| settings.restart_max.value > 0 || hangs) else { return Ok(()) };
    let several = world.several().is_some() || world.size.as_ref().is_some_and(|size| size.value > 1);
    let filled = engine::filled(world, &context.environment, settings, command);
    let Some(trainer) = filled.trainer.filter(|_| several && !filled.rejoins) else { return Ok(()) };
    let what = format!("{key} would start one process of several again, and the others would not meet it");
    let because = match trainer {
        "torchrun" => format!("{world}: torchrun's static rendezvous is made once"),
        _ => format!("{world}: the ranks meet once"),
    };
    let hint = "let the engine start the whole job again (docs/exit-codes.md); or torchrun --rdzv-backend=c10d";
    Err(Error::config(what).because(because).hint(hint))
}

/// The world and what the trainer gets of it.
pub(super) struct Cluster<'a> {
    world: Option<&'a World>,
    filled: Filled,
}

impl<'a> Cluster<'a> {
    /// Looks for the gaps in this environment.
    pub(super) fn new(
        world: Option<&'a World>,
        context: &CheckContext,
        environment: &Environment,
        command: &[OsString],
    ) -> Self {
        let filled = world.map(|world| engine::filled(world, environment, &context.settings, command));
        Cluster { world, filled: filled.unwrap_or_default() }
    }

    /// Returns the words of the row; `None` where there is no world.
    pub(super) fn words(&self) -> Option<String> {
        let world = self.world?;
        let names: Vec<&str> = self.filled.set.iter().map(|(name, _)| *name).collect();
        let missing = self.filled.missing.join(" ");
        Some(match (names.is_empty(), missing.is_empty()) {
            (false, _) => format!("{world}; {} set", names.join(" ")),
            (true, false) => format!("{world}; nothing is set, because nothing tells {missing}"),
            (true, true) => world.to_string(),
        })
    }

    /// Returns the warnings: each names two sources that contradict each other.
    pub(super) fn warnings(&self) -> Vec<Error> {
        let of_world = self.world.into_iter().flat_map(|world| &world.contradictions);
        let key = of_world.map(|line| warning(line, "the key is used: remove it where the engine is right"));
        let hint = "what is set stays, and nothing is filled in: set all of it or none of it";
        let set = self.filled.contradictions.iter().map(|line| warning(line, hint));
        key.chain(set).collect()
    }

    /// Writes the row and the warnings.
    pub(super) fn tell(&self, console: &mut Console) {
        self.words().iter().for_each(|words| console.row(Status::Ok, "world", words, Duration::ZERO));
        self.warnings().iter().for_each(|warning| console.warning(warning));
    }

    /// Adds the trainer's variables and trainit's own.
    pub(super) fn add_to(&self, environment: &mut Environment) {
        self.filled.set.iter().for_each(|(name, value)| environment.set_default(*name, value));
        for (name, value) in outputs(self.world) {
            match value {
                Some(value) => environment.set(name, value),
                None => environment.remove(name),
            }
        }
    }
}

/// Returns trainit's own variables; one without a value would be another start's.
fn outputs(world: Option<&World>) -> [(&'static str, Option<String>); 5] {
    let number = |known: fn(&World) -> &Option<Known<u32>>| Some(known(world?).as_ref()?.value.to_string());
    let master = || {
        // The ranks of a launcher choose the port by their own job.
        let world = world.filter(|world| world.scope != Scope::Launcher);
        let (master, port) = (world?.master.as_ref()?, world?.port.as_ref()?);
        let host = if master.value.contains(':') { format!("[{}]", master.value) } else { master.value.clone() };
        Some(format!("{host}:{}", port.value))
    };
    [
        (NODES, number(|world| &world.nodes)),
        (NODE, number(|world| &world.node)),
        (RANK, number(|world| &world.rank)),
        (SIZE, number(|world| &world.size)),
        (MASTER, master()),
    ]
}

fn warning(line: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Config, line.to_owned()).hint(hint)
}

/// Returns what a stop does to ranks on other pods, and how they get the time to save.
///
/// mpirun gives its ranks a second after a SIGTERM, and its ssh ends with it. It passes SIGUSR1 on and goes on itself (mpirun(1)).
pub(super) fn stop_note(world: Option<&World>, settings: &Settings) -> Option<String> {
    let launches = world?.scope == Scope::Launcher && settings.stop_signal.value == StopSignal::Same;
    launches.then(|| {
        "at a stop, mpirun ends its ranks before they could save: TRAINIT_STOP_SIGNAL=USR1 here, which mpirun passes on, and \
         TRAINIT_STOP_ON=USR1=stop in the workers"
            .to_owned()
    })
}

/// Returns what log lines say of this process, where others of the same job write into the same log.
pub(super) fn log_node(world: Option<&World>) -> LogNode {
    let above_one = |known: &Option<Known<u32>>| known.as_ref().is_some_and(|known| known.value > 1);
    let Some(world) = world.filter(|world| world.several().is_some() || above_one(&world.size)) else {
        return LogNode::default();
    };
    let is_not_first = |known: &Option<Known<u32>>| known.as_ref().is_some_and(|known| known.value > 0);
    let rank = world.rank.as_ref().filter(|_| world.scope == Scope::Process && !above_one_alone(world));
    let name = match rank {
        Some(rank) => format!("{} rank {}", world.name, rank.value),
        None => world.name.clone(),
    };
    let quiet = match world.scope {
        Scope::Node => is_not_first(&world.node),
        Scope::Process => is_not_first(&world.rank),
        Scope::Launcher | Scope::Batch => false,
    };
    LogNode { name: text::line(&name).into_owned(), quiet }
}

/// Returns whether this process is the only one of its node, whose name then tells enough.
fn above_one_alone(world: &World) -> bool {
    world.local_size.as_ref().is_some_and(|size| size.value == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;

    /// A step of three nodes with one task each.
    const STEP: [(&str, &str); 9] = [
        ("SLURM_JOB_ID", "4211"),
        ("SLURM_STEP_ID", "0"),
        ("SLURM_STEP_NODELIST", "n[1-3]"),
        ("SLURM_STEP_NUM_NODES", "3"),
        ("SLURM_STEP_NUM_TASKS", "3"),
        ("SLURM_STEP_TASKS_PER_NODE", "1(x3)"),
        ("SLURM_PROCID", "1"),
        ("SLURM_NODEID", "1"),
        ("SLURMD_NODENAME", "n2"),
    ];

    /// The row, the warnings and the variables of a start with this command.
    fn start(kind: WorkloadKind, line: &str, more: &[(&str, &str)]) -> (Option<String>, usize, Environment) {
        let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let environment: Environment = STEP.iter().chain(more).copied().collect();
        let context = CheckContext::of(Loaded::default(), environment.clone(), command.clone());
        let plan = Plan { kind, command: command.clone(), ..Plan::default() };
        let world = find(&context, &plan);
        let cluster = Cluster::new(world.as_ref(), &context, &environment, &command);
        let mut given = environment;
        cluster.add_to(&mut given);
        (cluster.words(), cluster.warnings().len(), given)
    }

    #[test]
    fn what_torchrun_lacks_is_told_and_given() {
        let (row, warnings, given) = start(WorkloadKind::Train, "torchrun x.py", &[("PET_MASTER_PORT", "5000")]);
        let row = row.unwrap();
        assert!(row.starts_with("slurm step: node 1 of 3 (n2)"), "{row}");
        assert!(row.ends_with(", master n1:5000; PET_NNODES PET_NODE_RANK PET_MASTER_ADDR set"), "{row}");
        let names =
            ["PET_NNODES", "PET_MASTER_PORT", "TRAINIT_NODES", "TRAINIT_NODE", "TRAINIT_MASTER", "TRAINIT_RANK"];
        let values = names.map(|name| given.text(name));
        assert_eq!(values, [Some("3"), Some("5000"), Some("3"), Some("1"), Some("n1:5000"), None]);
        assert_eq!(warnings, 0);
    }

    #[test]
    fn a_contradiction_is_one_warning_and_fills_nothing() {
        let (row, warnings, given) = start(WorkloadKind::Train, "torchrun x.py", &[("PET_NNODES", "2")]);
        assert!(!row.unwrap().contains(" set"));
        assert_eq!((warnings, given.text("PET_NODE_RANK")), (1, None));
    }

    #[test]
    fn a_build_mode_has_no_world_and_keeps_no_outer_one() {
        let (row, _, given) = start(WorkloadKind::Build, "bash", &[("TRAINIT_NODES", "9")]);
        assert_eq!((row, given.text("TRAINIT_NODES"), given.text("RANK")), (None, None, None));
    }

    #[test]
    fn one_of_several_starts_again_only_where_the_trainer_bears_it() {
        let refused = |line: &str, more: &[(&'static str, &'static str)], max: u32| {
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let mut loaded = Loaded::default();
            loaded.settings.restart_max.value = max;
            let environment: Environment = STEP.iter().chain(more).copied().collect();
            let context = CheckContext::of(loaded, environment, command.clone());
            let plan = Plan { command: command.clone(), ..Plan::default() };
            restartable(find(&context, &plan).as_ref(), &context, &command).is_err()
        };
        assert!(refused("torchrun x.py", &[], 3));
        assert!(refused("python x.py", &[], 3));
        assert!(!refused("torchrun x.py", &[], 0));
        assert!(!refused("torchrun --rdzv-backend=c10d x.py", &[], 3));
        assert!(!refused("torchrun x.py", &[("PET_RDZV_BACKEND", "c10d")], 3));
        assert!(!refused("torchrun --standalone x.py", &[], 3));
        assert!(!refused("ray start --block", &[], 3));
        assert!(!refused("accelerate launch x.py", &[], 3), "nothing is known of it");
    }

    #[test]
    fn one_node_of_a_job_writes_all_lines_and_each_names_its_node() {
        let node = |rank: &'static str, here: &'static str| {
            let variables = [("SLURM_PROCID", rank), ("SLURM_NODEID", "1"), ("SLURM_STEP_TASKS_PER_NODE", here)];
            let environment: Environment = variables.into_iter().chain(STEP).collect();
            let context = CheckContext::of(Loaded::default(), environment, vec!["python".into()]);
            let node = log_node(find(&context, &Plan::default()).as_ref());
            (node.name, node.quiet)
        };
        assert_eq!(node("1", "1(x3)"), ("n2".to_owned(), true));
        assert_eq!(node("5", "4(x3)"), ("n2 rank 5".to_owned(), true));
        assert_eq!(node("0", "4(x3)"), ("n2 rank 0".to_owned(), false));
    }
}
