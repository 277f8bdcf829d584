//! The Dockerfiles, their policy files and the Compose file, held against Docker's grammar and against trainit: most of their
//! bases cannot be pulled where this runs, so at least nothing in them may be misspelt, missing or forgotten.

#![allow(clippy::expect_used, clippy::panic, reason = "a file that cannot be read ends its test")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Every instruction that Docker knows.
const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// One instruction: its word, and the rest with continued lines joined.
#[derive(Debug)]
struct Instruction {
    word: String,
    rest: String,
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The directories below docker/bases, by name.
fn bases() -> BTreeSet<String> {
    let entries = std::fs::read_dir(project().join("docker/bases")).expect("docker/bases is there");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

fn parse(path: &Path) -> Vec<Instruction> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.map(|line| line.strip_suffix('\\').map_or(format!("{line}\n"), |line| format!("{line} ")));
    let joined: String = joined.collect();
    let instructions = joined.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{}: {line}", path.display()));
        Instruction { word: word.to_owned(), rest: rest.trim().to_owned() }
    });
    instructions.collect()
}

fn dockerfiles() -> Vec<PathBuf> {
    let docker = project().join("docker");
    let of_bases = bases().into_iter().map(|name| docker.join("bases").join(name).join("Dockerfile"));
    [docker.join("Dockerfile")].into_iter().chain(of_bases).collect()
}

fn only<'a>(instructions: &'a [Instruction], word: &str) -> &'a str {
    let found: Vec<&str> = instructions.iter().filter(|i| i.word == word).map(|i| i.rest.as_str()).collect();
    assert_eq!(found.len(), 1, "{word}: {instructions:?}");
    found[0]
}

#[test]
fn every_dockerfile_is_made_of_known_instructions() {
    for path in dockerfiles() {
        let instructions = parse(&path);
        for Instruction { word, rest } in &instructions {
            assert!(INSTRUCTIONS.contains(&word.as_str()), "{}: {word}", path.display());
            if ["CMD", "ENTRYPOINT"].contains(&word.as_str()) {
                serde_json::from_str::<Vec<String>>(rest)
                    .unwrap_or_else(|_| panic!("{}: {word} {rest}", path.display()));
            }
        }
        let first = instructions.iter().find(|i| i.word != "ARG").map(|i| i.word.as_str());
        assert_eq!(first, Some("FROM"), "{}", path.display());
    }
}

