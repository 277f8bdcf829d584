//! The errors of a start whose dependencies cannot be installed: for good, or for now.

use crate::error::{Error, ErrorKind};
use protocol::errno::{self, ErrnoCause};
use protocol::exit_code::FailureFamily;
use std::io;
use std::path::Path;

/// Makes the error for a failure that another try cannot change (116).
pub(super) fn permanent(what: String) -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::Deps), what)
}

/// Returns the error of a program that could not be run. A reason that may pass (no memory, a sick file system) asks for another attempt;
/// for any other reason the error is `otherwise`.
pub(super) fn not_run(program: &Path, error: io::Error, otherwise: Error) -> Error {
    match errno::cause_of(&error) {
        Some(ErrnoCause { because, advice }) => {
            Error::new(ErrorKind::Transient(FailureFamily::Deps), format!("{} cannot be run", program.display()))
                .caused_by(error)
                .because(because)
                .hint(advice)
        }
        None => otherwise.caused_by(error),
    }
}
