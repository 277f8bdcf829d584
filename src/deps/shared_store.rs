//! Connects an installation with the store (`deps.store`): takes the environment from there, or publishes it there if this start is the
//! builder. An error of the store is logged, and the start installs as if there were no store.

use super::install_root::InstallRoot;
use super::installation::Installation;
use super::installer::Tool;
use super::look_again::look_again;
use super::protect;
use super::removed::RemovedEntry;
use super::shared_packages::{self, Unlisted};
use super::stamp::VersionsByName;
use super::target_facts::TargetFacts;
use super::wanted::WantedPackages;
use super::{DepsOutcome, DepsRequest, store_words};
use crate::config::{Refresh, Settings};
use crate::engine::HostFacts;
use crate::error::{Error, ErrorKind, Result};
use crate::progress_bar::Amount;
use crate::report;
use crate::ticker::Ticker;
use requirements::installed::{Folders, Installed, record};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use store::archive::ArchiveManifest;
use store::lease::Lease;
use store::{Packed, PublishedSize, StoreAnswer, StoreEntry, StoreError, WaitEvent};
use sys::{mountinfo, reach};

/// The time after which a log reports that work goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// One start's access to the store.
pub(super) struct Share {
    store_entry: StoreEntry,
    place: InstallRoot,
    /// The lease, if this start is the builder.
    lease: Option<Lease>,
}

/// Returns the directory of the store, if one is configured.
pub(super) fn directory(request: &DepsRequest<'_>) -> Option<PathBuf> {
    request.settings.deps_store.value.as_ref().map(|store| request.workdir.join(store))
}

/// Returns the limit for the bytes of the whole store.
pub(super) fn limit(settings: &Settings) -> u64 {
    settings.deps_store_size.value.map_or(u64::MAX, |size| size.0)
}

/// Returns the store's entry for the requirements over packages of the state `below`; `None` if there is no store.
///
/// # Errors
/// Returns the reason why the store cannot be used.
pub(super) fn store_entry(
    wanted: &WantedPackages<'_>,
    target: &TargetFacts<'_>,
    below: String,
    tell: &mut dyn FnMut(&str),
) -> Result<Option<(StoreEntry, InstallRoot)>, NoStore> {
    let settings = &wanted.request.settings;
    let Some(directory) = directory(wanted.request) else { return Ok(None) };
    let age = match settings.deps_refresh.value {
        Refresh::Never => None,
        Refresh::After(age) => Some(age),
        Refresh::Always => return Err(NoStore::AlwaysNew),
    };
    if let Some(why) = wanted.inputs.unknown.as_ref().or(wanted.inputs.editable.as_ref()) {
        return Err(NoStore::Indefinite(why.clone()));
    }
    reachable(wanted, &directory, tell)?;
    let (place, mut parts) = (target.install_root(), wanted.parts(target.python, &[], &Folders::default()));
    parts.insert(super::wanted::PACKAGES.to_owned(), below);
    let store_entry = StoreEntry::of(&directory, place.key(&parts), limit(settings), age)?;
    Ok(Some((store_entry, place)))
}

/// Checks that the store answers, so that it cannot hold the start up, and warns of a store inside the container, which no other container
/// sees.
fn reachable(wanted: &WantedPackages<'_>, directory: &Path, tell: &mut dyn FnMut(&str)) -> Result<(), NoStore> {
    let ground = HostFacts::of(wanted.request.root, wanted.request.environment);
    let look = || fs::metadata(directory).is_ok();
    reach::look(ground.mounts(), directory, look).map_err(|_| NoStore::Silent)?;
    let own = mountinfo::covering(ground.mounts(), directory).is_some_and(mountinfo::Mount::is_image);
    if own && ground.platform().is_container() {
        tell(&format!(
            "deps.store {} is in the container itself, where no other start finds it: mount a volume there",
            directory.display()
        ));
    }
    Ok(())
}

