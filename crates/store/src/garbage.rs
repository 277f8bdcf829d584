//! Keeps a store small: environments that were not used for longest go first, those used within an hour stay. Files left by killed starts
//! go after a day. Ages are measured by the clock of the store's file system.

use super::archive::{self, ArchiveManifest};
use super::failed;
use super::names::{EntryNames, StoreFileKind, what};
use super::store_dir::StoreDir;
use nix::fcntl::AT_FDCWD;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::untrusted::{self, Owners};

/// The time after its last use for which an environment counts as in use, longer than any unpacking takes.
const IN_USE: Duration = Duration::from_secs(3600);

/// The age at which an unfinished file counts as abandoned.
const LEFT: Duration = Duration::from_secs(24 * 3600);

/// A file that was removed, or would be.
#[derive(Debug)]
pub struct RemovedFile {
    /// The file.
    pub file: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The time since the last use.
    pub unused: Duration,
    /// The kind of the file.
    pub kind: RemovedKind,
}

/// The kind of a file that was removed.
#[derive(Debug)]
pub enum RemovedKind {
    /// An environment.
    Environment(ArchiveManifest),
    /// An environment that cannot be read.
    Damaged(io::Error),
    /// A lease without a holder.
    Lease,
    /// A marker of a failure that does not count any more.
    Failure,
    /// A file that a killed start left.
    Leftover,
}

/// The size and age of an environment, which decide whether it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GarbageCandidate<Key> {
    /// The identity of the environment.
    pub key: Key,
    /// The size in bytes.
    pub bytes: u64,
    /// The time since the last use.
    pub unused: Duration,
}

/// Chooses the environments to remove, so that the rest is within the limit and none is unused for too long. An environment used within
/// `in_use` is never chosen.
pub fn chosen<Key>(
    mut entries: Vec<GarbageCandidate<Key>>,
    limit: u64,
    unused: Option<Duration>,
    in_use: Duration,
) -> Vec<GarbageCandidate<Key>> {
    let mut sum: u64 = entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.unused));
    entries.retain(|entry| {
        let old = unused.is_some_and(|unused| entry.unused >= unused);
        let goes = entry.unused >= in_use && (old || sum > limit);
        sum -= if goes { entry.bytes } else { 0 };
        goes
    });
    entries
}

/// Removes unneeded files from a store; with `dry` it only lists them.
pub fn prune(directory: &Path, limit: u64, unused: Option<Duration>, dry: bool) -> Vec<RemovedFile> {
    let store_dir = StoreDir::of(directory);
    let (entries, leftovers) = read(directory, &store_dir);
    let chosen = chosen(entries, limit, unused, IN_USE);
    let environments = chosen.into_iter().filter_map(|entry| {
        let names = EntryNames::of(directory, &entry.key);
        let taken = RemovedFile {
            kind: kind_of(&names.packed),
            file: names.packed.clone(),
            bytes: entry.bytes,
            unused: entry.unused,
        };
        (dry || take(&names, &store_dir)).then_some(taken)
    });
    let leftovers = leftovers.into_iter().filter(|taken| dry || fs::remove_file(&taken.file).is_ok());
    environments.chain(leftovers).collect()
}

/// Counts the environments and their bytes.
pub fn inventory(directory: &Path) -> (usize, u64) {
    let (entries, _) = read(directory, &StoreDir::of(directory));
    (entries.len(), entries.iter().map(|entry| entry.bytes).sum())
}

/// Reads the environments and the abandoned files.
fn read(directory: &Path, store_dir: &StoreDir) -> (Vec<GarbageCandidate<String>>, Vec<RemovedFile>) {
    let (mut packed, mut used, mut leftovers) = (Vec::new(), HashMap::new(), Vec::new());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (Some(name), Ok(found)) = (entry.file_name().into_string().ok(), entry.metadata()) else { continue };
        let age = store_dir.age(&found);
        let leftover = |kind| RemovedFile { file: entry.path(), bytes: found.len(), unused: age, kind };
        match what(&name) {
            Some(StoreFileKind::Packed(key)) => {
                packed.push(GarbageCandidate { key: key.to_owned(), bytes: found.len(), unused: age })
            }
            Some(StoreFileKind::Used(key)) => _ = used.insert(key.to_owned(), age),
            Some(StoreFileKind::Lease) if age >= LEFT => leftovers.push(leftover(RemovedKind::Lease)),
            Some(StoreFileKind::Failed) if age >= failed::HOLDS => leftovers.push(leftover(RemovedKind::Failure)),
            Some(StoreFileKind::Leftover) if age >= LEFT => leftovers.push(leftover(RemovedKind::Leftover)),
            _ => {}
        }
    }
    for entry in &mut packed {
        entry.unused = used.get(&entry.key).copied().unwrap_or(entry.unused).min(entry.unused);
    }
    (packed, leftovers)
}

