//! Fills the gaps in what a trainer reads: nothing that is set is changed, and a set that contradicts the world is left alone.

use super::wanted::{Asked, Wanted};
use super::{jax, mpirun, ranks, torchrun};
use crate::input::{CommandKind, Variables};
use crate::scope::Scope;
use crate::world::World;

/// A trainer.
pub struct Trainer {
    /// The word of `cluster.trainer`.
    pub word: &'static str,
    /// The choice that the word stands for.
    pub choice: TrainerChoice,
    /// What is meant, for the documentation.
    pub about: &'static str,
    /// Returns the variables that it wants.
    wanted: fn(&World, &Asked<'_>) -> Vec<Wanted>,
    /// Returns whether a process that starts again alone finds the others again.
    rejoins: fn(&World, &Asked<'_>) -> bool,
}

/// The trainers.
pub static TRAINERS: [Trainer; 4] = [
    Trainer {
        word: "torchrun",
        choice: TrainerChoice::Torchrun,
        about: "torchrun on each node (`PET_…`)",
        wanted: torchrun::wanted,
        rejoins: torchrun::rejoins,
    },
    Trainer {
        word: "ranks",
        choice: TrainerChoice::Ranks,
        about: "a process for each rank: DDP, Lightning, accelerate, DeepSpeed without launchers (`RANK` …)",
        wanted: ranks::wanted,
        rejoins: |_, _| false,
    },
    Trainer {
        word: "jax",
        choice: TrainerChoice::Jax,
        about: "JAX (`JAX_COORDINATOR_ADDRESS`)",
        wanted: jax::wanted,
        rejoins: |_, _| false,
    },
    Trainer {
        word: "ray",
        choice: TrainerChoice::Ray,
        about: "Ray, which makes its ranks itself: nothing is set",
        wanted: |_, _| Vec::new(),
        rejoins: |_, _| true,
    },
];

/// What starts the ranks of an MPIJob, which no key names.
static MPIRUN: Trainer = Trainer {
    word: "mpirun",
    choice: TrainerChoice::Auto,
    about: "the launcher of an MPIJob",
    wanted: mpirun::wanted,
    rejoins: |_, _| true,
};

/// The trainer that the configuration names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrainerChoice {
    /// By the command and the scope.
    #[default]
    Auto,
    /// torchrun.
    Torchrun,
    /// A process for each rank.
    Ranks,
    /// JAX.
    Jax,
    /// Ray.
    Ray,
    /// None: no variable is set.
    Off,
}

/// What came of filling the gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The trainer's word; `None` where there is none to be told.
    pub trainer: Option<&'static str>,
    /// The variables to set, with their values.
    pub set: Vec<(&'static str, String)>,
    /// What is set but contradicts the world, as sentences.
    pub contradictions: Vec<String>,
    /// A process that starts again alone finds the others again.
    pub rejoins: bool,
    /// The needed variables that neither the environment nor the world tells.
    pub missing: Vec<&'static str>,
}

/// Finds the variables that the trainer lacks. `options` are the launcher's own, before the script.
pub fn fill(
    world: &World,
    choice: TrainerChoice,
    command: CommandKind,
    variables: &dyn Variables,
    options: &[String],
    launches: bool,
) -> Filled {
    let Some(trainer) = trainer(world, choice, command, launches) else {
        return Filled { rejoins: true, ..Filled::default() };
    };
    let asked = Asked { variables, options, launches };
    let wanted = (trainer.wanted)(world, &asked);
    let contradictions: Vec<String> = wanted.iter().filter_map(|wanted| wanted.contradiction(&asked)).collect();
    let gaps = || wanted.iter().filter(|wanted| wanted.set(&asked).is_none());
    let missing: Vec<&str> = gaps().filter(|gap| gap.value.is_none() && !gap.optional).map(|gap| gap.name).collect();
    // Where an engine tells all that is needed, the rest is left as the engine or the trainer wants it.
    let lacks = launches || gaps().any(|gap| !gap.optional);
    let set = match lacks && contradictions.is_empty() && missing.is_empty() {
        true => gaps().filter_map(|gap| Some((gap.name, gap.value.as_ref()?.value.clone()))).collect(),
        false => Vec::new(),
    };
    Filled { trainer: Some(trainer.word), set, contradictions, rejoins: (trainer.rejoins)(world, &asked), missing }
}

/// Chooses the trainer. A batch script's process gets none, and a launcher what starts its ranks.
fn trainer(world: &World, choice: TrainerChoice, command: CommandKind, launches: bool) -> Option<&'static Trainer> {
    let choice = match choice {
        TrainerChoice::Off => return None,
        _ if world.scope == Scope::Launcher => return Some(&MPIRUN),
        _ if world.scope == Scope::Batch => return None,
        TrainerChoice::Auto => automatic(world, command, launches)?,
        choice => choice,
    };
    TRAINERS.iter().find(|trainer| trainer.choice == choice)
}

/// Chooses by the command and the scope.
fn automatic(world: &World, command: CommandKind, launches: bool) -> Option<TrainerChoice> {
    match (command, world.scope) {
        (CommandKind::Ray, _) => Some(TrainerChoice::Ray),
        (CommandKind::Torchrun, _) => Some(TrainerChoice::Torchrun),
        (CommandKind::Launcher, _) => None,
        (CommandKind::Other, Scope::Node) if launches => Some(TrainerChoice::Torchrun),
        (CommandKind::Other, Scope::Node) => (world.engine == "jaxjob").then_some(TrainerChoice::Jax),
        (CommandKind::Other, Scope::Process) => Some(TrainerChoice::Ranks),
        (CommandKind::Other, Scope::Launcher | Scope::Batch) => None,
    }
}
