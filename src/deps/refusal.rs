//! The error of a start whose dependencies can never be installed as they are asked for.

use crate::error::{Error, ErrorKind};
use protocol::exit_code::FailureFamily;

/// Makes the error for a failure that another try cannot change (116).
pub(super) fn permanent(what: String) -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::Deps), what)
}
