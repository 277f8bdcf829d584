//! The error of a start whose dependencies can never be installed as they are asked for.

use crate::error::Error;
use protocol::exit_code::{Exit, FailureFamily};

/// Makes the error for something that trying again does not mend (116).
pub fn permanent(what: String) -> Error {
    Error::new(Exit::Permanent(FailureFamily::Deps), what)
}
