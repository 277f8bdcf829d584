//! An error as data: what happened, the cause, what to type now, and the exit code. The module uses only `exit`; `Display` is the one
//! place that turns an error into text.

use protocol::exit_code::Exit;
use std::fmt;

/// A failure that ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What happened, with the name of the object.
    pub what: String,
    /// The cause, or the reason why it matters.
    pub because: Option<String>,
    /// What to type or change now; one line each.
    pub hints: Vec<String>,
    /// The parts of a combined error: every mistake in a configuration.
    pub parts: Vec<Error>,
    /// The exit code of the process.
    pub exit: Exit,
}

/// `Result` with trainit's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error with its first sentence.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Error { what: what.into(), because: None, hints: Vec::new(), parts: Vec::new(), exit }
    }

    /// Makes the error of an invalid configuration (78).
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(Exit::Config, what)
    }

    /// Makes the error of an invalid command line (64).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds the errors that this one combines.
    pub fn parts(mut self, parts: Vec<Error>) -> Self {
        self.parts = parts;
        self
    }

    /// Adds the cause.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.because = Some(cause.into());
        self
    }

    /// Adds a line that says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(because) = &self.because {
            write!(f, ": {because}")?;
        }
        self.hints.iter().try_for_each(|hint| write!(f, "\n    → {hint}"))?;
        self.parts.iter().try_for_each(|part| write!(f, "\n  {}", part.to_string().replace('\n', "\n  ")))
    }
}

impl std::error::Error for Error {}
