//! Where a value came from. Every value has an origin, and every message about a value names it.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

/// Where a value came from, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueOrigin {
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

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::Default => f.write_str("default"),
            ValueOrigin::File(path, line) => write!(f, "{}:{line}", path.display().to_string().escape_debug()),
            ValueOrigin::Environment(name) => f.write_str(name),
            ValueOrigin::CommandLine(option) => f.write_str(option),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginValue<T> {
    /// The value.
    pub value: T,
    /// Where it came from; of a map, where it was last added to.
    pub origin: ValueOrigin,
}

impl<T> Deref for OriginValue<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
