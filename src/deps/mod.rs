//! Python dependencies: which requirement files, which interpreter, whether anything has to be done, and doing it. Knows
//! `config`, `environment` and `sys`. It tells in lines; only on a terminal it passes an installer's own progress through.
//!
//! The story is `ensure`: select the files, gather what they reach, find the interpreter, compare with what the last
//! installation wrote down, hold them against what is installed, and only then install.

mod already;
mod attempt;
mod build_log;
mod digest;
mod failure;
mod glance;
mod index;
mod inputs;
mod install;
pub mod installed;
mod installer;
mod interpreter;
mod layer;
mod layers;
mod lock;
mod manifest;
pub mod packaging;
pub mod pip;
mod places;
pub mod progress;
mod protect;
pub mod python;
pub mod redact;
pub mod requirements;
mod satisfied;
mod select;
mod share;
mod site;
mod sources;
mod spot;
pub mod stamp;
mod starts;
mod status;
pub mod store;
mod target;
mod ticker;
mod translate;
mod view;
mod wanted;

pub use glance::words as glance;
pub use status::{Status, status};

use crate::config::Settings;
use crate::error::Result;
use crate::program as run;
use installed::Folders;
use protocol::handover::Kind;
use satisfied::Answer;
use select::Selection;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::Root;
use sys::environment::Environment;

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
        /// Variables that the workload has to get, so that it finds the packages.
        environment: Vec<(OsString, OsString)>,
    },
    /// Nothing is known of an earlier installation, but all is there.
    Satisfied {
        /// The files.
        files: Vec<PathBuf>,
        /// How many requirements they hold for this interpreter.
        requirements: usize,
    },
    /// The environment came from the store.
    Unpacked {
        /// The files.
        files: Vec<PathBuf>,
        /// The program that installed, with its version, and where that was.
        installer: String,
        /// How many packages came or changed.
        packages: usize,
        /// How long it took.
        took: Duration,
        /// Variables that the workload has to get, so that it finds the packages.
        environment: Vec<(OsString, OsString)>,
    },
    /// The installer ran and succeeded.
    Installed {
        /// The files.
        files: Vec<PathBuf>,
        /// The program that installed, with its version.
        installer: String,
        /// How many packages came or changed.
        packages: usize,
        /// How long it took.
        took: Duration,
        /// Variables that the workload has to get, so that it finds the packages.
        environment: Vec<(OsString, OsString)>,
    },
}

impl Outcome {
    /// Variables that the workload has to get, whether or not it has others of these names: path lists in them are extended
    /// already.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        match self {
            Outcome::Nothing | Outcome::Satisfied { .. } => &[],
            Outcome::Unchanged { environment, .. }
            | Outcome::Unpacked { environment, .. }
            | Outcome::Installed { environment, .. } => environment,
        }
    }

    /// What became of which files, in a few words; none: there were none.
    pub fn words(&self) -> Option<String> {
        match self {
            Outcome::Nothing => None,
            Outcome::Unchanged { files, .. } => Some(format!("{}: unchanged since it was installed", names(files))),
            Outcome::Satisfied { files, requirements } => {
                let requirements = text::count(*requirements as u64, "requirement");
                Some(format!("{}: {requirements}, satisfied already", names(files)))
            }
            Outcome::Unpacked { files, installer, packages, .. } => {
                let packages = text::count(*packages as u64, "package");
                Some(format!("{}: {packages} from the store, installed with {installer}", names(files)))
            }
            Outcome::Installed { files, installer, packages, .. } => {
                let packages = text::count(*packages as u64, "package");
                Some(format!("{}: installed with {installer}, {packages}", names(files)))
            }
        }
    }
}

