//! What a mode that serves something needs beyond its command line: variables, files that only the user may read, programs that make
//! a key or a certificate, lines that tell a person where to go. Decided here as data; `prepare` does it.

use super::builtin::BUILTIN;
use super::{Plan, custom};
use crate::config::Settings;
use crate::engine::Platform;
use crate::error::Result;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;

/// What is known of the machine when a mode is dressed.
pub struct ServerContext<'a> {
    /// The merged configuration.
    pub settings: &'a Settings,
    /// The environment that the workload will have.
    pub environment: &'a Environment,
    /// Where this runs.
    pub place: Platform,
    /// The directory that the workload starts in.
    pub workdir: &'a Path,
    /// The code directory.
    pub code: &'a Path,
    /// The interpreter that the dependencies are for; none was found.
    pub interpreter: Option<&'a Path>,
    /// The workload's user.
    pub uid: u32,
    /// The whole budget of a stop, where it is known.
    pub grace: Option<Duration>,
    /// A directory that only this user may enter and that is the same for every start of this container.
    pub private: &'a Path,
    /// So many characters that nobody can guess, new at each start.
    pub secret: &'a str,
    /// Where a program is, as the interpreter and the workload's PATH have it.
    pub program: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// Whether the interpreter has a module of this name.
    pub module: &'a dyn Fn(&str) -> bool,
    /// Who listens on a port, in a few words; none: nobody.
    pub holder: &'a dyn Fn(u16) -> Option<String>,
    /// A small file's bytes.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

/// A command line with all that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSetup {
    /// The command line. No secret stands in it: everybody may read it.
    pub command: Vec<OsString>,
    /// Variables to set, also where others of these names were inherited.
    pub set: Vec<(OsString, OsString)>,
    /// Variables to take away.
    pub unset: Vec<OsString>,
    /// Files to write, in order.
    pub files: Vec<PrivateFile>,
    /// What programs make, in order, after the files.
    pub made: Vec<MadeFile>,
    /// Directories that a server of root's wants to find. One that cannot be made is the server's to tell.
    pub directories: Vec<PathBuf>,
    /// Files that others read. One that cannot be written is told, and is no reason not to start.
    pub shared: Vec<SharedFile>,
    /// What was made and is to be there again at another start. Where that cannot be, it is told.
    pub kept: Vec<KeptFile>,
    /// Lines for a person. They may hold a secret that was made for this start: each is told once, at the end of the preparations.
    pub lines: Vec<String>,
}

/// A file that only the workload's user may read (0600). Its directory is made with 0700 where it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateFile {
    /// Where.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
    /// One that is there already stays as it is.
    pub keep: bool,
}

/// A file that a program makes, unless it is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// Which file. Only the workload's user may read it afterwards.
    pub path: PathBuf,
    /// What makes it.
    pub command: Vec<OsString>,
    /// What to do when that fails.
    pub hint: String,
}

/// A file of the container that everybody may read; one that is there keeps its mode and its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFile {
    /// Where.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// A private file to be copied where it survives the container. What is there already stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// The file.
    pub from: PathBuf,
    /// Where to.
    pub to: PathBuf,
}

/// Packages that a plan wants to have installed before it is dressed.
pub fn packages<'a>(plan: &Plan, settings: &'a Settings) -> &'a [String] {
    let server = BUILTIN.iter().find(|mode| mode.name == plan.mode).and_then(|mode| mode.server);
    server.filter(|_| plan.setup).map_or(&[], |server| (server.packages)(settings))
}

/// The command line of a plan with all that it needs; none: it is what it is.
///
/// # Errors
/// What it needs is not there (127), or cannot be (78).
pub fn server_setup(plan: &Plan, surroundings: &ServerContext<'_>) -> Result<Option<ServerSetup>> {
    if let Some(spec) = surroundings.settings.modes.get(&plan.mode).filter(|_| plan.setup) {
        return custom::set_up(&plan.mode, spec, surroundings).map(Some);
    }
    let server = BUILTIN.iter().find(|mode| mode.name == plan.mode).and_then(|mode| mode.server);
    match server.filter(|_| plan.setup) {
        Some(server) => (server.set_up)(surroundings, plan.command.get(1..).unwrap_or_default()).map(Some),
        None => Ok(None),
    }
}
