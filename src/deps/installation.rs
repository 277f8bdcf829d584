//! One installation, as the steps that carry it out see it: what is wanted, where it goes, and what is written down at its end.

use super::protect::{self, ProtectedVersions};
use super::stamp::{Stamp, VersionsByName};
use super::target_facts::TargetFacts;
use super::wanted::WantedPackages;
use crate::error::Result;
use requirements::installed::Folders;
use std::ffi::OsString;
use std::time::Instant;

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

impl Installation<'_> {
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
        if let Err(error) =
            target.home.finish(&target.home.ours_since(before, protect::names(&target.installed())), &stamp)
        {
            tell(&format!(
                "the next start will install again: {} cannot be written ({error})",
                target.home.0.display()
            ));
        }
        Ok(target.layer.iter().flat_map(|(layer, _)| layer.environment(wanted.request.environment)).collect())
    }
}
