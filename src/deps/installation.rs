//! Defines one installation for the steps that carry it out: the requirements, the target, and the record at the end.

use super::import_path::ImportPath;
use super::installer::Tool;
use super::protect::{self, ProtectedVersions};
use super::shared_files;
use super::stamp::{Stamp, VersionsByName};
use super::target_facts::TargetFacts;
use super::wanted::WantedPackages;
use crate::error::Result;
use requirements::installed::{Folders, Installed};
use std::ffi::OsString;
use std::time::Instant;

/// One installation.
pub(super) struct Installation<'a> {
    /// The requirements.
    pub wanted: &'a WantedPackages<'a>,
    /// The target.
    pub target: &'a TargetFacts<'a>,
    /// The protected versions.
    pub kept: &'a ProtectedVersions,
    /// The time when the installation began.
    pub started: Instant,
    /// The time when the installation has to be finished.
    pub deadline: Option<Instant>,
}

impl Installation<'_> {
    /// Returns the protected versions as a tool sees them: pip sees what hides a protected package, and uv does not.
    pub(super) fn kept_for(&self, tool: &Tool) -> ProtectedVersions {
        match tool {
            Tool::Uv { .. } => self.kept.clone(),
            Tool::Pip { .. } => self.kept.as_imported(&self.imported()),
        }
    }

    /// Reads the distributions that the workload's Python is going to find.
    pub(super) fn imported(&self) -> Installed {
        let (folders, layer) = (Folders::default(), self.target.layer.as_ref().map(|(layer, _)| layer));
        ImportPath::of(self.target.python, &self.wanted.start, layer, &folders).installed(&folders)
    }

    /// Checks that protected packages are unchanged, and logs the requirements that wanted other versions. Returns the number of packages
    /// that came or changed.
    ///
    /// # Errors
    /// Fails if a protected package was replaced (116).
    pub(super) fn check(&self, before: &VersionsByName, tell: &mut dyn FnMut(&str)) -> Result<usize> {
        let now = self.target.installed();
        self.kept.verify(&now)?;
        let requirements = protect::new_requirements(before, &now);
        self.wanted.refusals(self.kept, requirements).iter().for_each(|line| tell(line));
        shared_files::lines(before, &now).iter().for_each(|line| tell(line));
        Ok(protect::new(before, &now).count())
    }

    /// Writes the stamp and the interpreter's answers, and returns the variables that the workload needs. `at` is the time of the build,
    /// if that is not now.
    ///
    /// # Errors
    /// Fails if packages cannot be loaded from the target (116).
    pub(super) fn finish(
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
        if let Err(error) =
            target.home.finish(&target.home.ours_since(before, protect::names(&target.installed())), &stamp)
        {
            tell(&format!(
                "the next start will install again: {} cannot be written ({})",
                target.home.0.display(),
                protocol::errno::words_of(&error)
            ));
        }
        Ok(target.layer.iter().flat_map(|(layer, _)| layer.environment(wanted.request.environment)).collect())
    }
}
