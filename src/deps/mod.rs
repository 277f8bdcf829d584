//! Python dependencies: which requirement files, which interpreter, whether anything has to be done, and doing it. Knows
//! `config`, `environment` and `sys`; prints nothing itself.

use crate::config::Settings;
use crate::environment::Environment;
use crate::error::Result;
use crate::handover::Kind;
use crate::sys::Root;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What to look at before anything is installed.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where /proc and /etc are.
    pub root: &'a Root,
    /// The merged configuration.
    pub settings: &'a Settings,
    /// The environment that the workload will have.
    pub environment: &'a Environment,
    /// The directory that the workload starts in.
    pub workdir: PathBuf,
    /// The code directory.
    pub code: PathBuf,
    /// The command line that will run.
    pub command: &'a [OsString],
    /// The workload was asked for as a mode by name, not as a plain COMMAND.
    pub by_mode: bool,
    /// Whether a failure may be only told.
    pub kind: Kind,
}

/// What became of the dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to install from.
    Nothing,
    /// Nothing had changed since the last installation.
    Unchanged {
        /// The files.
        files: Vec<PathBuf>,
    },
    /// The installer ran and succeeded.
    Installed {
        /// The files.
        files: Vec<PathBuf>,
        /// The program that installed, with its version.
        installer: String,
        /// How long it took.
        took: Duration,
    },
}

impl Outcome {
    /// Variables that the workload needs to find what was installed.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &[]
    }
}

/// Makes sure that the requirements are installed. `tell` gets every line worth showing while it runs.
///
/// # Errors
/// A requirement that cannot be met (116), an index that is down (216), a configuration that cannot be (78).
pub fn ensure(request: &Request<'_>, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let _ = (request, tell);
    Ok(Outcome::Nothing)
}
