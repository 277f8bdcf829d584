//! An environment or a file that `trainit deps prune` removed, of the store or of the user's overlays, in words.

use crate::report;
use std::path::PathBuf;
use std::time::Duration;
use store::{RemovedFile, RemovedKind};

/// An environment or a file that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedEntry {
    /// The file or directory.
    pub file: PathBuf,
    /// The size in bytes.
    pub bytes: u64,
    /// The time since the last use.
    pub unused: Duration,
    /// A description of it.
    pub what: String,
}

impl RemovedEntry {
    /// Describes it and its age in a line.
    pub fn words(&self) -> String {
        let days = self.unused.as_secs() / 86_400;
        let unused = if days > 1 { format!("{days} days") } else { text::time(self.unused) };
        format!("removed {}: {}, {}, not used for {unused}", self.file.display(), self.what, text::size(self.bytes))
    }
}

impl From<RemovedFile> for RemovedEntry {
    fn from(removed: RemovedFile) -> Self {
        let RemovedFile { file, bytes, unused, kind } = removed;
        RemovedEntry { file, bytes, unused, what: described(&kind) }
    }
}

fn described(kind: &RemovedKind) -> String {
    match kind {
        RemovedKind::Environment(manifest) => {
            let packages = text::count(manifest.packages.len() as u64, "package");
            format!("{packages} for {}", text::line(&manifest.python))
        }
        RemovedKind::Damaged(error) => format!("damaged ({})", report::chain(error)),
        RemovedKind::Lease => "a lease without a holder".to_owned(),
        RemovedKind::Failure => "a failure that does not count any more".to_owned(),
        RemovedKind::Leftover => "what a killed start left".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::archive::ArchiveManifest;

    #[test]
    fn what_others_wrote_about_an_environment_is_escaped() {
        let manifest = ArchiveManifest { python: "Python\u{1b}[2J".into(), ..ArchiveManifest::default() };
        let unused = Duration::from_secs(30 * 86_400);
        let removed = RemovedFile { file: "/s/a".into(), bytes: 7, unused, kind: RemovedKind::Environment(manifest) };
        let words = "removed /s/a: 0 packages for Python\\x1b[2J, 7 B, not used for 30 days";
        assert_eq!(RemovedEntry::from(removed).words(), words);
    }
}
