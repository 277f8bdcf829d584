//! What others wrote may be much; a start takes no longer for it than to read it. The limit is of processor time, which a busy machine
//! does not change: some times what is needed by this build, which is not optimised, and a small part of what anything quadratic takes.

use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const TRAINIT: &str = env!("CARGO_BIN_EXE_trainit");
/// Seconds of processor time.
const LIMIT: &str = "20";

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        writeln!(text, "{}", line(n)).expect("a text takes all");
        text
    })
}

/// Runs trainit with this as the project's file; what it printed.
#[track_caller]
fn timed(text: &str, words: &[&str]) -> String {
    assert!(text.len() < 1 << 20, "a larger file is refused as such");
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("trainit.yaml"), text).expect("a file");
    let script = format!("ulimit -t {LIMIT}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", TRAINIT]).args(words).current_dir(directory.path());
    let output = command.output().expect("a shell is here");
    assert_eq!(output.status.signal(), None, "it took more than {LIMIT} s: {words:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn seventy_thousand_variables_are_set_as_they_are_read() {
    let text = format!("env:\n{}", lines(70_000, |n| format!("  A{n}: x")));
    let told = timed(&text, &["exec", "sh", "-c", "echo $A0$A69999"]);
    assert!(told.contains("xx\n"), "{told}");
    timed(&text, &["env", "--json"]);
    timed(&text, &["config", "show"]);
}

#[test]
fn tens_of_thousands_of_mistakes_are_told_by_their_number() {
    for line in [
        |n: usize| format!("gpu.coun{n}: x"),
        |n: usize| format!("env.A{n}: {{value: x, fil: y}}"),
        |n: usize| format!("checks.code.ent{n}: sometimes"),
        |n: usize| format!("\"stop.on.SIG{n}\": stop"),
    ] {
        let told = timed(&lines(20_000, line), &["config", "check", "trainit.yaml"]);
        assert!(told.lines().count() < 400 && told.contains(" more"), "{}", told.len());
    }
}

#[test]
fn one_value_may_be_as_long_as_a_file() {
    for (head, piece) in [("command: ", "a://b@"), ("gpu.count: ", "x="), ("data: [", "/a, "), ("mode: ", "a,")] {
        let end = if head.ends_with('[') { "/b]\n" } else { "\n" };
        let text = format!("{head}{}{end}", piece.repeat(900_000 / piece.len()));
        timed(&text, &["config", "check", "trainit.yaml"]);
    }
}