/// Files as one text.
pub fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Makes sure that the requirements are installed. `tell` gets every line worth showing while it runs.
///
/// # Errors
/// A requirement that cannot be met (116), an index that is down (216), a configuration that cannot be (78).
pub fn ensure(request: &Request<'_>, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let (environment, lines) = index::applied(request);
    let request = &Request { environment: &environment, ..request.clone() };
    let Some(selection) = select::select(request, tell)? else { return Ok(Outcome::Nothing) };
    lines.iter().for_each(|line| tell(line));
    ensure_of(request, selection, tell)
}

#[inline(never)] // most starts have nothing to install, and need not make room for this
fn ensure_of<'a>(request: &'a Request<'a>, selection: Selection, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let Some(wanted) = wanted_of(request, selection)? else { return Ok(Outcome::Nothing) };
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    let folders = Folders::default();
    if let Some(outcome) = remembered.as_ref().and_then(|python| wanted.unchanged(python, &folders)) {
        return Ok(outcome);
    }
    // What it answered once holds as long as nothing adds to its path.
    let known = remembered.filter(|python| python.holds(&folders));
    let looked =
        known.map(|python| install::Looked { answer: already::look(&wanted, &python, &folders, tell), python });
    match looked {
        Some(install::Looked { python, answer: Answer::Yes(requirements) }) => {
            Ok(already::settle(&wanted, &python, false, &folders, requirements))
        }
        looked => install::install(&wanted, looked, tell),
    }
}

/// The interpreter that the dependencies of a workload are for; none is found.
pub fn interpreter(request: &Request<'_>) -> Option<PathBuf> {
    interpreter::find(request).ok().map(|found| found.path)
}

/// A program that an interpreter's packages brought: as PATH has it, if it is this interpreter's; else beside it; else as PATH has it.
pub fn program(request: &Request<'_>, interpreter: Option<&Path>, name: &str) -> Option<PathBuf> {
    let lookup = interpreter::lookup(request);
    let on_path = lookup.program(name);
    let is_its = |path: &PathBuf| {
        let starts = starts::look(&[path.clone().into()], lookup);
        matches!(starts, starts::Starts::Python(Some(python)) if Some(python.as_path()) == interpreter)
    };
    let beside = || interpreter.map(|python| python.with_file_name(name)).and_then(|path| lookup.program(path));
    on_path.clone().filter(is_its).or_else(beside).or(on_path)
}

/// What a start would find, without doing anything; none if it would install.
///
/// # Errors
/// A file that cannot be read, or no Python (116).
pub fn settled(request: &Request<'_>) -> Result<Option<Outcome>> {
    let (environment, _) = index::applied(request);
    let request = &Request { environment: &environment, ..request.clone() };
    let Some(wanted) = wanted(request, &mut |_| {})? else { return Ok(Some(Outcome::Nothing)) };
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    Ok(remembered.and_then(|python| wanted.unchanged(&python, &Folders::default())))
}

/// Takes away what need not be in the store and in the cache's layers: beyond the limit, unused for so long, left by killed starts;
/// `dry`: only says what.
pub fn prune(request: &Request<'_>, unused: Option<Duration>, dry: bool) -> Vec<store::Taken> {
    let limit = share::limit(request.settings);
    let store = share::directory(request).map(|directory| store::prune(&directory, limit, unused, dry));
    store.into_iter().flatten().chain(layers::prune(request.environment, limit, unused, dry)).collect()
}

/// What this start wants to have; none if there is nothing to install.
fn wanted<'a>(request: &'a Request<'a>, tell: &mut dyn FnMut(&str)) -> Result<Option<wanted::Wanted<'a>>> {
    select::select(request, tell)?.map_or(Ok(None), |selection| wanted_of(request, selection))
}

fn wanted_of<'a>(request: &'a Request<'a>, selection: Selection) -> Result<Option<wanted::Wanted<'a>>> {
    let inputs = inputs::gather(&selection.files, request.environment)?;
    let beside = selection.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
    sources::check(request, &inputs, beside)?;
    if inputs.requirements == 0 {
        return Ok(None);
    }
    let interpreter = interpreter::find(request)?;
    Ok(Some(wanted::Wanted { request, selection, inputs, interpreter }))
}
