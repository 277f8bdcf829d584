//! A second uid everywhere: what one user may write must never be read, run or written for another one. Each case is a real container in
//! which the workload's user is not root; without a daemon each test prints a line that begins with `SKIPPED:` and the reason.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a helper that cannot go on ends its test")]
#![allow(dead_code, reason = "the helpers are shared with other suites")]

mod cases;
#[path = "../docker/harness.rs"]
mod harness;
#[path = "../docker/images.rs"]
mod images;
mod many;
mod reads;
mod runs;
mod shells;
mod state;
mod store;
#[path = "../support/wheel.rs"]
mod wheel;
