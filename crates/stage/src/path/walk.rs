//! Lists a directory, or one file, as objects: files, links that stay inside, and empty directories, in one order.

use super::{item_of, path_of};
use crate::error::{Result, StageError};
use crate::item::{Item, ItemKind};
use crate::link::{LinkTarget, judge};
use crate::list::ListWriter;
use crate::only::Only;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use sys::directory::OpenDirectory;

/// How many of something are named.
const SHOWN: usize = 3;

/// What of a source is not copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Pipes, sockets and devices.
    pub special: u64,
    /// Links that lead nowhere, which are copied as they are.
    pub dangling: u64,
    leaving: u64,
    shown: Vec<String>,
}

/// A walk through a source.
struct Walk<'a> {
    root: &'a Path,
    only: &'a Only,
    to: &'a mut ListWriter,
    tell: &'a mut dyn FnMut(u64) -> bool,
    skipped: Skipped,
}

/// Lists a source. `tell` gets the number of objects now and then, and returns whether the walk goes on.
///
/// # Errors
/// A directory that cannot be read, links that lead out of the source.
pub(crate) fn list(
    root: &Path,
    only: &Only,
    to: &mut ListWriter,
    tell: &mut dyn FnMut(u64) -> bool,
) -> Result<(PathBuf, Skipped)> {
    let found = fs::metadata(root).map_err(|error| missing(root, error))?;
    // Links in the source's own path are meant, and what lies below is compared with the real one.
    let real = fs::canonicalize(root).map_err(StageError::io("reading", root))?;
    if found.is_dir() {
        let mut walk = Walk { root: &real, only, to, tell, skipped: Skipped::default() };
        walk.directory(Vec::new())?;
        let skipped = walk.skipped;
        if skipped.leaving > 0 {
            return Err(StageError::LinksLeave { some: skipped.shown, count: skipped.leaving });
        }
        return Ok((real, skipped));
    }
    let name = root.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
    let mut skipped = Skipped { special: u64::from(!found.is_file()), ..Skipped::default() };
    if found.is_file() && only.wants(&name) {
        to.push(&item_of(name, &found)).map_err(StageError::io("writing", root))?;
    }
    skipped.special = u64::from(!found.is_file());
    Ok((real.parent().unwrap_or(Path::new("/")).to_owned(), skipped))
}

fn missing(root: &Path, error: io::Error) -> StageError {
    if error.kind() != io::ErrorKind::NotFound {
        return StageError::Io { doing: "reading", path: root.to_owned(), error };
    }
    let beside = root.parent().and_then(|parent| OpenDirectory::open(parent).ok()?.names().ok());
    let mut near: Vec<String> = beside.iter().flat_map(|names| names.iter().take(20).map(text::os)).collect();
    near.sort();
    near.truncate(8);
    StageError::Missing { source_name: text::path(root), near }
}

impl Walk<'_> {
    /// Lists what is below a directory; `key` is its own name with a slash, or nothing.
    fn directory(&mut self, key: Vec<u8>) -> Result<()> {
        let path = path_of(self.root, &key);
        let names =
            OpenDirectory::open(&path).and_then(|open| open.names()).map_err(StageError::io("reading", &path))?;
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort_unstable();
        if sorted.is_empty() && !key.is_empty() {
            let key = key.strip_suffix(b"/").unwrap_or(&key).to_vec();
            if self.only.wants(&key) {
                self.push(Item { kind: ItemKind::Directory, size: 0, tag: String::new(), sum: Vec::new(), key })?;
            }
        }
        for name in sorted {
            self.entry([key.as_slice(), name.as_bytes()].concat())?;
        }
        Ok(())
    }

    fn entry(&mut self, mut key: Vec<u8>) -> Result<()> {
        let path = path_of(self.root, &key);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()), // removed since it was listed
            Err(error) => return Err(StageError::Io { doing: "reading", path, error }),
        };
        let kind = found.file_type();
        if kind.is_dir() {
            key.push(b'/');
            return self.directory(key);
        }
        if !self.only.wants(&key) {
            return Ok(());
        }
        if kind.is_symlink() {
            return self.link(&path, key);
        }
        if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
            self.skipped.special += 1;
            return Ok(());
        }
        self.push(item_of(key, &found))
    }

    fn link(&mut self, path: &Path, key: Vec<u8>) -> Result<()> {
        let target = fs::read_link(path).map_err(StageError::io("reading", path))?;
        let below = Path::new(std::ffi::OsStr::from_bytes(&key));
        match judge(self.root, below, &target) {
            LinkTarget::Inside(inside) => {
                self.skipped.dangling += u64::from(fs::metadata(path).is_err());
                let sum = inside.into_os_string().into_vec();
                self.push(Item { kind: ItemKind::Link, size: 0, tag: String::new(), sum, key })
            }
            LinkTarget::Outside => {
                self.skipped.leaving += 1;
                if self.skipped.shown.len() < SHOWN {
                    self.skipped.shown.push(format!("{} → {}", text::bytes(&key), text::path(&target)));
                }
                Ok(())
            }
        }
    }

    fn push(&mut self, item: Item) -> Result<()> {
        self.to.push(&item).map_err(StageError::io("writing", self.root))?;
        let totals = self.to.totals();
        let count = totals.files + totals.others;
        if count.is_multiple_of(1000) && !(self.tell)(count) { Err(StageError::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::items;
    use std::os::unix::fs::symlink;

    fn listed(root: &Path, only: &[&str]) -> Result<(Vec<String>, Skipped)> {
        let dir = tempfile::tempdir().unwrap();
        let mut to = ListWriter::make(&dir.path().join("list")).unwrap();
        let only = Only::parse(&only.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
        let (_, skipped) = list(root, &only, &mut to, &mut |_| true)?;
        let listing = to.finish().unwrap();
        Ok((items(&listing.path).unwrap().map(|item| item.unwrap().shown()).collect(), skipped))
    }

    #[test]
    fn files_links_and_empty_directories_are_listed_in_one_order() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/empty")).unwrap();
        ["a/x", "a.b", "z"].iter().for_each(|name| fs::write(at(name), name).unwrap());
        symlink("../z", at("a/link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        let (keys, skipped) = listed(dir.path(), &[]).unwrap();
        assert_eq!(keys, ["a/empty", "a/link", "a/x", "a.b", "dangling", "z"]);
        assert_eq!((skipped.special, skipped.dangling), (1, 1));
        assert_eq!(listed(dir.path(), &["a/"]).unwrap().0, ["a/empty", "a/link", "a/x"]);
        assert_eq!(listed(&at("z"), &[]).unwrap().0, ["z"]);
    }

    #[test]
    fn links_that_lead_out_of_the_source_are_named_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        (0..5).for_each(|n| symlink("/etc/passwd", dir.path().join(format!("l{n}"))).unwrap());
        match listed(dir.path(), &[]) {
            Err(StageError::LinksLeave { some, count: 5 }) => assert_eq!(some[0], "l0 → /etc/passwd"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_missing_source_is_told_with_what_is_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("imagenet")).unwrap();
        match listed(&dir.path().join("imagnet"), &[]) {
            Err(StageError::Missing { near, .. }) => assert_eq!(near, ["imagenet"]),
            other => panic!("{other:?}"),
        }
    }
}
