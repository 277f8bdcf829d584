//! Installs Python dependencies: selects the requirement files and the interpreter, checks whether anything is missing, and installs it.
//! The module uses `config`, `environment` and `sys`. It reports in lines; only on a terminal it passes an installer's own progress
//! through.
//!
//! `ensure` selects the files, gathers what they reach, and finds the interpreter. It then compares with the stamp of the last
//! installation and with the installed packages, and installs only if something is missing.

mod already;
mod attempt;
mod blamed_setting;
mod build_log;
mod build_plan;
mod build_steps;
mod cache_dirs;
mod certificates;
mod failure;
mod failure_class;
mod failure_in_builds;
mod failure_on_the_way;
mod foresee;
mod freeze;
mod import_path;
mod imports;
mod index;
mod inputs;
mod install;
mod install_root;
mod installation;
mod installer;
mod installer_view;
mod interpreter;
mod interpreter_words;
mod left_alone;
mod lock;
mod look_again;
mod manifest;
mod manifest_files;
mod overlay;
mod overlays;
mod path_files;
pub mod pip;
mod pip_answer;
pub mod progress;
mod protect;
pub mod python;
mod python_start;
mod quick_look;
pub mod redact;
mod refusal;
mod removed;
mod requirement_file;
mod select;
mod shared_files;
mod shared_packages;
mod shared_store;
mod shebang;
mod site_packages;
mod source_layout;
mod source_mention;
mod sources;
pub mod stamp;
mod starts;
mod status;
mod store_words;
mod target;
mod target_facts;
mod translate;
mod wanted;

pub use foresee::{DepsOutlook, foresee};
pub use freeze::{FrozenPackages, freeze, frozen};
pub use left_alone::LeftAlone;
pub use quick_look::words as glance;
pub use removed::RemovedEntry;
pub use status::{DepsStatus, status};

use crate::config::Settings;
use crate::error::Result;
use crate::program as run;
use crate::ticker;
use protocol::handover::WorkloadKind;
use python_start::PythonStart;
use requirements::Satisfaction;
use requirements::installed::Folders;
use select::{FileSelection, Selected};
use std::ffi::OsString;
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
        ticker::draws(self.settings)
    }
}

/// The outcome for the dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepsOutcome {
    /// There are no requirement files, or only some that the start leaves alone.
    Nothing(Option<LeftAlone>),
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
            DepsOutcome::Nothing(_) | DepsOutcome::Satisfied { .. } => &[],
            DepsOutcome::Unchanged { environment, .. }
            | DepsOutcome::Unpacked { environment, .. }
            | DepsOutcome::Installed { environment, .. } => environment,
        }
    }

    /// Describes the outcome and its files in a few words; `None` if there were no files.
    pub fn words(&self) -> Option<String> {
        match self {
            DepsOutcome::Nothing(_) => None,
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
    let files = if let Selected::Files(selection) = &selected { names(&selection.files) } else { "none".to_owned() };
    debug!(
        target: "deps",
        wanted = ?request.settings.deps_requirements.value,
        origin = %request.settings.deps_requirements.origin,
        code = %request.code.display(),
        command = %text::command(request.command),
        "files: {files}"
    );
    let selection = match selected {
        Selected::Files(selection) => selection,
        Selected::Nothing(left) => return Ok(DepsOutcome::Nothing(left)),
    };
    lines.iter().for_each(|line| tell(line));
    ensure_of(request, selection, tell)
}

#[inline(never)] // most starts have nothing to install, and need not make room for this
fn ensure_of<'a>(
    request: &'a DepsRequest<'a>,
    selection: FileSelection,
    tell: &mut dyn FnMut(&str),
) -> Result<DepsOutcome> {
    let Some(wanted) = wanted_of(request, selection)? else { return Ok(DepsOutcome::Nothing(None)) };
    other_python(request, &wanted.interpreter).iter().for_each(|other| tell(&other.line));
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    let folders = Folders::default();
    let unchanged = remembered.as_ref().and_then(|python| already::unchanged(&wanted, python, &folders, tell));
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

/// Returns what to say of a `python` beside the `python3` that the packages are for, if the command names neither.
pub fn two_pythons(request: &DepsRequest<'_>) -> Option<LeftAlone> {
    other_python(request, &interpreter::find(request).ok()?)
}

fn other_python(request: &DepsRequest<'_>, chosen: &interpreter::Interpreter) -> Option<LeftAlone> {
    let python = || interpreter::lookup(request).program("python");
    let is_found = chosen.named_by == interpreter::BY_PATH;
    is_found.then(|| left_alone::two_pythons(&chosen.path, python())).flatten()
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
    let Some(wanted) = wanted(request, &mut |_| {})? else { return Ok(Some(DepsOutcome::Nothing(None))) };
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    Ok(remembered.and_then(|python| already::unchanged(&wanted, &python, &Folders::default(), &mut |_| {})))
}

/// Removes environments from the store and overlays from the cache: those beyond the limit, unused for too long, or left by killed starts.
/// With `dry` it only lists them.
pub fn prune(request: &DepsRequest<'_>, unused: Option<Duration>, dry: bool) -> Vec<RemovedEntry> {
    let limit = shared_store::limit(request.settings);
    let store = shared_store::directory(request).map(|directory| store::prune(&directory, limit, unused, dry));
    let store = store.into_iter().flatten().map(RemovedEntry::from);
    store.chain(overlays::prune(request.environment, limit, unused, dry)).collect()
}

/// Returns a digest of what the requirement files of this start reach; `None` without such files, or where they cannot be read.
pub fn digest(request: &DepsRequest<'_>) -> Option<String> {
    let selection = select::select(request, &mut |_| {}).ok()?.files()?;
    let mut inputs = inputs::gather(&selection.files, request.environment).ok()?;
    inputs.add_parts(selection.parts.iter().map(|(_, parts)| parts));
    Some(inputs.digest)
}

/// Gathers what this start requires; `None` if there are no requirement files.
fn wanted<'a>(request: &'a DepsRequest<'a>, tell: &mut dyn FnMut(&str)) -> Result<Option<wanted::WantedPackages<'a>>> {
    select::select(request, tell)?.files().map_or(Ok(None), |selection| wanted_of(request, selection))
}

fn wanted_of<'a>(request: &'a DepsRequest<'a>, selection: FileSelection) -> Result<Option<wanted::WantedPackages<'a>>> {
    let mut inputs = inputs::gather(&selection.files, request.environment)?;
    inputs.add_parts(selection.parts.iter().map(|(_, parts)| parts));
    let beside = selection.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
    sources::check(request, &inputs, beside)?;
    if inputs.requirements == 0 {
        return Ok(None);
    }
    let interpreter = interpreter::find(request)?;
    let start = PythonStart::of(request.command, request.environment, interpreter::lookup(request));
    Ok(Some(wanted::WantedPackages { request, selection, inputs, interpreter, start }))
}
