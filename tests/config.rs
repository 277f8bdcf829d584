//! The configuration from outside: layers on a disk, an environment, options; and that documentation, schema and template say
//! what the table of keys says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may")]

use protocol::handover::StopSignal;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;
use tempfile::TempDir;
use trainit::command::config as command;
use trainit::config::{self, ConfigOptions, ConfigSources, KEYS, Loaded, Severity, ValueOrigin, load};

#[path = "config/debug.rs"]
mod debug;
#[path = "config/docs.rs"]
mod docs;
#[path = "config/examples.rs"]
mod examples;
#[path = "config/recipes.rs"]
mod recipes;
#[path = "config/schema.rs"]
mod schema;

/// A machine with files, variables and options of its own.
struct World {
    root: TempDir,
    code: TempDir,
    variables: Vec<(String, String)>,
    options: ConfigOptions,
}

impl World {
    fn new() -> Self {
        let directory = || tempfile::tempdir().unwrap();
        World { root: directory(), code: directory(), variables: Vec::new(), options: ConfigOptions::default() }
    }

    fn etc(self, name: &str, text: &str) -> Self {
        write(&self.root.path().join("etc").join(name), text);
        self
    }

    fn project(self, text: &str) -> Self {
        write(&self.code.path().join("trainit.yaml"), text);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn set(mut self, text: &str) -> Self {
        self.options.set.push(text.into());
        self
    }

    fn load(&self) -> Result<Loaded, String> {
        let environment: Environment = self.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let root = Root::at(self.root.path());
        let sources =
            ConfigSources { root: &root, environment: &environment, options: &self.options, workdir: self.code.path() };
        load(&sources).map_err(|error| {
            assert_eq!(error.exit().code(), 78);
            let text = format!("{error:#}").replace(&self.root.path().display().to_string(), "");
            text.replace(&self.code.path().display().to_string(), "/code")
        })
    }

    fn refused(&self) -> String {
        self.load().map(|loaded| format!("{:?}", loaded.settings)).unwrap_err()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn without_any_layer_every_value_is_the_built_in_one() {
    let loaded = World::new().load().unwrap();
    assert!(loaded.files.is_empty() && loaded.warnings.is_empty());
    assert_eq!(loaded.settings.stop_exit_code.value, Some(143));
    assert_eq!(loaded.settings.deps_timeout.value.unwrap().as_secs(), 1800);
    assert_eq!(loaded.settings.stop_grace.value, None);
    assert_eq!(loaded.settings.mode.origin, ValueOrigin::Default);
}

#[test]
fn each_layer_wins_over_the_ones_below() {
    let layers: [fn(World) -> World; 7] = [
        |world| world.etc("trainit.yaml", "command: [one]\n"),
        |world| world.etc("trainit.d/10-a.yaml", "command: [two]\n"),
        |world| world.etc("trainit.d/20-b.yaml", "command: [three]\n"),
        |world| {
            write(&world.root.path().join("named.yaml"), "command: [four]\n");
            let name = world.root.path().join("named.yaml").display().to_string();
            world.variable("TRAINIT_CONFIG", &name)
        },
        |world| world.project("command: [five]\n"),
        |world| world.variable("TRAINIT_COMMAND", "six"),
        |world| world.set("command=seven").set("command=eight"),
    ];
    let words = ["one", "two", "three", "four", "five", "six", "eight"];
    let mut world = World::new();
    for (layer, word) in layers.into_iter().zip(words) {
        world = layer(world);
        assert_eq!(world.load().unwrap().settings.command.value, [word]);
    }
}

#[test]
fn a_value_names_its_origin() {
    let world = World::new()
        .etc("trainit.yaml", "# policy\nstop:\n  grace: 10m\n")
        .variable("TRAINIT_GPU_COUNT", "2")
        .set("mode=shell");
    let settings = world.load().unwrap().settings;
    let file = world.root.path().join("etc/trainit.yaml");
    assert_eq!(settings.stop_grace.origin, ValueOrigin::File(file, 3));
    assert_eq!(settings.gpu_count.origin, ValueOrigin::Environment("TRAINIT_GPU_COUNT".into()));
    assert_eq!(settings.mode.origin, ValueOrigin::CommandLine("--set mode".into()));
}

#[test]
fn the_option_names_the_file_before_the_variable_does() {
    let mut world = World::new().variable("TRAINIT_CONFIG", "missing.yaml");
    assert_eq!(world.refused(), "TRAINIT_CONFIG: /code/missing.yaml: No such file or directory");
    write(&world.code.path().join("there.yaml"), "mode: shell\nmodes: {a: b}\n");
    world.options.config = Some("there.yaml".into());
    assert_eq!(world.load().unwrap().settings.mode.value, "shell");
}

#[test]
fn maps_merge_by_name_and_lists_are_replaced() {
    let world = World::new()
        .etc("trainit.yaml", "env: {A: 1, B: {value: 2, force: yes}}\nchecks: {a.b: off}\ndata: [/a, /b]\n")
        .project("env: {B: {value: 3}, C: ''}\ndata: [/c]\n")
        .variable("TRAINIT_CHECKS", "c.d=fail e.f=warn")
        .set("env.D.E=x=y")
        .set("env.F=");
    let settings = world.load().unwrap().settings;
    let env: Vec<_> = settings.env.iter().map(|(n, v)| (n.as_str(), v.value.as_str(), v.force)).collect();
    assert_eq!(env, [("A", "1", false), ("B", "3", true), ("C", "", false), ("D.E", "x=y", false), ("F", "", false)]);
    let origin = |path| settings.entry_origin(path).unwrap().to_string();
    assert!(origin("checks.a.b").ends_with("trainit.yaml:2") && origin("env.D.E") == "--set env.D.E");
    assert_eq!(origin("checks.c.d"), "TRAINIT_CHECKS");
    let severities = [("a.b", Severity::Off), ("c.d", Severity::Fail), ("e.f", Severity::Warn)];
    assert_eq!(settings.checks.value, severities.map(|(n, s)| (n.into(), s)).into());
    assert_eq!(settings.data.iter().map(|data| data.path.clone()).collect::<Vec<_>>(), [PathBuf::from("/c")]);
}

#[test]
fn off_empties_what_was_said_before() {
    let image =
        "data: [/a]\nenv: {A: 1}\nchecks: {a.b: off}\nstop: {grace: 10m, drain: 1s}\ndeps: {requirements: [r.txt]}\n";
    let world = World::new()
        .etc("trainit.yaml", image)
        .project("env: off\ndata: []\n")
        .variable("TRAINIT_CHECKS", "off")
        .variable("TRAINIT_STOP_GRACE", "off")
        .variable("TRAINIT_DEPS_REQUIREMENTS", "off")
        .set("stop.drain=off")
        .set("env.B=2");
    let settings = world.load().unwrap().settings;
    assert!(settings.data.is_empty() && settings.checks.is_empty());
    assert_eq!(settings.env.keys().collect::<Vec<_>>(), ["B"]);
    assert_eq!((settings.stop_grace.value, settings.stop_drain.value), (None, None));
    assert_eq!(settings.deps_requirements.value, config::Requirements::Off);
}

#[test]
fn nothing_counts_as_not_set() {
    let world = World::new()
        .etc("trainit.yaml", "mode: shell\nstop:\n  grace: 10m\n")
        .project("mode:\nstop:\n")
        .variable("TRAINIT_MODE", "")
        .set("stop.grace=");
    let settings = world.load().unwrap().settings;
    assert_eq!((settings.mode.as_str(), settings.stop_grace.value.map(|d| d.as_secs())), ("shell", Some(600)));
}

#[test]
fn a_mode_can_be_written_behind_set_as_in_a_file() {
    let of = |text: &str| World::new().set(text).load().map(|loaded| loaded.settings.modes["board"].clone());
    let whole = of(r#"modes.board={"command": ["tensorboard", "--logdir", "/my runs"], "kind": "build"}"#).unwrap();
    assert_eq!(whole, of("modes.board={command: [tensorboard, --logdir, /my runs], kind: build}").unwrap());
    assert_eq!((whole.command.len(), whole.kind), (3, protocol::handover::WorkloadKind::Build));
    assert_eq!(of("modes.board=tensorboard --logdir /x").unwrap().command.len(), 3);
    let refused = of("modes.board={command: x, kidn: build}").unwrap_err();
    assert!(refused.contains("--set modes.board") && refused.contains("kidn"), "{refused}");
}

#[test]
fn dotted_and_nested_names_mean_the_same() {
    let world =
        World::new().etc("trainit.yaml", "stop.grace: 10m\nstop:\n  signal: INT\n  on.USR1: checkpoint\nenv.A: b\n");
    let settings = world.load().unwrap().settings;
    assert_eq!(settings.stop_grace.value.map(|d| d.as_secs()), Some(600));
    assert_eq!(settings.stop_signal.value, StopSignal::Number(2));
    assert!(settings.stop_on.contains_key("USR1") && settings.env.contains_key("A"));
    let twice = World::new().project("env: {A: 1}\nenv.A: 2\nenv.B: 3\n").refused();
    assert!(twice.contains(": env.A: set twice"), "{twice}");
    let twice = World::new().etc("trainit.yaml", "stop.grace: 10m\nstop:\n  grace: 1m\n");
    assert_eq!(
        twice.refused(),
        "/etc/trainit.yaml:1: stop.grace: set twice, first at /etc/trainit.yaml:3\n    → keep one of them"
    );
}

#[test]
fn a_project_may_not_set_what_the_image_decides() {
    let refused = World::new().project("mode: shell\nmodes: {a: b}\nunknown: warn\nlock: [mode]\n").refused();
    assert!(refused.starts_with("3 mistakes"), "{refused}");
    for key in ["modes", "unknown", "lock"] {
        assert!(refused.contains(&format!("{key}: a file that comes with the code may not set it")), "{refused}");
    }
}

#[test]
fn the_layers_that_may_name_the_user_are_known_before_the_project_is_looked_at() {
    let world = World::new().etc("trainit.yaml", "user: 1000\nworkdir: /image\n").project("[not yaml").set("env.A=1");
    let environment = Environment::default();
    let root = Root::at(world.root.path());
    let sources =
        ConfigSources { root: &root, environment: &environment, options: &world.options, workdir: world.code.path() };
    let trusted = config::TrustedLayers::read(&sources);
    let settings = trusted.settings();
    assert!(settings.user.origin != ValueOrigin::Default && settings.env.contains_key("A"));
    assert_eq!((trusted.code(), trusted.named()), (PathBuf::from("/image"), None));
    assert!(trusted.verify(&settings).is_ok());
    let world = World::new().etc("trainit.yaml", "usr: 1000\n");
    let root = Root::at(world.root.path());
    let sources =
        ConfigSources { root: &root, environment: &environment, options: &world.options, workdir: world.code.path() };
    let trusted = config::TrustedLayers::read(&sources);
    let error = trusted.verify(&trusted.settings()).unwrap_err();
    assert!(format!("{error:#}").contains("unknown key `usr`"), "{error}");
}

#[test]
fn a_secret_that_stands_in_a_file_is_never_repeated_however_wrong_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let file = world.root.path().join("index");
    fs::write(&file, b"hunter2 \xff\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = world.variable("TRAINIT_DEPS_INDEX_FILE", file.to_str().unwrap()).refused();
    assert!(refused.contains("TRAINIT_DEPS_INDEX_FILE: what /index holds is not"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn what_only_root_can_read_is_told_by_its_line_alone() {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata("/proc/self").map(|found| std::os::unix::fs::MetadataExt::uid(&found)).ok() != Some(0) {
        return println!("SKIPPED: only root can read what its mode forbids");
    }
    let world = World::new().etc("trainit.yaml", "mode: train\nhunter2: 1\n");
    let file = world.root.path().join("etc/trainit.yaml");
    assert!(world.refused().contains("/etc/trainit.yaml:2: unknown key `hunter2`"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = world.refused();
    assert!(refused.starts_with("/etc/trainit.yaml:2: not valid; only root can read this file"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn locked_keys_cannot_be_set_later() {
    let image = "deps: {installer: pip}\nenv: {A: 1}\nlock: [deps, env.A, mode, stop]\nstop: {grace: 1m}\n";
    let world = World::new().etc("trainit.yaml", image);
    assert_eq!(world.load().unwrap().settings.deps_installer.value, config::Installer::Pip);
    let refused = world
        .etc("trainit.d/a.yaml", "deps: {installer: uv}\n")
        .project("env: {A: 2, B: 3}\n")
        .variable("TRAINIT_DEPS_TIMEOUT", "1h")
        .set("mode=shell")
        .refused();
    assert!(refused.starts_with("4 mistakes"), "{refused}");
    for message in [
        "/etc/trainit.d/a.yaml:1: deps.installer: locked by /etc/trainit.yaml:3",
        "/code/trainit.yaml:1: env.A: locked by",
        "TRAINIT_DEPS_TIMEOUT: locked by",
        "--set mode: locked by",
    ] {
        assert!(refused.contains(message), "{message}\n{refused}");
    }
    let emptied = World::new().etc("trainit.yaml", image).set("env=off").refused();
    assert!(emptied.contains("env.A: locked by"), "{emptied}");
}

#[test]
fn locks_add_up_and_stand_in_etc_only() {
    let world = World::new().etc("trainit.yaml", "lock: [mode]\n").etc("trainit.d/a.yaml", "lock: []\n");
    let refused = world.set("lock=off").set("mode=shell").refused();
    assert!(refused.contains("--set lock: only /etc") && refused.contains("--set mode: locked by"), "{refused}");
    let unknown = World::new().etc("trainit.yaml", "lock: [stop.grce]\n").refused();
    assert_eq!(unknown, "/etc/trainit.yaml:1: unknown key in lock: `stop.grce`\n    → did you mean stop.grace?");
}

#[test]
fn all_mistakes_of_all_layers_are_told_at_once_in_order() {
    let refused = World::new()
        .etc("trainit.yaml", "gpu:\n  cuont: 2\nstop: {grace: 10x}\nworkdir: [a]\n")
        .project("checks: {a.b: of}\nstop.on: {NOSUCH: stop}\nmodes: {A: [x]}\nexit.map: {256: 0}\n")
        .variable("TRAINIT_DATA", "/data:min_file=3")
        .variable("TRAINIT_GPU_CUONT", "3")
        .set("foo")
        .set("stop.exit_code=256")
        .refused();
    let starts = [
        "12 mistakes in the configuration",
        "  /code/trainit.yaml:1: checks.a.b: `of` is not one of off, warn, fail",
        "  /code/trainit.yaml:2: stop.on.NOSUCH: the name is not a signal such as TERM",
        "  /code/trainit.yaml:3: modes: a file that comes with the code",
        "  /code/trainit.yaml:3: modes.A: the name is not the name of a mode",
        "  /code/trainit.yaml:4: exit.map.256: the name is not an exit code",
        "  /etc/trainit.yaml:2: unknown key `gpu.cuont`\n      → did you mean gpu.count?",
        "  /etc/trainit.yaml:3: stop.grace: `10x` is not a duration such as",
        "  /etc/trainit.yaml:4: workdir: a list is not a path",
        "  TRAINIT_DATA: `/data:min_file=3`: `min_file` is no option\n      → did you mean min_files?",
        "  TRAINIT_GPU_CUONT: unknown variable\n      → did you mean TRAINIT_GPU_COUNT?",
        "  --set: `foo` is not KEY=VALUE",
        "  --set stop.exit_code: `256` is not an exit code from 0 to 255",
    ];
    for start in starts {
        assert!(refused.contains(start), "{start}\n{refused}");
    }
    assert!(refused.find("TRAINIT_DATA") < refused.find("--set"), "{refused}");
}

#[test]
fn a_user_and_what_goes_with_it_are_set_together_and_never_by_the_project() {
    let file = "user: owner\nuser.umask: \"0027\"\nuser.no_new_privs: on\n";
    let settings = World::new().etc("trainit.yaml", file).variable("TRAINIT_USER", "1000:100").load().unwrap().settings;
    let number = |number| config::Who::Number(number);
    assert_eq!(settings.user.value, config::UserChoice::Named(number(1000), Some(number(100))));
    assert_eq!((settings.user_umask.value, settings.user_no_new_privs.value), (Some(config::Umask(0o27)), true));
    for text in ["user: root\n", "user: {umask: 0}\n"] {
        assert!(World::new().project(text).refused().contains("a file that comes with the code may not set it"));
    }
    let locked = World::new().etc("trainit.yaml", "lock: [user]\n").set("user.umask=0").refused();
    assert!(locked.contains("--set user.umask: locked by"), "{locked}");
}

#[test]
fn unknown_names_can_be_warnings() {
    let world = World::new()
        .etc("trainit.yaml", "unknown: warn\ngpu: {probes: 1}\nlock: [usr]\nmodes: {a: {command: b, ports: 1}}\n");
    let loaded = world.variable("TRAINIT_NEW", "1").load().unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.what.clone()).collect();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings[3].starts_with("TRAINIT_NEW"), "{warnings:?}");
}

#[test]
fn parts_of_a_record_may_stand_in_different_layers_but_all_have_to_be_there() {
    let world = World::new().etc("trainit.yaml", "modes: {a: {kind: build}}\n");
    assert!(world.refused().contains("modes.a.command: not set"), "{}", world.refused());
    let modes = world.etc("trainit.d/a.yaml", "modes: {a: {command: x y}}\n").load().unwrap().settings.modes.value;
    assert_eq!(modes["a"].command, ["x", "y"]);
    assert_eq!(modes["a"].kind, protocol::handover::WorkloadKind::Build);
}

#[test]
fn the_code_directory_follows_the_other_layers() {
    let world = World::new();
    write(&world.code.path().join("src/trainit.yaml"), "mode: shell\n");
    let world = world.etc("trainit.yaml", "code.path: wrong\n").variable("TRAINIT_CODE_PATH", "src");
    let loaded = world.load().unwrap();
    assert_eq!((loaded.settings.mode.as_str(), loaded.code), ("shell", world.code.path().join("src")));
    assert_eq!(loaded.workdir, world.code.path());
    let elsewhere = world.variable("TRAINIT_WORKDIR", "/tmp").set("code.path=off").load().unwrap();
    assert_eq!((elsewhere.workdir, elsewhere.code), (PathBuf::from("/tmp"), PathBuf::from("/tmp")));
}

#[test]
fn a_file_is_read_once_even_if_it_is_the_projects_too() {
    let mut world = World::new().project("modes: {a: b}\n");
    world.options.config = Some("trainit.yaml".into());
    assert_eq!(world.load().unwrap().files, [world.code.path().join("trainit.yaml")]);
}

#[test]
fn a_file_with_nearly_the_right_name_is_told() {
    let world =
        World::new().etc("trainit.yml", "mode: shell\n").etc("trainit.d/a.yml", "").etc("trainit.d/.b.yaml", ":");
    write(&world.code.path().join("trainit.yml"), "");
    let loaded = world.load().unwrap();
    assert_eq!((loaded.warnings.len(), loaded.files.len()), (3, 0), "{:?}", loaded.warnings);
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    let world = World::new();
    let fifo = world.code.path().join("trainit.yaml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert_eq!(world.refused(), "/code/trainit.yaml: not a regular file");
    fs::remove_file(&fifo).unwrap();
    std::os::unix::fs::symlink("nowhere", &fifo).unwrap();
    assert_eq!(world.refused(), "/code/trainit.yaml: No such file or directory");
    fs::remove_file(&fifo).unwrap();
    fs::create_dir(&fifo).unwrap();
    assert_eq!(
        world.refused(),
        "/code/trainit.yaml: a directory: for a missing file that is mounted the engine makes a directory"
    );
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused() {
    let text = |size: usize| format!("mode: shell\n{}", "#".repeat(size - 12));
    assert!(World::new().project(&text(1 << 20)).load().is_ok());
    assert_eq!(World::new().project(&text((1 << 20) + 1)).refused(), "/code/trainit.yaml:1: larger than 1 MiB");
}

#[test]
fn inside_a_session_the_outer_ones_mode_is_not_read() {
    let world = World::new().variable("TRAINIT_MODE", "shell").variable("TRAINIT_GPU_COUNT", "1");
    assert_eq!(world.load().unwrap().settings.mode.value, "shell");
    let inside = world.variable("TRAINIT", "1").load().unwrap().settings;
    assert_eq!((inside.mode.as_str(), inside.gpu_count.value), ("auto", config::GpuCount::Exactly(1)));
}

#[test]
fn a_command_is_split_as_a_shell_would() {
    let settings =
        |text: &str| World::new().variable("TRAINIT_COMMAND", text).load().map(|loaded| loaded.settings.command.value);
    assert_eq!(settings("python 'my train.py' --lr $LR").unwrap(), ["python", "my train.py", "--lr", "$LR"]);
    assert_eq!(settings(r#"["python", "a b"]"#).unwrap(), ["python", "a b"]);
    assert_eq!(
        settings("cd x && python y").unwrap_err(),
        "TRAINIT_COMMAND: `&&` needs a shell: write sh -c '…', or put it in quotes"
    );
}

#[test]
fn show_tells_values_and_origins_and_no_secrets() {
    let world = World::new()
        .etc(
            "trainit.yaml",
            "env: {HF_TOKEN: s3cret, WANDB_API_KEY: {value: s3cret, force: yes}, INDEX: 'https://u:s3cret@host/x'}\n",
        )
        .variable("TRAINIT_COMMAND", "jupyter lab --ServerApp.token=s3cret --password s3cret")
        .set("env.MY_SECRET=s3cret");
    let loaded = world.load().unwrap();
    let text = command::show(&loaded, false);
    let json = command::show(&loaded, true);
    assert!(!text.contains("s3cret") && !json.contains("s3cret"), "{text}\n{json}");
    assert!(text.contains("https://***@host/x") && text.contains("--ServerApp.token=***"), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("env.HF_TOKEN ") && line.ends_with("etc/trainit.yaml:1")),
        "{text}"
    );
    assert!(text.lines().any(|line| line.starts_with("stop.drain ") && line.ends_with("default")), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["env.MY_SECRET"]["origin"]["option"], "--set env.MY_SECRET");
    assert_eq!(json["stop.grace"]["value"], serde_json::Value::Null);
}

#[test]
fn check_tells_all_mistakes_of_one_file_or_that_there_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.yaml");
    write(&file, "mode: shell\nstate_dir: /run\n");
    let answer = command::check(&file).unwrap();
    assert!(answer.ends_with("x.yaml: ok, 2 keys; not for a project's file: state_dir\n"), "{answer}");
    write(&file, "mod: shell\nstop: {grace: x}\n");
    let error = command::check(&file).unwrap_err();
    assert_eq!(error.exit().code(), 78);
    assert!(format!("{error:#}").contains("x.yaml:1") && format!("{error:#}").contains("x.yaml:2"), "{error}");
    assert!(command::check(&directory.path().join("none")).is_err());
}

#[test]
fn an_unreadable_value_is_shown_short_escaped_and_without_passwords() {
    let world = World::new().variable("TRAINIT_STOP_GRACE", &format!("https://u:p4ss@h/\x1b[31m{}", "x".repeat(500)));
    let refused = world.refused();
    assert!(refused.len() < 350 && !refused.contains('\x1b') && !refused.contains("p4ss"), "{refused}");
}

#[test]
fn every_default_and_example_of_a_key_is_right() {
    let mut names = BTreeMap::new();
    for key in KEYS {
        assert!(names.insert(key.path, ()).is_none(), "{} is there twice", key.path);
        assert!(!key.default.is_empty() || !key.example.is_empty(), "{}: a default, or else an example", key.path);
        assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{}: a sentence", key.path);
    }
    let from = |text: fn(&config::Key) -> &str| {
        KEYS.iter()
            .filter(move |key| !text(key).is_empty())
            .map(move |key| format!("{}: {}\n", key.path, quoted(text(key))))
    };
    for line in from(|key| key.default).chain(from(|key| key.example)) {
        let parsed = config::parse_bytes(line.as_bytes(), Path::new("table"));
        assert_eq!(
            parsed.map(|layer| layer.values.len()).map_err(|errors| format!("{:#}", config::together(errors))),
            Ok(1),
            "{line}"
        );
    }
}

/// A value of the table as YAML.
fn quoted(text: &str) -> String {
    if text.starts_with(['[', '{']) { text.into() } else { format!("'{text}'") }
}

#[test]
fn the_template_holds_every_key_and_parses_when_uncommented() {
    let template = command::template();
    insta::assert_snapshot!(template);
    let empty = config::parse_bytes(template.as_bytes(), Path::new("template")).unwrap();
    assert!(empty.values.is_empty());
    let uncommented: String = template
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line)))
        .collect();
    let layer = config::parse_bytes(uncommented.as_bytes(), Path::new("template"))
        .map_err(|errors| format!("{:#}", config::together(errors)))
        .unwrap();
    assert_eq!(layer.values.len(), KEYS.len(), "{uncommented}");
    let elsewhere: BTreeMap<String, serde_json::Value> = yaml_serde::from_str(&uncommented).unwrap();
    assert_eq!(elsewhere.len(), KEYS.len(), "another reader of YAML finds other keys");
}