impl Share {
    /// Opens the store, if one is configured and usable.
    pub(super) fn open(job: &Installation<'_>, tell: &mut dyn FnMut(&str)) -> Option<Self> {
        match store_entry(job.wanted, job.target, job.target.below(job.wanted), tell) {
            Ok(found) => found.map(|(store_entry, place)| Share { store_entry, place, lease: None }),
            Err(error) => {
                tell(&format!("not shared with other starts (deps.store): {}", report::chain(&error)));
                None
            }
        }
    }

    /// Takes the environment from the store, and waits for its builder if need be; `None` if this start has to install.
    ///
    /// # Errors
    /// Fails if an earlier start found that it cannot be installed (116, 216), or if a protected package was replaced (116).
    pub(super) fn take(&mut self, job: &Installation<'_>, tell: &mut dyn FnMut(&str)) -> Result<Option<DepsOutcome>> {
        let terminal = job.wanted.request.shows_progress();
        for _ in 0..2 {
            let mut ticker = Ticker::new(terminal, Duration::ZERO);
            let mut waits = |event: WaitEvent<'_>| match event {
                WaitEvent::Waits(_) => ticker.tick(None, || store_words::wait(event), tell),
                WaitEvent::TakesOver(_) => tell(&store_words::wait(event)),
            };
            match self.store_entry.get(job.deadline, &mut waits) {
                StoreAnswer::Failed(failed) => {
                    return Err(store_words::failed_elsewhere(&failed, &self.store_entry.names.failed));
                }
                StoreAnswer::Late(owner) => return Err(store_words::late(&owner)),
                StoreAnswer::Alone(failed) => {
                    self.tell_unused(&format!("{}, seen on {}", failed.what, failed.host), tell);
                    return Ok(None);
                }
                StoreAnswer::Unusable(error) => {
                    self.tell_unused(&report::chain(&error), tell);
                    return Ok(None);
                }
                StoreAnswer::Build(lease) => {
                    self.lease = Some(lease);
                    return Ok(None);
                }
                StoreAnswer::Packed(packed) => {
                    drop(ticker);
                    match self.unpack(job, packed, tell) {
                        Ok(outcome) => return Ok(Some(outcome)),
                        Err(NotShared::Ours(error)) => return Err(error),
                        Err(NotShared::Stores(error)) => {
                            tell(&format!("the environment of deps.store cannot be used: {}", report::chain(&error)))
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    fn tell_unused(&self, why: &str, tell: &mut dyn FnMut(&str)) {
        let directory = self.store_entry.directory.display();
        tell(&format!("deps.store is of no use for this start: {directory}: {why}"));
    }

    fn unpack(
        &self,
        job: &Installation<'_>,
        packed: Packed,
        tell: &mut dyn FnMut(&str),
    ) -> Result<DepsOutcome, NotShared> {
        let (manifest, target) = (packed.manifest().clone(), job.target);
        let built = SystemTime::now().checked_sub(self.store_entry.age_of(&packed)).unwrap_or(SystemTime::UNIX_EPOCH);
        let before = target.make_ready(job.wanted, tell)?;
        clear(&self.place, &before, &manifest)?;
        let mut ticker = Ticker::new(job.wanted.request.shows_progress(), PATIENCE);
        let mut unpacked = |bytes| {
            let amount = Amount::bytes(bytes, manifest.bytes, bytes);
            ticker.tick(amount, || "unpacking the environment".to_owned(), tell);
        };
        packed.unpack(&self.place.root, &mut unpacked).map_err(|error| self.not_shared(error))?;
        drop(ticker);
        complete(&manifest, &target.installed())?;
        let packages = job.check(&before, tell)?;
        let installer = manifest.installer.clone();
        look_again(job, &installer, &[], tell)?;
        let environment = job.finish(&installer, Some(seconds(built)), &before, tell)?;
        Ok(DepsOutcome::Unpacked {
            files: job.wanted.selection.files.clone(),
            installer: format!("{installer} on {}", manifest.host),
            packages,
            took: job.started.elapsed(),
            environment,
        })
    }

    /// Returns the reason for not using an environment, and removes a damaged one so that it is built anew.
    fn not_shared(&self, error: io::Error) -> NotShared {
        if error.kind() == io::ErrorKind::InvalidData {
            self.store_entry.discard();
        }
        NotShared::Stores(UnpackError::Read(error))
    }

    /// Checks whether this start builds for others.
    pub(super) fn builds(&self) -> bool {
        self.lease.is_some()
    }

    /// Renews the lease, with the progress of the build.
    pub(super) fn beat(&mut self, doing: impl FnOnce() -> String) {
        if let Some(lease) = &mut self.lease {
            lease.beat(doing);
        }
    }

    /// Publishes that the environment cannot be built.
    pub(super) fn fail(&self, error: &Error) {
        if self.builds() {
            self.store_entry.work.fail(matches!(error.kind, ErrorKind::Permanent(_)), store_words::message(error));
        }
    }

    /// Publishes the installed environment.
    pub(super) fn give(
        mut self,
        job: &Installation<'_>,
        tool: &Tool,
        before: &VersionsByName,
        tell: &mut dyn FnMut(&str),
    ) {
        let Some(mut lease) = self.lease.take() else { return };
        let now = job.target.installed();
        let names = job.wanted.selection.files.iter();
        let manifest = ArchiveManifest {
            key: self.store_entry.key.clone(),
            installer: tool.to_string(),
            host: lease.owner().host.clone(),
            at: seconds(SystemTime::now()),
            requirements: names.map(|file| file.display().to_string()).collect(),
            python: format!("Python {} at {}", job.target.python.version, self.place.executable.display()),
            packages: shared_packages::arrived(before, &now),
            gone: shared_packages::gone(before, &protect::names(&now)),
            files: 0,
            bytes: 0,
        };
        let metadata = protect::new(before, &now).map(|found| found.path.as_path());
        let began = Instant::now();
        let done = shared_packages::files(&self.place, metadata)
            .map_err(PublishError::from)
            .and_then(|files| Ok(self.store_entry.publish(&mut lease, &self.place.root, &files, manifest)?));
        match done {
            Ok(PublishedSize { plain, packed }) => {
                let (plain, packed, took) = (text::size(plain), text::size(packed), text::time(began.elapsed()));
                let file = self.store_entry.names.packed.display();
                tell(&format!("packed for other starts: {plain} as {packed}, in {took}; {file}"));
                let removed = self.store_entry.prune().into_iter().map(RemovedEntry::from);
                removed.for_each(|removed| tell(&removed.words()));
            }
            // The installation itself is complete, so the start goes on.
            Err(error) => {
                let why = report::chain(&error);
                tell(&format!("not shared with other starts (deps.store): {why}"));
                self.store_entry.work.fail_to_share(&why);
            }
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The reason why an environment was not used.
enum NotShared {
    /// The start fails.
    Ours(Error),
    /// The store failed, and the start can install for itself.
    Stores(UnpackError),
}

impl From<Error> for NotShared {
    fn from(error: Error) -> Self {
        NotShared::Ours(error)
    }
}

impl From<UnpackError> for NotShared {
    fn from(error: UnpackError) -> Self {
        NotShared::Stores(error)
    }
}

/// The reason why a start does not use a store.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoStore {
    /// Newer versions are looked for at each start.
    #[error("deps.refresh is always")]
    AlwaysNew,
    /// The same requirements may mean another environment tomorrow.
    #[error("{0}")]
    Indefinite(String),
    /// The file system of the store does not answer.
    #[error("its file system does not answer")]
    Silent,
    /// The store itself is of no use.
    #[error(transparent)]
    Unusable(#[from] StoreError),
}

/// The reason why an environment is not published.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    /// Its files cannot be listed.
    #[error(transparent)]
    Files(#[from] Unlisted),
    /// The packed environment cannot be made.
    #[error("it cannot be packed")]
    Write(#[from] io::Error),
}

/// The reason why an environment cannot be taken from a store.
#[derive(Debug, thiserror::Error)]
enum UnpackError {
    /// It cannot be read, or its files cannot be made.
    #[error("it cannot be unpacked")]
    Read(#[source] io::Error),
    /// A package that it promises is not there.
    #[error("{name} {version} is not in it")]
    Incomplete { name: String, version: String },
    /// A package that it replaces does not say which files it has.
    #[error("{0} has no list of its files, so it cannot be replaced")]
    NoList(String),
}

/// Checks that every promised package is there now.
fn complete(manifest: &ArchiveManifest, now: &Installed) -> Result<(), UnpackError> {
    let there = protect::names(now);
    let missing = manifest.packages.iter().find(|(name, version)| there.get(name) != Some(version));
    missing.cloned().map_or(Ok(()), |(name, version)| Err(UnpackError::Incomplete { name, version }))
}

/// Removes the packages that the environment replaces or drops, and the remains of an unfinished installation.
fn clear(place: &InstallRoot, before: &VersionsByName, manifest: &ArchiveManifest) -> Result<(), UnpackError> {
    let installed = Installed::read(&place.sites);
    let version = |found: &requirements::installed::Distribution| found.version.as_ref().map(ToString::to_string);
    let goes = |found: &&requirements::installed::Distribution| {
        manifest.gone.iter().any(|name| name == found.name.as_str())
            || before.get(found.name.as_str()) != version(found).as_ref()
    };
    for found in installed.iter().filter(goes) {
        let files = record::files(&found.path).ok_or_else(|| UnpackError::NoList(found.name.to_string()))?;
        remove(place, &files);
        let _ = fs::remove_dir_all(&found.path);
    }
    Ok(())
}

/// Removes files below the root, and the directories that are empty then.
fn remove(place: &InstallRoot, files: &BTreeSet<PathBuf>) {
    let own = |path: &&PathBuf| place.below(path).is_some();
    files.iter().filter(own).for_each(|file| _ = fs::remove_file(file));
    let directories: BTreeSet<_> = files.iter().filter(own).filter_map(|file| file.parent()).collect();
    for directory in directories.into_iter().rev() {
        let _ = fs::remove_dir(directory.join("__pycache__"));
        let below_sites = |path: &&Path| place.sites.iter().any(|site| path.starts_with(site) && path != site);
        directory.ancestors().take_while(below_sites).find(|directory| fs::remove_dir(directory).is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_goes_with_its_empty_directories_and_what_is_shared_stays() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("lib/site-packages");
        let write = |name: &str, text: &str| {
            let path = site.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let package = |name: &str, version: &str, files: &str| {
            let own = format!("{name}-{version}.dist-info");
            write(&format!("{own}/METADATA"), &format!("Name: {name}\nVersion: {version}\n"));
            write(&format!("{own}/RECORD"), files);
        };
        ["old/a.py", "old/__pycache__/a.cpython-312.pyc", "names/one.py", "names/two.py", "half/x.py", "../../bin/old"]
            .iter()
            .for_each(|name| write(name, ""));
        package("old", "1.0", "old/a.py,,\nnames/one.py,,\n../../bin/old,,\n../../../outside,,\n");
        package("stays", "1.0", "names/two.py,,\n");
        package("half", "2.0", "half/x.py,,\n");
        let place = InstallRoot {
            root: dir.path().into(),
            sites: vec![site.clone()],
            executable: "/p".into(),
            machine: "m".into(),
        };
        let before: VersionsByName =
            [("old", "1.0"), ("stays", "1.0")].map(|(name, version)| (name.to_owned(), version.to_owned())).into();
        clear(&place, &before, &ArchiveManifest { gone: vec!["old".into()], ..ArchiveManifest::default() }).unwrap();
        let mut left: Vec<_> = fs::read_dir(&site).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["names", "stays-1.0.dist-info"]);
        assert!(site.join("names/two.py").exists() && !site.join("names/one.py").exists());
        assert!(!dir.path().join("bin/old").exists());
    }
}
