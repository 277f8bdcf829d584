//! What a person works in: a shell at a real terminal, tmux in it, ssh with OpenSSH's and dropbear's servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../support/mod.rs"]
mod support;

#[path = "../jupyter/lab.rs"]
#[allow(dead_code, reason = "only its Jupyter is used here")]
mod lab;
mod shell;
mod ssh;