#[test]
fn every_base_bakes_trainit_in_with_its_policy_and_its_health() {
    for name in bases() {
        let instructions = parse(&project().join("docker/bases").join(&name).join("Dockerfile"));
        assert_eq!(only(&instructions, "ENTRYPOINT"), r#"["trainit"]"#, "{name}");
        assert_eq!(only(&instructions, "STOPSIGNAL"), "SIGTERM", "{name}");
        let health = only(&instructions, "HEALTHCHECK");
        assert!(health.contains("--start-period="), "{name}: an installation would count as sick");
        assert!(health.ends_with(r#"CMD ["trainit", "health"]"#), "{name}: {health}");
        let stages: Vec<&str> = instructions.iter().filter(|i| i.word == "FROM").map(|i| i.rest.as_str()).collect();
        assert_eq!(stages, ["${TRAINIT} AS trainit", "${BASE}"], "{name}");
        let copies: Vec<&str> = instructions.iter().filter(|i| i.word == "COPY").map(|i| i.rest.as_str()).collect();
        assert_eq!(
            copies,
            ["--from=trainit /trainit /usr/local/bin/trainit", "trainit.yaml /etc/trainit.yaml"],
            "{name}"
        );
        let arguments: Vec<&str> = instructions.iter().filter(|i| i.word == "ARG").map(|i| i.rest.as_str()).collect();
        let pinned = |argument: &&str| argument.strip_prefix("BASE=").is_some_and(|base| base.contains(':'));
        assert!(arguments.iter().any(pinned), "{name}: {arguments:?} pins no base");
    }
}

#[test]
fn the_binarys_image_holds_one_file_built_from_what_is_copied() {
    let instructions = parse(&project().join("docker/Dockerfile"));
    let last = instructions.iter().rposition(|i| i.word == "FROM").expect("a stage");
    assert_eq!(instructions[last].rest, "scratch");
    let words: Vec<&str> = instructions[last + 1..].iter().map(|i| i.word.as_str()).collect();
    assert_eq!(words, ["COPY", "ENTRYPOINT"]);
    let copy = tempfile::tempdir().expect("a temporary directory");
    for Instruction { rest, .. } in instructions[..last].iter().filter(|i| i.word == "COPY") {
        let mut sources: Vec<&str> = rest.split_whitespace().collect();
        sources.pop();
        for source in sources {
            let status = Command::new("cp").arg("-r").arg(project().join(source)).arg(copy.path()).status();
            assert!(status.expect("cp is here").success(), "{source}");
        }
    }
    // A manifest that names a file which was not copied (a bench, a build script) cannot be read.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(copy.path());
    succeeds(&cargo.output().expect("cargo is here"));
    let ignored = read(&project().join(".dockerignore"));
    for source in ["Cargo.toml", "Cargo.lock", ".cargo", "crates", "src"] {
        assert!(ignored.lines().any(|line| line == format!("!{source}")), ".dockerignore keeps {source} out");
    }
}

fn succeeds(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_policy_file_is_one_that_trainit_accepts() {
    let example = project().join("examples/digits/code/trainit.yaml");
    let policies = bases().into_iter().map(|name| project().join("docker/bases").join(name).join("trainit.yaml"));
    for policy in policies.chain([example, project().join("docker/servers.yaml")]) {
        let mut trainit = Command::new(env!("CARGO_BIN_EXE_trainit"));
        let output = trainit.args(["config", "check"]).arg(&policy).output().expect("trainit runs");
        assert!(output.status.success(), "{}: {}", policy.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_compose_files_are_accepted_by_compose() {
    let file = project().join("docker/compose.yaml");
    let tools: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let works = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("version").output().is_ok_and(|output| output.status.success())
    };
    let Some(tool) = tools.into_iter().find(|words| works(words)) else {
        writeln!(std::io::stderr(), "SKIPPED: the_compose_files_are_accepted_by_compose: no docker compose")
            .expect("stderr");
        return;
    };
    let run = |words: &[&str]| {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg("-f").arg(&file).args(words).output().expect("it just ran")
    };
    let (alone, gpus) = (run(&["config"]), project().join("docker/compose.gpu.yaml"));
    let both = run(&["-f", gpus.to_str().expect("a plain path"), "config"]);
    succeeds(&alone);
    succeeds(&both);
    let asks = |output: &Output| String::from_utf8_lossy(&output.stdout).matches("driver: nvidia").count();
    assert_eq!((asks(&alone), asks(&both) > 0), (0, true), "only the second file asks for GPUs");
}

#[test]
fn the_documentation_names_every_base() {
    let text = read(&project().join("docs/images.md"));
    for name in bases() {
        assert!(text.contains(&format!("docker/bases/{name}")), "docs/images.md does not name {name}");
    }
}

/// The files of the context that the lines of .dockerignore leave: everything is left out but the names behind `!`.
fn is_in_context(ignored: &str, path: &str) -> bool {
    let lines = ignored.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(true, |is_in, line| match line.strip_prefix('!') {
        Some(name) => is_in || path == name || path.starts_with(&format!("{name}/")),
        None => is_in && line != "*" && path != line && !path.starts_with(&format!("{line}/")),
    })
}

#[test]
fn the_context_of_the_image_is_what_it_copies_and_no_more() {
    let ignored = read(&project().join(".dockerignore"));
    let copied: BTreeSet<String> = parse(&project().join("docker/Dockerfile"))
        .iter()
        .filter(|instruction| instruction.word == "COPY" && !instruction.rest.contains("--from="))
        .flat_map(|instruction| {
            let mut words: Vec<String> = instruction.rest.split_whitespace().map(str::to_owned).collect();
            let _into = words.pop();
            words
        })
        .collect();
    let there = std::fs::read_dir(project()).expect("the project is there");
    let there: BTreeSet<String> =
        there.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    let in_context: BTreeSet<String> = there.iter().filter(|name| is_in_context(&ignored, name)).cloned().collect();
    assert!(!copied.is_empty());
    assert_eq!(in_context, copied, "docker/Dockerfile copies the one, .dockerignore lets the other through");
    // What cargo needs to build the two programs is in it: each member of the workspace that it cannot leave out.
    assert!(["Cargo.toml", "Cargo.lock", ".cargo", "src"].iter().all(|name| copied.contains(*name)));
    assert!(is_in_context(&ignored, "crates/stage/src/lib.rs") && !is_in_context(&ignored, "target/debug/trainit"));
}
