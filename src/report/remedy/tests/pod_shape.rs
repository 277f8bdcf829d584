//! The fragments for a pod's manifest, read as YAML, merged into a small pod, and held against the names and types of the fields that
//! Kubernetes has (the core API, v1). It knows the fields that the table of remedies writes.

use super::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a field holds.
enum Shape {
    Text,
    Name,
    Number,
    Truth,
    Quantity,
    List(&'static Shape),
    /// Any names with values of one shape.
    Map(&'static Shape),
    /// The fields that are known; those before the number are required.
    Fields(usize, &'static [(&'static str, Shape)]),
}

use Shape::{Fields, List, Map, Name, Number, Quantity, Text, Truth};

const POD: Shape =
    Fields(4, &[("apiVersion", Text), ("kind", Text), ("metadata", Fields(1, &[("name", Name)])), ("spec", SPEC)]);

const SPEC: Shape = Fields(
    1,
    &[
        ("containers", List(&CONTAINER)),
        ("volumes", List(&VOLUME)),
        ("hostAliases", List(&Fields(2, &[("ip", Text), ("hostnames", List(&Text))]))),
        ("hostIPC", Truth),
        ("hostname", Name),
        ("securityContext", Fields(0, &[("fsGroup", Number), ("supplementalGroups", List(&Number))])),
    ],
);

const CONTAINER: Shape = Fields(
    2,
    &[
        ("name", Name),
        ("image", Text),
        ("args", List(&Text)),
        ("env", List(&Fields(1, &[("name", Text), ("value", Text), ("valueFrom", SECRET)]))),
        ("resources", Fields(0, &[("limits", Map(&Quantity))])),
        ("securityContext", SECURITY),
        ("stdin", Truth),
        ("tty", Truth),
        ("volumeMounts", List(&Fields(2, &[("mountPath", Text), ("name", Name), ("readOnly", Truth)]))),
        ("workingDir", Text),
    ],
);

const SECRET: Shape = Fields(1, &[("secretKeyRef", Fields(2, &[("key", Text), ("name", Text)]))]);

const SECURITY: Shape = Fields(
    0,
    &[
        ("allowPrivilegeEscalation", Truth),
        ("capabilities", Fields(0, &[("add", List(&Text)), ("drop", List(&Text))])),
        ("privileged", Truth),
        ("readOnlyRootFilesystem", Truth),
        ("runAsGroup", Number),
        ("runAsUser", Number),
        ("seLinuxOptions", Fields(0, &[("type", Text)])),
    ],
);

const VOLUME: Shape = Fields(
    1,
    &[
        ("name", Name),
        ("emptyDir", Fields(0, &[("medium", Text), ("sizeLimit", Quantity)])),
        ("persistentVolumeClaim", Fields(1, &[("claimName", Text)])),
    ],
);

impl Shape {
    /// Adds what is wrong with a value at a path.
    fn faults(&self, value: &Value, path: &str, faults: &mut Vec<String>) {
        let holds = match self {
            Text => value.is_string(),
            Name => value.as_str().is_some_and(is_label),
            Number => value.is_u64(),
            Truth => value.is_boolean(),
            Quantity => value.is_u64() || value.as_str().is_some_and(is_quantity),
            List(_) => value.as_array().is_some_and(|items| !items.is_empty()),
            Map(_) | Fields(..) => value.is_object(),
        };
        if !holds {
            faults.push(format!("{path}: {value}"));
        }
        for (at, item) in value.as_array().into_iter().flatten().enumerate() {
            if let List(shape) = self {
                shape.faults(item, &format!("{path}[{at}]"), faults);
            }
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let shape = match self {
                Map(shape) => Some(*shape),
                Fields(_, fields) => fields.iter().find(|(known, _)| known == name).map(|(_, shape)| shape),
                _ => None,
            };
            match shape {
                Some(shape) => shape.faults(member, &path, faults),
                None => faults.push(format!("{path}: no such field")),
            }
        }
        if let Fields(required, fields) = self {
            let missing = fields[..*required].iter().filter(|(name, _)| value.get(name).is_none());
            faults.extend(missing.map(|(name, _)| format!("{path}.{name}: missing")));
        }
    }
}

/// Returns whether a name is a DNS label (RFC 1123).
fn is_label(name: &str) -> bool {
    let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (1..=63).contains(&name.len()) && letters && !name.starts_with('-') && !name.ends_with('-')
}

fn is_quantity(text: &str) -> bool {
    ["Mi", "Gi"].iter().any(|unit| text.strip_suffix(unit).is_some_and(|number| number.parse::<u64>().is_ok()))
}

/// Merges a fragment: members by name, and the items of lists behind those that are there. The container is the one that is named.
fn merged(into: &mut Value, fragment: &Value) {
    match (into, fragment) {
        (Value::Object(members), Value::Object(more)) => {
            more.iter().for_each(|(name, value)| merged(members.entry(name).or_insert(Value::Null), value));
        }
        (Value::Array(items), Value::Array(more)) => {
            for item in more {
                let same = items.iter_mut().find(|other| item["name"].is_string() && other["name"] == item["name"]);
                match same {
                    Some(same) => merged(same, item),
                    None => items.push(item.clone()),
                }
            }
        }
        (into, value) => *into = value.clone(),
    }
}

/// Returns the values of a member of all items.
fn each<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().into_iter().flatten().filter_map(|item| item[name].as_str()).collect()
}

