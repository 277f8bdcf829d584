//! The environment as a layer: `TRAINIT_*` variables, without those that are no input.

use super::{
    ConfigLayer, ConfigNode, ConfigSources, KEYS, Key, LayerSource, Problems, ValueOrigin, key_name, lookup, secret,
    suggest,
};
use key_name::PREFIX;
use std::ffi::OsStr;
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use tracing::debug;

/// The variable that names a file; it is not a key.
pub(super) const CONFIG: &str = "TRAINIT_CONFIG";

/// Variables that trainit sets for a workload; inherited from an outer trainit, they are no input.
pub const OUTPUTS: [&str; 14] = [
    "TRAINIT",
    "TRAINIT_ATTEMPT",
    "TRAINIT_RUN_MODE",
    "TRAINIT_RUN_DIR",
    "TRAINIT_RESUME_PATH",
    "TRAINIT_RESUME_STEP",
    "TRAINIT_CODE_COMMIT",
    "TRAINIT_NODES",
    "TRAINIT_NODE",
    "TRAINIT_RANK",
    "TRAINIT_SIZE",
    "TRAINIT_MASTER",
    "TRAINIT_EXIT_CODE",
    "TRAINIT_SESSION",
];

/// Variables that name a file with a key's value, which may hold a password. Without `_FILE` the name is that of the key's own variable.
pub const FROM_FILES: [&str; 2] = ["TRAINIT_DEPS_INDEX_FILE", "TRAINIT_DEPS_EXTRA_INDEX_FILE"];

/// Keys of the outer trainit, when one is started inside a session.
const OUTER: [&str; 3] = ["mode", "state_dir", "code.from"];

/// Reads the environment without the files that it names.
pub(super) fn read(environment: &Environment, problems: &mut Problems) -> ConfigLayer {
    let mut layer = ConfigLayer::empty(LayerSource::Environment);
    let inside = environment.text("TRAINIT") == Some("1");
    let ours = environment.iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    for (name, value) in ours {
        let lossy = name.to_string_lossy();
        if lossy != CONFIG && !OUTPUTS.contains(&&*lossy) && !value.is_empty() {
            read_one(&lossy, value, inside, &mut layer, problems);
        }
    }
    layer.check(problems);
    layer
}

fn read_one(name: &str, value: &OsStr, inside: bool, layer: &mut ConfigLayer, problems: &mut Problems) {
    if FROM_FILES.contains(&name) {
        return;
    }
    let Some(key) = lookup::of_variable(name) else {
        if !is_service_link(name, value) {
            let advice = if problems.takes_unknown() { advice(name) } else { String::new() };
            problems.unknown(&ValueOrigin::Environment(super::shown(name)), "variable", name, &advice, []);
        }
        return;
    };
    let origin = ValueOrigin::Environment(name.to_owned());
    if inside && OUTER.contains(&key.path) {
        return;
    }
    match value.to_str() {
        Some(text) => layer.put(key.path, ConfigNode::text(text, origin), problems),
        None => problems.wrong(&origin, key.path, "not UTF-8 text", ""),
    }
}

/// Adds the values in files, with the permissions of this process. Such a value is a secret, so a message about a wrong one does not quote
/// it.
pub(super) fn add_files(
    sources: &ConfigSources<'_>,
    mounts: &Mounts,
    layer: &mut ConfigLayer,
    problems: &mut Problems,
) {
    for name in FROM_FILES {
        let key = name.strip_suffix("_FILE").and_then(lookup::of_variable);
        let Some((file, key)) = sources.environment.get(name).zip(key) else { continue };
        let (path, origin) = (sources.workdir.join(file), ValueOrigin::Environment(name.to_owned()));
        if let Some(Err(error)) = file.to_str().map(super::no_place_elsewhere) {
            problems.unreadable(&origin, &error.to_string(), &error.hint());
            continue;
        }
        let read = secret::read_on(mounts, &path);
        debug!(target: "config", of = name, read = read.is_ok(), "{}: looked at", path.display());
        match read {
            Err(failure) => problems.failed(secret::failed(&origin.to_string(), &failure)),
            Ok(bytes) => match in_confidence(key, bytes, &origin) {
                Some(node) => layer.put(key.path, node, problems),
                None => {
                    let path = super::shown(&path.display().to_string());
                    problems.unreadable(&origin, &format!("what {path} holds is not {}", (key.kind.form)()), "")
                }
            },
        }
    }
}

/// Returns a valid value; messages about an invalid one do not quote it.
fn in_confidence(key: &Key, bytes: Vec<u8>, origin: &ValueOrigin) -> Option<ConfigNode> {
    let node = ConfigNode::text(String::from_utf8(bytes).ok()?, origin.clone());
    let (mut alone, mut unsaid) = (ConfigLayer::empty(LayerSource::Environment), Problems::of_one_layer());
    alone.put(key.path, node, &mut unsaid);
    alone.check(&mut unsaid);
    unsaid.settle(true).ok()?;
    alone.values.remove(key.path)
}

