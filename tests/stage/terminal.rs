//! What a person sees at a terminal while data is brought: a bar that fits, and plain lines where nothing may be rewritten.

use crate::site::Site;
use crate::support::TRAINIT;
use crate::support::pty::{self, Pty};
use std::process::{Child, Command};

/// Starts `trainit stage` slowly, with standard error at a terminal of these columns.
fn at_terminal(site: &Site, columns: u16, variables: &[(&str, &str)]) -> (Pty, Child) {
    let (person, terminal) = pty::open();
    person.resize(24, columns);
    let mut command = Command::new(TRAINIT);
    command.arg("stage").env("TRAINIT_DATA", site.wanted()).env("TRAINIT_STAGE_LIMIT", "8MiB").current_dir("/");
    command.env("TERM", "xterm").envs(variables.iter().copied());
    (person, command.stderr(terminal).spawn().unwrap())
}

fn ends(mut child: Child) {
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_bar_shows_the_rate_and_the_time_left() {
    let site = Site::new();
    let (person, child) = at_terminal(&site, 160, &[("NO_COLOR", "1")]);
    ["staging ", "█", "░", " %  ", " of 50.1 MiB, ", "/s, ", " left"].iter().for_each(|part| person.shows(part));
    assert!(!person.screen().contains("\x1b[3"), "no colour with NO_COLOR: {:?}", person.screen());
    ends(child);
}

#[test]
fn a_narrow_terminal_gets_a_line_that_fits() {
    let site = Site::new();
    let (person, child) = at_terminal(&site, 36, &[]);
    (0..3).for_each(|_| person.shows(" %"));
    let screen = person.screen();
    let drawn = screen.split("\r\x1b[2K").skip(1);
    let widest = drawn.map(|line| line.lines().next().unwrap_or("").chars().count()).max();
    assert!(widest.is_some_and(|widest| widest < 36), "{widest:?}: {screen:?}");
    ends(child);
}

#[test]
fn a_terminal_that_is_dumb_gets_plain_lines() {
    let site = Site::new();
    let (person, child) = at_terminal(&site, 120, &[("TERM", "dumb"), ("TRAINIT_STAGE_LIMIT", "4MiB")]);
    person.shows("/s, ");
    person.shows(" left\r\n");
    assert!(!person.screen().contains('\x1b'), "{:?}", person.screen());
    ends(child);
}
