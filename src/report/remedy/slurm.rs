//! The columns of Slurm: options of `srun` (and of `sbatch`), on the node itself and in a container of the plug-in pyxis.

use super::cell::{Words, assignment, ulimit, word};
use super::{SOURCE, short_size};
use crate::engine::StartPart;

/// The option of pyxis that takes all mounts.
pub(super) const MOUNTS: &str = "--container-mounts=";

/// Returns the cell of a change in a container of pyxis.
pub(super) fn in_a_container(part: &StartPart) -> Words {
    match part {
        StartPart::Mount { target, read_only } => Words::Option(mount(SOURCE, target, *read_only)),
        StartPart::Bind { source, target, read_only } => Words::Option(mount(source, target, *read_only)),
        StartPart::Device(path) => Words::Option(mount(path, path, false)),
        StartPart::Workdir(path) => Words::Option(format!("--container-workdir={}", word(path))),
        StartPart::Tmpfs { target, .. } | StartPart::Scratch { target } => Words::Sentence(format!(
            "srun --container-writable, or mount a directory of the node: {}",
            mount("/tmp", target, false)
        )),
        _ => on_the_node(part),
    }
}

/// Returns the cell of a change on the node itself.
pub(super) fn on_the_node(part: &StartPart) -> Words {
    let option = |text: String| Words::Option(text);
    let sentence = |text: String| Words::Sentence(text);
    match part {
        StartPart::Gpus { count } => option(format!("--gpus-per-task={}", count.unwrap_or(1))),
        StartPart::GpuIds(ids) => option(format!("--gpus-per-task={}", ids.split(',').count())),
        StartPart::Memory { bytes } => option(format!("--mem={}", short_size(*bytes).to_uppercase())),
        StartPart::Workdir(path) => option(format!("--chdir={}", word(path))),
        StartPart::Env { name, value: Some(value) } => Words::Variable(assignment(name, Some(value))),
        StartPart::Env { name, value: None } => sentence(format!("export {name} in the shell that submits the job")),
        StartPart::Ulimit { name, .. } if name == "memlock" => sentence(
            "the administrator: LimitMEMLOCK=infinity in slurmd's unit, PropagateResourceLimitsExcept=MEMLOCK in slurm.conf".into(),
        ),
        StartPart::Ulimit { name, limit } => match ulimit(name, *limit) {
            Some(command) => Words::Before(command),
            None => sentence(format!("raise the limit {name} of the shell that submits the job")),
        },
        StartPart::Pids(_) => sentence("the administrator: raise TasksMax of slurmd's unit".into()),
        StartPart::Shm { bytes } => sentence(format!(
            "/dev/shm is the node's: ask for a node with more memory, or have it raised: mount -o remount,size={} /dev/shm",
            short_size(*bytes)
        )),
        StartPart::HostIpc => sentence("/dev/shm is the node's already".into()),
        StartPart::Mount { target, .. } | StartPart::Bind { target, .. } => {
            sentence(format!("name a path that every node has instead of {}", text::line(target)))
        }
        StartPart::Device(path) => {
            sentence(format!("ask Slurm for it (--gres=…, scontrol show config): {} is not in this job", text::line(path)))
        }
        StartPart::KeepGroups => sentence("a job has the groups of who submits it".into()),
        StartPart::NoLabel => sentence("the administrator: a rule of SELinux refuses (ausearch -m avc -ts recent)".into()),
        StartPart::GroupAdd(gid) => sentence(format!("have the user who submits the job added to group {gid}")),
        StartPart::User { uid, gid } => sentence(format!(
            "Slurm runs a job as who submits it: submit it as {uid}:{gid}, or give that user the permission"
        )),
        StartPart::Owned { target, uid, gid } => {
            sentence(format!("chown {uid}:{gid} what is mounted at {}, on the node or its file server", word(target)))
        }
        StartPart::Hostname(name) | StartPart::HostAlias(name) => {
            sentence(format!("the administrator: an address for {} in the node's /etc/hosts", text::line(name)))
        }
        StartPart::Tmpfs { .. } | StartPart::Scratch { .. } => sentence("TMPDIR=… of a directory that the job may write".into()),
        StartPart::Terminal => option("--pty".into()),
        StartPart::Privileged | StartPart::CapAdd(_) | StartPart::CapDrop(_) | StartPart::NoNewPrivileges => {
            sentence("a job has no rights of its own: ask the administrator".into())
        }
        StartPart::ReadOnlyRoot => sentence("without --container-writable the image is read-only".into()),
        StartPart::Before(command) => Words::Before(command.clone()),
        StartPart::KeepId { uid, gid } => sentence(format!("submit the job as {uid}:{gid}")),
        StartPart::Word { .. } => Words::Word,
    }
}

fn mount(source: &str, target: &str, read_only: bool) -> String {
    let path = format!("{source}:{target}{}", if read_only { ":ro" } else { "" });
    format!("{MOUNTS}{}", word(&path))
}
