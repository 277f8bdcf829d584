//! The interfaces that other programs and all processes of trainit rely on: exit codes, the handover, the state file, and the form
//! of figures. The crate uses no other crate of trainit and makes no system call.
#![warn(unreachable_pub)]

pub mod errno;
pub mod exit_code;
pub mod handover;
pub mod state_file;
pub mod units;
