//! Makes a finished directory the data of a path: rights first, then one rename in a store, or one for each entry in a volume. What was
//! there before goes only if trainit brought it.

use super::error::{Result, StageError};
use super::list::{Listing, items};
use super::place::{Place, read, replace};
use super::stamp::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A publication into a volume that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Publication {
    /// The name of the unfinished directory.
    part: OsString,
    /// The stamp that ends it.
    stamp: Stamp,
}

impl Publication {
    /// Returns the unfinished directory. Others may write in a volume, so a name that this place gives to no such directory is refused:
    /// what it names is removed in the end.
    fn directory(&self, place: &Place) -> Result<PathBuf> {
        let (name, prefix) = (self.part.as_bytes(), format!("{}.part-", place.stem));
        let path = place.base.join(&self.part);
        let is_name = name.starts_with(prefix.as_bytes()) && !name.contains(&b'/');
        match is_name && !path.is_symlink() {
            true => Ok(path),
            false => Err(StageError::NotOurs(place.marker())),
        }
    }
}

/// Sets the rights of everything below a directory, and returns the number of files. The directory itself, and with `but_first` those
/// directly in it, keep theirs: a directory without the right to write cannot be moved (rename(2)).
///
/// # Errors
/// The error of a system call.
pub(crate) fn seal(tree: &Path, read_only: bool, but_first: bool) -> Result<u64> {
    let mut files = 0;
    let mut open = vec![(tree.to_owned(), 0u32)];
    while let Some((directory, depth)) = open.pop() {
        for entry in fs::read_dir(&directory).map_err(StageError::io("reading", &directory))? {
            let entry = entry.map_err(StageError::io("reading", &directory))?;
            let kind = entry.file_type().map_err(StageError::io("reading", &directory))?;
            if kind.is_dir() {
                open.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                files += 1;
                if !read_only {
                    allow(&entry.path(), 0o200)?;
                }
            }
        }
        // The entries stay reachable: only the right to change them goes.
        if depth > u32::from(but_first) {
            rights(&directory, read_only)?;
        }
    }
    Ok(files)
}

/// Sets the rights of a directory.
fn rights(directory: &Path, read_only: bool) -> Result<()> {
    let mode = Permissions::from_mode(if read_only { 0o555 } else { 0o755 });
    fs::set_permissions(directory, mode).map_err(StageError::io("making", directory))
}

fn allow(path: &Path, more: u32) -> Result<()> {
    let changed = fs::metadata(path)
        .and_then(|found| fs::set_permissions(path, Permissions::from_mode(found.permissions().mode() & 0o777 | more)));
    changed.map_err(StageError::io("making", path))
}

/// Publishes a finished directory into a store.
///
/// # Errors
/// The error of a system call.
pub(crate) fn into_store(
    place: &Place,
    part: &Path,
    listing: &Listing,
    stamp: &Stamp,
    read_only: bool,
) -> Result<PathBuf> {
    let tree = place.tree(&listing.digest);
    // A tree of this listing that an earlier start published without its stamp is whole: it took its name in one step.
    if !tree.is_dir() {
        fs::rename(part.join("tree"), &tree).map_err(StageError::io("publishing", &tree))?;
    }
    rights(&tree, read_only)?;
    let list = place.about(&listing.digest, "list");
    fs::rename(&listing.path, &list).map_err(StageError::io("publishing", &list))?;
    replace(&place.about(&listing.digest, "json"), stamp)?;
    replace(&place.stamp(), stamp)?;
    remove(part);
    Ok(tree)
}

/// Publishes a finished directory into the volume that it lies in.
///
/// # Errors
/// The error of a system call, or a name that is taken by what is not ours.
pub(crate) fn into_volume(place: &Place, part: &Path, stamp: &Stamp, read_only: bool) -> Result<PathBuf> {
    let part = part.file_name().unwrap_or_default().to_owned();
    replace(&place.marker(), &Publication { part, stamp: stamp.clone() })?;
    finish(place, read_only)?;
    Ok(place.base.clone())
}

/// Goes on with a publication that a start was killed in; returns whether there was one.
///
/// # Errors
/// As `into_volume`.
pub(crate) fn finish(place: &Place, read_only: bool) -> Result<bool> {
    let Some(publication) = read::<Publication>(&place.marker()) else { return Ok(false) };
    let (part, stamp) = (publication.directory(place)?, publication.stamp);
    let tree = part.join("tree");
    if tree.is_dir() {
        put_aside(place, &part, &tree)?;
        for name in names(&tree)? {
            let to = place.base.join(&name);
            if fs::symlink_metadata(&to).is_ok() {
                return Err(StageError::NotOurs(to));
            }
            fs::rename(tree.join(&name), &to).map_err(StageError::io("publishing", &to))?;
        }
        let list = place.about(&stamp.listing, "list");
        for name in tops(&part.join("list"))? {
            let to = place.base.join(name);
            if fs::symlink_metadata(&to).is_ok_and(|found| found.is_dir()) {
                rights(&to, read_only)?;
            }
        }
        fs::copy(part.join("list"), &list).map_err(StageError::io("publishing", &list))?;
    }
    replace(&place.stamp(), &stamp)?;
    fs::remove_file(place.marker()).map_err(StageError::io("publishing", place.marker()))?;
    remove(&part);
    Ok(true)
}

