//! What the surroundings tell: whether this is a container, and of which kind. Knows `environment` and `sys`; decides nothing.

mod place;

pub use place::{Place, place};
