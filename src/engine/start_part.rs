//! One part of a container's start: a given setting, or a change that a check wants.
//!
//! `report` knows how Docker, Compose and Kubernetes write each part.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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
    /// A directory for temporary files and for programs that are built at run time.
    Scratch {
        /// The path in the container.
        target: String,
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
    /// The groups of the machine's user who starts the container (Podman).
    KeepGroups,
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
    /// A process without SELinux's label of containers.
    NoLabel,
    /// A read-only image.
    ReadOnlyRoot,
    /// A terminal.
    Terminal,
    /// The host name.
    Hostname(String),
    /// The working directory.
    Workdir(String),
    /// The limit of memory.
    Memory {
        /// The limit in bytes.
        bytes: u64,
    },
    /// The limit of processes and threads.
    Pids(u64),
    /// The own name in /etc/hosts.
    HostAlias(String),
    /// A mounted directory that has to belong to the workload's user.
    Owned {
        /// The path in the container.
        target: String,
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
    /// The person who started a rootless engine, as this user of the container.
    KeepId {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
    /// Another word in the command.
    Word {
        /// The word that is there.
        from: String,
        /// The word that is meant.
        to: String,
    },
    /// A command to type where the mounted files are kept, before the start.
    Before(String),
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
    pub fn slot(&self) -> (&'static str, Cow<'_, str>) {
        let (kind, name): (_, &str) = match self {
            StartPart::GroupAdd(gid) => return ("group", gid.to_string().into()),
            StartPart::Mount { target, .. }
            | StartPart::Bind { target, .. }
            | StartPart::Tmpfs { target, .. }
            | StartPart::Scratch { target } => ("mount", target),
            StartPart::Gpus { .. } | StartPart::GpuIds(_) => ("gpus", ""),
            StartPart::Device(path) => ("device", path),
            StartPart::KeepGroups => ("keep_groups", ""),
            StartPart::Shm { .. } | StartPart::HostIpc => ("shm", ""),
            StartPart::User { .. } => ("user", ""),
            StartPart::Ulimit { name, .. } => ("ulimit", name),
            StartPart::Privileged => ("privileged", ""),
            StartPart::CapAdd(name) | StartPart::CapDrop(name) => ("capability", name),
            StartPart::NoNewPrivileges => ("no_new_privileges", ""),
            StartPart::NoLabel => ("label", ""),
            StartPart::ReadOnlyRoot => ("read_only_root", ""),
            StartPart::Terminal => ("terminal", ""),
            StartPart::Hostname(_) => ("hostname", ""),
            StartPart::Workdir(_) => ("workdir", ""),
            StartPart::Memory { .. } => ("memory", ""),
            StartPart::Pids(_) => ("pids", ""),
            StartPart::HostAlias(name) => ("host_alias", name),
            StartPart::Owned { target, .. } => ("owned", target),
            StartPart::KeepId { .. } => ("keep_id", ""),
            StartPart::Word { from, .. } => ("word", from),
            StartPart::Before(command) => ("before", command),
            StartPart::Env { name, .. } => ("env", name),
        };
        (kind, name.into())
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
    // Keeping the groups of the caller excludes other groups (podman-run(1), `--group-add`).
    if parts.contains(&StartPart::KeepGroups) {
        parts.retain(|part| !matches!(part, StartPart::GroupAdd(_)));
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
    fn every_group_is_added_once_unless_all_of_the_callers_are_kept() {
        let groups = [44, 109].map(StartPart::GroupAdd);
        assert_eq!(corrected(&groups[..1], &[groups.clone(), groups.clone()].concat()), groups);
        assert_eq!(corrected(&groups, &[StartPart::KeepGroups]), [StartPart::KeepGroups]);
    }

    #[test]
    fn what_is_new_comes_last_and_replaces_its_like() {
        let (little, much) = (StartPart::Shm { bytes: 1 }, StartPart::Shm { bytes: 2 });
        let parts =
            corrected(&[little, StartPart::Terminal], &[much.clone(), StartPart::Gpus { count: None }, much.clone()]);
        assert_eq!(parts, [much, StartPart::Terminal, StartPart::Gpus { count: None }]);
    }
}
