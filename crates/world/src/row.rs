//! A row of the table of engines: by which variables an engine is known, and which of them tell what.

use crate::input::{Input, Variables};
use crate::known::Known;
use crate::scope::Scope;
use crate::world::World;
use std::str::FromStr;

/// The names of the variables that tell one fact; the first that is set and can be read counts.
pub(crate) type Names = &'static [&'static str];

/// An engine, or one of the ways in which it starts processes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The word of `cluster.engine`.
    pub engine: &'static str,
    /// The engine in words, for a line of the log.
    pub words: &'static str,
    /// What the engine is, for the documentation.
    pub about: &'static str,
    /// Variables that are all set where the engine started this process.
    pub marks: Names,
    /// Variables of which none is set there.
    pub without: Names,
    /// What the process stands for.
    pub scope: Scope,
    /// Number of nodes.
    pub nodes: Names,
    /// Index of this node.
    pub node: Names,
    /// Number of processes on this node.
    pub local_size: Names,
    /// Index of this process on this node.
    pub local: Names,
    /// Index of this process.
    pub rank: Names,
    /// Number of processes.
    pub size: Names,
    /// Host name or address of node 0, with or without a port.
    pub master: Names,
    /// The port on the master.
    pub port: Names,
    /// Number of earlier starts.
    pub attempt: Names,
    /// What tells this job from others.
    pub job: Names,
    /// The number by which `scontrol requeue` names the job.
    pub requeue: Names,
    /// How many of the numbers at the end of the host's name are 0 in that of the master; 0 where the name does not tell.
    pub zeros: usize,
    /// The port where no variable tells one; 0: by the job.
    pub default_port: u16,
    /// What no variable tells by itself. `false` where the process turns out to be none of this engine's.
    pub refine: fn(&mut World, &Input<'_>) -> bool,
}

impl Row {
    /// A row that tells nothing, from which the others are made.
    pub const NOTHING: Row = Row {
        engine: "",
        words: "",
        about: "",
        marks: &[],
        without: &[],
        scope: Scope::Node,
        nodes: &[],
        node: &[],
        local_size: &[],
        local: &[],
        rank: &[],
        size: &[],
        master: &[],
        port: &[],
        attempt: &[],
        job: &[],
        requeue: &[],
        zeros: 0,
        default_port: 0,
        refine: |_, _| true,
    };

    /// Reads the world that this engine tells; `None` where it did not start this process.
    pub(crate) fn read(&self, input: &Input<'_>) -> Option<World> {
        if !self.is_marked(input.variables) {
            return None;
        }
        let mut world = World { engine: self.engine, words: self.words, scope: self.scope, ..World::default() };
        input.host.clone_into(&mut world.name);
        (world.nodes, world.node) = (number(input, self.nodes), number(input, self.node));
        (world.local_size, world.local) = (number(input, self.local_size), number(input, self.local));
        (world.rank, world.size) = (number(input, self.rank), number(input, self.size));
        (world.attempt, world.job) = (number(input, self.attempt), text(input, self.job));
        world.port = number(input, self.port);
        text(input, self.master).into_iter().for_each(|master| world.take_address(master));
        (self.refine)(&mut world, input).then_some(world)
    }
}

impl Row {
    /// Returns whether the variables are those of this engine.
    pub(crate) fn is_marked(&self, variables: &dyn Variables) -> bool {
        let is_set = |name: &&str| variables.get(name).is_some();
        self.marks.iter().all(is_set) && !self.without.iter().any(is_set)
    }
}

/// Returns the first number that one of the variables holds.
pub(crate) fn number<T: FromStr>(input: &Input<'_>, names: Names) -> Option<Known<T>> {
    number_of(input.variables, names)
}

/// Does the same where nothing but the variables is at hand.
pub(crate) fn number_of<T: FromStr>(variables: &dyn Variables, names: Names) -> Option<Known<T>> {
    let read = |name: &&str| Some(Known::new(variables.get(name)?.trim().parse().ok()?, *name));
    names.iter().find_map(read)
}

/// Returns the first text that one of the variables holds.
pub(crate) fn text(input: &Input<'_>, names: Names) -> Option<Known<String>> {
    let read = |name: &&str| Some(Known::new(input.variables.get(name)?.trim().to_owned(), *name));
    names.iter().find_map(read).filter(|known| !known.value.is_empty())
}

impl World {
    /// Takes a master's address: `host`, `host:port` or `[address]:port`. A port that is known already stays.
    pub(crate) fn take_address(&mut self, address: Known<String>) {
        let (host, port) = address_parts(&address.value);
        if host.is_empty() {
            return;
        }
        if let Some(port) = port.filter(|_| self.port.is_none()) {
            self.port = Some(Known::new(port, address.from.clone()));
        }
        self.master = Some(Known::new(host.to_owned(), address.from));
    }
}

/// Splits an address into host and port. A bare IPv6 address has colons, but no port.
fn address_parts(address: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        for (text, parts) in [
            ("n1", ("n1", None)),
            ("n1:29500", ("n1", Some(29500))),
            ("[fd00::1]:7777", ("fd00::1", Some(7777))),
            ("[fd00::1]", ("fd00::1", None)),
            ("fd00::1", ("fd00::1", None)),
            ("n1:port", ("n1", None)),
            (":1", ("", Some(1))),
        ] {
            assert_eq!(address_parts(text), parts, "{text}");
        }
    }
}
