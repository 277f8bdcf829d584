//! The error of a start whose dependencies can never be installed as they are asked for.

use crate::error::Error;
use protocol::exit_code::{Exit, FailureFamily};

/// Makes the error for a failure that another try cannot change (116).
pub(super) fn permanent(what: String) -> Error {
    Error::new(Exit::Permanent(FailureFamily::Deps), what)
}
