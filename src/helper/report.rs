//! The JSON report of a preparation that was killed; otherwise prepare writes it.

use crate::engine::HostFacts;
use crate::report::Report;
use protocol::handover::Policy;
use std::path::Path;
use sys::Root;
use sys::environment::Environment;

/// Writes the report; a failure does not change the container's end.
pub(super) fn write(policy: &Policy, how: &str, code: u8) {
    let Some(file) = &policy.report.file else { return };
    let place = HostFacts::of(&Root::real(), &Environment::inherited()).platform();
    let _ = Report::of_killed(place, &policy.mode, how, code).save(Path::new(file));
}
