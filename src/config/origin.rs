//! The origin of a value. Every value has one, and every message about a value names it.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

/// The origin of a value, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueOrigin {
    /// Built in.
    #[default]
    Default,
    /// A line of a configuration file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// An option on the command line without its value, which may be a secret.
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
    /// The origin; of a map, that of the last addition.
    pub origin: ValueOrigin,
}

impl<T> Deref for OriginValue<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
