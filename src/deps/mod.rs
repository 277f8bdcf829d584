//! Installs Python dependencies: selects the requirement files and the interpreter, checks whether anything is missing, and installs it.
//! The module uses `config`, `environment` and `sys`. It reports in lines; only on a terminal it passes an installer's own progress
//! through.
//!
//! `ensure` selects the files, gathers what they reach, and finds the interpreter. It then compares with the stamp of the last
//! installation and with the installed packages, and installs only if something is missing.

mod already;
mod attempt;
mod build_log;
mod cache_dirs;
mod failure;
mod index;
mod inputs;
mod install;
mod install_root;
mod installation;
mod installer;
mod installer_view;
mod interpreter;
mod lock;
mod manifest;
mod manifest_files;
mod overlay;
mod overlays;
mod path_files;
pub mod pip;
pub mod progress;
mod protect;
pub mod python;
mod quick_look;
pub mod redact;
mod refusal;
mod removed;
mod requirement_file;
mod select;
mod shared_packages;
mod shared_store;
mod site_packages;
mod source_mention;
mod sources;
pub mod stamp;
mod starts;
mod status;
mod store_words;
mod target;
mod target_facts;
mod ticker;
mod translate;
mod wanted;

pub use quick_look::words as glance;
pub use removed::RemovedEntry;
pub use status::{DepsStatus, status};

use crate::config::{LogFormat, Settings};
use crate::error::Result;
use crate::program as run;
use protocol::handover::WorkloadKind;
use requirements::Satisfaction;
use requirements::installed::Folders;
use select::FileSelection;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::Root;
use sys::environment::Environment;
use tracing::debug;

/// The facts that an installation depends on.
#[derive(Clone, Debug)]
pub struct DepsRequest<'a> {
    /// The root directory of /proc and /etc.
    pub root: &'a Root,
    /// The merged configuration.
    pub settings: &'a Settings,
    /// The environment that the workload will have.
    pub environment: &'a Environment,
    /// The directory that the workload starts in.
    pub workdir: PathBuf,
    /// The code directory.
    pub code: PathBuf,
    /// The workload's command line.
    pub command: &'a [OsString],
    /// Whether the workload was requested as a mode by name, not as a plain COMMAND.
    pub by_mode: bool,
    /// The kind of the workload, which decides whether a failure is only logged.
    pub kind: WorkloadKind,
}

impl DepsRequest<'_> {
    /// Checks whether standard error is a terminal, so that progress may be drawn.
    fn shows_progress(&self) -> bool {
        io::stderr().is_terminal() && self.settings.log_format.value == LogFormat::Text
    }
}

/// The outcome for the dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepsOutcome {
    /// There are no requirement files.
    Nothing,
    /// Nothing changed since the last installation.
    Unchanged {
        /// The requirement files.
        files: Vec<PathBuf>,
        /// Variables that the workload needs to find the packages.
        environment: Vec<(OsString, OsString)>,
    },
    /// There is no stamp, but every requirement is satisfied.
    Satisfied {
        /// The requirement files.
        files: Vec<PathBuf>,
        /// The number of requirements for this interpreter.
        requirements: usize,
    },
    /// The environment came from the store.
    Unpacked {
        /// The requirement files.
        files: Vec<PathBuf>,
        /// The program that installed, with its version and host.
        installer: String,
        /// The number of packages that came or changed.
        packages: usize,
        /// The time that it took.
        took: Duration,
        /// Variables that the workload needs to find the packages.
        environment: Vec<(OsString, OsString)>,
    },
    /// The installer ran and succeeded.
    Installed {
        /// The requirement files.
        files: Vec<PathBuf>,
        /// The program that installed, with its version.
        installer: String,
        /// The number of packages that came or changed.
        packages: usize,
        /// The time that it took.
        took: Duration,
        /// Variables that the workload needs to find the packages.
        environment: Vec<(OsString, OsString)>,
    },
}

impl DepsOutcome {
    /// Returns the variables for the workload. They replace its own ones: path lists in them already contain those.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        match self {
            DepsOutcome::Nothing | DepsOutcome::Satisfied { .. } => &[],
            DepsOutcome::Unchanged { environment, .. }
            | DepsOutcome::Unpacked { environment, .. }
            | DepsOutcome::Installed { environment, .. } => environment,
        }
    }

    /// Describes the outcome and its files in a few words; `None` if there were no files.
    pub fn words(&self) -> Option<String> {
        match self {
            DepsOutcome::Nothing => None,
            DepsOutcome::Unchanged { files, .. } => Some(format!("{}: unchanged since it was installed", names(files))),
            DepsOutcome::Satisfied { files, requirements } => {
                let requirements = text::count(*requirements as u64, "requirement");
                Some(format!("{}: {requirements}, satisfied already", names(files)))
            }
            DepsOutcome::Unpacked { files, installer, packages, .. } => {
                let packages = text::count(*packages as u64, "package");
                Some(format!("{}: {packages} from the store, installed with {installer}", names(files)))
            }
            DepsOutcome::Installed { files, installer, packages, .. } => {
                let packages = text::count(*packages as u64, "package");
                Some(format!("{}: installed with {installer}, {packages}", names(files)))
            }
        }
    }
}

