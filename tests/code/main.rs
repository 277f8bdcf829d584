//! Code from git with real servers: git over HTTP with a token and TLS, over ssh with a real sshd, Git LFS, and kills.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on ends its test")]

mod bench;
mod changed;
mod docs;
mod killed;
mod lfs;
mod nodes;
mod private;
mod references;
mod start;
#[path = "../support/mod.rs"]
mod support;
