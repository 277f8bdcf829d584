//! trainit: PID 1 for machine-learning containers. `role` decides what this process is; every other module has one task. Dependencies
//! point downward; docs/design.md has the map with reasons.

pub mod check;
pub mod cli;
pub mod command;
pub mod config;
pub mod deps;
pub mod engine;
pub mod error;
pub mod git;
pub mod helper;
pub mod hooks;
pub mod identity;
pub mod mode;
pub mod prepare;
pub mod program;
pub mod report;
pub mod role;

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;
