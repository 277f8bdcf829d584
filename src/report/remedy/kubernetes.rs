//! The column of Kubernetes, and a start as a pod (the core API, v1).

use super::cell::{Words, meant};
use super::{short_size, yaml};
use crate::engine::StartPart;
use serde_json::{Map, Value, json};
use std::ffi::OsString;

/// Returns the whole manifest.
pub(super) fn start(parts: &[StartPart], command: &[OsString]) -> String {
    let mut pod = Pod::default();
    pod.container.insert("name".into(), json!("train"));
    pod.container.insert("image".into(), json!("IMAGE"));
    pod.args(&meant(parts.iter(), command));
    parts.iter().for_each(|part| pod.add(part));
    let spec = pod.finished();
    yaml::document(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "train"}, "spec": spec}))
}

/// Returns what the changes add to the manifest that is there, which cannot be seen from inside.
pub(super) fn fragment(changes: &[StartPart], command: &[OsString]) -> String {
    let mut pod = Pod::default();
    pod.container.insert("name".into(), json!("CONTAINER"));
    if changes.iter().any(|change| matches!(change, StartPart::Word { .. })) {
        pod.args(&meant(changes.iter(), command));
    }
    changes.iter().for_each(|part| pod.add(part));
    yaml::document(&json!({"spec": pod.finished()}))
}

/// Returns the cell of a change.
pub(super) fn words(part: &StartPart) -> Words {
    match part {
        StartPart::Pids(_) => Words::Sentence("raise podPidsLimit of the node's kubelet".into()),
        StartPart::Ulimit { name, .. } if name == "memlock" => words(&StartPart::CapAdd("IPC_LOCK".into())),
        StartPart::Ulimit { name, limit } => Words::Sentence(format!(
            "Limit{}={} in the unit of the node's container runtime",
            name.to_uppercase(),
            limit.map_or("infinity".to_owned(), |limit| limit.to_string())
        )),
        StartPart::Device(path) if path.contains("infiniband") => Words::Sentence(
            "ask for the RDMA resource of the cluster's device plugin: resources: {limits: {rdma/…: 1}}".into(),
        ),
        StartPart::Before(command) => Words::Sentence(format!("where the volume can be written: {command}")),
        StartPart::Word { .. } => Words::Word,
        StartPart::KeepGroups => Words::Sentence("hostUsers: true in the pod".into()),
        part => Words::Fragment(change(part)),
    }
}

/// Returns the part of a manifest that one change adds, members of the container first.
fn change(part: &StartPart) -> String {
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
            StartPart::Scratch { target } => self.mount(target, false, "emptyDir", json!({})),
            StartPart::Shm { bytes } => self.memory("/dev/shm", Some(*bytes)),
            StartPart::HostIpc => self.set_spec("hostIPC", json!(true)),
            StartPart::Gpus { count } => self.gpus(count.unwrap_or(1)),
            StartPart::GpuIds(ids) => self.gpus(ids.split(',').count() as u32),
            // A pod gets devices only from a device plugin: the first has a name of the cluster's, the other is AMD's.
            StartPart::Device(path) if path.contains("infiniband") => {}
            StartPart::Device(_) => self.limit("amd.com/gpu", json!(1)),
            StartPart::Memory { bytes } => self.limit("memory", json!(quantity(*bytes))),
            StartPart::GroupAdd(gid) => self.group(*gid),
            // The kubelet gives a volume's files to this group, where its driver can (the pod's security context).
            StartPart::Owned { uid, gid, .. } => {
                self.security_of_the_pod("fsGroup", json!(if *gid == 0 { uid } else { gid }));
            }
            StartPart::HostAlias(name) => {
                let aliases = self.spec.entry("hostAliases").or_insert_with(|| json!([{"ip": "127.0.0.1"}]));
                // An address is listed once, with all its names.
                aliases[0].as_object_mut().into_iter().for_each(|alias| push(alias, "hostnames", json!(name)));
            }
            StartPart::User { uid, gid } | StartPart::KeepId { uid, gid } => {
                self.security("runAsUser", json!(uid));
                self.security("runAsGroup", json!(gid));
            }
            StartPart::Privileged => self.security("privileged", json!(true)),
            StartPart::CapAdd(name) => self.capability("add", name),
            StartPart::CapDrop(name) => self.capability("drop", name),
            StartPart::NoNewPrivileges => self.security("allowPrivilegeEscalation", json!(false)),
            StartPart::NoLabel => self.security("seLinuxOptions", json!({"type": "spc_t"})),
            StartPart::ReadOnlyRoot => self.security("readOnlyRootFilesystem", json!(true)),
            StartPart::Terminal => ["stdin", "tty"].iter().for_each(|name| self.set(name, json!(true))),
            StartPart::Hostname(name) => {
                self.set_spec("hostname", json!(label(name.split('.').next().unwrap_or_default())))
            }
            StartPart::Workdir(path) => self.set("workingDir", json!(path)),
            StartPart::Env { name, value } => push(&mut self.container, "env", variable(name, value.as_deref())),
            // With this capability the limit does not count.
            StartPart::Ulimit { name, .. } if name == "memlock" => self.capability("add", "IPC_LOCK"),
            // A pod has no other limits, and no command before it; words are in its arguments.
            StartPart::Ulimit { .. }
            | StartPart::Pids(_)
            | StartPart::Before(_)
            | StartPart::Word { .. }
            | StartPart::KeepGroups => {}
        }
    }

    /// Returns the spec with its container.
    fn finished(mut self) -> Map<String, Value> {
        // Kubernetes refuses all rights together with none that are new.
        if let Some(context) = self.container.get_mut("securityContext").and_then(Value::as_object_mut)
            && context.get("privileged") == Some(&json!(true))
        {
            context.remove("allowPrivilegeEscalation");
        }
        self.spec.insert("containers".into(), json!([self.container]));
        self.spec
    }

    fn set(&mut self, name: &str, value: Value) {
        self.container.insert(name.to_owned(), value);
    }

    fn set_spec(&mut self, name: &str, value: Value) {
        self.spec.insert(name.to_owned(), value);
    }

    fn args(&mut self, command: &[OsString]) {
        let words: Vec<String> =
            text::masked_words(command).iter().map(|word| escaped(&word.to_string_lossy())).collect();
        if !words.is_empty() {
            self.container.insert("args".into(), json!(words));
        }
    }

    fn gpus(&mut self, count: u32) {
        self.limit("nvidia.com/gpu", json!(count));
    }

    fn limit(&mut self, name: &str, value: Value) {
        let resources = self.container.entry("resources").or_insert_with(|| json!({"limits": {}}));
        resources["limits"][name] = value;
    }

    fn security_of_the_pod(&mut self, name: &str, value: Value) {
        let context = self.spec.entry("securityContext").or_insert_with(|| json!({}));
        context[name] = value;
    }

    fn group(&mut self, gid: u32) {
        let context = self.spec.entry("securityContext").or_insert_with(|| json!({}));
        if let Some(context) = context.as_object_mut() {
            push(context, "supplementalGroups", json!(gid));
        }
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
            volume.insert("sizeLimit".into(), json!(quantity(bytes)));
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

/// Formats a size as Kubernetes reads it: `8Gi`.
fn quantity(bytes: u64) -> String {
    format!("{}i", short_size(bytes).to_uppercase())
}

fn push(map: &mut Map<String, Value>, name: &str, value: Value) {
    let list = map.entry(name).or_insert_with(|| json!([])).as_array_mut();
    if let Some(list) = list.filter(|list| !list.contains(&value)) {
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