/// Removes an environment, unless a start has begun to use it meanwhile. A start that has it open can read it to its end; if a file server
/// removes it all the same, that start builds for itself.
fn take(names: &EntryNames, store_dir: &StoreDir) -> bool {
    let is_used = || fs::symlink_metadata(&names.used).is_ok_and(|used: Metadata| store_dir.age(&used) < IN_USE);
    let aside = names.packed.with_extension(format!("gone-{}", std::process::id()));
    if is_used() || fs::rename(&names.packed, &aside).is_err() {
        return false;
    }
    if is_used() {
        let _ = fs::hard_link(&aside, &names.packed);
        let _ = fs::remove_file(&aside);
        return false;
    }
    let _ = fs::remove_file(&names.used);
    fs::remove_file(&aside).is_ok()
}

fn kind_of(packed: &Path) -> RemovedKind {
    let opened = untrusted::open(AT_FDCWD, packed, Owners::Anyone);
    match opened.and_then(|mut file| archive::index(&mut file)) {
        Ok(index) => RemovedKind::Environment(index.manifest),
        Err(error) => RemovedKind::Damaged(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::File;
    use std::time::SystemTime;

    const DAY: Duration = Duration::from_secs(86_400);

    fn chosen(
        entries: Vec<GarbageCandidate<String>>,
        limit: u64,
        unused: Option<Duration>,
    ) -> Vec<GarbageCandidate<String>> {
        super::chosen(entries, limit, unused, IN_USE)
    }

    fn entry(key: &str, bytes: u64, unused: Duration) -> GarbageCandidate<String> {
        GarbageCandidate { key: key.into(), bytes, unused }
    }

    fn keys(entries: &[GarbageCandidate<String>]) -> Vec<&str> {
        entries.iter().map(|entry| entry.key.as_str()).collect()
    }

    #[test]
    fn what_was_not_used_for_longest_goes_until_the_rest_fits() {
        let all = vec![
            entry("new", 10, DAY),
            entry("old", 10, 9 * DAY),
            entry("older", 10, 20 * DAY),
            entry("now", 100, Duration::ZERO),
        ];
        assert_eq!(keys(&chosen(all.clone(), 130, None)), [""; 0]);
        assert_eq!(keys(&chosen(all.clone(), 129, None)), ["older"]);
        assert_eq!(keys(&chosen(all.clone(), 0, None)), ["older", "old", "new"]);
        assert_eq!(keys(&chosen(all, 1000, Some(9 * DAY))), ["older", "old"]);
    }

    proptest! {
        #[test]
        fn what_is_in_use_never_goes(all in proptest::collection::vec((0u64..100, 0u64..10_000), 0..30), limit in 0u64..2000) {
            let entries: Vec<_> = all.iter().enumerate().map(|(n, (bytes, unused))| entry(&n.to_string(), *bytes, Duration::from_secs(*unused))).collect();
            let gone = chosen(entries.clone(), limit, None);
            prop_assert!(gone.iter().all(|entry| entry.unused >= IN_USE));
            let left: u64 = entries.iter().map(|entry| entry.bytes).sum::<u64>() - gone.iter().map(|entry| entry.bytes).sum::<u64>();
            let rest_in_use = entries.iter().filter(|entry| !gone.contains(entry)).all(|entry| entry.unused < IN_USE);
            prop_assert!(left <= limit || rest_in_use);
        }
    }

    #[test]
    fn only_files_of_a_store_are_touched() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 30 * DAY;
        let make = |name: &str| {
            fs::write(dir.path().join(name), "x").unwrap();
            File::open(dir.path().join(name)).unwrap().set_modified(old).unwrap();
        };
        let key = "0123456789abcdef";
        let gone = [format!("{key}.tar.lz4"), format!("{key}.failed"), format!("{key}.lease"), ".new-123456".into()];
        gone.iter().for_each(|name| make(name));
        ["model.tar.lz4", "train.py", "CACHEDIR.TAG", ".newer"].iter().for_each(|name| make(name));
        assert_eq!(prune(dir.path(), 0, None, true).len(), 4);
        let taken = prune(dir.path(), 0, None, false);
        assert!(taken.len() == 4 && taken[0].unused > 29 * DAY, "{taken:?}");
        assert!(matches!(taken[0].kind, RemovedKind::Damaged(_)), "{taken:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_use_that_begins_while_it_is_taken_away_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let names = EntryNames::of(dir.path(), "0123456789abcdef");
        fs::write(&names.packed, "x").unwrap();
        fs::write(&names.used, "").unwrap();
        assert!(!take(&names, &StoreDir::of(dir.path())));
        assert!(names.packed.exists());
        fs::remove_file(&names.used).unwrap();
        assert!(take(&names, &StoreDir::of(dir.path())) && !names.packed.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
