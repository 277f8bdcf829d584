//! Where a value came from. Every value has an origin, and every message about a value names it.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

/// Where a value came from, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    #[default]
    Default,
    /// A line of a configuration file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// An option on the command line, without its value: that may be a secret.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display().to_string().escape_debug()),
            Origin::Environment(name) => f.write_str(name),
            Origin::CommandLine(option) => f.write_str(option),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from; of a map, where it was last added to.
    pub origin: Origin,
}

impl<T> Deref for Setting<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
