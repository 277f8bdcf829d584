//! What a start refuses, `trainit check` refuses: each kind with the same exit code and the same words, and nothing is installed, run or
//! written for it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// One kind of refusal: its exit code, the lines of a shell that lay it out, and the variables that bring it about.
struct Refusal {
    code: i32,
    layout: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const fn refusal(code: i32, layout: &'static str, variables: &'static [(&'static str, &'static str)]) -> Refusal {
    Refusal { code, layout, variables }
}

const KINDS: &[Refusal] = &[
    // The configuration and the user.
    refusal(78, "", &[("TRAINIT_NO_SUCH_KEY", "1")]),
    refusal(78, "", &[("TRAINIT_GPU_COUNT", "many")]),
    refusal(78, "echo 'nosuch: 1' >trainit.yaml", &[]),
    refusal(78, "", &[("TRAINIT_DEPS_INDEX_FILE", "/no/such")]),
    refusal(115, "", &[("TRAINIT_USER", "nobody-of-this-name")]),
    // The mode.
    refusal(78, "", &[("TRAINIT_MODE", "nosuch")]),
    refusal(78, "", &[("TRAINIT_MODE", "jupyter,jupyter")]),
    refusal(78, "", &[("TRAINIT_MODE", "train,shell")]),
    refusal(127, "mkdir bin", &[("TRAINIT_MODE", "jupyter"), ("PATH", "$D/bin")]),
    refusal(
        78,
        "mkdir bin home; printf '#!/bin/sh\\n' >bin/sshd; cp bin/sshd bin/ssh-keygen; chmod +x bin/*",
        &[("TRAINIT_MODE", "ssh"), ("PATH", "$D/bin"), ("HOME", "$D/home")],
    ),
    refusal(
        127,
        "echo 'modes: {serve: {command: [\"true\"], needs: {nosuch-program: install it}}}' >named.yaml",
        &[("TRAINIT_MODE", "serve"), ("TRAINIT_CONFIG", "$D/named.yaml")],
    ),
    // The checks, the directory and the command.
    refusal(111, "", &[("TRAINIT_DATA", "/no/such")]),
    refusal(112, "", &[("TRAINIT_WORKDIR", "/no/such"), ("TRAINIT_CODE_PATH", "$D")]),
    refusal(127, "", &[("TRAINIT_COMMAND", "nosuch-program --lr 3")]),
    refusal(127, "", &[("TRAINIT_COMMAND", "./nosuch")]),
    refusal(126, "touch data; chmod 644 data", &[("TRAINIT_COMMAND", "./data")]),
    refusal(126, "mkdir bin; touch bin/tool; chmod 644 bin/tool", &[("TRAINIT_COMMAND", "tool"), ("PATH", "$D/bin")]),
    refusal(112, "", &[("TRAINIT_COMMAND", "python3 nosuch.py")]),
    // The dependencies.
    refusal(116, "", &[("TRAINIT_DEPS_REQUIREMENTS", "nosuch.txt")]),
    refusal(116, "mkdir reqs", &[("TRAINIT_DEPS_REQUIREMENTS", "reqs")]),
    refusal(116, "touch environment.yml", &[("TRAINIT_DEPS_REQUIREMENTS", "environment.yml")]),
    refusal(116, "printf '\\377\\n' >r.txt", &[("TRAINIT_DEPS_REQUIREMENTS", "r.txt")]),
    refusal(116, "echo -r more.txt >r.txt", &[("TRAINIT_DEPS_REQUIREMENTS", "r.txt")]),
    refusal(116, "mkdir bin; echo six >r.txt", &[("TRAINIT_DEPS_REQUIREMENTS", "r.txt"), ("PATH", "$D/bin")]),
    refusal(116, "echo six >r.txt", &[("TRAINIT_DEPS_REQUIREMENTS", "r.txt"), ("TRAINIT_DEPS_PYTHON", "/bin/false")]),
    refusal(
        116,
        "echo nosuchpackage >r.txt; python3 -m venv --without-pip venv",
        &[
            ("TRAINIT_DEPS_REQUIREMENTS", "r.txt"),
            ("TRAINIT_DEPS_PYTHON", "$D/venv/bin/python3"),
            ("TRAINIT_DEPS_INSTALLER", "pip"),
        ],
    ),
    // Checkpoints and hooks.
    refusal(78, "", &[("TRAINIT_CHECKPOINT_DIR", "$D"), ("TRAINIT_CHECKPOINT_FAMILY", "nosuch")]),
    refusal(113, "", &[("TRAINIT_OUTPUT", "/no/such"), ("TRAINIT_CHECKS", "host=off gpu=off user=off")]),
    refusal(117, "touch hook.sh; chmod 777 hook.sh", &[("TRAINIT_HOOKS_BEFORE_START", "$D/hook.sh")]),
];

/// Runs trainit in a directory, with what the kind wants and no other variable of the caller.
fn trainit(words: &[&str], kind: &Refusal, directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainit"));
    command.args(words).current_dir(directory).env_clear().stdin(Stdio::null());
    let given = [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", std::env::var("HOME").unwrap_or_default()),
        ("TRAINIT_COMMAND", "true".to_owned()),
        ("TRAINIT_CHECKS", "host=off gpu=off user=off output=off".to_owned()),
        ("TRAINIT_STATE_DIR", directory.join("state").display().to_string()),
    ];
    command.envs(given);
    let place = directory.display().to_string();
    command.envs(kind.variables.iter().map(|(name, value)| (*name, value.replace("$D", &place))));
    command.output().unwrap()
}

/// The rows that begin with `fail`, once each.
fn failures(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut rows: Vec<String> = text.lines().filter(|line| line.starts_with("  fail ")).map(without_time).collect();
    rows.dedup();
    rows
}

/// A row without the time that a check took.
fn without_time(row: &str) -> String {
    row.trim_end()
        .strip_suffix(" ms")
        .map_or(row.trim_end(), |row| row.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end())
        .to_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_kind_of_refusal_is_foreseen_with_its_code_and_its_words() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let layout = format!("mkdir state; {}", kind.layout);
        let made = Command::new("sh").args(["-ec", &layout]).current_dir(directory.path()).status().unwrap();
        assert!(made.success(), "{}", kind.layout);
        let before = names(directory.path());
        let checked = trainit(&["check"], kind, directory.path());
        assert_eq!(names(directory.path()), before, "{:?} changed something", kind.variables);
        let started = trainit(&["run"], kind, directory.path());
        let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let both = format!("{:?}\ncheck: {}\nrun: {}", kind.variables, told(&checked), told(&started));
        if kind.code == 117 && !nix::unistd::geteuid().is_root() {
            continue;
        }
        assert_eq!((checked.status.code(), started.status.code()), (Some(kind.code), Some(kind.code)), "{both}");
        let foreseen = failures(&checked);
        assert!(failures(&started).iter().all(|row| foreseen.contains(row)), "{both}");
        let report = trainit(&["check", "--json"], kind, directory.path());
        assert_eq!(report.status.code(), Some(kind.code), "{both}");
    }
}

#[test]
fn what_a_start_does_not_refuse_is_foreseen_as_well() {
    let well: &[Refusal] = &[
        refusal(0, "", &[]),
        refusal(
            0,
            "echo six >requirements.txt; mkdir bin",
            &[("TRAINIT_DEPS_REQUIREMENTS", "off"), ("TRAINIT_MODE", "train")],
        ),
        refusal(0, "", &[("TRAINIT_COMMAND", "")]),
        refusal(
            0,
            "echo six >r.txt; mkdir bin",
            &[("TRAINIT_MODE", "shell"), ("TRAINIT_DEPS_REQUIREMENTS", "r.txt"), ("TRAINIT_DEPS_PYTHON", "/bin/false")],
        ),
        refusal(0, "", &[("TRAINIT_HOOKS_BEFORE_START", "/no/such")]),
    ];
    for kind in well {
        let directory = tempfile::tempdir().unwrap();
        let layout = format!("mkdir state; {}", kind.layout);
        assert!(Command::new("sh").args(["-ec", &layout]).current_dir(directory.path()).status().unwrap().success());
        let checked = trainit(&["check"], kind, directory.path());
        let told = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(0), "{:?}\n{told}", kind.variables);
        assert!(told.contains("a start would go on"), "{told}");
    }
}
