//! The needs of a mode's server beyond its command line: variables, private files, programs that make a key or a certificate, and
//! lines that say where to connect. The set-up is data here; `prepare` carries it out.

use crate::config::Settings;
use crate::engine::Platform;
use crate::error::Result;
use protocol::handover::Service;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;

/// The functions of a mode with a server. They are pure: they get what they need to know, and return what is to be done.
#[derive(Clone, Copy)]
pub struct ServerMode {
    /// Returns the service, as far as it is known at the start, from the words that were typed behind the mode.
    pub service: fn(&Settings, &Environment, &[OsString]) -> Result<Option<Service>>,
    /// Returns the name of the program that `set_up` is going to start, as far as it is known before the installation.
    pub program: fn(&Settings, &Environment) -> Option<OsString>,
    /// Returns the packages to install for the server, as requirements.
    pub packages: fn(&Settings) -> &[String],
    /// Returns the set-up; called last, with dependencies installed and as the workload's user.
    pub set_up: fn(&ServerContext<'_>, &[OsString]) -> Result<ServerSetup>,
}

/// What is known of the machine when a mode's server is set up.
pub struct ServerContext<'a> {
    /// The merged configuration.
    pub settings: &'a Settings,
    /// The environment that the workload will have.
    pub environment: &'a Environment,
    /// The platform that this process runs on.
    pub place: Platform,
    /// The directory that the workload starts in.
    pub workdir: &'a Path,
    /// The code directory.
    pub code: &'a Path,
    /// The interpreter that the dependencies are for; `None` if none was found.
    pub interpreter: Option<&'a Path>,
    /// The workload's user.
    pub uid: u32,
    /// The whole budget of a stop; `None` if it is not known.
    pub grace: Option<Duration>,
    /// A directory that only this user may enter and that is the same for every start below this supervisor.
    pub private: &'a Path,
    /// Returns the file for a secret that the next start of this container uses again; `None` where nothing outlives a stop.
    pub kept_secret: &'a dyn Fn() -> Option<PathBuf>,
    /// Login shells lose the workload's PATH, and nothing in /etc gives it back.
    pub login_shells_lose_path: bool,
    /// Random characters that cannot be guessed, new at each start.
    pub secret: &'a str,
    /// Returns the path of a program, as the interpreter and the workload's PATH have it.
    pub program: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// Returns whether the interpreter has a module of this name.
    pub module: &'a dyn Fn(&str) -> bool,
    /// Returns which process listens on a port, in a few words; `None` if none does.
    pub holder: &'a dyn Fn(u16) -> Option<String>,
    /// Returns the content of a small file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl ServerContext<'_> {
    /// Returns the secret that an earlier start of this container has made: the supervisor's earlier start, or the container's.
    pub(super) fn earlier_secret(&self, file: &Path) -> Option<String> {
        let text = |path: &Path| String::from_utf8((self.read)(path).ok()?).ok();
        text(file).or_else(|| text(&(self.kept_secret)()?))
    }

    /// Returns the copy of a made secret for the next start of this container.
    pub(super) fn keep_secret(&self, file: &Path) -> Option<KeptFile> {
        (self.kept_secret)().map(|to| KeptFile { from: file.to_owned(), to })
    }
}

/// A command line with everything that its server needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSetup {
    /// The command line. It holds no secret, because every user may read it.
    pub command: Vec<OsString>,
    /// Variables to set; they replace inherited ones.
    pub set: Vec<(OsString, OsString)>,
    /// Variables to remove.
    pub unset: Vec<OsString>,
    /// Files to write, in order.
    pub files: Vec<PrivateFile>,
    /// Files that programs make, in order, after `files`.
    pub made: Vec<MadeFile>,
    /// Directories that a server of root's needs; if one cannot be made, the server reports that itself.
    pub directories: Vec<PathBuf>,
    /// Files that others read; a failure to write one is logged and does not prevent the start.
    pub shared: Vec<SharedFile>,
    /// Copies of made files for another start; a failure to keep one is logged.
    pub kept: Vec<KeptFile>,
    /// Lines for a person, each printed once at the end of the preparation. They may hold a secret that was made for this start.
    pub lines: Vec<String>,
    /// What a person opens or types to reach the server, without a secret: told again when the server answers. `None` if that is not known
    /// to be true then.
    pub address: Option<String>,
    /// Lines about files, which exist only when the set-up is carried out; they follow `lines`.
    pub told: Vec<ToldFiles>,
}

/// A line about the content of private files.
#[derive(Clone, Debug)]
pub struct ToldFiles {
    /// The files, all of which are read.
    pub paths: Vec<PathBuf>,
    /// Returns the line from the files' contents; it must hold nothing that is secret.
    pub words: fn(&[Vec<u8>]) -> Option<String>,
}

impl PartialEq for ToldFiles {
    /// Compares the files; a function has no address that could be relied on.
    fn eq(&self, other: &Self) -> bool {
        self.paths == other.paths
    }
}

impl Eq for ToldFiles {}

/// A file that only the workload's user may read (0600). A missing directory is made with 0700.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateFile {
    /// The file's path.
    pub path: PathBuf,
    /// The file's content.
    pub content: Vec<u8>,
    /// An existing file stays as it is.
    pub keep: bool,
}

/// A file that a program makes, unless it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// The file's path; only the workload's user may read it afterwards.
    pub path: PathBuf,
    /// The program that makes the file.
    pub command: Vec<OsString>,
    /// What to do when the program fails.
    pub hint: String,
}

/// A file of the container that every user may read; an existing one keeps its mode and its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFile {
    /// The file's path.
    pub path: PathBuf,
    /// The file's content.
    pub content: Vec<u8>,
}

/// A private file to copy to a place that survives the container; an existing copy stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// The file to copy.
    pub from: PathBuf,
    /// The path of the copy.
    pub to: PathBuf,
}