/// Suggests the intended variable for an unknown one.
fn advice(name: &str) -> String {
    let is = |key: &&Key| name == key_name::variable(key.path);
    let is_entry = |key: &&Key| key.kind.map && name.starts_with(&format!("{}_", key_name::variable(key.path)));
    let Some(key) = KEYS.iter().find(is).or_else(|| KEYS.iter().find(is_entry)) else {
        return nearest(name).map(|variable| format!("did you mean {variable}?")).unwrap_or_default();
    };
    match (key.path, key.variable()) {
        (path, Some(variable)) => {
            format!("entries of {path} are set with {variable}=\"NAME=VALUE …\" or --set {path}.NAME=VALUE")
        }
        (path, None) if key.kind.map => format!("entries of {path} are set in a file or with --set {path}.NAME=VALUE"),
        (path, None) => format!("{path} is set in a file"),
    }
}

/// Returns the nearest variable, compared without the common prefix, which would make all of them similar.
fn nearest(name: &str) -> Option<String> {
    let variables: Vec<String> = KEYS.iter().filter_map(Key::variable).collect();
    let rests = variables.iter().filter_map(|variable| variable.strip_prefix(PREFIX));
    let meant = suggest::closest(name.strip_prefix(PREFIX)?, rests)?;
    Some(format!("{PREFIX}{meant}"))
}

/// Returns whether Kubernetes made a variable for a service whose name starts with `trainit`: `…_SERVICE_HOST`, `…_SERVICE_PORT…`,
/// `…_PORT_80_TCP…`, and `…_PORT` with an address (Kubernetes documentation, "Accessing the Service", environment variables).
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let address = value
        .to_str()
        .is_some_and(|text| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme)));
    let port = |rest: &str| {
        let (number, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        digits && ["TCP", "UDP", "SCTP"].iter().any(|protocol| rest.starts_with(protocol))
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT") && address
        || name.split_once("_PORT_").is_some_and(|(_, rest)| port(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::together;

    fn read_all(variables: &[(&str, &str)]) -> (ConfigLayer, String) {
        let mut problems = Problems::of_one_layer();
        let layer = read(&variables.iter().copied().collect(), &mut problems);
        (layer, problems.settle(true).map_err(|errors| format!("{:#}", together(errors))).err().unwrap_or_default())
    }

    #[test]
    fn names_are_unique_and_are_not_outputs() {
        let mut names: Vec<String> = KEYS.iter().map(|key| key_name::variable(key.path)).collect();
        names.extend(OUTPUTS.iter().map(|name| (*name).to_owned()));
        names.push(CONFIG.into());
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn no_key_is_named_like_a_service_link() {
        for key in KEYS {
            assert!(!is_service_link(&key_name::variable(key.path), OsStr::new("1")), "{}", key.path);
        }
    }

    #[test]
    fn service_links_and_own_outputs_are_no_input() {
        let links = [
            ("TRAINIT_SERVICE_HOST", "10.0.0.1"),
            ("TRAINIT_SERVICE_PORT", "80"),
            ("TRAINIT_SERVICE_PORT_HTTP", "80"),
            ("TRAINIT_PORT", "tcp://10.0.0.1:80"),
            ("TRAINIT_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("TRAINIT_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("TRAINIT_WEB_PORT_53_UDP_PROTO", "udp"),
            ("TRAINIT_ATTEMPT", "2"),
            ("TRAINIT_CONFIG", "/x"),
            ("TRAINIT_GPU_COUNT", ""),
        ];
        let (layer, errors) = read_all(&links);
        assert_eq!((layer.values.len(), errors.as_str()), (0, ""));
    }

    #[test]
    fn a_port_that_is_no_link_is_unknown() {
        assert!(read_all(&[("TRAINIT_PORT", "80")]).1.starts_with("TRAINIT_PORT: unknown variable"));
    }

    #[test]
    fn an_unknown_variable_is_told_with_the_nearest_one() {
        let (_, errors) = read_all(&[("TRAINIT_GPU_CUONT", "4")]);
        assert_eq!(errors, "TRAINIT_GPU_CUONT: unknown variable\n    → did you mean TRAINIT_GPU_COUNT?");
    }

    #[test]
    fn a_variable_named_after_an_entry_of_a_map_is_explained() {
        let (_, errors) = read_all(&[("TRAINIT_ENV_HF_HOME", "/x"), ("TRAINIT_CHECKS_HOST_SHM", "off")]);
        assert!(errors.contains("--set env.NAME=VALUE"), "{errors}");
        assert!(errors.contains("TRAINIT_CHECKS=\"NAME=VALUE …\""), "{errors}");
        assert!(read_all(&[("TRAINIT_LOCK", "mode")]).1.contains("lock is set in a file"));
    }

    #[test]
    fn inside_a_session_the_outer_mode_is_not_read() {
        let variables = [("TRAINIT_MODE", "shell"), ("TRAINIT_STATE_DIR", "/x"), ("TRAINIT_GPU_COUNT", "1")];
        assert_eq!(read_all(&variables).0.values.len(), 3);
        let inside = [&[("TRAINIT", "1")][..], &variables].concat();
        assert_eq!(read_all(&inside).0.values.into_keys().collect::<Vec<_>>(), ["gpu.count"]);
    }
}
