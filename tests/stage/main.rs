//! Data that a start brings, with real processes: what the workload sees, what a stop and a kill leave, and what is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod docs;
mod no_shared_disk;
mod objects;
mod paths;
mod rsync;
mod site;
mod starts;
mod terminal;
