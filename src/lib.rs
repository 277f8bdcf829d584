//! trainit: PID 1 for machine-learning containers. `role` decides what this process is; every other module has one task. Dependencies
//! point downward; docs/design.md has the map with reasons.
#![warn(unreachable_pub)]

pub mod check;
pub mod cli;
mod code;
pub mod command;
pub mod config;
pub mod deps;
pub mod engine;
pub mod error;
pub mod git;
mod helper;
pub mod hooks;
pub mod identity;
mod job_history;
mod mirror;
pub mod mode;
pub mod preempt;
mod prepare;
mod program;
mod progress_bar;
mod report;
pub mod role;
mod service_probe;
mod stage;
mod ticker;

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;
