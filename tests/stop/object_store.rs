//! A history where nothing can be appended, as behind the FUSE clients of object stores: each line is a file of its own.

use crate::support::fuse::{Act, Disk, Server, is_there};
use crate::support::{TRAINIT, can_unshare, has, skip};
use serde_json::Value as Json;
use std::process::{Command, Stdio};

#[test]
fn a_store_that_cannot_append_has_a_file_for_each_line_and_the_history_is_whole() {
    if !has("mount") || !can_unshare() || !is_there() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can mount");
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "set -e\n\
                  mount -i -t fuse.store -o fd=0,rootmode=40000,user_id=0,group_id=0 store:/runs \"$1\"; exec 0</dev/null\n\
                  for code in 3 4 0; do \"$2\" run --mode train -- sh -c \"exit $code\" || true; done\n\
                  ls \"$1\" >&2\n\
                  \"$2\" history --json \"$TRAINIT_HISTORY_FILE\"";
    let server = Server::open();
    let mut start = Command::new("unshare");
    start.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]).arg(dir.path()).arg(TRAINIT);
    start.env("TRAINIT_HISTORY_FILE", dir.path().join("history.jsonl")).env_remove("TRAINIT");
    start.stdin(server.file().try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = start.spawn().unwrap();
    drop(start);
    let files = vec![("step-1.pt".to_owned(), vec![7; 10])];
    Disk { files, manner: |_| Act::Answer, appends: false }.serve(server);
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("the history is not written"), "{said}");
    let told: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let reasons: Vec<&str> =
        told["attempts"].as_array().unwrap().iter().map(|attempt| attempt["reason"].as_str().unwrap()).collect();
    assert_eq!((reasons, &told["skipped"]), (vec!["failed", "failed", "done"], &0.into()), "{said}");
    // Three lines for each attempt, and no file to which something was appended.
    let names: Vec<&str> = said.lines().filter(|line| line.starts_with("history.jsonl")).collect();
    assert!(names.len() == 9 && names.iter().all(|name| name.starts_with("history.jsonl.")), "{names:?}");
}
