//! The helper and its runner, against libraries that have the real ABI of NVIDIA's and every way to fail (`fake/`): what they tell is
//! understood, and whatever they do, an answer comes in time that says at which call and GPU.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may")]

mod arm;
mod facts;
mod failing;
mod fakes;
mod forbidden;
mod overlap;
mod places;
mod proofs;
mod script;
mod starts;

#[allow(dead_code, reason = "each test has its own part of it")]
#[path = "../support/wheel.rs"]
mod wheel;

#[allow(dead_code, reason = "each test has its own part of it")]
#[path = "../support/fuse.rs"]
mod fuse;

use fakes::Fakes;
use gpu::facts::GpuFacts;
use gpu::probe::GpuHelper;
use gpu::probe::{self, Level, ProbeRequest};
use std::time::Duration;
use sys::environment::Environment;

/// Longer than anything here takes on a busy machine; reached only when something hangs.
const LONG: Duration = Duration::from_secs(60);
/// The deadline of a helper that is meant to hang.
const SHORT: Duration = Duration::from_millis(2500);

/// A question, with what a test wants to be different.
#[derive(Clone)]
struct Question {
    level: Level,
    helper: GpuHelper,
    environment: Environment,
    timeout: Duration,
    wait: Duration,
}

impl Question {
    /// At this level, with libraries that do this.
    fn new(fakes: &Fakes, level: Level, variables: &[(&str, &str)]) -> Self {
        let libraries = ("LD_LIBRARY_PATH", fakes.path().to_str().unwrap());
        let environment = variables.iter().copied().chain([libraries]).collect();
        Question { level, helper: GpuHelper::Memfd, environment, timeout: LONG, wait: Duration::ZERO }
    }

    fn ask(&self) -> GpuFacts {
        let Question { level, helper, environment, timeout, wait } = self;
        let ask = ProbeRequest {
            level: *level,
            helper,
            environment,
            timeout: *timeout,
            wait: *wait,
            awaited: &probe::awaited,
        };
        probe::probe(&ask, &mut |_| {})
    }
}

/// What is found out with libraries that do this.
fn asked(fakes: &Fakes, level: Level, variables: &[(&str, &str)]) -> GpuFacts {
    Question::new(fakes, level, variables).ask()
}

/// The same, with a deadline that is going to be reached.
fn asked_shortly(fakes: &Fakes, level: Level, variables: &[(&str, &str)]) -> GpuFacts {
    Question { timeout: SHORT, ..Question::new(fakes, level, variables) }.ask()
}

/// Says why a test did not run, past the capture of libtest.
fn skip(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
