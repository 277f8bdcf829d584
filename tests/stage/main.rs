//! Data that a start brings, with real processes: what the workload sees, what a stop and a kill leave, and what is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod bucket;
mod commands;
mod docs;
mod kills;
mod mirror_kills;
mod mirror_nodes;
mod no_shared_disk;
mod objects;
mod paths;
mod readers;
mod refusals;
mod room;
mod scale;
mod shown;
mod site;
mod starts;
mod terminal;
