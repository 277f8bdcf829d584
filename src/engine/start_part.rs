//! One thing about how a container is started: what it was given, and what a check wants to be changed. `report` knows how Docker,
//! Compose and Kubernetes write it.

use serde::{Deserialize, Serialize};

/// One thing about how a container is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartPart {
    /// Something from outside is mounted; from where is for a person to say.
    Mount {
        /// Where in the container.
        target: String,
        /// Nothing may be written through it.
        read_only: bool,
    },
    /// A directory of the host, or a volume, is mounted.
    Bind {
        /// A path on the host, or a volume's name.
        source: String,
        /// Where in the container.
        target: String,
        /// Nothing may be written through it.
        read_only: bool,
    },
    /// Memory is mounted.
    Tmpfs {
        /// Where in the container.
        target: String,
        /// Its size; none: without a limit.
        bytes: Option<u64>,
    },
    /// It has GPUs.
    Gpus {
        /// So many; none: all.
        count: Option<u32>,
    },
    /// It has these GPUs: numbers or UUIDs, with commas between.
    GpuIds(String),
    /// It has a device of the host's.
    Device(String),
    /// Its user is in a group more.
    GroupAdd(u32),
    /// /dev/shm has a size.
    Shm {
        /// In bytes.
        bytes: u64,
    },
    /// /dev/shm is the host's.
    HostIpc,
    /// It runs as this user.
    User {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
    /// A limit of setrlimit(2); none: without one.
    Ulimit {
        /// As Docker calls it: `memlock`.
        name: String,
        /// Both the soft and the hard one.
        limit: Option<u64>,
    },
    /// It has all rights.
    Privileged,
    /// It has a capability more (`SYS_PTRACE`).
    CapAdd(String),
    /// It has one less, or none at all (`ALL`).
    CapDrop(String),
    /// No program in it can get more rights than its caller.
    NoNewPrivileges,
    /// Its image cannot be written.
    ReadOnlyRoot,
    /// It has a terminal.
    Terminal,
    /// Its name in the network.
    Hostname(String),
    /// The directory it starts in.
    Workdir(String),
    /// A variable; without a value, because that is a secret, it is taken from who starts it.
    Env {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
}

impl StartPart {
    /// What there can be only one of: a part with the same slot takes another's place.
    pub fn slot(&self) -> (&'static str, &str) {
        match self {
            StartPart::Mount { target, .. } | StartPart::Bind { target, .. } | StartPart::Tmpfs { target, .. } => {
                ("mount", target)
            }
            StartPart::Gpus { .. } | StartPart::GpuIds(_) => ("gpus", ""),
            StartPart::Device(path) => ("device", path),
            StartPart::GroupAdd(_) => ("group", ""),
            StartPart::Shm { .. } | StartPart::HostIpc => ("shm", ""),
            StartPart::User { .. } => ("user", ""),
            StartPart::Ulimit { name, .. } => ("ulimit", name),
            StartPart::Privileged => ("privileged", ""),
            StartPart::CapAdd(name) | StartPart::CapDrop(name) => ("capability", name),
            StartPart::NoNewPrivileges => ("no_new_privileges", ""),
            StartPart::ReadOnlyRoot => ("read_only_root", ""),
            StartPart::Terminal => ("terminal", ""),
            StartPart::Hostname(_) => ("hostname", ""),
            StartPart::Workdir(_) => ("workdir", ""),
            StartPart::Env { name, .. } => ("env", name),
        }
    }

    /// This part when a check wants `change` instead. Where only the right to write was wrong, the source stays what it was.
    fn changed(&self, change: &StartPart) -> StartPart {
        match (self, change) {
            (StartPart::Bind { source, read_only: before, .. }, StartPart::Mount { target, read_only })
                if before != read_only =>
            {
                StartPart::Bind { source: source.clone(), target: target.clone(), read_only: *read_only }
            }
            _ => change.clone(),
        }
    }
}

/// A start with these changes made to it.
pub fn corrected<'a>(parts: &[StartPart], changes: impl IntoIterator<Item = &'a StartPart>) -> Vec<StartPart> {
    let mut parts = parts.to_vec();
    for change in changes {
        match parts.iter_mut().find(|part| part.slot() == change.slot()) {
            Some(part) => *part = part.changed(change),
            None => parts.push(change.clone()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, read_only: bool) -> StartPart {
        StartPart::Bind { source: source.into(), target: "/data".into(), read_only }
    }

    #[test]
    fn a_source_stays_when_only_the_right_to_write_was_wrong() {
        let mount = |read_only| StartPart::Mount { target: "/data".into(), read_only };
        assert_eq!(corrected(&[bind("/srv", false)], &[mount(true)]), [bind("/srv", true)]);
        assert_eq!(corrected(&[bind("/misspelled", true)], &[mount(true)]), [mount(true)]);
    }

    #[test]
    fn what_is_new_comes_last_and_replaces_its_like() {
        let (little, much) = (StartPart::Shm { bytes: 1 }, StartPart::Shm { bytes: 2 });
        let parts =
            corrected(&[little, StartPart::Terminal], &[much.clone(), StartPart::Gpus { count: None }, much.clone()]);
        assert_eq!(parts, [much, StartPart::Terminal, StartPart::Gpus { count: None }]);
    }
}