/// Moves what an earlier start brought out of the way: the names of its listing, and no others.
fn put_aside(place: &Place, part: &Path, tree: &Path) -> Result<()> {
    let list = place.about("", "list");
    if !list.exists() || part.join("aside").exists() {
        return Ok(());
    }
    let doing = part.join("old");
    fs::create_dir_all(&doing).map_err(StageError::io("making", &doing))?;
    // A start that was killed in between has moved some: those of the new data are no longer in the tree.
    let new: BTreeSet<_> = names(tree)?.into_iter().collect();
    let moved_new: BTreeSet<_> = tops(&part.join("list"))?.difference(&new).cloned().collect();
    for name in tops(&list)?.difference(&moved_new) {
        let from = place.base.join(name);
        if fs::symlink_metadata(&from).is_ok_and(|found| found.is_dir()) {
            rights(&from, false)?;
        }
        match fs::rename(&from, doing.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StageError::Io { doing: "publishing", path: from, error });
            }
            _ => {}
        }
    }
    fs::write(part.join("aside"), "").map_err(StageError::io("publishing", part))
}

/// Returns the first names of the keys of a listing.
fn tops(list: &Path) -> Result<BTreeSet<OsString>> {
    let mut tops = BTreeSet::new();
    for item in items(list).map_err(StageError::io("reading", list))? {
        let item = item.map_err(StageError::io("reading", list))?;
        let top = item.key.split(|byte| *byte == b'/').next().unwrap_or_default();
        // Others may write in a volume, and what has these names is moved.
        if matches!(top, b"" | b"." | b"..") {
            return Err(StageError::NotOurs(list.to_owned()));
        }
        if !tops.contains(OsStr::from_bytes(top)) {
            tops.insert(OsStr::from_bytes(top).to_owned());
        }
    }
    Ok(tops)
}

fn names(directory: &Path) -> Result<Vec<OsString>> {
    let entries = fs::read_dir(directory).map_err(StageError::io("reading", directory))?;
    Ok(entries.flatten().map(|entry| entry.file_name()).collect())
}

/// Removes a directory of ours, whatever rights it has. Links are not followed.
pub(crate) fn remove(directory: &Path) {
    if !fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir()) {
        return;
    }
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let _ = fs::set_permissions(&directory, Permissions::from_mode(0o700));
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        open.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
    let _ = fs::remove_dir_all(directory);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A volume with a marker of this name, and a directory beside it that nothing may touch.
    fn volume(part: &str) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("beside/tree")).unwrap();
        let place = Place::find(&dir.path().join("data"), None, "k").unwrap();
        let publication = Publication { part: part.into(), stamp: Stamp::default() };
        replace(&place.marker(), &publication).unwrap();
        (dir, place)
    }

    #[test]
    fn a_marker_that_names_what_trainit_did_not_make_moves_and_removes_nothing() {
        for part in ["../beside", "/beside", "beside", "", ".trainit-stage.part-1/../../beside"] {
            let (dir, place) = volume(part);
            assert!(matches!(finish(&place, true), Err(StageError::NotOurs(_))), "{part}");
            assert!(dir.path().join("beside/tree").is_dir(), "{part}");
        }
        let (dir, place) = volume(".trainit-stage.part-1");
        std::os::unix::fs::symlink(dir.path().join("beside"), place.base.join(".trainit-stage.part-1")).unwrap();
        assert!(matches!(finish(&place, true), Err(StageError::NotOurs(_))));
        assert!(dir.path().join("beside/tree").is_dir());
    }

    #[test]
    fn a_listing_in_a_volume_that_names_what_lies_beside_it_is_refused() {
        for key in ["..", "../beside", ".", "/beside"] {
            let (dir, place) = volume(".trainit-stage.part-1");
            let part = place.base.join(".trainit-stage.part-1");
            fs::create_dir_all(part.join("tree")).unwrap();
            fs::write(part.join("list"), "").unwrap();
            fs::write(place.about("", "list"), crate::item::Item::file(key, 1, "").line()).unwrap();
            assert!(matches!(finish(&place, true), Err(StageError::NotOurs(_))), "{key}");
            assert!(dir.path().join("beside/tree").is_dir(), "{key}");
        }
    }
}
