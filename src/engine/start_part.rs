//! One part of a container's start: a given setting, or a change that a check wants.
//!
//! `report` knows how Docker, Compose and Kubernetes write each part.

use serde::{Deserialize, Serialize};

/// One part of a container's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartPart {
    /// A mount from outside, whose source the person has to fill in.
    Mount {
        /// The path in the container.
        target: String,
        /// The mount is read-only.
        read_only: bool,
    },
    /// A mount of a host directory or of a volume.
    Bind {
        /// The path on the host, or the volume's name.
        source: String,
        /// The path in the container.
        target: String,
        /// The mount is read-only.
        read_only: bool,
    },
    /// A mount of memory.
    Tmpfs {
        /// The path in the container.
        target: String,
        /// The size; `None` means without a limit.
        bytes: Option<u64>,
    },
    /// A number of GPUs.
    Gpus {
        /// The number; `None` means all.
        count: Option<u32>,
    },
    /// Certain GPUs: numbers or UUIDs, separated by commas.
    GpuIds(String),
    /// A device of the host.
    Device(String),
    /// A supplementary group of the user.
    GroupAdd(u32),
    /// The size of /dev/shm.
    Shm {
        /// The size in bytes.
        bytes: u64,
    },
    /// The host's /dev/shm.
    HostIpc,
    /// The user.
    User {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
    /// A limit of setrlimit(2).
    Ulimit {
        /// Docker's name of the limit: `memlock`.
        name: String,
        /// The soft and the hard limit; `None` means unlimited.
        limit: Option<u64>,
    },
    /// All rights.
    Privileged,
    /// An additional capability (`SYS_PTRACE`).
    CapAdd(String),
    /// A removed capability, or all (`ALL`).
    CapDrop(String),
    /// No program in the container can get more rights than its caller.
    NoNewPrivileges,
    /// A read-only image.
    ReadOnlyRoot,
    /// A terminal.
    Terminal,
    /// The host name.
    Hostname(String),
    /// The working directory.
    Workdir(String),
    /// A variable.
    Env {
        /// The variable's name.
        name: String,
        /// The variable's value; `None` for a secret, which the starting environment provides.
        value: Option<String>,
    },
}

impl StartPart {
    /// Returns the slot of a part: a part replaces another one with the same slot.
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

    /// Returns this part after a check's `change`. If only the right to write was wrong, the source stays.
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

/// Returns the parts of a start with these changes applied.
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
