//! Several nodes run one commit, or none of them runs.

use crate::bench::{Bench, git};
use crate::support::Running;
use crate::support::look::until_true;
use crate::support::port::free_port;
use std::fs;
use std::net::TcpStream;

const TRAIN: [&str; 3] = ["--", "python3", "train.py"];

/// Two nodes on one machine, each with a directory of its own.
struct Pair<'a> {
    bench: &'a Bench,
    port: u16,
}

impl<'a> Pair<'a> {
    fn of(bench: &'a Bench) -> Self {
        Pair { bench, port: free_port() }
    }

    /// Starts a node with this name of a commit, and with a hook before its checks.
    fn node(&self, index: usize, name: &str, hook: &str) -> Running {
        let directory = self.bench.text(&format!("code{index}"));
        let hooks = self.bench.path(&format!("hooks{index}"));
        fs::create_dir_all(&hooks).unwrap();
        fs::write(hooks.join("hook.sh"), hook).unwrap();
        let start = self.bench.start_here(name, &TRAIN).env("TRAINIT_CLUSTER_NODES", "2");
        let start = start.env("TRAINIT_CLUSTER_NODE", &index.to_string()).env("TRAINIT_CLUSTER_MASTER", "127.0.0.1");
        let start = start.env("TRAINIT_CODE_PATH", &directory).env("TRAINIT_WORKDIR", &directory);
        let start = start.env("TRAINIT_HOOKS_BEFORE_CHECKS", hooks.to_str().unwrap());
        start.env("TRAINIT_CLUSTER_PORT", &self.port.to_string()).spawn()
    }

    /// Waits until node 0 answers at the port, so that it has found its commit.
    fn wait_for_node_0(&self) {
        until_true("node 0 answers", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }
}

#[test]
fn the_commit_that_node_0_has_found_is_that_of_all_while_it_prepares_and_while_it_waits() {
    for prepares in [true, false] {
        let Some(bench) = Bench::new() else { return };
        let pair = Pair::of(&bench);
        let go = bench.path("go");
        // Node 0 is in its hook until the other node is in its own, and so has its code.
        let waits = format!("until [ -e {} ]; do sleep 0.1; done\n", go.display());
        let first = pair.node(0, "@main", if prepares { &waits } else { "" });
        pair.wait_for_node_0();
        (0..3).for_each(|number| drop(bench.publish("train.py", &format!("print({number})\n"))));
        let second = pair.node(1, "@main", &format!("touch {}\n", go.display()));
        for ended in [first.finish(), second.finish()] {
            assert_eq!((ended.code, ended.out.trim()), (Some(0), "one"), "{}", ended.err);
        }
    }
}

#[test]
fn a_commit_that_is_not_of_the_branch_is_taken_from_nobody() {
    let Some(bench) = Bench::new() else { return };
    let pair = Pair::of(&bench);
    let first = pair.node(0, "@main", "");
    pair.wait_for_node_0();
    git(&bench.path("train"), "commit -q --amend -m other");
    bench.push();
    let second = pair.node(1, "@main", "");
    for ended in [first.finish(), second.finish()] {
        assert_eq!(ended.code, Some(219), "{}", ended.err);
        assert!(ended.err.contains("the code's commit differs"), "{}", ended.err);
    }
}

/// Starts two nodes, each with this name of a commit and a directory of its own; returns their codes and logs.
fn two_nodes(bench: &Bench, names: [&str; 2]) -> Vec<(Option<i32>, String)> {
    let pair = Pair::of(bench);
    let nodes: Vec<_> = (0..2).map(|index| pair.node(index, names[index], "")).collect();
    nodes.into_iter().map(|node| node.finish()).map(|ended| (ended.code, ended.err)).collect()
}

#[test]
fn nodes_that_find_one_commit_start() {
    let Some(bench) = Bench::new() else { return };
    for (code, log) in two_nodes(&bench, ["@main", "@v1"]) {
        assert_eq!(code, Some(0), "{log}");
    }
}

#[test]
fn nodes_between_which_the_branch_moved_all_end() {
    let Some(bench) = Bench::new() else { return };
    bench.publish("train.py", "print('two')\n");
    for (code, log) in two_nodes(&bench, ["@main", "@v1"]) {
        assert_eq!(code, Some(219), "{log}");
        assert!(log.contains("the code's commit differs") && log.contains("TRAINIT_CODE_COMMIT: one"), "{log}");
    }
}

#[test]
fn code_that_one_node_cannot_bring_ends_the_other_one_too() {
    let Some(bench) = Bench::new() else { return };
    for (code, log) in two_nodes(&bench, ["@main", "@nosuch"]) {
        assert_eq!(code, Some(112), "{log}");
        assert!(log.contains("no branch and no tag nosuch"), "{log}");
    }
}
