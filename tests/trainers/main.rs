//! Real trainers under trainit: whether a stop ends with a saved checkpoint, and whether the same job would have lost it under a
//! rule that forwards to a group or to everybody. What was measured is in docs/trainers.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../docker/harness.rs"]
#[allow(dead_code, reason = "the tests of containers use the rest")]
mod harness;
#[path = "../docker/images.rs"]
#[allow(dead_code, reason = "the tests of containers use the rest")]
mod images;
#[path = "../support/mod.rs"]
mod support;

mod accelerate;
mod container;
mod job;
mod launchers;
mod lightning;
mod packages;
mod shells;
mod torchrun;
