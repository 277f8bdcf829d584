//! A start as a Compose file (compose-spec).

use super::{short_size, source, yaml};
use crate::engine::Part;
use serde_json::{Map, Value, json};
use std::ffi::OsString;

/// The whole file, with one service.
pub fn start(parts: &[Part], command: &[OsString]) -> String {
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

/// Compose puts variables in for `$NAME`.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn add(part: &Part, parts: &[Part], service: &mut Map<String, Value>) {
    match part {
        Part::Mount { target, read_only } => {
            push(service, "volumes", mount(&source(target, parts), target, *read_only))
        }
        Part::Bind { source, target, read_only } => push(service, "volumes", mount(source, target, *read_only)),
        Part::Tmpfs { target, bytes } => {
            let size = bytes.map_or(String::new(), |bytes| format!(":size={}", short_size(bytes)));
            push(service, "tmpfs", json!(format!("{target}{size}")));
        }
        Part::Gpus { count } => gpus("count", count.map_or(json!("all"), |count| json!(count)), service),
        Part::GpuIds(ids) => gpus("device_ids", ids.split(',').collect(), service),
        Part::Device(path) => push(service, "devices", json!(format!("{path}:{path}"))),
        Part::GroupAdd(gid) => push(service, "group_add", json!(gid.to_string())),
        Part::Shm { bytes } => set(service, "shm_size", json!(short_size(*bytes))),
        Part::HostIpc => set(service, "ipc", json!("host")),
        Part::User { uid, gid } => set(service, "user", json!(format!("{uid}:{gid}"))),
        Part::Ulimit { name, limit } => put(service, "ulimits", name, limit.map_or(json!(-1), |limit| json!(limit))),
        Part::Privileged => set(service, "privileged", json!(true)),
        Part::CapAdd(name) => push(service, "cap_add", json!(name)),
        Part::CapDrop(name) => push(service, "cap_drop", json!(name)),
        Part::NoNewPrivileges => push(service, "security_opt", json!("no-new-privileges:true")),
        Part::ReadOnlyRoot => set(service, "read_only", json!(true)),
        Part::Terminal => ["stdin_open", "tty"].iter().for_each(|name| set(service, name, json!(true))),
        Part::Hostname(name) => set(service, "hostname", json!(name)),
        Part::Workdir(path) => set(service, "working_dir", json!(escaped(path))),
        // One without a value is taken from who starts it.
        Part::Env { name, value } => put(service, "environment", name, json!(value.as_deref().map(escaped))),
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

/// The short form splits at colons.
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

/// A volume that is there already has to be said.
fn volume(part: &Part) -> Option<String> {
    match part {
        Part::Bind { source, .. } if !source.starts_with('/') => Some(source.clone()),
        _ => None,
    }
}
