//! A start as a pod (the core API, v1).

use super::{short_size, yaml};
use crate::engine::StartPart;
use serde_json::{Map, Value, json};
use std::ffi::OsString;

/// Returns the whole manifest.
pub(super) fn start(parts: &[StartPart], command: &[OsString]) -> String {
    let mut pod = Pod::default();
    pod.container.insert("name".into(), json!("train"));
    pod.container.insert("image".into(), json!("IMAGE"));
    let words: Vec<String> = text::masked_words(command).iter().map(|word| escaped(&word.to_string_lossy())).collect();
    if !words.is_empty() {
        pod.container.insert("args".into(), json!(words));
    }
    parts.iter().for_each(|part| pod.add(part));
    pod.spec.insert("containers".into(), json!([pod.container]));
    yaml::document(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "train"}, "spec": pod.spec}))
}

/// Returns the part of a manifest that one change adds.
pub(super) fn change(part: &StartPart) -> String {
    let mut pod = Pod::default();
    pod.add(part);
    let members = pod.container.iter().chain(&pod.spec);
    members.map(|(name, value)| format!("{name}: {}", yaml::flow(value))).collect::<Vec<_>>().join(", ")
}

/// Escapes a text: Kubernetes replaces `$(NAME)` by variables.
fn escaped(text: &str) -> String {
    text.replace("$(", "$$(")
}

/// A pod's spec with its one container.
#[derive(Default)]
struct Pod {
    spec: Map<String, Value>,
    container: Map<String, Value>,
}

impl Pod {
    fn add(&mut self, part: &StartPart) {
        match part {
            StartPart::Mount { target, read_only } | StartPart::Bind { target, read_only, .. } => {
                self.mount(target, *read_only, "persistentVolumeClaim", json!({"claimName": "CLAIM"}));
            }
            StartPart::Tmpfs { target, bytes } => self.memory(target, *bytes),
            StartPart::Shm { bytes } => self.memory("/dev/shm", Some(*bytes)),
            StartPart::HostIpc => self.set_spec("hostIPC", json!(true)),
            StartPart::Gpus { count } => self.gpus(count.unwrap_or(1)),
            StartPart::GpuIds(ids) => self.gpus(ids.split(',').count() as u32),
            // A pod gets devices only from a device plugin; this is AMD's.
            StartPart::Device(_) => self.set("resources", json!({"limits": {"amd.com/gpu": 1}})),
            StartPart::GroupAdd(gid) => self.set_spec("securityContext", json!({"supplementalGroups": [gid]})),
            StartPart::User { uid, gid } => {
                self.security("runAsUser", json!(uid));
                self.security("runAsGroup", json!(gid));
            }
            StartPart::Privileged => self.security("privileged", json!(true)),
            StartPart::CapAdd(name) => self.capability("add", name),
            StartPart::CapDrop(name) => self.capability("drop", name),
            StartPart::NoNewPrivileges => self.security("allowPrivilegeEscalation", json!(false)),
            StartPart::ReadOnlyRoot => self.security("readOnlyRootFilesystem", json!(true)),
            StartPart::Terminal => ["stdin", "tty"].iter().for_each(|name| self.set(name, json!(true))),
            StartPart::Hostname(name) => self.set_spec("hostname", json!(name)),
            StartPart::Workdir(path) => self.set("workingDir", json!(path)),
            StartPart::Env { name, value } => push(&mut self.container, "env", variable(name, value.as_deref())),
            // A pod has no such limits; the node's container runtime sets them.
            StartPart::Ulimit { .. } => {}
        }
    }

    fn set(&mut self, name: &str, value: Value) {
        self.container.insert(name.to_owned(), value);
    }

    fn set_spec(&mut self, name: &str, value: Value) {
        self.spec.insert(name.to_owned(), value);
    }

    fn gpus(&mut self, count: u32) {
        self.set("resources", json!({"limits": {"nvidia.com/gpu": count}}));
    }

    fn security(&mut self, name: &str, value: Value) {
        if let Some(context) = self.container.entry("securityContext").or_insert_with(|| json!({})).as_object_mut() {
            context.insert(name.to_owned(), value);
        }
    }

    fn capability(&mut self, verb: &str, name: &str) {
        let context = self.container.entry("securityContext").or_insert_with(|| json!({}));
        let context = context.as_object_mut().map(|context| context.entry("capabilities").or_insert_with(|| json!({})));
        if let Some(capabilities) = context.and_then(Value::as_object_mut) {
            push(capabilities, verb, json!(name));
        }
    }

    fn memory(&mut self, target: &str, bytes: Option<u64>) {
        let mut volume = json!({"medium": "Memory"});
        if let (Some(volume), Some(bytes)) = (volume.as_object_mut(), bytes) {
            volume.insert("sizeLimit".into(), json!(format!("{}i", short_size(bytes).to_uppercase())));
        }
        self.mount(target, false, "emptyDir", volume);
    }

    fn mount(&mut self, target: &str, read_only: bool, kind: &str, volume: Value) {
        let name = self.volume_name(target);
        let mut mount = json!({"name": name, "mountPath": target});
        if let (Some(mount), true) = (mount.as_object_mut(), read_only) {
            mount.insert("readOnly".into(), json!(true));
        }
        push(&mut self.container, "volumeMounts", mount);
        push(&mut self.spec, "volumes", json!({"name": name, kind: volume}));
    }

    /// Returns a DNS label that no other volume has.
    fn volume_name(&self, target: &str) -> String {
        let name = label(target);
        let volumes = self.spec.get("volumes").and_then(Value::as_array);
        let taken = |name: &str| volumes.is_some_and(|all| all.iter().any(|volume| volume["name"] == name));
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(name)
    }
}

fn push(map: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(list) = map.entry(name).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}

fn variable(name: &str, value: Option<&str>) -> Value {
    match value {
        Some(value) => json!({"name": name, "value": escaped(value)}),
        None => json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "SECRET", "key": name}}}),
    }
}

pub(super) fn label(target: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = target.trim_start_matches("/dev/").chars().map(letter).take(50).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "data".to_owned() } else { name.to_owned() }
}
