//! The start that a failure tells to type: typed as it stands, with the image's name and the one path that only a person knows put in.

use crate::harness::{Container, Run, skipped};
use crate::images::{Image, image};
use crate::sessions::wait_until_ready;
use std::process::Command;

/// A start with much of what there is, which lacks its data and whose output cannot be written.
fn unfit(python: &str, given: &std::path::Path) -> Run {
    let mounts = format!(
        "-v {given}:/out:ro -v {given}/code:/code:ro --tmpfs /scratch:size=8m --shm-size 100m -w /code --user 1234:56",
        given = given.display()
    );
    let rights = "--cap-add SYS_PTRACE --ulimit stack=1048576 --hostname job7";
    let wants = "-e TRAINIT_DATA=/data:min_files=1 -e TRAINIT_OUTPUT=/out -e TRAINIT_HOST_SHM=90MiB";
    Run::of(python).with(&mounts).with(rights).with(wants)
}

/// A directory of the host with what the start mounts and what it lacks.
fn given() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["code", "data"] {
        std::fs::create_dir(directory.path().join(name)).expect("a directory");
    }
    std::fs::write(directory.path().join("data/x"), "x").expect("a file");
    let everybody = Command::new("chmod").arg("-R").arg("a+rwX").arg(directory.path()).status();
    assert!(everybody.expect("chmod runs").success());
    directory
}

const TRAINING: [&str; 3] =
    ["sh", "-c", "id -u; id -g; pwd; hostname; ulimit -s; df -k /dev/shm | tail -1; touch /out/it"];

/// Fills in what only a person knows.
fn filled(text: &str, python: &str, given: &std::path::Path) -> String {
    text.replace("IMAGE", python).replace("/path/on/host", &given.join("data").display().to_string())
}

#[test]
fn the_corrected_line_can_be_typed_and_keeps_what_was_right() {
    let Some(python) = image(Image::Python) else { return };
    let given = given();
    let refused = unfit(&python, given.path()).command(&TRAINING).finish().expect_code(111);
    let line =
        refused.text.lines().map(str::trim).find(|line| line.starts_with("docker run ") && line.contains(" IMAGE "));
    let line = filled(line.expect("a line for Docker"), &python, given.path());
    let name = format!("trainit-corrected-{}", std::process::id());
    let typed = line.replacen("docker run", &format!("docker run --name {name}"), 1);
    let container = Container { name };
    let output = Command::new("sh").args(["-c", &typed]).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{typed}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[..5], ["1234", "56", "/code", "job7", "1024"], "{typed}");
    assert_eq!(words[6], (100 << 10).to_string(), "{said}");
    let mounts = container.field(".HostConfig.Binds");
    let tmpfs = container.field(".HostConfig.Tmpfs");
    assert!(
        mounts.contains(&format!("{}/code:/code:ro", given.path().display())) && tmpfs.contains("/scratch"),
        "{mounts} {tmpfs}"
    );
}

#[test]
fn a_check_in_a_running_container_tells_the_same_and_compose_accepts_its_form() {
    let Some(python) = image(Image::Python) else { return };
    let given = given();
    let off = "-e TRAINIT_CHECKS=data=off -e TRAINIT_OUTPUT=";
    let job = unfit(&python, given.path()).with(off).command(&["sleep", "1000"]).start();
    wait_until_ready(&job);
    let asked = job.exec(&["trainit", "check", "--json", "--set", "checks.data=fail"]);
    let report: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    let form = |name: &str| filled(report["start"][name].as_str().expect(name), &python, given.path());
    assert!(
        form("docker").starts_with("docker run --hostname job7 --user 1234:56 -w /code --cap-add SYS_PTRACE"),
        "{report}"
    );
    assert!(form("docker").ends_with("sleep 1000"), "{report}");
    let file = given.path().join("compose.yaml");
    std::fs::write(&file, form("compose")).expect("a file");
    let tools: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let runs = |words: &[&str]| {
        Command::new(words[0]).args(&words[1..]).arg("version").output().is_ok_and(|output| output.status.success())
    };
    let Some(tool) = tools.into_iter().find(|words| runs(words)) else {
        return skipped("there is no docker compose here");
    };
    let config =
        Command::new(tool[0]).args(&tool[1..]).arg("-f").arg(&file).arg("config").output().expect("it just ran");
    let shown = String::from_utf8_lossy(&config.stdout);
    assert!(
        config.status.success() && shown.contains("/code:/code:ro"),
        "{shown}{}",
        String::from_utf8_lossy(&config.stderr)
    );
}
