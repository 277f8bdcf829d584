//! What a mode that serves something needs beyond its command line: variables, files that only the user may read, programs that make
//! a key or a certificate, lines that tell a person where to go. Decided here as data; `prepare` does it.

use crate::config::Settings;
use crate::engine::Platform;
use crate::error::Result;
use protocol::handover::Service;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;

/// The functions of a mode that serves something. They are pure: what they need to know is given to them, and they return what is to
/// be done.
#[derive(Clone, Copy)]
pub struct ServerMode {
    /// Where it is going to listen, as far as that is known at the start. It gets the words that were typed behind the mode.
    pub service: fn(&Settings, &Environment, &[OsString]) -> Result<Option<Service>>,
    /// Packages to install for it, as requirements.
    pub packages: fn(&Settings) -> &[String],
    /// The command line with all that it needs. It is asked last: dependencies are installed, the process is the workload's user.
    pub set_up: fn(&ServerContext<'_>, &[OsString]) -> Result<ServerSetup>,
}

/// What is known of the machine when the server of a mode is set up.
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
