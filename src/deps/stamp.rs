//! What is written down beside the packages: that an installation was finished, and from what; or that one was begun. A stamp
//! that cannot be read counts as none.

use super::digest::{Digest, short};
use nix::fcntl::AT_FDCWD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use sys::temporary::TemporaryFile;
use sys::untrusted::{self, Owners};

/// Raised whenever what the digests are made of changes.
const SCHEMA: u32 = 1;

/// The marker of an installation that has begun and not ended.
const BEGUN: &str = "installing";

/// The digest of the packages that the last installation began from.
const BELOW: &str = "below";

/// The list of what trainit installed.
const OURS: &str = "installed.json";

/// Versions by name, as text.
pub type VersionsByName = BTreeMap<String, String>;

/// What the state of an installation is made of: a digest for each thing that can change by itself.
pub type StateDigests = BTreeMap<String, String>;

/// A finished installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    schema: u32,
    /// The state right after it.
    pub parts: StateDigests,
    /// The requirement files.
    pub files: Vec<PathBuf>,
    /// Program and version that installed.
    pub installer: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

impl Stamp {
    /// A stamp of now.
    pub fn new(parts: StateDigests, files: Vec<PathBuf>, installer: String) -> Self {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Stamp { schema: SCHEMA, parts, files, installer, at }
    }

    /// How long ago that was; nothing where clocks do not agree.
    pub fn age(&self) -> Duration {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(self.at);
        SystemTime::now().duration_since(at).unwrap_or_default()
    }

    /// Which parts are not as they were.
    pub fn changed(&self, now: &StateDigests) -> Vec<String> {
        now.iter()
            .filter(|(name, digest)| self.parts.get(*name) != Some(digest))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Reads a stamp; anything else, also one of another trainit's schema, is none.
pub fn read(bytes: &[u8]) -> Option<Stamp> {
    serde_json::from_slice(bytes).ok().filter(|stamp: &Stamp| stamp.schema == SCHEMA)
}

/// Longest file that is read.
const MAX: u64 = 16 << 20;

/// The bytes of a file of ours, if it is there. Where the packages are on a volume, others may have put something in its place.
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
            // Without the directory: what was installed at build time from /tmp is found when the code is mounted elsewhere.
            digest.add("file", file.file_name().unwrap_or_default().as_encoded_bytes());
        }
        self.0.join(format!("stamp-{}.json", short(&digest.hex())))
    }

    /// The stamp of these requirement files.
    pub fn stamp(&self, files: &[PathBuf]) -> Option<Stamp> {
        read(&kept(&self.file(files))?)
    }

    /// Writes down what is trainit's own, and the stamp at last.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn finish(&self, ours: &VersionsByName, stamp: &Stamp) -> io::Result<()> {
        replace(&self.0.join(OURS), &json(ours)?)?;
        replace(&self.file(&stamp.files), &json(stamp)?)?;
        fs::remove_file(self.0.join(BEGUN))
    }

    /// Writes a stamp alone. Nobody waits for the disk: when a crash takes or cuts it, the next start looks again.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn note(&self, stamp: &Stamp) -> io::Result<()> {
        put(&self.file(&stamp.files), &json(stamp)?, false)
    }

    /// Notes that an installation begins, and what was there before, also as a digest. Until it is finished nothing beside it can be trusted.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn begin(&self, before: &VersionsByName, below: &str) -> io::Result<()> {
        replace(&self.0.join(BELOW), below.as_bytes())?;
        replace(&self.0.join(BEGUN), &json(before)?)
    }

    /// The digest of what was there before the last installation, finished or not.
    pub fn below(&self) -> Option<String> {
        String::from_utf8(kept(&self.0.join(BELOW))?).ok().filter(|digest| !digest.is_empty())
    }

    /// What was there before the installation that was never finished.
    pub fn before(&self) -> Option<VersionsByName> {
        serde_json::from_slice(&kept(&self.0.join(BEGUN))?).ok()
    }

    /// What trainit installed: names with versions. Everything else is the image's own, or the user's.
    pub fn ours(&self) -> VersionsByName {
        kept(&self.0.join(OURS)).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// What trainit installed so far, of what is there now: all that came since `before`, and what is written down.
    pub fn ours_since(&self, before: &VersionsByName, mut now: VersionsByName) -> VersionsByName {
        let earlier = self.ours();
        now.retain(|name, version| before.get(name) != Some(version) || earlier.get(name) == Some(version));
        now
    }

    /// When an installation began that was never finished.
    pub fn unfinished(&self) -> Option<SystemTime> {
        fs::symlink_metadata(self.0.join(BEGUN)).and_then(|found| found.modified()).ok()
    }
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

/// Replaces a file as a whole, so that a reader sees the old one or the new one, also after a crash. Anyone may read it: the
/// next start may be another user's.
///
/// # Errors
/// What making, writing or renaming a file in that directory says.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, true)?;
    File::open(directory_of(path))?.sync_all()
}

fn put(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let directory = directory_of(path);
    make_directory(directory)?;
    let mut new = TemporaryFile::make(directory, ".new-")?;
    new.file().write_all(bytes)?;
    new.become_file(path, 0o644, durable)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Makes a directory that the same users can write as the one that it is in.
///
/// # Errors
/// What mkdir(2) and chmod(2) say.
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
