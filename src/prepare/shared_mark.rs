//! A file that node 0 makes beside its checkpoints for as long as the nodes meet. A node that sees it shares the directory. Its name is
//! new for each start, so that no cache of a network file system knows it yet.

use crate::config::Settings;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::mountinfo::Mounts;
use sys::reach;

/// How the names begin.
const PREFIX: &str = ".trainit-shared-";

/// Most names that are looked at for what a killed start left.
const LOOKED_AT: usize = 10_000;

/// The age from which such a file is one of a killed start.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// The file, which is removed when this is dropped.
pub(super) struct SharedMark<'a> {
    path: PathBuf,
    mounts: &'a Mounts,
}

impl<'a> SharedMark<'a> {
    /// Makes the file; `None` where there is no directory, or it cannot be written.
    pub(super) fn make(settings: &Settings, mounts: &'a Mounts, instance: u64) -> Option<Self> {
        let dir = directory(settings)?;
        let path = dir.join(format!("{PREFIX}{instance:016x}"));
        let make = || {
            sweep(&dir);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o444).open(&path).is_ok()
        };
        let made = reach::look(mounts, &dir, make).unwrap_or(false);
        made.then_some(SharedMark { path, mounts })
    }

    /// Returns the name.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Drop for SharedMark<'_> {
    fn drop(&mut self) {
        let _ = reach::look(self.mounts, &self.path, || fs::remove_file(&self.path).is_ok());
    }
}

/// Returns whether a file of this name is beside the checkpoints; `None` where that cannot be told.
pub(super) fn is_seen(settings: &Settings, mounts: &Mounts, name: &str) -> Option<bool> {
    let path = directory(settings)?.join(name);
    let seen = || path.symlink_metadata().is_ok_and(|data| data.is_file());
    name.starts_with(PREFIX).then(|| reach::look(mounts, &path, seen).ok()).flatten()
}

fn directory(settings: &Settings) -> Option<PathBuf> {
    std::path::absolute(settings.checkpoint_dir.value.as_ref()?).ok()
}

/// Removes what killed starts left.
fn sweep(dir: &Path) {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().take(LOOKED_AT);
    let ours = names.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let is_old = |path: &Path| {
        let written = path.symlink_metadata().and_then(|data| data.modified()).ok();
        written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > OLD)
    };
    ours.map(|entry| entry.path()).filter(|path| is_old(path)).for_each(|path| _ = fs::remove_file(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_seen_in_its_directory_only_and_is_gone_afterwards() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = |directory: &Path| {
            let mut settings = Settings::default();
            settings.checkpoint_dir.value = Some(directory.to_owned());
            settings
        };
        let mounts = Mounts::default();
        fs::write(one.path().join("old"), "").unwrap();
        let mark = SharedMark::make(&of(one.path()), &mounts, 7).unwrap();
        let name = mark.name();
        assert_eq!(is_seen(&of(one.path()), &mounts, &name), Some(true));
        assert_eq!(is_seen(&of(other.path()), &mounts, &name), Some(false));
        assert_eq!(is_seen(&of(one.path()), &mounts, "old"), None, "no other file is told of");
        drop(mark);
        assert_eq!(is_seen(&of(one.path()), &mounts, &name), Some(false));
        assert!(SharedMark::make(&of(Path::new("/nowhere")), &mounts, 7).is_none());
    }
}
