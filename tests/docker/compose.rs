//! docker/compose.yaml as it stands, on a machine without a GPU.

use crate::harness::{project, skipped, unique_name};
use crate::images::{Image, image, offline};
use std::fmt::Write;
use std::process::{Command, Output};

/// Compose, with the words before its own.
fn compose() -> Option<Vec<&'static str>> {
    let tools: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let works = |words: &&&[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("version").output().is_ok_and(|output| output.status.success())
    };
    tools.iter().find(works).map(|words| words.to_vec())
}

/// The index of this test as a third file: wheels in a directory.
fn without_network() -> String {
    let options = offline();
    let words: Vec<&str> = options.split_whitespace().collect();
    let of = |option: &str| {
        words.windows(2).filter(move |pair| pair[0] == option).map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
    };
    let mut file = "services:\n  train:\n    volumes:\n".to_owned();
    of("-v").iter().for_each(|volume| _ = writeln!(file, "      - {volume}"));
    file += "    environment:\n";
    of("-e")
        .iter()
        .filter_map(|set| set.split_once('='))
        .for_each(|(name, value)| _ = writeln!(file, "      {name}: \"{value}\""));
    file
}

#[test]
fn the_compose_file_trains_as_it_is_on_a_machine_without_a_gpu() {
    let Some(python) = image(Image::Python) else { return };
    let Some(tool) = compose() else { return skipped("there is no docker compose here") };
    let (name, more) = (unique_name(), tempfile::tempdir().expect("a temporary directory"));
    let file = more.path().join("offline.yaml");
    std::fs::write(&file, without_network()).expect("a temporary file");
    let run = |words: &[&str]| -> Output {
        let mut compose = Command::new("timeout");
        compose.arg("300").args(&tool).args(["-p", &name, "-f"]).arg(project().join("docker/compose.yaml"));
        compose.arg("-f").arg(&file).args(words).env("IMAGE", &python);
        ["CODE", "DATA", "BASE"].iter().for_each(|variable| _ = compose.env_remove(variable));
        compose.output().expect("coreutils' timeout is here")
    };
    let output = run(&["up", "--no-build", "--abort-on-container-exit", "--exit-code-from", "train", "train"]);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    run(&["down", "-v", "--timeout", "1"]);
    assert!(output.status.success() && said.contains("done: 40 epochs"), "{said}");
}
