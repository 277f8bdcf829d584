//! An error as data: its kind, what happened, the cause as it came, and what to type now. `report::error_text` turns it into words. The module
//! knows only the exit codes of `protocol`.

use nix::errno::Errno;
use protocol::exit_code::{Exit, FailureFamily};
use std::error::Error as StdError;
use std::rc::Rc;

/// The kind of a failure, which the exit code follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No failure: the text is the answer to `--help` or `--version`.
    Answer,
    /// A question about a running container has no good answer.
    Unanswered,
    /// The command line cannot be understood.
    Usage,
    /// The configuration cannot be understood, or asks for something impossible.
    Config,
    /// A fault of trainit itself.
    Internal,
    /// A failure of this family that trying again does not mend.
    Permanent(FailureFamily),
    /// A failure of this family that may pass, on this node later or on another node.
    Transient(FailureFamily),
    /// A program that the workload needs does not exist.
    NotFound,
    /// execve(2) of the workload answered this error.
    Exec(Errno),
    /// Checks failed; the code is the one that they agreed on.
    Checks(Exit),
}

impl ErrorKind {
    /// Returns the exit code of a process that ends with such an error.
    pub fn exit(self) -> Exit {
        match self {
            ErrorKind::Answer => Exit::Success,
            ErrorKind::Unanswered => Exit::Failure,
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Config => Exit::Config,
            ErrorKind::Internal => Exit::Internal,
            ErrorKind::Permanent(family) => Exit::Permanent(family),
            ErrorKind::Transient(family) => Exit::Transient(family),
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::Exec(errno) => Exit::of_exec(errno as i32),
            ErrorKind::Checks(exit) => exit,
        }
    }
}

/// A failure that ends a command.
#[derive(Clone, Debug)]
pub struct Error {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// What happened, with the name of the object.
    pub what: String,
    /// The error behind it. It stays data until the error is written.
    pub source: Option<Rc<dyn StdError>>,
    /// Why it matters, or how it came about, where no other error says so.
    pub because: Option<String>,
    /// What to type or change now; one line each.
    pub hints: Vec<String>,
    /// The parts of a combined error: every mistake in a configuration.
    pub parts: Vec<Error>,
}

/// `Result` with trainit's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error with its first sentence.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Error { kind, what: what.into(), source: None, because: None, hints: Vec::new(), parts: Vec::new() }
    }

    /// Makes the error of an invalid configuration (78).
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, what)
    }

    /// Makes the error of an invalid command line (64).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, what)
    }

    /// Adds the errors that this one combines.
    pub fn parts(mut self, parts: Vec<Error>) -> Self {
        self.parts = parts;
        self
    }

    /// Adds the error behind this one.
    pub fn caused_by(mut self, source: impl StdError + 'static) -> Self {
        self.source = Some(Rc::new(source));
        self
    }

    /// Adds the reason in words.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.because = Some(reason.into());
        self
    }

    /// Adds a line that says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the exit code of a process that ends with this error.
    pub fn exit(&self) -> Exit {
        self.kind.exit()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::exit_code::TABLE;

    /// Every kind; a new one does not compile here before it has a row.
    fn kinds() -> Vec<ErrorKind> {
        let all = |of: fn(FailureFamily) -> ErrorKind| FailureFamily::ALL.map(of);
        let mut kinds = vec![
            ErrorKind::Usage,
            ErrorKind::Config,
            ErrorKind::Internal,
            ErrorKind::NotFound,
            ErrorKind::Exec(Errno::EACCES),
            ErrorKind::Checks(Exit::PrepareTimeout),
        ];
        kinds.extend(all(ErrorKind::Permanent));
        kinds.extend(all(ErrorKind::Transient));
        kinds
    }

    #[test]
    fn each_documented_exit_code_has_one_kind_of_error() {
        let mut codes: Vec<u8> = kinds().into_iter().map(|kind| kind.exit().code()).collect();
        let mut documented: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        codes.sort_unstable();
        documented.sort_unstable();
        assert_eq!(codes, documented);
        assert_eq!([ErrorKind::Answer, ErrorKind::Unanswered].map(|kind| kind.exit().code()), [0, 1]);
    }

    #[test]
    fn a_failed_exec_ends_as_the_handover_says() {
        for errno in [Errno::ENOENT, Errno::EACCES, Errno::ESTALE, Errno::ENOMEM] {
            assert_eq!(ErrorKind::Exec(errno).exit(), Exit::of_exec(errno as i32));
        }
    }

    #[test]
    fn the_source_of_an_error_stays_the_error_that_it_was() {
        let failed = std::io::Error::from_raw_os_error(nix::libc::ESTALE);
        let error = Error::config("/code/trainit.yaml").caused_by(failed).hint("mount it again");
        let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        assert_eq!(source.and_then(std::io::Error::raw_os_error), Some(nix::libc::ESTALE));
        assert_eq!(error.to_string(), "/code/trainit.yaml");
    }
}
