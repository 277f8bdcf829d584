//! The column of enroot: options of `enroot start`. A container has the caller's user, limits, network and /dev/shm.

use super::cell::{Words, assignment, ulimit, word};
use super::{SOURCE, plain};
use crate::engine::StartPart;

/// Returns the cell of a change.
pub(super) fn words(part: &StartPart) -> Words {
    match part {
        StartPart::Mount { target, read_only } => Words::Option(mount(SOURCE, target, *read_only)),
        StartPart::Bind { source, target, read_only } => Words::Option(mount(source, target, *read_only)),
        StartPart::Tmpfs { target, .. } | StartPart::Scratch { target } => {
            Words::Option(format!("--mount {}", word(&format!("tmpfs:{target}:tmpfs:x-create=dir,rw"))))
        }
        StartPart::Gpus { .. } => Words::Option("--env NVIDIA_VISIBLE_DEVICES=all".into()),
        StartPart::GpuIds(ids) => Words::Option(format!("--env {}", word(&format!("NVIDIA_VISIBLE_DEVICES={ids}")))),
        StartPart::Device(path) => Words::Option(mount(path, path, false)),
        StartPart::Ulimit { name, limit } => {
            ulimit(name, *limit).map_or_else(|| plain::of_a_machine(part), Words::Before)
        }
        StartPart::User { uid, gid } => Words::Sentence(format!(
            "enroot runs as its caller: call it as {uid}:{gid}; --root shows the caller as root"
        )),
        StartPart::Env { name, value } => Words::Option(format!("--env {}", assignment(name, value.as_deref()))),
        StartPart::Workdir(path) => Words::Option(format!("--env {}", assignment("TRAINIT_WORKDIR", Some(path)))),
        StartPart::Before(command) => Words::Before(command.clone()),
        StartPart::Word { .. } => Words::Word,
        // The rest is the machine's.
        _ => plain::of_a_machine(part),
    }
}

/// Makes a mount: the fields of fstab(5) between colons.
fn mount(source: &str, target: &str, read_only: bool) -> String {
    let right = if read_only { "ro" } else { "rw" };
    format!("--mount {}", word(&format!("{source}:{target}:none:x-create=dir,bind,{right}")))
}
