//! What the surroundings tell: whether this is a container, of which kind, and what it is called; how it was started; how long its
//! engine waits after a stop signal. Knows `config`, `environment`, `show` and `sys`; decides nothing.

mod container;
mod cpus;
mod grace;
mod host_facts;
mod launcher;
mod platform;
mod start_part;
mod typed_start;

pub use container::{id as container_id, program};
pub use cpus::Cpus;
pub use grace::{EngineGrace, grace};
pub use host_facts::HostFacts;
pub use launcher::{PYTHON_WITH_VALUE, is_python, launcher};
pub use platform::Platform;
pub use start_part::{StartPart, corrected};
pub use typed_start::{TypedStart, given, started};
