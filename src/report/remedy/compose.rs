//! A start as a Compose file (compose-spec).

use super::cell::meant;
use super::{given_by_root, short_size, source, yaml};
use crate::engine::StartPart;
use serde_json::{Map, Value, json};
use std::ffi::OsString;

/// Returns the whole file with one service.
pub(super) fn start(parts: &[StartPart], command: &[OsString]) -> String {
    let (parts, command) = (&given_by_root(parts)[..], &meant(parts.iter(), command)[..]);
    let mut service = Map::from_iter([("image".to_owned(), json!("IMAGE"))]);
    let words: Vec<String> = text::masked_words(command).iter().map(|word| escaped(&word.to_string_lossy())).collect();
    if !words.is_empty() {
        service.insert("command".into(), json!(words));
    }
    parts.iter().for_each(|part| add(part, parts, &mut service));
    let mut file = json!({"services": {"train": service}});
    let volumes: Map<String, Value> =
        parts.iter().filter_map(volume).map(|name| (name, json!({"external": true}))).collect();
    if let (Some(file), false) = (file.as_object_mut(), volumes.is_empty()) {
        file.insert("volumes".into(), volumes.into());
    }
    yaml::document(&file)
}

/// Escapes a text: Compose replaces `$NAME` by variables.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn add(part: &StartPart, parts: &[StartPart], service: &mut Map<String, Value>) {
    match part {
        StartPart::Mount { target, read_only } => {
            push(service, "volumes", mount(&source(target, parts), target, *read_only))
        }
        StartPart::Bind { source, target, read_only } => push(service, "volumes", mount(source, target, *read_only)),
        StartPart::Tmpfs { target, bytes } => {
            let size = bytes.map_or(String::new(), |bytes| format!(":size={}", short_size(bytes)));
            push(service, "tmpfs", json!(format!("{target}{size}")));
        }
        StartPart::Scratch { target } => push(service, "tmpfs", json!(format!("{target}:exec,mode=1777"))),
        StartPart::Gpus { count } => gpus("count", count.map_or(json!("all"), |count| json!(count)), service),
        StartPart::GpuIds(ids) => gpus("device_ids", ids.split(',').collect(), service),
        StartPart::Device(path) => push(service, "devices", json!(format!("{path}:{path}"))),
        StartPart::GroupAdd(gid) => push(service, "group_add", json!(gid.to_string())),
        StartPart::KeepGroups => push(service, "group_add", json!("keep-groups")),
        StartPart::Shm { bytes } => set(service, "shm_size", json!(short_size(*bytes))),
        StartPart::HostIpc => set(service, "ipc", json!("host")),
        StartPart::User { uid, gid } => set(service, "user", json!(format!("{uid}:{gid}"))),
        StartPart::Ulimit { name, limit } => {
            put(service, "ulimits", name, limit.map_or(json!(-1), |limit| json!(limit)))
        }
        StartPart::Memory { bytes } => set(service, "mem_limit", json!(short_size(*bytes))),
        StartPart::Pids(limit) => set(service, "pids_limit", json!(limit)),
        StartPart::KeepId { .. } => set(service, "user", json!("0:0")),
        StartPart::HostAlias(name) => push(service, "extra_hosts", json!(format!("{name}:127.0.0.1"))),
        // The first is put into other parts, the second is typed before, the third is in the command.
        StartPart::Owned { .. } | StartPart::Before(_) | StartPart::Word { .. } => {}
        StartPart::Privileged => set(service, "privileged", json!(true)),
        StartPart::CapAdd(name) => push(service, "cap_add", json!(name)),
        StartPart::CapDrop(name) => push(service, "cap_drop", json!(name)),
        StartPart::NoNewPrivileges => push(service, "security_opt", json!("no-new-privileges:true")),
        StartPart::NoLabel => push(service, "security_opt", json!("label:disable")),
        StartPart::ReadOnlyRoot => set(service, "read_only", json!(true)),
        StartPart::Terminal => ["stdin_open", "tty"].iter().for_each(|name| set(service, name, json!(true))),
        StartPart::Hostname(name) => set(service, "hostname", json!(name)),
        StartPart::Workdir(path) => set(service, "working_dir", json!(escaped(path))),
        // A variable without a value comes from the environment of the caller.
        StartPart::Env { name, value } => put(service, "environment", name, json!(value.as_deref().map(escaped))),
    }
}

fn set(service: &mut Map<String, Value>, name: &str, value: Value) {
    service.insert(name.to_owned(), value);
}

fn put(service: &mut Map<String, Value>, group: &str, name: &str, value: Value) {
    if let Some(group) = service.entry(group).or_insert_with(|| json!({})).as_object_mut() {
        group.insert(name.to_owned(), value);
    }
}

fn push(service: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(list) = service.entry(name).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}

/// Makes a mount; the short form splits at colons.
fn mount(source: &str, target: &str, read_only: bool) -> Value {
    let kind = if source.starts_with('/') { "bind" } else { "volume" };
    match source.contains(':') || target.contains(':') {
        true => json!({"type": kind, "source": escaped(source), "target": escaped(target), "read_only": read_only}),
        false => json!(escaped(&format!("{source}:{target}{}", if read_only { ":ro" } else { "" }))),
    }
}

fn gpus(name: &str, which: Value, service: &mut Map<String, Value>) {
    let device = json!({"driver": "nvidia", "capabilities": ["gpu"], name: which});
    set(service, "deploy", json!({"resources": {"reservations": {"devices": [device]}}}));
}

/// Returns the name of an existing volume, which has to be declared.
fn volume(part: &StartPart) -> Option<String> {
    match part {
        StartPart::Bind { source, .. } if !source.starts_with('/') => Some(source.clone()),
        _ => None,
    }
}