/// Joins the names of files to one text.
pub fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Ensures that the requirements are installed; `tell` gets every line worth showing meanwhile.
///
/// # Errors
/// Fails for a requirement that cannot be met (116), an index that is down (216), or an invalid configuration (78).
pub fn ensure(request: &DepsRequest<'_>, tell: &mut dyn FnMut(&str)) -> Result<DepsOutcome> {
    let (environment, lines) = index::applied(request);
    let request = &DepsRequest { environment: &environment, ..request.clone() };
    let selected = select::select(request, tell)?;
    let files = selected.as_ref().map(|selection| names(&selection.files));
    debug!(
        target: "deps",
        wanted = ?request.settings.deps_requirements.value,
        origin = %request.settings.deps_requirements.origin,
        code = %request.code.display(),
        command = %text::command(request.command),
        "files: {}",
        files.as_deref().unwrap_or("none")
    );
    let Some(selection) = selected else { return Ok(DepsOutcome::Nothing) };
    lines.iter().for_each(|line| tell(line));
    ensure_of(request, selection, tell)
}

#[inline(never)] // most starts have nothing to install, and need not make room for this
fn ensure_of<'a>(
    request: &'a DepsRequest<'a>,
    selection: FileSelection,
    tell: &mut dyn FnMut(&str),
) -> Result<DepsOutcome> {
    let Some(wanted) = wanted_of(request, selection)? else { return Ok(DepsOutcome::Nothing) };
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    let folders = Folders::default();
    let unchanged = remembered.as_ref().and_then(|python| wanted.unchanged(python, &folders));
    debug!(
        target: "deps",
        requirements = wanted.inputs.requirements,
        named_by = wanted.interpreter.named_by,
        remembered = remembered.is_some(),
        unchanged = unchanged.is_some(),
        "interpreter {}",
        wanted.interpreter.path.display()
    );
    if let Some(outcome) = unchanged {
        return Ok(outcome);
    }
    // The interpreter's earlier answer is valid as long as nothing was added to its path.
    let known = remembered.filter(|python| python.holds(&folders));
    let looked =
        known.map(|python| install::Looked { answer: already::look(&wanted, &python, &folders, tell), python });
    match looked {
        Some(install::Looked { python, answer: Satisfaction::Yes(requirements) }) => {
            Ok(already::settle(&wanted, &python, false, &folders, requirements))
        }
        looked => install::install(&wanted, looked, tell),
    }
}

/// Returns the interpreter that a workload's dependencies are for; `None` if there is none.
pub fn interpreter(request: &DepsRequest<'_>) -> Option<PathBuf> {
    interpreter::find(request).ok().map(|found| found.path)
}

/// Finds a program of an interpreter's packages: on PATH if that one belongs to the interpreter, else beside the interpreter, else on
/// PATH.
pub fn program(request: &DepsRequest<'_>, interpreter: Option<&Path>, name: &str) -> Option<PathBuf> {
    let lookup = interpreter::lookup(request);
    let on_path = lookup.program(name);
    let is_its = |path: &PathBuf| {
        let starts = starts::look(&[path.clone().into()], lookup);
        matches!(starts, starts::Starts::Python(Some(python)) if Some(python.as_path()) == interpreter)
    };
    let beside = || interpreter.map(|python| python.with_file_name(name)).and_then(|path| lookup.program(path));
    on_path.clone().filter(is_its).or_else(beside).or(on_path)
}

/// Returns the outcome of a start without installing anything; `None` if a start would install.
///
/// # Errors
/// Fails for a file that cannot be read, or without a Python (116).
pub fn settled(request: &DepsRequest<'_>) -> Result<Option<DepsOutcome>> {
    let (environment, _) = index::applied(request);
    let request = &DepsRequest { environment: &environment, ..request.clone() };
    let Some(wanted) = wanted(request, &mut |_| {})? else { return Ok(Some(DepsOutcome::Nothing)) };
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    Ok(remembered.and_then(|python| wanted.unchanged(&python, &Folders::default())))
}

/// Removes environments from the store and overlays from the cache: those beyond the limit, unused for too long, or left by killed starts.
/// With `dry` it only lists them.
pub fn prune(request: &DepsRequest<'_>, unused: Option<Duration>, dry: bool) -> Vec<RemovedEntry> {
    let limit = shared_store::limit(request.settings);
    let store = shared_store::directory(request).map(|directory| store::prune(&directory, limit, unused, dry));
    let store = store.into_iter().flatten().map(RemovedEntry::from);
    store.chain(overlays::prune(request.environment, limit, unused, dry)).collect()
}

/// Gathers what this start requires; `None` if there are no requirement files.
fn wanted<'a>(request: &'a DepsRequest<'a>, tell: &mut dyn FnMut(&str)) -> Result<Option<wanted::WantedPackages<'a>>> {
    select::select(request, tell)?.map_or(Ok(None), |selection| wanted_of(request, selection))
}

fn wanted_of<'a>(request: &'a DepsRequest<'a>, selection: FileSelection) -> Result<Option<wanted::WantedPackages<'a>>> {
    let inputs = inputs::gather(&selection.files, request.environment)?;
    let beside = selection.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
    sources::check(request, &inputs, beside)?;
    if inputs.requirements == 0 {
        return Ok(None);
    }
    let interpreter = interpreter::find(request)?;
    Ok(Some(wanted::WantedPackages { request, selection, inputs, interpreter }))
}
