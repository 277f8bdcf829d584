//! What other programs and both lives of trainit rely on: exit codes, the handover, the state file, and how figures are written. It
//! knows no other crate of trainit and makes no system call.

pub mod errno;
pub mod exit_code;
pub mod handover;
pub mod state_file;
pub mod units;
