//! Keeps a store within its size: what was not used for longest goes first, never what was used within the hour, and only what bears our
//! stamp.

use super::publish;
use super::stamp::Stamp;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use sys::untrusted::Owners;

/// What was used within this time stays.
const IN_USE: Duration = Duration::from_secs(3600);

/// How the names of data begin that is being removed.
const GONE: &str = ".trainit-gone-";

/// One data set in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its directory.
    pub tree: PathBuf,
    /// Its stamp.
    pub stamp: Stamp,
    /// How long ago it was used.
    pub unused: Duration,
}

/// Lists what a store holds, the one that was not used for longest in front.
pub fn inventory(store: &Path) -> Vec<Kept> {
    let entries = fs::read_dir(store).into_iter().flatten().flatten();
    let mut kept: Vec<Kept> = entries.filter_map(|entry| kept(&entry.path())).collect();
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.unused));
    kept
}

fn kept(stamp_file: &Path) -> Option<Kept> {
    let name = stamp_file.file_name()?.to_str()?.strip_suffix(".json")?;
    let (key, listing) = name.split_once(".tree-")?;
    let stamp = Stamp::read(stamp_file, Owners::Anyone)?;
    let tree = stamp_file.with_file_name(name);
    let ours = stamp.key == key && stamp.listing.starts_with(listing) && fs::symlink_metadata(&tree).ok()?.is_dir();
    let time = |path: &Path| fs::symlink_metadata(path).ok()?.modified().ok();
    let used = time(&stamp_file.with_extension("used")).max(time(stamp_file))?;
    let unused = SystemTime::now().duration_since(used).unwrap_or_default();
    ours.then_some(Kept { tree, stamp, unused })
}

/// Returns what may go: all that was not used within the hour, in the same order. Pure.
pub(crate) fn unused(kept: &[Kept]) -> impl Iterator<Item = &Kept> {
    kept.iter().filter(|kept| kept.unused >= IN_USE)
}

/// Decides what goes so that the store holds at most `most` bytes, or that `needs` bytes more are free. Pure.
pub fn chosen(kept: &[Kept], most: u64, needs: u64) -> Vec<&Kept> {
    let all: u64 = kept.iter().fold(0, |all, kept| all.saturating_add(kept.stamp.totals.bytes));
    let (mut over, mut goes) = (all.saturating_sub(most).max(needs), Vec::new());
    for kept in unused(kept) {
        if over == 0 {
            break;
        }
        over = over.saturating_sub(kept.stamp.totals.bytes);
        goes.push(kept);
    }
    goes
}

/// Removes one data set: first what says that it is there.
pub fn remove(kept: &Kept) {
    let about = |end: &str| {
        let mut path = kept.tree.clone().into_os_string();
        path.push(end);
        PathBuf::from(path)
    };
    let stamp = kept.tree.with_file_name(format!("{}.stamp", kept.stamp.key));
    if Stamp::read(&stamp, Owners::Anyone).is_some_and(|current| current.listing == kept.stamp.listing) {
        let _ = fs::remove_file(&stamp);
    }
    [".json", ".used", ".list"].iter().for_each(|end| _ = fs::remove_file(about(end)));
    let gone = kept.tree.with_file_name(format!("{GONE}{}-{}", kept.stamp.key, std::process::id()));
    let _ = fs::rename(&kept.tree, &gone);
    publish::remove(&gone);
    publish::remove(&kept.tree);
}

/// Removes what a removal left that was killed.
pub fn sweep(store: &Path) {
    let entries = fs::read_dir(store).into_iter().flatten().flatten();
    let left = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(GONE));
    left.for_each(|entry| publish::remove(&entry.path()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Totals;

    fn kept(name: &str, bytes: u64, hours: u64) -> Kept {
        let totals = Totals { bytes, ..Totals::default() };
        let unused = Duration::from_secs(hours * 3600);
        Kept { tree: name.into(), stamp: Stamp { totals, ..Stamp::default() }, unused }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_what_is_in_use_stays() {
        let all = [kept("old", 50, 9), kept("mid", 30, 5), kept("now", 90, 0)];
        let names = |most, needs| chosen(&all, most, needs).iter().map(|kept| kept.tree.clone()).collect::<Vec<_>>();
        assert!(names(200, 0).is_empty());
        assert_eq!(names(130, 0), [PathBuf::from("old")]);
        assert_eq!(names(0, 0), [PathBuf::from("old"), "mid".into()]);
        assert_eq!(names(u64::MAX, 60), [PathBuf::from("old"), "mid".into()]);
    }
}
