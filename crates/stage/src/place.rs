//! Where staged data lies: in a store that containers share, with a link at the path, or in the directory at the path itself.

use super::error::{Result, StageError};
use super::key::OWN;
use super::stamp::Stamp;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::digest::{Digest, short};
use sys::untrusted::{self, Owners};

/// The beginning of all names in a directory that is filled itself.
const IN_PLACE: &str = ".trainit-stage";

/// The directory of a fresh ext4 volume, which counts for nothing.
const LOST_AND_FOUND: &str = "lost+found";

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path that the workload uses.
    pub target: PathBuf,
    /// The directory that holds what is brought, and trainit's files about it.
    pub base: PathBuf,
    /// How the names of those files begin.
    pub stem: String,
    /// Whether the base is a store, so that the target becomes a link.
    pub in_store: bool,
}

/// Data that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    /// Its stamp.
    pub stamp: Stamp,
    /// The directory that holds it.
    pub tree: PathBuf,
}

impl Place {
    /// Decides where the data for a path lies. In a store, `key` tells it from others. Makes the directories that are missing.
    ///
    /// # Errors
    /// A target that holds what is not ours, or that cannot be made.
    pub(crate) fn find(target: &Path, store: Option<&Path>, key: &str) -> Result<Self> {
        match store {
            Some(store) if is_free_for_link(target, store)? => {
                fs::create_dir_all(store).map_err(no_place(store, true))?;
                Ok(Place { target: target.to_owned(), base: store.to_owned(), stem: key.to_owned(), in_store: true })
            }
            _ => in_place(target),
        }
    }

    /// Returns the path of one of trainit's own files here.
    pub(crate) fn file(&self, end: &str) -> PathBuf {
        self.base.join(format!("{}.{end}", self.stem))
    }

    /// Returns the stamp of what was brought last.
    pub(crate) fn stamp(&self) -> PathBuf {
        self.file("stamp")
    }

    /// Returns the directory that holds data with this listing.
    pub(crate) fn tree(&self, listing: &str) -> PathBuf {
        if self.in_store { self.file(&format!("tree-{}", short_of(listing))) } else { self.base.clone() }
    }

    /// Returns a file about a tree: `list`, `json`, `used`.
    pub(crate) fn about(&self, listing: &str, end: &str) -> PathBuf {
        if self.in_store { self.file(&format!("tree-{}.{end}", short_of(listing))) } else { self.file(end) }
    }

    /// Returns what is there of this key, whole.
    pub(crate) fn present(&self, key: &str) -> Option<Present> {
        let stamp = Stamp::read(&self.stamp(), Owners::Anyone).filter(|stamp| stamp.key == key)?;
        let tree = self.tree(&stamp.listing);
        let is_whole = !self.marker().exists() && fs::symlink_metadata(&tree).is_ok_and(|found| found.is_dir());
        is_whole.then_some(Present { stamp, tree })
    }

    /// Returns the mark that files are being moved into the target.
    pub(crate) fn marker(&self) -> PathBuf {
        self.file("publishing")
    }

    /// Lists the unfinished directories here, the one that was changed last in front.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let prefix = format!("{}.part-", self.stem);
        let time = |path: &Path| fs::symlink_metadata(path).and_then(|found| found.modified()).ok();
        let mut found: Vec<(Option<SystemTime>, PathBuf)> = names(&self.base)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| name.starts_with(&prefix))
            .map(|name| self.base.join(name))
            .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && is_own(&found)))
            .map(|path| (time(&path.join("journal")), path))
            .collect();
        found.sort();
        found.into_iter().rev().map(|(_, path)| path).collect()
    }
}

/// Returns whether this user, or root, made a file.
fn is_own(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    [0, nix::unistd::geteuid().as_raw()].contains(&found.uid())
}

/// Returns the key of a source and a choice of its objects; `server` is the endpoint.
pub(crate) fn key_of(source: &[u8], only: &str, server: &str) -> String {
    let mut digest = Digest::default();
    digest.add("source", source);
    digest.add("only", only);
    digest.add("server", server);
    short(&digest.hex()).to_owned()
}

fn short_of(listing: &str) -> &str {
    listing.get(..12).unwrap_or(listing)
}

