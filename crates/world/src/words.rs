//! The world in one line of a log.

use crate::scope::Scope;
use crate::world::World;
use std::fmt;

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.words)?;
        match self.scope {
            Scope::Node => f.write_str(&self.node_words()),
            Scope::Process => f.write_str(&self.rank_words()),
            Scope::Launcher => write!(f, "the launcher{}, which is no rank", self.of_nodes()),
            Scope::Batch => write!(f, "the batch script's process{}, which is no rank", self.of_nodes()),
        }?;
        let several = self.several().is_some() || self.size.as_ref().is_some_and(|size| size.value > 1);
        match (self.scope, &self.master, &self.port) {
            (Scope::Node | Scope::Process, Some(master), Some(port)) if several => {
                write!(f, ", master {}:{}", master.value, port.value)
            }
            _ => Ok(()),
        }
    }
}

impl World {
    /// `node 1 of 3 (n2), 8 processes here`.
    fn node_words(&self) -> String {
        let processes = match self.local_size.as_ref().map(|size| size.value) {
            Some(1) => ", 1 process here".to_owned(),
            Some(size) => format!(", {size} processes here"),
            None => String::new(),
        };
        format!("{}{processes}", self.place())
    }

    /// `rank 3 of 8, node 1 of 2 (n2), 4 processes here`.
    fn rank_words(&self) -> String {
        let known = self.rank.as_ref().zip(self.size.as_ref());
        let rank = known.map(|(rank, size)| format!("rank {} of {}, ", rank.value, size.value));
        rank.unwrap_or_default() + &self.node_words()
    }

    /// `node 1 of 3 (n2)`, or `node n2` where only its name is known.
    fn place(&self) -> String {
        let node = self.node.as_ref().map_or(String::new(), |node| format!(" {}", node.value));
        let of = match (&self.nodes, &self.elastic) {
            (Some(nodes), _) => format!(" of {}", nodes.value),
            (None, Some(range)) => format!(" of {} to {}", range.value.0, range.value.1),
            (None, None) => String::new(),
        };
        match format!("{node}{of}") {
            number if number.is_empty() => format!("node {}", self.name),
            number => format!("node{number} ({})", self.name),
        }
    }

    fn of_nodes(&self) -> String {
        match self.nodes.as_ref().map(|nodes| nodes.value) {
            Some(1) => " of 1 node".to_owned(),
            Some(nodes) => format!(" of {nodes} nodes"),
            None => String::new(),
        }
    }
}
