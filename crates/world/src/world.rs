//! The job around this process: how many nodes and ranks it has, which of them this is, and where its master is.

use crate::known::Known;
use crate::scope::Scope;

/// The job around this process. What neither the engine nor the configuration tells is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// The engine's word, as `cluster.engine` takes it.
    pub engine: &'static str,
    /// The engine in words: `slurm step`.
    pub words: &'static str,
    /// What this process stands for.
    pub scope: Scope,
    /// Number of nodes, where it is fixed.
    pub nodes: Option<Known<u32>>,
    /// The least and the greatest number of nodes of an elastic job; `nodes` is `None` then.
    pub elastic: Option<Known<(u32, u32)>>,
    /// Index of this node, from 0.
    pub node: Option<Known<u32>>,
    /// The name of this node.
    pub name: String,
    /// Number of processes on this node: those that the engine started, or in the scope of a node those that it wants started.
    pub local_size: Option<Known<u32>>,
    /// Index of this process among those that the engine started on this node.
    pub local: Option<Known<u32>>,
    /// Index of this process among all that the engine started, where it is a rank.
    pub rank: Option<Known<u32>>,
    /// Number of all ranks that the engine started.
    pub size: Option<Known<u32>>,
    /// Host name or address of node 0.
    pub master: Option<Known<String>>,
    /// The port of the rendezvous on the master.
    pub port: Option<Known<u16>>,
    /// Number of the earlier starts of this job, by the engine's count.
    pub attempt: Option<Known<u32>>,
    /// What tells this job from every other: a number, a name, or a long random word.
    pub job: Option<Known<String>>,
    /// Pairs of sources that contradict each other, as sentences.
    pub contradictions: Vec<String>,
}

impl World {
    /// Returns the least number of nodes where it is above one, with its origin. A range counts by its end.
    pub fn several(&self) -> Option<Known<u32>> {
        let number = |known: &Option<Known<u32>>| known.as_ref().map(|known| (known.value, known.from.clone()));
        let greatest = || self.elastic.as_ref().map(|range| (range.value.1, range.from.clone()));
        // More ranks than there are here are on another node, and a node's index counts those before it.
        let ranks = || {
            let here = number(&self.local_size).filter(|_| self.scope == Scope::Process)?.0;
            number(&self.size).map(|(all, from)| (all.div_ceil(here.max(1)), from))
        };
        let index = || number(&self.node).map(|(node, from)| (node.saturating_add(1), from));
        let (least, from) = number(&self.nodes).or_else(greatest).or_else(ranks).or_else(index)?;
        (least > 1).then(|| Known::new(least, from))
    }

    /// Makes the only process of a node stand for the node: its index among such processes is no rank of the trainer's.
    pub(crate) fn become_node(&mut self) {
        self.scope = Scope::Node;
        (self.local_size, self.local, self.rank, self.size) = (None, None, None, None);
    }

    /// Returns whether this process is to speak for its node: it is the node, or the first of the node's ranks.
    pub fn speaks_for_node(&self) -> bool {
        match self.scope {
            Scope::Node => true,
            Scope::Process => self.local.as_ref().is_none_or(|local| local.value == 0),
            Scope::Launcher | Scope::Batch => false,
        }
    }
}
