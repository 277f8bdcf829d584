//! Describes the entry of one environment in a store, and what lies there at the moment.

use super::archive;
use super::archive::ArchiveManifest;
use super::election::Snapshot;
use super::error::StoreError;
use super::failed::FailedAttempt;
use super::garbage::{self, RemovedFile};
use super::lease::{self, Lease, LeaseOwner};
use super::names::EntryNames;
use super::pack;
use super::packed::Packed;
use super::shared_work::{SharedWork, put};
use super::store_dir::{StoreDir, UNFINISHED};
use nix::fcntl::AT_FDCWD;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::untrusted::{self, Owners};

/// The shortest interval between two records of a use.
const TOUCH: Duration = Duration::from_secs(600);

/// The file that marks the directory for backup programs (bford.info/cachedir).
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# Environments shared by starts of trainit (deps.store). Each can be removed at any time.\n",
);

/// An entry of a store.
#[derive(Clone, Debug)]
pub struct StoreEntry {
    /// The directory of the store.
    pub directory: PathBuf,
    /// The paths of the entry's files.
    pub names: EntryNames,
    /// The key of the environment.
    pub key: String,
    /// The limit for the bytes of all environments.
    pub limit: u64,
    /// The age at which an environment is built anew.
    pub age: Option<Duration>,
    /// The building, which one start does for all.
    pub work: SharedWork,
}

/// The state of an entry.
#[derive(Debug)]
pub enum EntryState {
    /// The environment exists, with its age and its size in bytes.
    There(ArchiveManifest, Duration, u64),
    /// A start builds the environment.
    Building(LeaseOwner),
    /// The environment could not be built.
    Failed(FailedAttempt),
    /// The environment does not exist.
    Missing,
    /// The environment cannot be used, for this reason.
    Bad(StoreError),
}

/// What a look at an entry finds.
#[derive(Debug)]
pub(super) enum Found {
    /// The environment.
    Packed(Packed),
    /// What others do about the missing environment.
    Missing(Snapshot),
}

/// The bytes of a published environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedSize {
    /// The bytes of the files.
    pub plain: u64,
    /// The bytes of the packed file.
    pub packed: u64,
}

