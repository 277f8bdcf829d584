//! What the dependency step of a start would do, and what it would refuse, without an installation. It asks the interpreter and looks for
//! an installer; what only an installer can tell (an index, a conflict, a build) is not known here.

use super::installer::{self, InstallerChoice};
use super::target::{self, InstallTarget};
use super::{DepsOutcome, DepsRequest, already, cache_dirs, imports, index, names, pip, python, target_facts, wanted};
use crate::error::Result;
use requirements::Satisfaction;
use requirements::installed::Folders;
use std::time::Instant;

/// The outlook for the dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepsOutlook {
    /// A start would install nothing.
    Settled(DepsOutcome),
    /// A start would install, with these words about it.
    Installs(String),
}

/// Returns what a start would do; `tell` gets lines about files that it would leave alone.
///
/// # Errors
/// The refusals of a start before its installer runs (116, 216, 78).
pub fn foresee(request: &DepsRequest<'_>, tell: &mut dyn FnMut(&str)) -> Result<DepsOutlook> {
    let (environment, _) = index::applied(request);
    let request = &DepsRequest { environment: &environment, ..request.clone() };
    let Some(wanted) = wanted(request, tell)? else { return Ok(DepsOutlook::Settled(DepsOutcome::Nothing(None))) };
    let folders = Folders::default();
    let deadline = request.settings.deps_timeout.value.and_then(|limit| Instant::now().checked_add(limit));
    let remembered = python::remembered(&wanted.interpreter, request.environment);
    let python = match remembered.filter(|python| python.holds(&folders)) {
        Some(python) => python,
        None => python::ask(&wanted.interpreter, request.environment, deadline)?,
    };
    if let Some(outcome) = already::unchanged(&wanted, &python, &folders, tell) {
        return Ok(DepsOutlook::Settled(outcome));
    }
    let why = match already::look(&wanted, &python, &folders, tell) {
        Satisfaction::Yes(requirements) => {
            let files = wanted.selection.files.clone();
            return Ok(DepsOutlook::Settled(DepsOutcome::Satisfied { files, requirements }));
        }
        Satisfaction::No(unmet) => {
            imports::refuse(&wanted, &python, &unmet)?;
            unmet.to_string()
        }
        Satisfaction::Unknown(doubt) => format!("the installer has to look: {doubt}"),
    };
    let layered = is_layered(request, &python)?;
    let settings = pip::settings(request.root, request.environment, &python);
    let kept = wanted.kept(&python, &settings, &folders, layered);
    wanted.refusals(&kept, wanted.asked()).iter().for_each(|line| tell(line));
    let choice = InstallerChoice {
        wanted: &request.settings.deps_installer,
        python: &python,
        settings: &settings,
        kept: &kept,
        for_pip: &wanted.inputs.for_pip,
        hashed: wanted.inputs.hashed,
        environment: request.environment,
        layered,
    };
    let tool = installer::choose(choice, tell)?;
    Ok(DepsOutlook::Installs(format!("{}: a start installs with {tool} ({why})", names(&wanted.selection.files))))
}

/// Returns whether packages would go to an overlay.
fn is_layered(request: &DepsRequest<'_>, python: &python::Python) -> Result<bool> {
    match target::choose(&request.settings.deps_target, python, request.root, request.environment)? {
        InstallTarget::Here { .. } => Ok(false),
        InstallTarget::Layer(_) if cache_dirs::may_be_written(request.environment) => Ok(true),
        InstallTarget::Layer(why) => Err(target_facts::nowhere(python, why)),
    }
}
