//! Installing: the right place is made ready, the tool runs, and what came of it is written down.

use super::attempt::Attempts;
use super::installer::{self, InstallerChoice, Tool};
use super::pip::PipSetting;
use super::protect::{self, ProtectedVersions};
use super::python::{self, Python};
use super::shared_store::Share;
use super::stamp::{PackageSetDir, Stamp, VersionsByName};
use super::target_facts::{TargetFacts, target_facts};
use super::wanted::{PackageSetState, WantedPackages};
use super::{DepsOutcome, already, lock, manifest, pip, sources};
use crate::error::Result;
use requirements::Satisfaction;
use requirements::installed::{Folders, Installed};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;
use tracing::debug;

/// What was seen of an interpreter's packages already.
pub struct Looked {
    /// The interpreter, as it was remembered.
    pub python: Python,
    /// Whether its packages are enough.
    pub answer: Satisfaction,
}

/// Installs, if that is still needed once the interpreter was asked and the place is ours.
///
/// # Errors
/// What cannot be installed (116), and what may be installed later (216).
pub fn install(wanted: &WantedPackages<'_>, looked: Option<Looked>, tell: &mut dyn FnMut(&str)) -> Result<DepsOutcome> {
    let started = Instant::now();
    let deadline = wanted.request.settings.deps_timeout.value.and_then(|limit| started.checked_add(limit));
    let python = python::ask(&wanted.interpreter, wanted.request.environment, deadline)?;
    let folders = Folders::default();
    if let Some(outcome) = wanted.unchanged(&python, &folders) {
        return Ok(outcome);
    }
    let answer = match looked.filter(|looked| looked.python == python) {
        Some(looked) => looked.answer,
        None => already::look(wanted, &python, &folders, tell),
    };
    if let Satisfaction::Yes(requirements) = answer {
        return Ok(already::settle(wanted, &python, true, &folders, requirements));
    }
    let target = target_facts(wanted, &python, tell)?;
    let lock = lock::take(&target.lock_directory(), deadline, tell);
    if let Some(outcome) = wanted.unchanged(&python, &Folders::default()).filter(|_| lock.waited) {
        return Ok(outcome);
    }
    let settings = pip::settings(wanted.request.root, wanted.request.environment, &python);
    let kept = kept(wanted, &python, &settings, &Folders::default(), target.layer.is_some());
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
    wanted.refusals(&kept, wanted.asked()).iter().for_each(|line| tell(line));
    let files = job.files()?;
    sources::check_lines(wanted.request, &files.asked)?;
    wanted.refusals(&kept, files.asked.iter().cloned()).iter().for_each(|line| tell(line));
    let before = target.make_ready(wanted, tell)?;
    Attempts { job: &job, tool: &tool, files: &files, share: share.as_mut() }.run(tell)?;
    let packages = job.check(&before, tell)?;
    let environment = job.finish(&tool.to_string(), None, &before, tell)?;
    if let Some(share) = share {
        share.give(&job, &tool, &before, tell);
    }
    let (files, installer) = (wanted.selection.files.clone(), tool.to_string());
    Ok(DepsOutcome::Installed { files, installer, packages, took: started.elapsed(), environment })
}

/// One installation.
pub struct Installation<'a> {
    /// What is wanted.
    pub wanted: &'a WantedPackages<'a>,
    /// Where it goes.
    pub target: &'a TargetFacts<'a>,
    /// What stays.
    pub kept: &'a ProtectedVersions,
    /// When it began.
    pub started: Instant,
    /// When it has to be over.
    pub deadline: Option<Instant>,
}

/// What of the image stays as it is.
pub(super) fn kept(
    wanted: &WantedPackages<'_>,
    python: &Python,
    settings: &[PipSetting],
    folders: &Folders,
    layered: bool,
) -> ProtectedVersions {
    let seen = [python.purelib.as_path(), python.platlib.as_path()];
    let installed = Installed::of(folders, python.package_directories());
    let home = PackageSetDir(python.own_directory());
    protect::choose(protect::ProtectChoice {
        words: &wanted.request.settings.deps_protect,
        installed: &installed,
        ours: &home.before().map_or_else(|| home.ours(), |before| ours(&home, &before, protect::names(&installed))),
        pinned: &protect::pinned(settings, wanted.request.environment, wanted.beside()),
        seen: if layered { &[] } else { &seen },
    })
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

impl Installation<'_> {
    /// The requirement files, made of other kinds of files where it has to be.
    fn files(&self) -> Result<manifest::ManifestFiles> {
        let is_lock = |file: &PathBuf| manifest::kind(file) == manifest::ManifestKind::UvLock;
        let needs_uv = self.wanted.selection.files.iter().any(is_lock);
        let uv = || installer::uv(self.target.python, self.wanted.request.environment);
        manifest::files(self, needs_uv.then(uv).flatten().as_ref().map(|(_, path)| path.as_path()))
    }

    /// What is kept must be as it was; who wanted it otherwise is told. How many packages came or changed.
    ///
    /// # Errors
    /// Something that stays was replaced (116).
    pub fn check(&self, before: &VersionsByName, tell: &mut dyn FnMut(&str)) -> Result<usize> {
        let now = self.target.installed();
        self.kept.verify(&now)?;
        let requirements = protect::new_requirements(before, &now);
        self.wanted.refusals(self.kept, requirements).iter().for_each(|line| tell(line));
        Ok(protect::new(before, &now).count())
    }

    /// Writes the stamp, and what the interpreter answered; the variables that the workload needs. `at`: when it was built, if
    /// not now.
    ///
    /// # Errors
    /// Packages cannot be loaded from where they are (116).
    pub fn finish(
        &self,
        installer: &str,
        at: Option<u64>,
        before: &VersionsByName,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Vec<(OsString, OsString)>> {
        let (wanted, target) = (self.wanted, self.target);
        target.can_be_loaded()?;
        let more: Vec<_> = target.layer.iter().map(|(layer, _)| layer.packages()).collect();
        match &target.layer {
            Some((_, place)) => target.python.remember_in(place),
            None => target.python.remember(),
        }
        let parts = wanted.parts(target.python, &more, &Folders::default());
        let mut stamp = Stamp::new(parts, wanted.selection.files.clone(), installer.to_owned());
        stamp.at = at.unwrap_or(stamp.at);
        if let Err(error) = target.home.finish(&ours(&target.home, before, protect::names(&target.installed())), &stamp)
        {
            tell(&format!(
                "the next start will install again: {} cannot be written ({error})",
                target.home.0.display()
            ));
        }
        Ok(target.layer.iter().flat_map(|(layer, _)| layer.environment(wanted.request.environment)).collect())
    }
}

/// What trainit installed so far, of what is there now: all that came since `before`, and what is written down.
fn ours(home: &PackageSetDir, before: &VersionsByName, mut now: VersionsByName) -> VersionsByName {
    let earlier = home.ours();
    now.retain(|name, version| before.get(name) != Some(version) || earlier.get(name) == Some(version));
    now
}
