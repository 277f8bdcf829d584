use super::*;
use crate::config::{ConfigOptions, KEYS, Key, Settings, file, options, together, variables};
use proptest::prelude::*;
use std::path::Path;
use sys::environment::Environment;

/// A way for a later layer to set a value.
#[derive(Clone, Debug)]
enum Way {
    Variable(String, String),
    Set(String),
    Named(String),
    Project(String),
}

fn layers_of(way: &Way, problems: &mut Problems) -> Vec<ConfigLayer> {
    match way {
        Way::Variable(name, value) => {
            let environment: Environment = [(name.as_str(), value.as_str())].into_iter().collect();
            vec![variables::read(&environment, problems)]
        }
        Way::Set(text) => {
            options::read(&ConfigOptions { set: vec![text.clone()], ..ConfigOptions::default() }, problems)
        }
        Way::Named(text) => vec![file::parse(text.as_bytes(), Path::new("/mine.yaml"), LayerSource::Named, problems)],
        Way::Project(text) => {
            vec![file::parse(text.as_bytes(), Path::new("/code/trainit.yaml"), LayerSource::Project, problems)]
        }
    }
}

/// Merges a policy and one later layer; returns the settings or the mistakes.
fn read(policy: &str, way: Option<&Way>) -> Result<Box<Settings>, String> {
    let (mut tree, mut problems) = (MergedTree::default(), Problems::default());
    tree.add(
        file::parse(policy.as_bytes(), Path::new("/etc/trainit.yaml"), LayerSource::Image, &mut problems),
        &mut problems,
    );
    for layer in way.iter().flat_map(|way| layers_of(way, &mut problems)).collect::<Vec<_>>() {
        tree.add(layer, &mut problems);
    }
    let settings = Settings::read(tree, &mut problems);
    problems.settle(true).map(|_| settings).map_err(|errors| format!("{:#}", together(errors)))
}

