//! What is shown while data is brought: on terminals of every kind, in a log, and in the state while an installer runs.

use crate::site::{Site, text};
use crate::support::look::until;
use crate::support::{Place, TRAINIT, pty, skip};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Shows a stage on a terminal of so many columns, and returns what was shown.
fn screen(columns: u16, variables: &[(&str, &str)], waits_for: &str) -> String {
    let site = Site::new();
    let (person, terminal) = pty::open();
    person.resize(30, columns);
    let mut command = Command::new(TRAINIT);
    command.arg("stage").env("TRAINIT_DATA", site.wanted()).env("TRAINIT_STAGE_LIMIT", "20MiB").current_dir("/");
    command.env("TERM", "xterm").envs(variables.iter().copied()).stdout(Stdio::null()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    drop(command);
    person.shows(waits_for);
    assert!(child.wait().unwrap().success());
    until("the row", || Some(person.screen()).filter(|screen| screen.contains(": brought")))
}

/// The texts that stood in the line that is rewritten.
fn rewritten(screen: &str) -> Vec<&str> {
    let last = screen.split('\r').filter_map(|text| text.strip_prefix("\x1b[2K"));
    last.filter(|text| text.starts_with("staging /")).collect()
}

#[test]
fn a_terminal_shows_one_line_that_moves() {
    let screen = screen(200, &[], " of 50.1 MiB, ");
    let texts = rewritten(&screen);
    assert!(texts.len() > 1 && texts.iter().all(|text| !text.contains('\n')), "{screen:?}");
    assert!(
        texts.iter().any(|text| text.contains('█') && text.contains("/s, ") && text.contains(" left")),
        "{screen:?}"
    );
    // It is erased before the row that ends it.
    let row = screen.rsplit_once("\r\x1b[2K").unwrap().1;
    assert!(row.contains(": brought") && row.contains("\x1b["), "nothing comes after the row: {screen:?}");
}

#[test]
fn a_narrow_terminal_shows_one_line_without_colours() {
    let screen = screen(60, &[("NO_COLOR", "1")], " %");
    let texts = rewritten(&screen);
    assert!(texts.len() > 1 && texts.iter().all(|text| text.chars().count() < 60), "{screen:?}");
    assert!(!screen.replace("\x1b[2K", "").contains('\x1b'), "no colour: {screen:?}");
}

#[test]
fn a_terminal_that_cannot_rewrite_a_line_gets_lines() {
    let screen = screen(80, &[("TERM", "dumb")], ": brought");
    assert!(!screen.contains('\x1b'), "{screen:?}");
}

/// The bytes that `trainit status` tells while dependencies are installed.
fn bytes_while_installing(site: &Site, base: &str) -> Option<String> {
    let found = Command::new("find").args([base, "-name", "state.json"]).output().unwrap();
    let file = String::from_utf8_lossy(&found.stdout).lines().next()?.to_owned();
    let told = text(&site.command(&["status", "--instance", file.strip_suffix("/state.json")?], &[]));
    let is_installing = told.lines().any(|line| line.starts_with("phase") && line.contains("installing"));
    let data = told.lines().find(|line| line.starts_with("data ") && line.contains(" of 50.1 MiB"))?;
    is_installing.then(|| data.to_owned())
}

#[test]
fn the_state_tells_bytes_that_move_while_an_installer_runs() {
    let site = Site::new();
    let made = Command::new("python3").args(["-m", "venv"]).arg(site.path().join("venv")).output().unwrap();
    if !made.status.success() {
        return skip("python3 -m venv fails here");
    }
    let code = site.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("requirements.txt"), "tiny\n").unwrap();
    let state = site.path().join("state");
    fs::create_dir(&state).unwrap();
    // An index that takes every question and answers none.
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", index.local_addr().unwrap());
    let (python, base) = (site.path().join("venv/bin/python").display().to_string(), state.display().to_string());
    let start = site.launch(Place::Aside, &[&python, "-c", "pass"]).env("TRAINIT_STAGE_LIMIT", "4MiB");
    let start = start.env("TRAINIT_STATE_DIR", &base).env("TRAINIT_CODE_PATH", &code.display().to_string());
    let start = start.env("PIP_INDEX_URL", &url).env("TRAINIT_DEPS_INSTALLER", "pip").spawn();
    let first = until("bytes beside an installer", || bytes_while_installing(&site, &base));
    until("other bytes", || bytes_while_installing(&site, &base).filter(|now| *now != first));
    start.signal(nix::libc::SIGTERM);
    assert_eq!(start.code(), 143);
}
