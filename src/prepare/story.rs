//! The story itself.
use super::launch;
use crate::environment::Environment;
use crate::handover::Door;
use crate::sys::signal::Inherited;
use std::ffi::{OsString, c_int};
use std::time::Instant;
/// stub
pub fn tell(words: &[OsString], door: Door, inherited: Inherited, _: Instant) -> c_int {
    let request = match crate::cli::parse(words) {
        Ok(r) => r,
        Err(e) => return super::refuse(&door, &e),
    };
    let error = launch::launch(&request.words, &Environment::inherited(), &door, &inherited);
    super::refuse(&door, &error)
}
