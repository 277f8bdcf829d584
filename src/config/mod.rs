//! The configuration: layers of files, variables and options, merged into `Settings` in which every value knows where it
//! came from. Knows `error`, `exit`, `handover` (for the types that PID 1 shares) and `sys`; nothing of checks or modes.

mod settings;
mod values;

pub use settings::{KEYS, Settings};
pub use values::*;

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
    /// An option on the command line, as typed.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
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
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Deref for Setting<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One key of the configuration, as documented.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted path in files.
    pub path: &'static str,
    /// The built-in value, as it would be written in a file; empty: none.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether `trainit.yaml` in the code directory may set it.
    pub project: bool,
}