fn refused(policy: &str, way: &Way) -> String {
    match read(policy, Some(way)) {
        Err(why) => why,
        Ok(_) => panic!("{way:?} is let through by {policy}"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns values, as texts, that differ from the locked one.
fn others(key: &Key) -> Vec<String> {
    let more = if key.kind.map { "USR1=ignore 3=4 host.shm=off" } else { "7" };
    let example = Some(key.example).filter(|example| !example.is_empty());
    ["off", more].into_iter().chain(example).map(str::to_owned).collect()
}

fn ways(key: &Key, value: &str) -> Vec<Way> {
    let path = key.path;
    let mut ways = vec![
        Way::Set(format!("{path}={value}")),
        Way::Set(format!("{path} ={value}")),
        Way::Set(format!(" {path}={value}")),
        Way::Set(format!("{}={value}", path.to_uppercase())),
        Way::Set(format!("{path}.x={value}")),
        Way::Named(format!("{path}: {}", quoted(value))),
        Way::Named(format!("{}: {}", quoted(path), quoted(value))),
        Way::Project(format!("{path}: {}", quoted(value))),
    ];
    if value.starts_with(['[', '{']) {
        ways.push(Way::Named(format!("{path}: {value}")));
    }
    let nested = path.split('.').rev().fold(quoted(value), |inner, part| format!("{{{part}: {inner}}}"));
    ways.push(Way::Named(nested));
    let variable = key_name::variable(path);
    ways.extend(
        [variable.clone(), format!("{variable}_FILE"), variable.to_lowercase()]
            .map(|name| Way::Variable(name, value.into())),
    );
    ways
}

/// Every key is locked with and without a value, by its own name and by its group's, and every way to set it is tried.
#[test]
fn no_way_of_setting_a_locked_key_changes_what_it_means() {
    for key in KEYS.iter().filter(|key| key.path != "lock") {
        let group = key.path.split('.').next().unwrap();
        let example = if key.default.is_empty() { key.example } else { key.default };
        let value = if example.starts_with(['[', '{']) { example.to_owned() } else { quoted(example) };
        let policies = [
            format!("lock: [{}]\n{}: {value}\n", key.path, key.path),
            format!("lock: [{}]\n", key.path),
            format!("lock: [{group}]\n{}: {value}\n", key.path),
        ];
        for (number, policy) in policies.into_iter().enumerate() {
            let Ok(before) = read(&policy, None) else { continue };
            // All values run against the lock with a value, and one against the other forms, to keep the test short.
            let values = others(key).into_iter().take(if number == 0 { usize::MAX } else { 1 });
            for way in values.flat_map(|value| ways(key, &value)) {
                // A refused value changes nothing; an accepted one may still not have reached the key.
                if let Ok(after) = read(&policy, Some(&way)) {
                    assert_eq!(before.tree().get(key.path), after.tree().get(key.path), "{policy} {way:?}");
                }
            }
        }
    }
}

fn variable(name: &str, value: &str) -> Way {
    Way::Variable(name.into(), value.into())
}

#[test]
fn a_family_pins_its_members_and_a_member_is_not_set_by_its_family() {
    let family = "checks: {data: fail}\nlock: [checks.data]\n";
    let why = refused(family, &variable("TRAINIT_CHECKS", "data.exists=off"));
    assert!(why.starts_with("TRAINIT_CHECKS: checks.data.exists: locked by /etc/trainit.yaml:2"), "{why}");
    refused(family, &Way::Set("checks.data.mounted=warn".into()));
    refused(family, &variable("TRAINIT_CHECKS", r#"{"data.exists": "off"}"#));
    refused(family, &variable("TRAINIT_CHECKS", "off"));
    refused("lock: [checks.data.exists]\n", &variable("TRAINIT_CHECKS", "data=off"));
    // A check with a value of its own is not changed by its family.
    let own = "checks: {data.exists: fail}\nlock: [checks.data.exists]\n";
    assert!(read(own, Some(&variable("TRAINIT_CHECKS", "data=off"))).is_ok());
    assert!(read(family, Some(&variable("TRAINIT_CHECKS", "host.shm=off database=off"))).is_ok());
}

#[test]
fn a_name_is_the_same_however_it_is_spelled() {
    for (locked, set) in
        [("TERM", "SIGTERM=ignore"), ("SIGTERM", "15=ignore"), ("15", "term=ignore"), ("RTMIN+3", "37=ignore")]
    {
        let policy = format!("stop.on: {{{locked}: stop}}\nlock: [stop.on.{locked}]\n");
        refused(&policy, &variable("TRAINIT_STOP_ON", set));
    }
    refused("exit.map: {3: 0}\nlock: [exit.map.3]\n", &variable("TRAINIT_EXIT_MAP", "03=1"));
    let merged = read("stop.on: {USR1: stop}\n", Some(&variable("TRAINIT_STOP_ON", "SIGUSR1=ignore"))).unwrap();
    assert_eq!(merged.stop_on.value.len(), 1);
    assert!(
        refused("lock: [mode]\n", &Way::Named("stop.on: {USR1: stop, SIGUSR1: ignore}".into())).contains("set twice")
    );
}

#[test]
fn what_a_locked_mode_or_command_starts_is_not_set_by_another_layer() {
    let mode = |name: &str| Way::Named(format!("modes: {{{name}: {{command: [mine]}}}}"));
    refused("mode: train\nlock: [mode]\n", &mode("train"));
    refused("mode: board,ssh\nmodes: {board: {command: [ours]}}\nlock: [mode]\n", &mode("board"));
    refused("command: [ours]\nlock: [command]\n", &mode("train"));
    refused("modes: {board: {command: [ours]}}\nlock: [modes.board.command]\n", &mode("board"));
    assert!(read("mode: train\nlock: [mode]\n", Some(&mode("board"))).is_ok());
}

#[test]
fn other_words_for_what_is_locked_are_locked_as_well() {
    let index = "deps.index: https://ours/simple\nlock: [deps.index]\n";
    refused(index, &variable("TRAINIT_DEPS_EXTRA_INDEX", "https://mine/simple"));
    refused(index, &variable("TRAINIT_DEPS_FIND_LINKS", "/mine"));
    refused(
        "env: {PIP_INDEX_URL: https://ours}\nlock: [env.PIP_INDEX_URL]\n",
        &variable("TRAINIT_DEPS_INDEX", "https://mine"),
    );
    for lock in ["jupyter.port: 1\nlock: [jupyter.port]\n", "jupyter.auth: token\nlock: [jupyter.auth]\n"] {
        refused(lock, &variable("TRAINIT_JUPYTER_ARGS", "--port=2"));
    }
    refused("jupyter.auth: token\nlock: [jupyter.auth]\n", &variable("TRAINIT_JUPYTER_AUTH", "none"));
}

#[test]
fn a_locked_variable_wins_over_an_inherited_one_for_good() {
    for lock in ["env.A", "env"] {
        let settings = read(&format!("env: {{A: ours, B: {{file: /x}}}}\nlock: [{lock}]\n"), None).unwrap();
        let mut environment: Environment = [("A", "theirs"), ("B", "theirs")].into_iter().collect();
        settings.pin(&mut environment);
        environment.set("A", "theirs");
        let file = if lock == "env" { None } else { Some("theirs") };
        assert_eq!((environment.text("A"), environment.text("B")), (Some("ours"), file), "{lock}");
    }
    let free = read("env: {A: ours}\nlock: [mode]\n", None).unwrap();
    let mut environment: Environment = [("A", "theirs")].into_iter().collect();
    free.pin(&mut environment);
    assert_eq!(environment.text("A"), Some("theirs"));
}

proptest! {
    #[test]
    fn no_text_in_a_variable_changes_a_locked_entry(text in "[a-z.=A-Z0-9{}:\", \\[\\]]{0,40}") {
        let policy = "checks: {data: fail}\nlock: [checks.data]\n";
        for way in [variable("TRAINIT_CHECKS", &text), Way::Set(format!("checks={text}")), Way::Set(format!("checks.{text}"))] {
            if let Ok(settings) = read(policy, Some(&way)) {
                let its: Vec<_> = settings.checks.value.keys().filter(|name| name.starts_with("data.") || *name == "data").collect();
                prop_assert_eq!(its, ["data"]);
            }
        }
    }
}
