//! What the world is found from: variables, keys, files, the host's name and the command line, all of them given by the caller.

use crate::known::Known;

/// The variables of the process.
pub trait Variables {
    /// Returns a variable's value; `None` where it is not set, is empty or is no UTF-8.
    fn get(&self, name: &str) -> Option<&str>;

    /// Returns the names of all variables that are UTF-8.
    fn names(&self) -> Vec<&str>;
}

impl Variables for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// What the command of the workload starts, behind wrappers and interpreters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommandKind {
    /// torchrun, by any of its names.
    Torchrun,
    /// Another launcher of ranks: accelerate, deepspeed, mpirun.
    Launcher,
    /// Ray's own command.
    Ray,
    /// Anything else.
    #[default]
    Other,
}

impl CommandKind {
    /// Returns whether the command starts ranks itself.
    pub fn starts_ranks(self) -> bool {
        matches!(self, CommandKind::Torchrun | CommandKind::Launcher)
    }
}

/// The engine that the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The first engine whose marks are there.
    #[default]
    Auto,
    /// No engine: there is no world.
    Off,
    /// The engine of this name.
    Named(String),
}

/// What the configuration says of the job (`cluster.…`), each with its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `cluster.engine`.
    pub engine: EngineChoice,
    /// `cluster.nodes`.
    pub nodes: Option<Known<u32>>,
    /// `cluster.node`.
    pub node: Option<Known<u32>>,
    /// `cluster.processes`: processes on each node.
    pub processes: Option<Known<u32>>,
    /// `cluster.master`: a host name or an address.
    pub master: Option<Known<String>>,
    /// `cluster.port`.
    pub port: Option<Known<u16>>,
    /// The command is going to start the ranks of its node, because `launch` says so.
    pub launches: bool,
}

/// Everything that the world is found from.
pub struct Input<'a> {
    /// The variables.
    pub variables: &'a dyn Variables,
    /// Returns the bytes of a file that an engine writes, at most 1 MiB; `None` where there is none.
    pub file: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// What the configuration says.
    pub given: &'a Given,
    /// The name of the host, as uname(2) tells it.
    pub host: &'a str,
    /// The domain of the host's full name, by /etc/hosts; empty where there is none.
    pub domain: &'a str,
    /// The ports from which the kernel takes those of outgoing connections (ip_local_port_range), first and last.
    pub ephemeral: (u16, u16),
    /// What the command of the workload starts.
    pub command: CommandKind,
    /// Returns the number of GPUs that the workload sees; asked only where it starts the ranks of several nodes.
    pub gpus: &'a dyn Fn() -> u32,
}
