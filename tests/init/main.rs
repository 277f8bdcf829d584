//! PID 1 held against the world: real processes, real signals, real terminals. One file per subject.

#[path = "../support/mod.rs"]
mod support;

mod codes;
mod descriptors;
mod signals;
mod terminal;
mod tini;
