//! The content of a data set: the number of files, the names, the files of the manifest, and the reading speed.

use super::super::listing::{self, DirectoryCount, EntrySearch};
use super::super::step::{CheckResult, Failure};
use super::super::{Remedy, speed, verify};
use super::DataTarget;
use crate::config::Severity;

impl DataTarget {
    pub(super) fn enough_files(&mut self) -> CheckResult {
        match &self.listing {
            Some(listing) if listing.entries < self.want.min_files && !listing.more => {
                let what = format!(
                    "{} has {}, min_files asks for {}",
                    self.site.shown,
                    listing.described(),
                    self.want.min_files
                );
                Failure::new(what).because("the data set is not complete, or another directory is mounted").found()
            }
            _ => Ok(()),
        }
    }

    pub(super) fn contains(&mut self) -> CheckResult {
        let (mut missing, mut unseen) = (Vec::new(), Vec::new());
        for name in &self.want.contains {
            let shown = text::line(name).into_owned();
            match listing::contains(&self.site.path, name) {
                Ok(EntrySearch::Yes) => {}
                Ok(EntrySearch::No) => missing.push(self.with_target(shown, name)),
                Ok(EntrySearch::NotSoFar) => unseen.push(shown),
                Err(errno) => return self.site.refused("searched", errno).found(),
            }
        }
        let there = self.listing.as_ref().map(DirectoryCount::shown_names).unwrap_or_default();
        match (missing.is_empty(), unseen.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Failure::new(format!("{} does not contain {}", self.site.shown, missing.join(", ")))
                .because(format!("what is there: {there}"))
                .advice("mount the directory that holds them")
                .found(),
            (true, false) => Failure::new(format!(
                "{} is not among the first {} entries of {}",
                unseen.join(", "),
                listing::PATTERN_MAX,
                self.site.shown
            ))
            .because("no more are read at a start")
            .advice("name a file instead of a pattern")
            .level(Some(Severity::Warn))
            .found(),
        }
    }

    pub(super) fn like_its_manifest(&mut self) -> CheckResult {
        let Some(manifest) = &self.want.manifest else { return Ok(()) };
        let file = self.site.path.join(manifest);
        match verify::verify(&self.site.path, &file, self.want.verify, &mut self.pulse) {
            Ok(verified) if verified.wrong.is_empty() => {
                self.verified = Some(verified);
                Ok(())
            }
            Ok(verified) => {
                Failure::new(format!("{} is not as its manifest says: {}", self.site.shown, verified.differences()))
                    .because(format!("a copy was cut short, or the data set is another one ({})", verified.described()))
                    .advice("copy the data set again, or make the manifest anew: sha256sum")
                    .found()
            }
            Err(errno) => {
                let mut file = self.site.file(manifest.as_os_str());
                file.responds()?;
                file.exists(true, || Remedy::Do("sha256sum FILES > MANIFEST, or another `manifest=`".to_owned()))?;
                file.refused("read", errno).found()
            }
        }
    }

    pub(super) fn fast_enough(&mut self) -> CheckResult {
        let Some(wanted) = self.want.min_speed else { return Ok(()) };
        let speed = match speed::measure(&self.site.path, self.site.class()) {
            Ok(speed) => speed,
            Err(errno) => return self.site.refused("read", errno).found(),
        };
        self.speed = Some(speed);
        if speed.bytes_per_second().is_none_or(|found| found >= wanted.0) {
            return Ok(());
        }
        let (shown, wanted) = (&self.site.shown, text::size(wanted.0));
        Failure::new(format!("{shown} is slow: {}, min_speed asks for {wanted}/s", speed.described()))
            .because("the GPUs would wait for data")
            .advice("copy the data set to a local disk, or pack small files into large ones")
            .found()
    }

    /// Adds the target of a link to the name of a missing file.
    fn with_target(&self, shown: String, name: &str) -> String {
        match std::fs::read_link(self.site.path.join(name.trim_matches('/'))) {
            Ok(target) => format!("{shown} (a link to {})", text::path(&target)),
            Err(_) => shown,
        }
    }
}
