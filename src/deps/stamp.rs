//! Records the state of an installation beside its packages: that it was finished and from which inputs, or that it was begun. An
//! unreadable stamp counts as missing.

use nix::fcntl::AT_FDCWD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use store::digest::{Digest, short};
use sys::untrusted::{self, Owners};

/// The version of the digests' contents, raised with each change of them.
const SCHEMA: u32 = 1;

/// The name of the marker for an unfinished installation.
const BEGUN: &str = "installing";

/// The name of the file with the digest of the packages before the last installation.
const BELOW: &str = "below";

/// The name of the list of packages that trainit installed.
const OURS: &str = "installed.json";

/// The versions of packages as text, by name.
pub type VersionsByName = BTreeMap<String, String>;

/// The digests of an installation's state, one for each part that can change by itself.
pub type StateDigests = BTreeMap<String, String>;

/// The record of a finished installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    schema: u32,
    /// The state right after the installation.
    pub parts: StateDigests,
    /// The requirement files.
    pub files: Vec<PathBuf>,
    /// The program that installed, with its version.
    pub installer: String,
    /// The time of the installation, in seconds since 1970.
    pub at: u64,
}

impl Stamp {
    /// Creates a stamp with the current time.
    pub fn new(parts: StateDigests, files: Vec<PathBuf>, installer: String) -> Self {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Stamp { schema: SCHEMA, parts, files, installer, at }
    }

    /// Returns the age of the stamp; zero if clocks disagree.
    pub fn age(&self) -> Duration {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(self.at);
        SystemTime::now().duration_since(at).unwrap_or_default()
    }

