//! The interfaces that other programs and all processes of trainit rely on: exit codes, the handover, the state file, and the form
//! of figures. The crate uses no other crate of trainit and makes no system call.
#![warn(unreachable_pub)]

mod attempt;
pub mod errno;
pub mod exit_code;
pub mod handover;
mod helper_task;
mod mirror;
mod notice;
mod phase;
mod policy;
pub mod state_file;
pub mod units;
mod usage;
