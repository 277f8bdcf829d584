//! A start as a command line of Docker or Podman.

use super::{short_size, source};
use crate::engine::StartPart;
use std::ffi::{OsStr, OsString};

/// Returns the whole line.
pub(super) fn start(program: &str, parts: &[StartPart], command: &[OsString]) -> String {
    let words = text::masked_words(command);
    let words = words.iter().map(|word| text::quoted(word)).collect::<Vec<_>>().join(" ");
    let line = format!("{program} run {} IMAGE {words}", flags(parts));
    line.trim_end().to_owned()
}

/// Returns the options.
pub(super) fn flags(parts: &[StartPart]) -> String {
    parts.iter().map(|part| flag(part, parts)).collect::<Vec<_>>().join(" ")
}

fn flag(part: &StartPart, parts: &[StartPart]) -> String {
    let word = |text: &str| text::quoted(OsStr::new(text));
    match part {
        StartPart::Mount { target, read_only } => mount(&source(target, parts), target, *read_only),
        StartPart::Bind { source, target, read_only } => mount(source, target, *read_only),
        StartPart::Tmpfs { target, bytes: Some(bytes) } => {
            format!("--tmpfs {}", word(&format!("{target}:size={}", short_size(*bytes))))
        }
        StartPart::Tmpfs { target, bytes: None } => format!("--tmpfs {}", word(target)),
        StartPart::Gpus { count: Some(count) } => format!("--gpus {count}"),
        StartPart::Gpus { count: None } => "--gpus all".to_owned(),
        // Docker parses the value as a line of CSV, in which a comma needs quotes.
        StartPart::GpuIds(ids) => format!("--gpus {}", word(&format!("\"device={ids}\""))),
        StartPart::Device(path) => format!("--device {}", word(path)),
        StartPart::GroupAdd(gid) => format!("--group-add {gid}"),
        StartPart::Shm { bytes } => format!("--shm-size={}", short_size(*bytes)),
        StartPart::HostIpc => "--ipc=host".to_owned(),
        StartPart::User { uid, gid } => format!("--user {uid}:{gid}"),
        StartPart::Ulimit { name, limit } => {
            format!("--ulimit {name}={}", limit.map_or("-1".to_owned(), |limit| limit.to_string()))
        }
        StartPart::Privileged => "--privileged".to_owned(),
        StartPart::CapAdd(name) => format!("--cap-add {name}"),
        StartPart::CapDrop(name) => format!("--cap-drop {name}"),
        StartPart::NoNewPrivileges => "--security-opt no-new-privileges".to_owned(),
        StartPart::ReadOnlyRoot => "--read-only".to_owned(),
        StartPart::Terminal => "-it".to_owned(),
        StartPart::Hostname(name) => format!("--hostname {}", word(name)),
        StartPart::Workdir(path) => format!("-w {}", word(path)),
        StartPart::Env { name, value: Some(value) } => format!("-e {}", word(&format!("{name}={value}"))),
        StartPart::Env { name, value: None } => format!("-e {name}"),
    }
}

/// Makes a mount; `-v` splits at colons, so names with a colon need the long form.
fn mount(source: &str, target: &str, read_only: bool) -> String {
    if source.contains([':', ',']) || target.contains([':', ',']) {
        let kind = if source.starts_with('/') { "bind" } else { "volume" };
        let read_only = if read_only { ",readonly" } else { "" };
        return format!(
            "--mount {}",
            text::quoted(OsStr::new(&format!(
                "type={kind},{},{}{read_only}",
                field("src", source),
                field("dst", target)
            )))
        );
    }
    let read_only = if read_only { ":ro" } else { "" };
    format!("-v {}", text::quoted(OsStr::new(&format!("{source}:{target}{read_only}"))))
}

/// Formats a field of CSV (RFC 4180).
fn field(name: &str, value: &str) -> String {
    match value.contains([',', '"']) {
        true => format!("\"{name}={}\"", value.replace('"', "\"\"")),
        false => format!("{name}={value}"),
    }
}