fn no_place(path: &Path, store: bool) -> impl FnOnce(io::Error) -> StageError {
    let path = path.to_owned();
    move |error| StageError::NoPlace { path, store, error }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    Ok(fs::read_dir(directory)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Returns whether a link into the store can take the target's place; not, if a volume is mounted there.
fn is_free_for_link(target: &Path, store: &Path) -> Result<bool> {
    let found = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        found => found.map_err(no_place(target, true))?,
    };
    if found.is_symlink() {
        let to = fs::read_link(target).map_err(no_place(target, true))?;
        return if to.starts_with(store) { Ok(true) } else { Err(StageError::NotOurs(target.to_owned())) };
    }
    if !found.is_dir() {
        return Err(StageError::NotOurs(target.to_owned()));
    }
    let parent = target.parent().and_then(|parent| fs::File::open(parent).ok());
    let mount = parent.zip(target.file_name());
    use std::os::fd::AsFd;
    if mount.is_some_and(|(parent, name)| sys::stat::is_mount_root(parent.as_fd(), name) == Some(true)) {
        return Ok(false);
    }
    match names(target).map_err(no_place(target, true))? {
        names if names.is_empty() => Ok(true),
        names if names.iter().any(|name| name.starts_with(IN_PLACE)) => Ok(false),
        _ => Err(StageError::NotOurs(target.to_owned())),
    }
}

fn in_place(target: &Path) -> Result<Place> {
    fs::create_dir_all(target).map_err(no_place(target, false))?;
    let base = fs::canonicalize(target).map_err(no_place(target, false))?;
    let place = Place { target: target.to_owned(), base, stem: IN_PLACE.to_owned(), in_store: false };
    let names = names(&place.base).map_err(no_place(target, false))?;
    let others = names.iter().any(|name| !name.starts_with(OWN) && name != LOST_AND_FOUND);
    if others && !place.stamp().exists() && !place.marker().exists() {
        return Err(StageError::NotOurs(target.to_owned()));
    }
    Ok(place)
}

/// Checks that files can be made in a directory.
///
/// # Errors
/// Why none can be made.
pub(crate) fn check_writable(place: &Place) -> Result<()> {
    use nix::unistd::AccessFlags;
    let checked = sys::access::may(&place.base, AccessFlags::W_OK | AccessFlags::X_OK);
    checked.map_err(|errno| no_place(&place.base, place.in_store)(errno.into()))
}

/// Makes the link at the target, in one step, and returns whether it had to be made.
///
/// # Errors
/// A directory that this user may not change.
pub(crate) fn link(place: &Place, tree: &Path) -> Result<bool> {
    let target = &place.target;
    if fs::read_link(target).is_ok_and(|to| to == tree) {
        return Ok(false);
    }
    let parent = target.parent().unwrap_or(Path::new("/"));
    let linked = fs::create_dir_all(parent).and_then(|()| {
        let new = parent.join(format!("{OWN}{}.{}", place.stem, std::process::id()));
        let _ = fs::remove_file(&new);
        std::os::unix::fs::symlink(tree, &new)?;
        if fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
            fs::remove_dir(target).inspect_err(|_| _ = fs::remove_file(&new))?;
        }
        fs::rename(&new, target).inspect_err(|_| _ = fs::remove_file(&new))
    });
    linked.map(|()| true).map_err(no_place(target, true))
}

/// Replaces a small file in one step.
///
/// # Errors
/// The error of writing.
pub(crate) fn replace(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    use std::io::Write;
    let done = serde_json::to_vec(value).map_err(io::Error::other).and_then(|json| {
        let mut new = temporary::make(path.parent().unwrap_or(Path::new("/")), &format!("{OWN}new-"))?;
        new.write_all(&json)?;
        temporary::publish(new, path, 0o644, true)
    });
    done.map_err(StageError::io("writing", path))
}

/// Reads a small file of ours.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&untrusted::read_named(path, 64 << 10, Owners::Anyone).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_others_made_is_refused_and_what_is_empty_or_ours_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (store, at) = (dir.path().join("store"), |name: &str| dir.path().join(name));
        let find = |name: &str, with: bool| Place::find(&at(name), with.then_some(&*store), "k");
        assert!(find("absent", true).unwrap().in_store && !at("absent").exists());
        assert!(!find("made", false).unwrap().in_store && at("made").is_dir());
        fs::create_dir_all(at("volume/lost+found")).unwrap();
        assert!(find("volume", false).is_ok());
        fs::create_dir_all(at("full/x")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink("/etc", at("foreign")).unwrap();
        for (name, with) in [("full", true), ("full", false), ("file", true), ("foreign", true)] {
            assert!(matches!(find(name, with), Err(StageError::NotOurs(_))), "{name}");
        }
        symlink(store.join("k.tree-1"), at("linked")).unwrap();
        assert!(find("linked", true).unwrap().in_store);
        fs::write(at("full/.trainit-stage.stamp"), "{}").unwrap();
        assert!(!find("full", true).unwrap().in_store && find("full", false).is_ok());
    }

    #[test]
    fn the_link_is_made_in_place_of_nothing_of_an_empty_directory_and_of_an_older_link() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let place = Place::find(&dir.path().join("a/data"), Some(&store), "k").unwrap();
        for tree in ["k.tree-1", "k.tree-2"] {
            assert!(link(&place, &store.join(tree)).unwrap());
            assert_eq!(fs::read_link(&place.target).unwrap(), store.join(tree));
        }
        assert!(!link(&place, &store.join("k.tree-2")).unwrap());
        let empty = Place { target: dir.path().join("empty"), ..place };
        fs::create_dir(&empty.target).unwrap();
        assert!(link(&empty, &store.join("k.tree-1")).unwrap() && empty.target.is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3); // a, empty and the store
    }
}