    /// Lists the parts that have changed.
    pub fn changed(&self, now: &StateDigests) -> Vec<String> {
        now.iter()
            .filter(|(name, digest)| self.parts.get(*name) != Some(digest))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Parses a stamp; `None` for anything else, including a stamp of another schema.
pub fn read(bytes: &[u8]) -> Option<Stamp> {
    serde_json::from_slice(bytes).ok().filter(|stamp: &Stamp| stamp.schema == SCHEMA)
}

/// The largest file that is read.
const MAX: u64 = 16 << 20;

/// Reads a file of trainit, if it exists. On a volume other users may have replaced it.
pub(super) fn kept(path: &Path) -> Option<Vec<u8>> {
    untrusted::read(AT_FDCWD, path, MAX, Owners::Anyone).ok()
}

/// trainit's own directory beside a set of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSetDir(pub PathBuf);

impl PackageSetDir {
    fn file(&self, files: &[PathBuf]) -> PathBuf {
        let mut digest = Digest::default();
        for file in files {
            // The directory is left out, so that an installation from /tmp at build time is found when the code is mounted elsewhere.
            digest.add("file", file.file_name().unwrap_or_default().as_encoded_bytes());
        }
        self.0.join(format!("stamp-{}.json", short(&digest.hex())))
    }

    /// Returns the stamp of these requirement files.
    pub fn stamp(&self, files: &[PathBuf]) -> Option<Stamp> {
        read(&kept(&self.file(files))?)
    }

    /// Writes the list of trainit's own packages, and the stamp last.
    ///
    /// # Errors
    /// Fails if the directory cannot be written.
    pub fn finish(&self, ours: &VersionsByName, stamp: &Stamp) -> io::Result<()> {
        replace(&self.0.join(OURS), &json(ours)?)?;
        replace(&self.file(&stamp.files), &json(stamp)?)?;
        fs::remove_file(self.0.join(BEGUN))
    }

    /// Writes a stamp alone, without waiting for the disk: if a crash loses or truncates it, the next start checks again.
    ///
    /// # Errors
    /// Fails if the directory cannot be written.
    pub fn note(&self, stamp: &Stamp) -> io::Result<()> {
        put(&self.file(&stamp.files), &json(stamp)?, false)
    }

    /// Records that an installation begins, with the packages before it and their digest. Until it is finished the packages cannot be
    /// trusted.
    ///
    /// # Errors
    /// Fails if the directory cannot be written.
    pub fn begin(&self, before: &VersionsByName, below: &str) -> io::Result<()> {
        replace(&self.0.join(BELOW), below.as_bytes())?;
        replace(&self.0.join(BEGUN), &json(before)?)
    }

    /// Returns the digest of the packages before the last installation, finished or not.
    pub fn below(&self) -> Option<String> {
        String::from_utf8(kept(&self.0.join(BELOW))?).ok().filter(|digest| !digest.is_empty())
    }

    /// Returns the packages before the unfinished installation, if there is one.
    pub fn before(&self) -> Option<VersionsByName> {
        serde_json::from_slice(&kept(&self.0.join(BEGUN))?).ok()
    }

    /// Returns the names and versions that trainit installed. All other packages are the image's or the user's.
    pub fn ours(&self) -> VersionsByName {
        kept(&self.0.join(OURS)).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Returns the current packages that trainit installed: those that came since `before`, and those in the list.
    pub fn ours_since(&self, before: &VersionsByName, mut now: VersionsByName) -> VersionsByName {
        let earlier = self.ours();
        now.retain(|name, version| before.get(name) != Some(version) || earlier.get(name) == Some(version));
        now
    }

    /// Returns the time when an unfinished installation began, if there is one.
    pub fn unfinished(&self) -> Option<SystemTime> {
        fs::symlink_metadata(self.0.join(BEGUN)).and_then(|found| found.modified()).ok()
    }
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

/// Replaces a file as a whole, so that a reader sees either the old or the new one, also after a crash. Every user may read it, because
/// the next start may run as another user.
///
/// # Errors
/// Returns the error of making, writing or renaming the file.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, true)?;
    File::open(directory_of(path))?.sync_all()
}

fn put(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let directory = directory_of(path);
    make_directory(directory)?;
    let mut new = temporary::make(directory, ".new-")?;
    new.write_all(bytes)?;
    temporary::publish(new, path, 0o644, durable)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Makes a directory that is writable for the same users as its parent.
///
/// # Errors
/// Returns the error of mkdir(2) or chmod(2).
pub fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    match directory.parent().map(fs::metadata) {
        Some(Ok(above)) => fs::set_permissions(directory, above.permissions()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp() -> Stamp {
        let parts =
            [("files".to_owned(), "a".to_owned()), ("packages".to_owned(), "b".to_owned())].into_iter().collect();
        Stamp::new(parts, vec!["/code/requirements.txt".into()], "uv 1".into())
    }

    fn names() -> VersionsByName {
        [("torch".to_owned(), "2.6".to_owned())].into_iter().collect()
    }

    #[test]
    fn a_stamp_is_found_wherever_the_code_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = PackageSetDir(dir.path().join("deep/.trainit"));
        home.begin(&names(), "digest").unwrap();
        assert_eq!(home.below().as_deref(), Some("digest"));
        assert_eq!(home.before(), Some(names()));
        assert!(home.unfinished().is_some());
        home.finish(&names(), &stamp()).unwrap();
        assert_eq!(home.ours(), names());
        assert_eq!(
            home.stamp(&["/other/requirements.txt".into()]),
            Some(stamp()).map(|s| Stamp { at: home.stamp(&s.files).unwrap().at, ..s })
        );
        assert_eq!(home.stamp(&["/other/more.txt".into()]), None);
        assert!(home.unfinished().is_none());
    }

    #[test]
    fn what_changed_is_named() {
        let mut now = stamp().parts;
        assert!(stamp().changed(&now).is_empty());
        now.insert("files".into(), "other".into());
        assert_eq!(stamp().changed(&now), ["files"]);
    }

    #[test]
    fn a_truncated_or_foreign_stamp_is_none() {
        let whole = serde_json::to_vec(&stamp()).unwrap();
        assert!(read(&whole).is_some());
        assert!((0..whole.len()).all(|end| read(&whole[..end]).is_none()));
        assert!(read(&serde_json::to_vec(&Stamp { schema: SCHEMA + 1, ..stamp() }).unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_none());
        }
    }
}
