//! Installs the requirements: prepares the target, runs the tool, and writes the result down.

use super::attempt::Attempts;
use super::installation::Installation;
use super::installer::{self, InstallerChoice, Tool};
use super::look_again::look_again;
use super::pip::PipSetting;
use super::protect::{self, ProtectedVersions};
use super::python::{self, Python};
use super::shared_store::Share;
use super::target_facts::{TargetFacts, target_facts};
use super::wanted::{PackageSetState, WantedPackages};
use super::{DepsOutcome, already, imports, lock, manifest_files, pip, sources};
use crate::error::Result;
use requirements::Satisfaction;
use requirements::installed::Folders;
use std::time::Instant;
use tracing::debug;

/// An earlier look at the interpreter's packages.
pub(super) struct Looked {
    /// The interpreter, as an earlier start described it.
    pub python: Python,
    /// Whether its packages satisfy the requirements.
    pub answer: Satisfaction,
}

/// Installs the requirements, if they are still missing after the interpreter was asked and the lock was taken.
///
/// # Errors
/// Returns a permanent failure as 116, one that may pass as 216.
pub(super) fn install(
    wanted: &WantedPackages<'_>,
    looked: Option<Looked>,
    tell: &mut dyn FnMut(&str),
) -> Result<DepsOutcome> {
    let started = Instant::now();
    let deadline = wanted.request.settings.deps_timeout.value.and_then(|limit| started.checked_add(limit));
    let python = python::ask(&wanted.interpreter, wanted.request.environment, deadline)?;
    let folders = Folders::default();
    if let Some(outcome) = already::unchanged(wanted, &python, &folders, tell) {
        return Ok(outcome);
    }
    let answer = match looked.filter(|looked| looked.python == python) {
        Some(looked) => looked.answer,
        None => already::look(wanted, &python, &folders, tell),
    };
    if let Satisfaction::Yes(requirements) = answer {
        return Ok(already::settle(wanted, &python, true, &folders, requirements));
    }
    if let Satisfaction::No(unmet) = &answer {
        imports::refuse(wanted, &python, unmet)?;
    }
    let target = target_facts(wanted, &python, tell)?;
    let lock = lock::take(&target.lock_directory(), deadline, tell);
    let unchanged = || already::unchanged(wanted, &python, &Folders::default(), tell);
    if let Some(outcome) = lock.waited.then(unchanged).flatten() {
        return Ok(outcome);
    }
    let settings = pip::settings(wanted.request.root, wanted.request.environment, &python);
    let kept = wanted.kept(&python, &settings, &Folders::default(), target.layer.is_some());
    let job = Installation { wanted, target: &target, kept: &kept, started, deadline };
    let mut share = Share::open(&job, tell);
    if let Some(outcome) = share.as_mut().map(|share| share.take(&job, tell)).transpose()?.flatten() {
        return Ok(outcome);
    }
    let tool = tool(wanted, &target, &settings, &kept, tell)?;
    debug!(
        target: "deps",
        wanted = ?wanted.request.settings.deps_installer.value,
        pip = python.pip.as_deref().unwrap_or("none"),
        missing = ?answer,
        "{tool} installs"
    );
    tell(&first_line(wanted, &target, &tool, &answer));
    wanted.inputs.notes.iter().for_each(|line| tell(line));
    install_with(&tool, &job, share, tell)
}

/// Carries out an installation with one tool, and gives the result to the store.
fn install_with(
    tool: &Tool,
    job: &Installation<'_>,
    mut share: Option<Share>,
    tell: &mut dyn FnMut(&str),
) -> Result<DepsOutcome> {
    let (wanted, kept) = (job.wanted, job.kept);
    wanted.refusals(kept, wanted.asked()).iter().for_each(|line| tell(line));
    let files = manifest_files::files(job)?;
    files.notes.iter().for_each(|line| tell(line));
    sources::check_lines(wanted.request, &files.asked)?;
    wanted.refusals(kept, files.asked.iter().cloned()).iter().for_each(|line| tell(line));
    let before = job.target.make_ready(wanted, tell)?;
    let found_before = protect::names(&job.imported());
    let done = Attempts { job, tool, files: &files, share: share.as_mut() }.run(tell);
    done.inspect_err(|_| job.target.take_back())?;
    // Settings may send packages to the user's own directory, which is not the target.
    let packages = job.check(&before, tell)?.max(protect::new(&found_before, &job.imported()).count());
    look_again(job, &tool.to_string(), &files.asked, tell)?;
    let environment = job.finish(&tool.to_string(), None, &before, tell)?;
    if let Some(share) = share {
        share.give(job, tool, &before, tell);
    }
    let (files, installer) = (wanted.selection.files.clone(), tool.to_string());
    Ok(DepsOutcome::Installed { files, installer, packages, took: job.started.elapsed(), environment })
}

fn tool(
    wanted: &WantedPackages<'_>,
    target: &TargetFacts<'_>,
    settings: &[PipSetting],
    kept: &ProtectedVersions,
    tell: &mut dyn FnMut(&str),
) -> Result<Tool> {
    let request = wanted.request;
    let choice = InstallerChoice {
        wanted: &request.settings.deps_installer,
        python: target.python,
        settings,
        kept,
        for_pip: &wanted.inputs.for_pip,
        hashed: wanted.inputs.hashed,
        environment: request.environment,
        layered: target.layer.is_some(),
    };
    installer::choose(choice, tell)
}

fn first_line(wanted: &WantedPackages<'_>, target: &TargetFacts<'_>, tool: &Tool, answer: &Satisfaction) -> String {
    let python = target.python;
    let names: Vec<_> = wanted.selection.files.iter().map(|file| file.display().to_string()).collect();
    let above: Vec<_> = target.layer.iter().map(|(layer, _)| layer.packages()).collect();
    let why = match wanted.state(python, &target.home, &above, &Folders::default()) {
        PackageSetState::Old => ", looking for newer versions (deps.refresh)".to_owned(),
        PackageSetState::Changed(parts) => match answer {
            Satisfaction::No(missing) => format!(", because {} changed: {missing}", parts.join(" and ")),
            _ => format!(", because {} changed", parts.join(" and ")),
        },
        PackageSetState::Unfinished => ", because an earlier installation was not finished".to_owned(),
        PackageSetState::Current(_) | PackageSetState::Unknown => String::new(),
    };
    let off = if wanted.selection.found { "; TRAINIT_DEPS_REQUIREMENTS=off turns this off" } else { "" };
    let python = python.executable.display();
    format!(
        "installing {} with {tool} for {python} (named by {}){why}{off}",
        names.join(" "),
        wanted.interpreter.named_by
    )
}
