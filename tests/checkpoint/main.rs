//! Checkpoint directories as each family leaves them, complete, half-written and odd, and a watcher beside a writer.

// Helpers of tests are no tests to clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod families;
mod fixture;
mod layouts;
mod odd;
mod sets;
mod singles;
mod starts;
mod watching;
