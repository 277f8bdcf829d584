//! Reports the dependencies and what the next start would do, without doing it.

use super::python::{self, Python};
use super::wanted::{PackageSetState, WantedPackages};
use super::{DepsRequest, already, index, overlays, shared_store, store_words, target_facts, wanted};
use crate::error::Result;
use crate::report;
use requirements::Satisfaction;
use requirements::installed::Folders;
use std::path::{Path, PathBuf};

/// The state of the dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepsStatus {
    /// Every file that is read.
    pub files: Vec<PathBuf>,
    /// The interpreter.
    pub python: PathBuf,
    /// The origin of the interpreter's choice.
    pub named_by: &'static str,
    /// The directory of the packages.
    pub packages: PathBuf,
    /// The program that installed last.
    pub installer: Option<String>,
    /// The state of the store's entry, if there is a store.
    pub store: Option<String>,
    /// The overlays in the user's cache, if there are any.
    pub layers: Option<String>,
    /// Whether the next start would install nothing.
    pub current: bool,
    /// The reason for the next installation, if there is one.
    pub why: Option<String>,
}

/// Determines the state; `None` if there are no requirement files. It asks the interpreter if no earlier start has.
///
/// # Errors
/// Fails for a file that cannot be read, or without a Python (116).
pub fn status(request: &DepsRequest<'_>) -> Result<Option<DepsStatus>> {
    let (environment, _) = index::applied(request);
    let request = &DepsRequest { environment: &environment, ..request.clone() };
    let Some(wanted) = wanted(request, &mut |_| {})? else { return Ok(None) };
    let folders = Folders::default();
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    let remembered = remembered.filter(|python| python.holds(&folders));
    let python = match remembered {
        Some(python) => python,
        None => python::ask(&wanted.interpreter, request.environment, None)?,
    };
    let found = wanted.find(&python, &folders);
    let packages = found.layer.map_or(python.purelib.clone(), |layer| layer.packages());
    let (installer, why) = match found.state {
        PackageSetState::Current(stamp) => (Some(stamp.installer), None),
        PackageSetState::Changed(parts) => {
            (None, missing(&wanted, &python, &folders, &format!("changed: {}", parts.join(", "))))
        }
        PackageSetState::Old => (None, Some("deps.refresh: newer versions are looked for".to_owned())),
        PackageSetState::Unfinished => (None, Some("an installation was not finished".to_owned())),
        PackageSetState::Unknown => (None, missing(&wanted, &python, &folders, "not installed by trainit yet")),
    };
    let current = why.is_none();
    let store = shared_store::directory(request).map(|store| in_store(&wanted, &python, current, &store));
    let interpreter = wanted.interpreter;
    Ok(Some(DepsStatus {
        files: wanted.inputs.files,
        python: interpreter.path,
        named_by: interpreter.named_by,
        packages,
        installer,
        store,
        layers: overlays::words(request.environment),
        current,
        why,
    }))
}

/// Describes the store's entry for the requirements, and the size of the store.
fn in_store(wanted: &WantedPackages<'_>, python: &Python, current: bool, store: &Path) -> String {
    if !store.is_dir() {
        return format!("{} is not there yet", store.display());
    }
    let unused = |error: &(dyn std::error::Error + 'static)| format!("is not used: {}", report::chain(error));
    let found = match target_facts::target_facts(wanted, python, &mut |_| {}) {
        Err(error) => unused(&error),
        Ok(target) => {
            let below = target.home.below().filter(|_| current).unwrap_or_else(|| target.below(wanted));
            match shared_store::store_entry(wanted, &target, below, &mut |_| {}) {
                Ok(entry) => entry.map_or_else(String::new, |(entry, _)| store_words::state(&entry.state())),
                Err(error) => unused(&error),
            }
        }
    };
    let (count, bytes) = store::inventory(store);
    let all = text::count(count as u64, "environment");
    let limit = wanted
        .request
        .settings
        .deps_store_size
        .value
        .map_or(String::new(), |size| format!(" of {}", text::size(size.0)));
    format!("{} {found} ({all}, {}{limit})", store.display(), text::size(bytes))
}

/// Returns the reason why a start would install, if it would.
fn missing(wanted: &WantedPackages<'_>, python: &Python, folders: &Folders, state: &str) -> Option<String> {
    match already::look(wanted, python, folders, &mut |_| {}) {
        Satisfaction::Yes(_) => None,
        Satisfaction::No(missing) => Some(format!("{state}; {missing}")),
        Satisfaction::Unknown(doubt) => Some(format!("{state}; the installer has to look: {doubt}")),
    }
}
