//! What the surroundings tell: whether this is a container, and of which kind; how long its engine waits after a stop signal.
//! Knows `environment` and `sys`; decides nothing.

mod grace;
mod place;

pub use grace::{Grace, grace};
pub use place::{Place, place};
