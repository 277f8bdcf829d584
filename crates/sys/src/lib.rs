//! The raw system interfaces of trainit: the only crate where `unsafe` is allowed. Numbers of the kernel leave this
//! crate as types of their own (`Pid`, `Pgid`, `Signal`). Signal sets are plain `u64`, as the kernel and /proc have them: musl hides signals 32 to 34
//! from every mask that it saves.
#![warn(unreachable_pub)]
#![allow(unsafe_code, reason = "this is where it belongs")]

pub mod access;
mod args;
pub mod cache;
pub mod cgroup;
pub mod child_group;
#[cfg(target_env = "musl")]
mod clock;
mod clone_range;
pub mod credentials;
pub mod directory;
pub mod embedded_program;
pub mod environment;
mod exec_trial;
pub mod executable;
pub mod filesystem;
pub mod fork_detached;
pub mod heap;
pub mod image;
pub mod ip;
pub mod killable_call;
pub mod lease;
pub mod limits;
pub mod listening;
pub mod lock;
pub mod memory;
pub mod mountinfo;
pub mod priority;
pub mod proc;
pub mod process;
mod process_id;
pub mod random;
pub mod reach;
mod reserve;
pub mod retry;
pub mod root;
pub mod signal;
mod signal_number;
pub mod stat;
pub mod stderr;
pub mod support;
pub mod terminal;
pub mod untrusted;
pub mod volume;
pub mod window;

pub use args::Args;
pub use clone_range::clone_range;
pub use exec_trial::{ExecTrial, exec_trial};
pub use process_id::{KillTarget, NoPid, Pgid, Pid};
pub use root::Root;
pub use signal_number::Signal;

/// The program's allocator, set here for the tests of `heap`.
#[cfg(test)]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap;
