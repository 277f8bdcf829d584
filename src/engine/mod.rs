//! Facts about the surroundings: the platform, the container's name and start, and the engine's grace.
//!
//! The module depends on `config`, `environment`, `show` and `sys`, and decides nothing.

mod container;
mod cpus;
mod grace;
mod host_facts;
mod job;
mod launch;
mod launcher;
mod nodes;
mod platform;
mod start_part;
mod starter;
mod typed_start;

pub use container::{id as container_id, program};
pub use cpus::Cpus;
pub use grace::{EngineGrace, grace};
pub use host_facts::HostFacts;
pub use job::is_first_rank;
pub use launch::with_torchrun;
pub use launcher::{PYTHON_WITH_VALUE, is_python, launcher};
pub use nodes::{filled, requeueable, several_nodes, world, world_of_variables};
pub use platform::Platform;
pub use start_part::{StartPart, corrected};
pub use starter::Starter;
pub use typed_start::{TypedStart, given, host_path, started};
