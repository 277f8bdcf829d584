//! The stop protocol with real processes: what a stop, a checkpoint, a restart, a hang and the end look like from outside, to
//! the engine, to the trainer and to the person who reads the log. One file per subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod alive;
mod beside;
mod docs;
mod ending;
mod environment;
mod history;
mod holding;
mod hooks;
mod idle;
mod job;
mod killed;
mod lifetime;
mod mirror;
mod monitoring;
mod notices;
mod object_store;
mod preparing;
mod protocol;
mod restarts;
mod saving;
mod schemas;
mod scopes;
mod secrets;
mod sessions;
mod sidecars;
mod suspended;
mod unread;
mod watchdog;
mod world;
mod wrappers;
