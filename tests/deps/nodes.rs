//! A store on NFS, and starts on several nodes: real clients of a real server, on another kernel.

use crate::bench::{self, Bench};
use crate::possible;
use crate::support::guest;
use std::process::Command;

/// What the starts of a node said.
fn said(bench: &Bench, node: &str, count: usize) -> Vec<String> {
    let text = |number| std::fs::read_to_string(bench.path(&format!("start-{node}{number}.txt"))).unwrap_or_default();
    let all: Vec<_> = (1..=count).map(text).collect();
    let serve = std::fs::read_to_string(bench.path("serve.txt")).unwrap_or_default();
    assert!(all.iter().all(|said| said.contains("both 2.0") && said.ends_with("ended 0\n")), "{all:#?} {serve}");
    all
}

fn having(all: &[String], words: &str) -> usize {
    all.iter().filter(|said| said.contains(words)).count()
}

#[test]
fn on_nfs_one_of_all_nodes_builds_and_a_dead_nodes_work_is_begun_anew() {
    if !possible(true) {
        return;
    }
    let bench = Bench::new();
    let venv = Command::new(bench::base().unwrap()).args(["-m", "venv", "--without-pip"]).arg(bench.venv()).status();
    assert!(venv.unwrap().success());
    crate::support::copy_program(bench::uv().unwrap(), bench.path("uv"));
    std::fs::write(bench.path("node"), include_str!("node.sh")).unwrap();
    bench.code("requirements.txt", "needy\n");
    if let Err(why) = guest::run(&bench.path(""), include_str!("nodes.sh"), 400) {
        return crate::support::skip(&why);
    }
    let all = [said(&bench, "a", 4), said(&bench, "b", 4)].concat();
    let counts = [having(&all, "packed for other starts"), having(&all, "2 packages from the store")];
    assert_eq!(counts, [1, 7], "{all:#?}");
    let after = [said(&bench, "c", 1), said(&bench, "d", 1)].concat();
    // Both judge the dead builder's word at the same moment.
    let counts = [having(&after, "packed for other starts"), having(&after, "2 packages from the store")];
    assert_eq!(counts, [1, 1], "{after:#?}");
    assert!(having(&after, "node-z, which began to build the environment for all, is gone") > 0, "{after:#?}");
    let left = std::fs::read_to_string(bench.path("store.txt")).unwrap();
    assert_eq!((left.matches(".tar.lz4").count(), left.matches(".used").count()), (2, 2), "{left}");
    assert!(!left.contains(".lease") && !left.contains(".stale-"), "{left}");
}
