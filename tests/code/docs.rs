//! What docs/code.md tells a user to type, typed.

use crate::bench::Bench;
use crate::support::{Launch, Place, TRAINIT};
use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn what_the_page_says_without_a_server_works_as_it_stands() {
    let Some(bench) = Bench::new() else { return };
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/code.md")).unwrap();
    let (_, behind) = page.split_once("<!-- typed by tests/code/docs.rs -->\n```sh\n").unwrap();
    let script = behind.split("```").next().unwrap();
    std::fs::create_dir(bench.path("bin")).unwrap();
    symlink(TRAINIT, bench.path("bin/trainit")).unwrap();
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(bench.path("")).env_clear().env("HOME", bench.path("home"));
    command.env("PATH", format!("{}:{}", bench.text("bin"), std::env::var("PATH").unwrap()));
    let ended = Launch::with(command, Place::Aside).finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "one\n"), "{}", ended.err);
    assert!(ended.err.contains("main = ") && ended.err.contains(", fetched"), "{}", ended.err);
}
