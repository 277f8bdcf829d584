//! The columns without an option: an engine whose command line trainit does not know, and a machine.

use super::cell::{Words, assignment, ulimit, word};
use super::short_size;
use crate::engine::StartPart;

/// Returns the cell of a change for an unknown engine: what the start has to do, in plain words.
pub(super) fn of_an_engine(part: &StartPart) -> Words {
    let right = |read_only: &bool| if *read_only { "read-only" } else { "writable" };
    Words::Sentence(match part {
        StartPart::Mount { target, read_only } | StartPart::Bind { target, read_only, .. } => {
            format!("start the container with a mount at {}, {}", word(target), right(read_only))
        }
        StartPart::Tmpfs { target, .. } | StartPart::Scratch { target } => {
            format!("start the container with a tmpfs at {}", word(target))
        }
        StartPart::Gpus { .. } | StartPart::GpuIds(_) => "give the container the GPUs' devices and libraries".into(),
        StartPart::Device(path) => format!("give the container {}", word(path)),
        StartPart::GroupAdd(gid) => format!("give its user the group {gid}"),
        StartPart::KeepGroups => "let it keep the groups of who starts it".into(),
        StartPart::NoLabel => "start it without SELinux's label of containers".into(),
        StartPart::Shm { bytes } => format!("give the container a /dev/shm of {}", short_size(*bytes)),
        StartPart::HostIpc => "give the container the host's /dev/shm".into(),
        StartPart::User { uid, gid } => format!("start it as user {uid} and group {gid}"),
        StartPart::Owned { target, uid, gid } => {
            format!("on the host: chown {uid}:{gid} what is mounted at {}", word(target))
        }
        StartPart::Ulimit { name, limit } => format!("raise its limit {name} to {}", number(*limit)),
        StartPart::Memory { bytes } => format!("let it have {} of memory", short_size(*bytes)),
        StartPart::Pids(limit) => format!("let it have {limit} processes and threads"),
        StartPart::Privileged => "start it with all rights".into(),
        StartPart::CapAdd(name) => format!("give it the capability {name}"),
        StartPart::CapDrop(name) => format!("take the capability {name} from it"),
        StartPart::NoNewPrivileges => "start it without new privileges".into(),
        StartPart::ReadOnlyRoot => "start it with a read-only image".into(),
        StartPart::Terminal => "start it with a terminal".into(),
        StartPart::Hostname(name) => format!("start it with the host name {}", text::line(name)),
        StartPart::HostAlias(name) => format!("give {} an address in its /etc/hosts", text::line(name)),
        StartPart::Workdir(path) => format!("start it in {}", word(path)),
        StartPart::Env { name, value } => format!("set {} for it", assignment(name, value.as_deref())),
        StartPart::KeepId { uid, gid } => format!("map its user {uid}:{gid} to yours"),
        StartPart::Before(command) => return Words::Before(command.clone()),
        StartPart::Word { .. } => return Words::Word,
    })
}

/// Returns the cell of a change for a machine.
pub(super) fn of_a_machine(part: &StartPart) -> Words {
    Words::Sentence(match part {
        StartPart::Mount { target, .. } => format!("mount it: mount SOURCE {}", word(target)),
        StartPart::Bind { source, target, .. } => format!("mount it: mount {} {}", word(source), word(target)),
        StartPart::Tmpfs { target, .. } | StartPart::Scratch { target } => {
            format!("another directory (TMPDIR, HOME), or the permissions of {}", word(target))
        }
        StartPart::Gpus { .. } | StartPart::GpuIds(_) => {
            "load the driver: modprobe nvidia; nvidia-smi tells more".into()
        }
        StartPart::Device(path) if path.contains("infiniband") => {
            "load the driver (ib_uverbs), or add the user to the devices' group".into()
        }
        StartPart::Device(_) => "load the driver: modprobe amdgpu".into(),
        StartPart::GroupAdd(gid) => format!("add the user to group {gid}, then log in again"),
        StartPart::KeepGroups => "run it with the user's groups".into(),
        StartPart::NoLabel => "the rule that refuses: ausearch -m avc -ts recent".into(),
        StartPart::Shm { bytes } => format!("mount -o remount,size={bytes} /dev/shm"),
        StartPart::HostIpc => "ls -l /dev/shm".into(),
        StartPart::User { uid, gid } => format!("run as {uid}:{gid}"),
        StartPart::Owned { target, uid, gid } => format!("chown {uid}:{gid} {}", word(target)),
        StartPart::Ulimit { name, limit } => {
            let command = ulimit(name, *limit).unwrap_or_else(|| format!("raise the limit {name}"));
            format!("{command} as root, or /etc/security/limits.conf")
        }
        StartPart::Memory { .. } => "a machine with more memory".into(),
        StartPart::Pids(_) => "raise TasksMax of the systemd unit, or pids.max of the control group".into(),
        StartPart::Privileged | StartPart::CapAdd(_) => "run it as root".into(),
        StartPart::CapDrop(_) | StartPart::NoNewPrivileges | StartPart::ReadOnlyRoot => {
            "run it with fewer rights".into()
        }
        StartPart::Terminal => "call it from a terminal".into(),
        StartPart::Hostname(name) => format!("hostname {}", word(name)),
        StartPart::HostAlias(name) => format!("echo 127.0.1.1 {} >> /etc/hosts", word(name)),
        StartPart::Workdir(path) => format!("cd {}", word(path)),
        StartPart::Env { name, value } => format!("export {}", assignment(name, value.as_deref())),
        StartPart::KeepId { uid, gid } => format!("run as {uid}:{gid}"),
        StartPart::Before(command) => return Words::Before(command.clone()),
        StartPart::Word { .. } => return Words::Word,
    })
}

fn number(limit: Option<u64>) -> String {
    limit.map_or("unlimited".to_owned(), |limit| limit.to_string())
}
