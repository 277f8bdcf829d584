//! PID 1 held against the world: real processes, real signals, real terminals. One file per subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../support/mod.rs"]
mod support;

mod codes;
mod descriptors;
mod guardian;
mod identity;
mod late;
mod memory;
mod moments;
mod signals;
mod storms;
mod terminal;
mod tini;
mod tree;
mod users;
