//! The columns of Docker and Podman, and a start as their command line.

use super::cell::{Words, assignment, meant, quoted, word};
use super::{given_by_root, short_size, source};
use crate::engine::StartPart;
use std::ffi::OsString;

/// One of the two programs, which share most options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    program: &'static str,
    podman: bool,
}

/// Docker.
pub(super) const DOCKER: Dialect = Dialect { program: "docker", podman: false };
/// Podman.
pub(super) const PODMAN: Dialect = Dialect { program: "podman", podman: true };

/// Returns the cell of a change.
pub(super) fn words(dialect: Dialect, part: &StartPart) -> Words {
    match part {
        StartPart::Before(command) => Words::Before(command.clone()),
        StartPart::Word { .. } => Words::Word,
        StartPart::KeepGroups if !dialect.podman => Words::Sentence(
            "Podman can keep the groups of who starts it (with crun); Docker: on the host, a mode of the device for all".into(),
        ),
        part => Words::Option(flags(dialect, std::slice::from_ref(part))),
    }
}

/// Returns the whole line: what has to be typed before, and the start.
pub(super) fn start(dialect: Dialect, parts: &[StartPart], command: &[OsString]) -> String {
    let before = parts.iter().filter_map(|part| match part {
        StartPart::Before(command) => Some(format!("{command} && ")),
        _ => None,
    });
    let words = quoted(&meant(parts.iter(), command));
    let line = format!("{}{} run {} IMAGE {words}", before.collect::<String>(), dialect.program, flags(dialect, parts));
    line.replace("  ", " ").trim_end().to_owned()
}

/// Returns the options.
pub(super) fn flags(dialect: Dialect, parts: &[StartPart]) -> String {
    let parts = if dialect.podman { with_owned_mounts(parts) } else { given_by_root(parts) };
    parts.iter().filter_map(|part| flag(dialect, part, &parts)).collect::<Vec<_>>().join(" ")
}

/// Adds the mounts that have to belong to the user and are not listed.
fn with_owned_mounts(parts: &[StartPart]) -> Vec<StartPart> {
    let mut all = parts.to_vec();
    for part in parts {
        let StartPart::Owned { target, .. } = part else { continue };
        let mount = StartPart::Mount { target: target.clone(), read_only: false };
        if !all.iter().any(|part| part.slot() == mount.slot()) {
            all.push(mount);
        }
    }
    all
}

fn flag(dialect: Dialect, part: &StartPart, parts: &[StartPart]) -> Option<String> {
    // Podman gives the source of such a mount to the container's user.
    let owned = |path: &str| {
        dialect.podman && parts.iter().any(|part| matches!(part, StartPart::Owned { target, .. } if target == path))
    };
    Some(match part {
        StartPart::Mount { target, read_only } => mount(&source(target, parts), target, *read_only, owned(target)),
        StartPart::Bind { source, target, read_only } => mount(source, target, *read_only, owned(target)),
        StartPart::Tmpfs { target, bytes: Some(bytes) } => {
            format!("--tmpfs {}", word(&format!("{target}:size={}", short_size(*bytes))))
        }
        StartPart::Tmpfs { target, bytes: None } => format!("--tmpfs {}", word(target)),
        StartPart::Scratch { target } => format!("--tmpfs {}", word(&format!("{target}:exec,mode=1777"))),
        StartPart::Gpus { .. } if dialect.podman => "--device nvidia.com/gpu=all".to_owned(),
        StartPart::GpuIds(ids) if dialect.podman => {
            ids.split(',').map(|id| format!("--device nvidia.com/gpu={}", word(id))).collect::<Vec<_>>().join(" ")
        }
        StartPart::Gpus { count: Some(count) } => format!("--gpus {count}"),
        StartPart::Gpus { count: None } => "--gpus all".to_owned(),
        // Docker parses the value as a line of CSV, in which a comma needs quotes.
        StartPart::GpuIds(ids) => format!("--gpus {}", word(&format!("\"device={ids}\""))),
        StartPart::Device(path) => format!("--device {}", word(path)),
        StartPart::GroupAdd(gid) => format!("--group-add {gid}"),
        StartPart::KeepGroups if dialect.podman => "--group-add keep-groups".to_owned(),
        StartPart::Shm { bytes } => format!("--shm-size={}", short_size(*bytes)),
        StartPart::HostIpc => "--ipc=host".to_owned(),
        StartPart::User { uid, gid } => format!("--user {uid}:{gid}"),
        StartPart::KeepId { uid, gid } if dialect.podman => format!("--userns=keep-id:uid={uid},gid={gid}"),
        // In a rootless Docker root is the person.
        StartPart::KeepId { .. } => "--user 0:0".to_owned(),
        StartPart::Ulimit { name, limit } => {
            format!("--ulimit {name}={}", limit.map_or("-1".to_owned(), |limit| limit.to_string()))
        }
        StartPart::Memory { bytes } => format!("--memory {}", short_size(*bytes)),
        StartPart::Pids(limit) => format!("--pids-limit {limit}"),
        StartPart::Privileged => "--privileged".to_owned(),
        StartPart::CapAdd(name) => format!("--cap-add {name}"),
        StartPart::CapDrop(name) => format!("--cap-drop {name}"),
        StartPart::NoNewPrivileges => "--security-opt no-new-privileges".to_owned(),
        StartPart::NoLabel => "--security-opt label=disable".to_owned(),
        StartPart::ReadOnlyRoot => "--read-only".to_owned(),
        StartPart::Terminal => "-it".to_owned(),
        StartPart::Hostname(name) => format!("--hostname {}", word(name)),
        StartPart::HostAlias(name) => format!("--add-host {}", word(&format!("{name}:127.0.0.1"))),
        StartPart::Workdir(path) => format!("-w {}", word(path)),
        StartPart::Env { name, value } => format!("-e {}", assignment(name, value.as_deref())),
        StartPart::KeepGroups | StartPart::Owned { .. } | StartPart::Before(_) | StartPart::Word { .. } => return None,
    })
}

/// Makes a mount; `-v` splits at colons, so names with a colon need the long form.
fn mount(source: &str, target: &str, read_only: bool, owned: bool) -> String {
    if source.contains([':', ',']) || target.contains([':', ',']) {
        let kind = if source.starts_with('/') { "bind" } else { "volume" };
        let read_only = if read_only { ",readonly" } else { "" };
        let owned = if owned { ",U=true" } else { "" };
        let fields = format!("type={kind},{},{}{read_only}{owned}", field("src", source), field("dst", target));
        return format!("--mount {}", word(&fields));
    }
    let options: Vec<&str> = [(read_only, "ro"), (owned, "U")].iter().filter(|(on, _)| *on).map(|(_, o)| *o).collect();
    let options = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
    format!("-v {}", word(&format!("{source}:{target}{options}")))
}

/// Formats a field of CSV (RFC 4180).
fn field(name: &str, value: &str) -> String {
    match value.contains([',', '"']) {
        true => format!("\"{name}={}\"", value.replace('"', "\"\"")),
        false => format!("{name}={value}"),
    }
}
