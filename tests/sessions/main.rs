//! What a person works in: a shell at a real terminal, tmux in it, ssh with OpenSSH's and dropbear's servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../support/mod.rs"]
mod support;

mod shell;
mod ssh;
