//! Several nodes run one commit, or none of them runs.

use crate::bench::Bench;
use crate::support::port::free_port;

const TRAIN: [&str; 3] = ["--", "python3", "train.py"];

/// Starts two nodes, each with this name of a commit and a directory of its own; returns their codes and logs.
fn two_nodes(bench: &Bench, names: [&str; 2]) -> Vec<(Option<i32>, String)> {
    let port = free_port().to_string();
    let node = |index: usize| {
        let directory = bench.text(&format!("code{index}"));
        let start = bench.start_here(names[index], &TRAIN).env("TRAINIT_CLUSTER_NODES", "2");
        let start = start.env("TRAINIT_CLUSTER_NODE", &index.to_string()).env("TRAINIT_CLUSTER_MASTER", "127.0.0.1");
        let start = start.env("TRAINIT_CODE_PATH", &directory).env("TRAINIT_WORKDIR", &directory);
        start.env("TRAINIT_CLUSTER_PORT", &port).spawn()
    };
    let nodes: Vec<_> = (0..2).map(node).collect();
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
