//! Finds the world: the engine's facts first, then what is set for the trainer already, and over both what the configuration says.

use crate::engine::master_of;
use crate::input::{EngineChoice, Given, Input, Variables};
use crate::known::Known;
use crate::port;
use crate::row::{Row, number, text};
use crate::scope::Scope;
use crate::table::TABLE;
use crate::world::World;
use std::fmt::Display;

/// Variables with the master's address and port that trainers read, set by an engine or by a user.
const MASTERS: &[&str] = &["PET_MASTER_ADDR", "MASTER_ADDR"];
const PORTS: &[&str] = &["PET_MASTER_PORT", "MASTER_PORT"];

impl World {
    /// Returns whether an engine or a key may tell of a world, by the names of variables alone.
    pub fn may_be(variables: &dyn Variables, given: &Given) -> bool {
        let marked = |row: &Row| row.is_marked(variables);
        given.engine != EngineChoice::Off && (given.nodes.is_some() || given.launches || TABLE.iter().any(marked))
    }

    /// Finds the world of this process; `None` where no engine tells of one and no key does, or where `cluster.engine` is off.
    pub fn of(input: &Input<'_>) -> Option<World> {
        let may_be = |row: &&Row| match &input.given.engine {
            EngineChoice::Auto => true,
            EngineChoice::Off => false,
            EngineChoice::Named(name) => row.engine == name,
        };
        let found = TABLE.iter().filter(may_be).find_map(|row| Some((row, row.read(input)?)));
        let (row, mut world) = found.or_else(|| Some((&Row::NOTHING, by_keys(input)?)))?;
        world.name_node(input);
        if world.master.is_none() && row.zeros > 0 {
            world.master = master_of(input, row.zeros);
        }
        world.take_what_is_set(input);
        world.take(input.given);
        world.complete(row, input);
        Some(world)
    }

    /// One process on a node that starts the ranks of the node is the node, whatever started it.
    fn name_node(&mut self, input: &Input<'_>) {
        let alone = self.scope == Scope::Process && self.local_size.as_ref().is_some_and(|size| size.value == 1);
        if alone && (input.given.launches || input.command.starts_ranks()) && self.nodes.is_none() {
            (self.nodes, self.node) = (self.size.clone(), self.rank.clone());
            self.become_node();
        }
    }

    /// A master that is set is the one that the trainer is going to use.
    fn take_what_is_set(&mut self, input: &Input<'_>) {
        if matches!(self.scope, Scope::Launcher | Scope::Batch) {
            return;
        }
        // An image's own `localhost` is no master of several nodes; the trainer's set tells the contradiction.
        let is_usable = |set: &Known<String>| {
            !is_loopback(&set.value)
                || self.several().is_none()
                || self.master.as_ref().is_none_or(|told| is_loopback(&told.value))
        };
        if let Some(set) = text(input, MASTERS).filter(is_usable) {
            self.take_address(set);
        }
        self.port = number(input, PORTS).or_else(|| self.port.take());
    }

    /// Takes what the configuration says; where the engine says something else, both origins are told.
    fn take(&mut self, given: &Given) {
        let World { nodes, node, local_size, master, port, contradictions, .. } = self;
        let mut differ =
            |what: &str, told: Option<String>| contradictions.extend(told.map(|told| format!("{what} {told}")));
        differ("the number of nodes is", replace(nodes, given.nodes.as_ref()));
        differ("the node is", replace(node, given.node.as_ref()));
        differ("the number of processes is", replace(local_size, given.processes.as_ref()));
        differ("the master is", replace(master, given.master.as_ref()));
        differ("the port is", replace(port, given.port.as_ref()));
    }

    /// Adds what follows from the rest: one node, GPUs as processes, and a port.
    fn complete(&mut self, row: &Row, input: &Input<'_>) {
        let (all, here) = (self.size.as_ref(), self.local_size.as_ref());
        let on_one = self.scope == Scope::Process && all.zip(here).is_some_and(|(all, here)| all.value == here.value);
        if on_one && self.nodes.is_none() {
            let from = self.size.as_ref().map(|size| size.from.clone()).unwrap_or_default();
            (self.nodes, self.node) = (Some(Known::new(1, from.clone())), Some(Known::new(0, from)));
        }
        if self.nodes.as_ref().is_some_and(|nodes| nodes.value == 1) && self.master.is_none() {
            self.master = Some(Known::new("127.0.0.1".to_owned(), "there is one node"));
        }
        let starts = self.scope == Scope::Node && (input.given.launches || input.command.starts_ranks());
        if starts && self.local_size.is_none() {
            let gpus = Some((input.gpus)()).filter(|gpus| *gpus > 0);
            self.local_size = gpus.map(|gpus| Known::new(gpus, "its GPUs"));
        }
        if self.port.is_none() {
            let by_job = || self.job.as_ref().map(|job| port::of_job(job, input.ephemeral));
            let fixed =
                Some(row.default_port).filter(|port| *port > 0).map(|port| Known::new(port, "the engine's custom"));
            self.port = fixed.or_else(by_job).or(Some(Known::new(port::USUAL, "torchrun's default")));
        }
    }
}

/// Makes the world of a job that only the configuration tells, or of one machine whose ranks are to be started.
fn by_keys(input: &Input<'_>) -> Option<World> {
    if input.given.engine != EngineChoice::Auto {
        return None;
    }
    let mut world = match (&input.given.nodes, input.given.launches) {
        (Some(_), _) => World { engine: "none", words: "by cluster.nodes", ..World::default() },
        (None, true) => {
            let (nodes, node) = (Some(Known::new(1, "launch")), Some(Known::new(0, "launch")));
            World { engine: "none", words: "one machine", nodes, node, ..World::default() }
        }
        (None, false) => return None,
    };
    input.host.clone_into(&mut world.name);
    Some(world)
}

/// Returns whether an address is this machine's own.
pub(crate) fn is_loopback(address: &str) -> bool {
    address == "localhost" || address == "::1" || address.starts_with("127.")
}

/// Replaces a fact by a key's; says so where the two differ.
fn replace<T: Clone + PartialEq + Display>(fact: &mut Option<Known<T>>, given: Option<&Known<T>>) -> Option<String> {
    let given = given?;
    let before = fact.replace(given.clone()).filter(|before| before.value != given.value)?;
    Some(format!("{before}, but {given}"))
}
