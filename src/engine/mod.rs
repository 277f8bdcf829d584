//! Facts about the surroundings: the platform, the container's name and start, and the engine's grace.
//!
//! The module depends on `config`, `environment`, `show` and `sys`, and decides nothing.

mod container;
mod cpus;
mod grace;
mod host_facts;
mod launcher;
mod nodes;
mod platform;
mod start_part;
mod typed_start;

pub use container::{id as container_id, program};
pub use cpus::Cpus;
pub use grace::{EngineGrace, grace};
pub use host_facts::HostFacts;
pub use launcher::{PYTHON_WITH_VALUE, is_python, launcher};
pub use nodes::{SeveralNodes, several_nodes};
pub use platform::Platform;
pub use start_part::{StartPart, corrected};
pub use typed_start::{TypedStart, given, started};