fn assert_unique(names: &[&str], text: &str) {
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}:\n{text}");
}

/// Holds a manifest against the fields, and against the rules between them.
fn assert_is_a_pod(pod: &Value, text: &str) {
    let mut faults = Vec::new();
    POD.faults(pod, "pod", &mut faults);
    assert!(faults.is_empty(), "{faults:#?}\n{text}");
    let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!(spec["containers"].as_array().map(Vec::len), Some(1), "{text}");
    let volumes = each(&spec["volumes"], "name");
    assert_unique(&volumes, text);
    assert_eq!(each(&container["volumeMounts"], "name"), volumes, "{text}");
    let paths = each(&container["volumeMounts"], "mountPath");
    assert!(paths.iter().all(|path| path.starts_with('/')), "{text}");
    assert_unique(&paths, text);
    assert_unique(&each(&container["env"], "name"), text);
    assert_unique(&each(&spec["hostAliases"], "ip"), text);
    let sources = spec["volumes"].as_array().into_iter().flatten().map(|volume| volume.as_object().unwrap().len());
    assert!(sources.into_iter().all(|members| members == 2), "a volume has one source:\n{text}");
    let security = &container["securityContext"];
    // Kubernetes refuses the two together.
    assert!(security["privileged"] != true || security["allowPrivilegeEscalation"] != false, "{text}");
    let added = security["capabilities"]["add"].as_array().into_iter().flatten().filter_map(Value::as_str);
    assert!(added.into_iter().all(|name| !name.starts_with("CAP_")), "{text}");
}

/// Prints the fragment of a start that failed for these changes, and merges it.
fn assert_fits(changes: &[Change]) -> Option<Value> {
    let findings = [finding("data.mounted", Status::Fail, changes)];
    let start =
        || TypedStart { program: "docker", parts: Vec::new(), command: vec!["python".into(), "trian.py".into()] };
    let text = super::super::correction(&findings, Form::Of(Starter::Kubernetes), start)?.command?;
    let fragment: Value = yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    assert_eq!(fragment.as_object().map(|members| members.keys().collect::<Vec<_>>()), Some(vec![&"spec".to_owned()]));
    let container = json!({"name": "CONTAINER", "image": "IMAGE"});
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "train"}, "spec": {"containers": [container]}});
    let before = pod.clone();
    merged(&mut pod, &fragment);
    assert_ne!(pod, before, "it changes nothing:\n{text}");
    // The manifest's own names take the place of the two that it shows.
    let mut shown = pod.clone();
    shown["spec"]["containers"][0]["name"] = json!("train");
    assert_is_a_pod(&shown, &text);
    Some(pod)
}

#[test]
fn every_fragment_for_a_pod_fits_into_a_manifest() {
    for change in changes() {
        let changing = words::changes_the_start(Starter::Kubernetes, &change);
        assert_eq!(assert_fits(std::slice::from_ref(&change)).is_some(), changing, "{change:?}");
        let line = words::line(Starter::Kubernetes, &change);
        if let cell::Words::Fragment(text) = words::words(Starter::Kubernetes, &change) {
            let read = yaml_serde::from_str::<Value>(&format!("{{{text}}}"));
            assert!(read.is_ok_and(|read| read.is_object()), "{line}");
        }
    }
}

#[test]
fn all_fragments_for_a_pod_fit_together_and_in_any_order() {
    let more = [
        mount("/data", true),
        mount("/mnt/data", true),
        mount("/mnt-data", false),
        Change::GroupAdd(109),
        Change::HostAlias("n2".into()),
        Change::Hostname("n1.example".into()),
        Change::Env { name: "HF_TOKEN".into(), value: None },
        Change::CapAdd("SYS_PTRACE".into()),
    ];
    let all = [changes(), more.to_vec()].concat();
    let pod = assert_fits(&all).unwrap();
    assert_eq!(pod["spec"]["securityContext"]["fsGroup"], 100);
    assert_eq!(pod["spec"]["hostAliases"][0]["hostnames"], json!(["n1", "n2"]));
    assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"]["memory"], "64Gi");
    let reversed: Vec<Change> = all.into_iter().rev().collect();
    assert!(assert_fits(&reversed).is_some());
}

#[test]
fn a_whole_pod_has_the_shape_of_one() {
    let text = super::correction(DOCKER).kubernetes;
    assert_is_a_pod(&yaml_serde::from_str(&text).unwrap(), &text);
}

#[test]
fn a_wrong_name_type_or_reference_is_noticed() {
    let faults = |spec: Value| {
        let mut faults = Vec::new();
        SPEC.faults(&spec, "spec", &mut faults);
        faults
    };
    let container = |more: Value| {
        let mut container = json!({"name": "a", "image": "b"});
        merged(&mut container, &more);
        json!({"containers": [container]})
    };
    assert_eq!(faults(container(json!({}))), Vec::<String>::new());
    for wrong in [
        json!({"volume_mounts": []}),
        json!({"resources": {"limits": {"memory": "8g"}}}),
        json!({"securityContext": {"runAsUser": "1000"}}),
        json!({"securityContext": {"fsGroup": 1}}),
        json!({"volumeMounts": [{"name": "Data", "mountPath": "/data"}]}),
        json!({"volumeMounts": [{"name": "data"}]}),
        json!({"stdin": "true"}),
    ] {
        assert_eq!(faults(container(wrong.clone())).len(), 1, "{wrong}");
    }
}
