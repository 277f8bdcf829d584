//! The column of Apptainer: options of `apptainer run`. A container has the caller's user, limits, HOME and /dev/shm.

use super::cell::{Words, assignment, ulimit, word};
use super::{SOURCE, short_size};
use crate::engine::StartPart;

/// Returns the cell of a change.
pub(super) fn words(part: &StartPart) -> Words {
    let option = |text: String| Words::Option(text);
    let sentence = |text: String| Words::Sentence(text);
    match part {
        StartPart::Mount { target, read_only } => option(bind(SOURCE, target, *read_only)),
        StartPart::Bind { source, target, read_only } => option(bind(source, target, *read_only)),
        StartPart::Tmpfs { target, .. } | StartPart::Scratch { target } => {
            option(format!("--scratch {}", word(target)))
        }
        StartPart::Gpus { .. } | StartPart::GpuIds(_) => option("--nv".into()),
        StartPart::Device(path) if path.starts_with("/dev/kfd") || path.starts_with("/dev/dri") => {
            option("--rocm".into())
        }
        StartPart::Device(path) => option(format!("--bind {}", word(path))),
        StartPart::GroupAdd(gid) => sentence(format!(
            "Apptainer keeps the groups that its caller has on the host: add the caller to group {gid}"
        )),
        StartPart::KeepGroups => sentence("Apptainer keeps its caller's groups".into()),
        StartPart::NoLabel => sentence("Apptainer starts nothing with SELinux's label of containers".into()),
        StartPart::Shm { bytes } => {
            sentence(format!("/dev/shm is the host's: mount -o remount,size={} /dev/shm there", short_size(*bytes)))
        }
        StartPart::HostIpc => sentence("/dev/shm is the host's, unless --contain is given".into()),
        StartPart::User { uid, gid } => sentence(format!(
            "Apptainer runs as its caller: call it as {uid}:{gid}, or give the caller the permission on the host"
        )),
        StartPart::Owned { target, .. } => sentence(format!(
            "Apptainer runs as its caller: let the caller own, on the host, what is mounted at {}",
            word(target)
        )),
        StartPart::Ulimit { name, limit } => match ulimit(name, *limit) {
            Some(command) => Words::Before(command),
            None => sentence(format!("raise the limit {name} of the calling shell")),
        },
        StartPart::Memory { bytes } => option(format!("--memory {}", short_size(*bytes))),
        StartPart::Pids(limit) => option(format!("--pids-limit {limit}")),
        StartPart::Privileged => sentence("apptainer has no such option; --fakeroot gives root's rights inside".into()),
        StartPart::CapAdd(name) => option(format!("--add-caps CAP_{name}")),
        StartPart::CapDrop(name) => option(format!("--drop-caps CAP_{name}")),
        StartPart::NoNewPrivileges => option("--no-privs".into()),
        StartPart::ReadOnlyRoot => sentence("without --writable and --writable-tmpfs the image is read-only".into()),
        StartPart::Terminal => sentence("call it from a terminal".into()),
        StartPart::Hostname(name) => option(format!("--hostname {}", word(name))),
        StartPart::HostAlias(name) => {
            sentence(format!("/etc/hosts is the host's: give {} an address there", text::line(name)))
        }
        StartPart::Workdir(path) => option(format!("--pwd {}", word(path))),
        // HOME cannot be set as a variable.
        StartPart::Env { name, .. } if name == "HOME" => option("--writable-tmpfs".into()),
        StartPart::Env { name, value: Some(value) } => option(format!("--env {}", assignment(name, Some(value)))),
        StartPart::Env { name, value: None } => sentence(format!("set {name} in the calling shell")),
        StartPart::Before(command) => Words::Before(command.clone()),
        StartPart::KeepId { .. } => sentence("Apptainer runs as its caller".into()),
        StartPart::Word { .. } => Words::Word,
    }
}

fn bind(source: &str, target: &str, read_only: bool) -> String {
    format!("--bind {}", word(&format!("{source}:{target}{}", if read_only { ":ro" } else { "" })))
}