impl StoreEntry {
    /// Returns the entry of this key; the directory is made if need be.
    ///
    /// # Errors
    /// Fails if the directory does not exist and cannot be made.
    pub fn of(directory: &Path, key: String, limit: u64, age: Option<Duration>) -> Result<Self, StoreError> {
        let made = match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::read_dir(directory).map(drop),
        };
        made.map_err(StoreError::Directory)?;
        // The file is made only where none has this name: following a dangling link would make a file elsewhere.
        let tag = untrusted::create(AT_FDCWD, &directory.join(TAG.0), 0o644);
        let _ = tag.and_then(|mut tag| tag.write_all(TAG.1.as_bytes()));
        let (names, work) = (EntryNames::of(directory, &key), SharedWork::of(directory, &key));
        Ok(StoreEntry { directory: directory.to_owned(), names, key, limit, age, work })
    }

    /// Returns the facts about the store's file system.
    fn store_dir(&self) -> &StoreDir {
        self.work.store_dir()
    }

    /// Looks for the environment; without it, takes a snapshot for the election.
    ///
    /// # Errors
    /// Returns the reason why the entry cannot be used.
    pub(super) fn look(&self) -> Result<Found, StoreError> {
        if let Some(packed) = self.packed()? {
            return Ok(Found::Packed(packed));
        }
        Ok(Found::Missing(self.work.snapshot()?))
    }

    /// Opens the environment. A damaged one counts as missing, so that the next one replaces it.
    pub(super) fn packed(&self) -> Result<Option<Packed>, StoreError> {
        let unusable = |error| StoreError::File(self.names.packed.clone(), error);
        let opened = untrusted::open(AT_FDCWD, &self.names.packed, Owners::Anyone);
        let (found, mut file) = match opened.and_then(|file| Ok((file.metadata()?, file))) {
            Ok(opened) => opened,
            Err(error) if lease::is_gone(&error) => return Ok(None),
            Err(error) => return Err(unusable(error.into())),
        };
        self.store_dir().believes(&found).map_err(unusable)?;
        if self.age.is_some_and(|age| self.store_dir().age(&found) >= age) {
            return Ok(None);
        }
        let index = archive::index(&mut file).ok().filter(|index| index.manifest.key == self.key);
        Ok(index.map(|index| Packed { index, file }))
    }

    /// Returns the age of an environment by the clock of its file system, whatever its builder's clock says.
    pub fn age_of(&self, packed: &Packed) -> Duration {
        packed.file.metadata().map_or(Duration::ZERO, |found| self.store_dir().age(&found))
    }

    /// Records a use, which protects the environment from garbage collection. A new file replaces the old one, which may be another user's
    /// link to a file of this user.
    pub(super) fn touch(&self) {
        let is_recent = |used: fs::Metadata| used.is_file() && self.store_dir().age(&used) < TOUCH;
        let recent = fs::symlink_metadata(&self.names.used).is_ok_and(is_recent);
        if recent || self.store_dir().closed.is_some() {
            return;
        }
        let new = temporary::make(&self.directory, UNFINISHED);
        let _ = new.and_then(|new| temporary::publish(new, &self.names.used, 0o644, false));
    }

    /// Packs files below a directory, and publishes them as the environment in one step.
    ///
    /// # Errors
    /// Returns the error of reading or writing.
    pub fn publish(
        &self,
        lease: &mut Lease,
        root: &Path,
        files: &[PathBuf],
        manifest: ArchiveManifest,
    ) -> io::Result<PublishedSize> {
        let mut new = temporary::make(&self.directory, UNFINISHED)?;
        let mut plain = 0;
        let mut tell = |bytes| {
            plain = bytes;
            lease.beat(|| "packing".to_owned());
        };
        pack::pack(root, files, manifest, BufWriter::new(new.as_file_mut()), &mut tell)?;
        let packed = new.as_file().metadata()?.len();
        put(new, &self.names.packed)?;
        self.work.succeed();
        self.touch();
        Ok(PublishedSize { plain, packed })
    }

    /// Removes environments until the rest is within the limit, and files of killed starts.
    pub fn prune(&self) -> Vec<RemovedFile> {
        garbage::prune(&self.directory, self.limit, None, false)
    }

    /// Removes a damaged environment, if this user is allowed to.
    pub fn discard(&self) {
        let _ = fs::remove_file(&self.names.packed);
    }

    /// Returns the state of the entry for a report.
    pub fn state(&self) -> EntryState {
        let snapshot = match self.look() {
            Ok(Found::Missing(snapshot)) => snapshot,
            Ok(Found::Packed(Packed { index, file })) => {
                let found = file.metadata().ok();
                let (age, bytes) =
                    found.map_or_else(Default::default, |found| (self.store_dir().age(&found), found.len()));
                return EntryState::There(index.manifest, age, bytes);
            }
            Err(error) => return EntryState::Bad(error),
        };
        let owner = snapshot.lease.as_deref().and_then(lease::read).filter(|_| !snapshot.orphaned);
        let failed = snapshot.failed.filter(FailedAttempt::is_for_all).map(EntryState::Failed);
        owner.map(EntryState::Building).or(failed).unwrap_or(EntryState::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::causes;
    use super::*;
    use std::os::unix::fs::symlink;

    fn entry(directory: &Path) -> StoreEntry {
        StoreEntry::of(directory, "0123456789abcdef".into(), u64::MAX, None).unwrap()
    }

    fn bad(entry: &StoreEntry) -> (PathBuf, String) {
        match entry.state() {
            EntryState::Bad(StoreError::File(file, error)) => (file, causes(&error)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_written_through_what_others_put_into_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mine) = (dir.path().join("store"), dir.path().join("mine"));
        fs::create_dir(&store).unwrap();
        fs::write(&mine, "a checkpoint").unwrap();
        symlink(dir.path().join("made"), store.join(TAG.0)).unwrap();
        let entry = entry(&store);
        symlink(&mine, &entry.names.used).unwrap();
        entry.touch();
        assert_eq!(fs::read(&mine).unwrap(), b"a checkpoint");
        assert!(!dir.path().join("made").exists());
        assert!(fs::symlink_metadata(&entry.names.used).unwrap().is_file());
    }

    #[test]
    fn an_archive_or_a_lease_that_is_none_is_of_no_use_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry(dir.path());
        let pipe = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        pipe(&entry.names.failed);
        assert!(matches!(entry.state(), EntryState::Missing));
        pipe(&entry.names.lease);
        assert_eq!(bad(&entry), (entry.names.lease.clone(), "it cannot be read: it is not a regular file".into()));
        symlink("/etc/passwd", &entry.names.packed).unwrap();
        assert_eq!(bad(&entry), (entry.names.packed.clone(), "it cannot be read: it is a symbolic link".into()));
    }

    #[test]
    fn what_another_user_says_in_a_store_that_all_may_write_is_not_believed() {
        if !nix::unistd::geteuid().is_root() {
            return println!("SKIPPED: only root can give files away");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let entry = entry(dir.path());
        let foreign = |path: &Path, text: &str| {
            fs::write(path, text).unwrap();
            std::os::unix::fs::chown(path, Some(4321), None).unwrap();
        };
        let failed = r#"{"permanent":true,"tries":9,"host":"h","what":"no","because":null,"hints":[]}"#;
        fs::write(&entry.names.failed, failed).unwrap();
        assert!(matches!(entry.state(), EntryState::Failed(_)));
        foreign(&entry.names.failed, failed);
        assert!(matches!(entry.state(), EntryState::Missing));
        foreign(&entry.names.lease, "{}");
        assert_eq!(bad(&entry), (entry.names.lease.clone(), "it belongs to user 4321".into()));
    }
}
