//! Errors of a user that cannot be assumed, in the three parts of an error.

use crate::error::{Error, ErrorKind};
use nix::errno::Errno;
use protocol::exit_code::FailureFamily;

/// The obstacle between this process and the requested user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// This process is not root.
    NotRoot,
    /// This process is root without the capabilities for the change.
    Capability,
    /// The user namespace does not map the number.
    Unmapped,
    /// The kernel refused.
    Kernel(Errno),
}

/// Returns the error of a requested user (`1000:1000`) that cannot be assumed; `by` is the key or variable that asked.
pub(super) fn refused(by: &str, user: &str, why: Refused, caller: &str) -> Error {
    let error = error(format!("cannot run as {user} ({by})"));
    let directly = format!("start the container as {user}: nothing has to be changed then");
    match why {
        Refused::NotRoot => error
            .because(format!("trainit was started as {caller}, and only root can become somebody else"))
            .hint(directly)
            .hint("or start it as root, which leaves the change to trainit"),
        Refused::Capability => error
            .because("the capabilities SETUID and SETGID were dropped")
            .hint(directly)
            .hint("or start it with the capabilities SETUID and SETGID, which leaves the change to trainit"),
        Refused::Unmapped => error
            .because("this user namespace (a rootless engine?) has no such user or group")
            .hint("user: keep (TRAINIT_USER=keep): root in here is the user who started the container"),
        Refused::Kernel(errno) => error.caused_by(errno).hint(directly),
    }
}

/// Returns the error of a name that the account file lacks.
pub(super) fn unknown(by: &str, file: &str, name: &str) -> Error {
    error(format!("there is no {name} in {file} ({by})"))
        .hint("numbers need no entry: user: 1000:1000, or NB_UID and NB_GID")
}

fn error(what: String) -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::User), what)
}
