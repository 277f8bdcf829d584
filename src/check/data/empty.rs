//! An empty directory where data should be: made by an engine for a missing source, an unfilled volume, or a directory without files.

use super::super::step::{CheckResult, Failure};
use super::DataTarget;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};
use sys::filesystem::FilesystemClass;
use sys::mountinfo::Mount;
use sys::stat;
use sys::volume::Volume;

/// Age below which a directory counts as made by the engine for this start; a directory of the user's is older.
const JUST_NOW: Duration = Duration::from_secs(60);

impl DataTarget {
    pub(super) fn not_empty(&mut self) -> CheckResult {
        let Some(meta) = self.site.metadata().filter(|_| self.want.min_files > 0) else { return Ok(()) };
        if !meta.is_dir() {
            return if meta.is_file() && meta.len() == 0 {
                Failure::new(format!("{} is an empty file", self.site.shown)).found()
            } else {
                Ok(())
            };
        }
        if self.listing.as_ref().is_none_or(|listing| listing.entries > 0) {
            return Ok(());
        }
        if let Some((because, advice)) = self.site.mount().and_then(empty_share) {
            return Failure::new(format!("{} is empty", self.site.shown)).because(because).advice(advice).found();
        }
        let made = self.site.platform().is_container() && self.site.is_mount_root() && meta.uid() == 0;
        let failure = Failure::new(format!("{} is {}empty", self.site.shown, if made { "mounted, but " } else { "" }));
        if !made {
            return failure
                .because("there is nothing to read")
                .advice("`min_files=0` behind the path says that it may be empty")
                .found();
        }
        if let Some((because, advice)) = self.site.mount().and_then(unfilled) {
            let another = self.site.mount_it(self.site.mount().is_some_and(Mount::is_read_only));
            return failure.because(because).advice(advice).remedy(another).found();
        }
        failure
            .because(self.made_by_engine(stat::born(&self.site.path)))
            .remedy(self.site.mount_it(self.site.mount().is_some_and(Mount::is_read_only)))
            .advice(self.site.refuse_missing())
            .found()
    }

    /// Explains the directory that `-v` and `hostPath` make for a missing source: it is empty, root owns it, and the source may have been
    /// a file.
    fn made_by_engine(&self, made: Option<SystemTime>) -> String {
        if self.site.is_deleted() {
            return "what is mounted there was deleted on the host".to_owned();
        }
        let source = self.site.mount().map(|mount| text::bytes(mount.root())).filter(|root| root != "/");
        let source = source.map(|root| format!("the source ends in {root}"));
        let age = made.and_then(|made| made.elapsed().ok()).filter(|age| *age < JUST_NOW);
        let age = age.map(|age| format!("made {} ago", text::seconds(age)));
        let told: Vec<String> = source.into_iter().chain(age).collect();
        let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
        let meant = if self.site.path.extension().is_some() { "missing file" } else { "misspelled source" };
        format!("for a {meant} the engine makes an empty directory{told}")
    }
}

/// Explains an empty bucket or share, which no engine has made; `None` for other mounts.
fn empty_share(mount: &Mount) -> Option<(String, String)> {
    let source = text::masked(&text::bytes(mount.source()));
    match mount.class() {
        Some(FilesystemClass::Object) => Some((
            format!("the bucket, or the prefix that is mounted, holds nothing ({source})"),
            "check the bucket's name and the prefix; gcsfuse shows directories without an object of their own only with --implicit-dirs".to_owned(),
        )),
        Some(FilesystemClass::Network) if mount.root() == b"/" => Some((
            format!("the share holds nothing there ({source})"),
            "check the export or the share's path on the host; `min_files=0` behind the path says that it may be empty".to_owned(),
        )),
        _ => None,
    }
}

/// Explains why a volume is empty and what to do; `None` for a directory of the host.
fn unfilled(mount: &Mount) -> Option<(String, String)> {
    let shown = text::bytes;
    match mount.volume() {
        Volume::Named(name) => Some((
            format!("for a misspelled name the engine makes a new volume; this one is called {}", shown(name)),
            "check the name (`volume ls`), or fill the volume once".to_owned(),
        )),
        Volume::Pod { plugin: b"empty-dir", name, .. } => Some((
            format!("{} is an emptyDir, which begins empty with each pod", shown(name)),
            "mount the claim that holds the data, or fill it in an init container".to_owned(),
        )),
        Volume::Pod { name, .. } => Some((
            format!("the volume {} holds nothing there", shown(name)),
            "check the volume's claim, and `subPath`: a missing one is made".to_owned(),
        )),
        Volume::Anonymous | Volume::Plain => None,
    }
}
