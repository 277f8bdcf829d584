//! What the surroundings tell: whether this is a container, and of which kind, and what it is called; how long its engine waits after a stop signal.
//! Knows `environment` and `sys`; decides nothing.

mod container;
mod grace;
mod place;

pub use container::{id as container_id, program};
pub use grace::{Grace, grace};
pub use place::{Place, place};
