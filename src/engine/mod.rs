//! What the surroundings tell: whether this is a container, of which kind, and what it is called; how it was started; how long its
//! engine waits after a stop signal. Knows `config`, `environment`, `show` and `sys`; decides nothing.

mod container;
mod cpus;
mod grace;
mod ground;
mod launcher;
mod part;
mod place;
mod started;

pub use container::{id as container_id, program};
pub use cpus::Cpus;
pub use grace::{Grace, grace};
pub use ground::Ground;
pub use launcher::{PYTHON_WITH_VALUE, is_python, launcher};
pub use part::{Part, corrected};
pub use place::Place;
pub use started::{Started, given, started};
