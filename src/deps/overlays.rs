//! Lists the overlays in a cache (see `overlay`), and removes those that are no longer used. A cache may be a home directory that other
//! machines share. An overlay used within a week therefore stays, even if no process of this machine uses it.

use super::overlay::USED;
use super::removed::RemovedEntry;
use super::wanted::LAYERS;
use super::{cache_dirs, lock};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use store::{GarbageCandidate, chosen};
use sys::environment::Environment;

/// The time after its last use for which an overlay counts as in use.
const IN_USE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The prefix of the name of an overlay that is being removed.
const GONE: &str = ".gone-";

/// An overlay in a cache.
struct FoundOverlay {
    /// The directory of the overlay and of its files beside it.
    directory: PathBuf,
    bytes: u64,
    unused: Duration,
}

/// Lists the directories in which this user's starts look for overlays.
fn shelves(environment: &Environment) -> Vec<PathBuf> {
    let all = cache_dirs::candidates(environment).into_iter().map(|place| place.join(LAYERS));
    all.filter(|shelf| shelf.is_dir() && cache_dirs::is_ours(shelf)).collect()
}

fn all(shelves: &[PathBuf]) -> Vec<FoundOverlay> {
    shelves
        .iter()
        .flat_map(|shelf| fs::read_dir(shelf).into_iter().flatten().flatten())
        .filter_map(|entry| found(entry.path()))
        .collect()
}

fn found(directory: PathBuf) -> Option<FoundOverlay> {
    Some(FoundOverlay { bytes: bytes(&directory), unused: unused(&directory)?, directory })
}

/// Returns the time since the last use: starts record it, and for an older trainit the time of the creation counts.
fn unused(directory: &Path) -> Option<Duration> {
    let age =
        |found: Metadata| found.modified().ok().map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
    let made = fs::metadata(directory).ok().and_then(age)?;
    let used = fs::metadata(directory.join(USED)).ok().and_then(age);
    Some(used.map_or(made, |used| used.min(made)))
}

fn bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(of).sum()
}

/// Removes overlays beyond the limit or unused for too long; with `dry` it only lists them.
pub(super) fn prune(environment: &Environment, limit: u64, unused: Option<Duration>, dry: bool) -> Vec<RemovedEntry> {
    prune_shelves(&shelves(environment), limit, unused, dry)
}

fn prune_shelves(shelves: &[PathBuf], limit: u64, unused: Option<Duration>, dry: bool) -> Vec<RemovedEntry> {
    // A removal that was killed left these behind, and no start uses them.
    let (left, whole): (Vec<_>, Vec<_>) = all(shelves).into_iter().partition(|found| is_left(&found.directory));
    let entry =
        |found: FoundOverlay| GarbageCandidate { key: found.directory, bytes: found.bytes, unused: found.unused };
    let entries = whole.into_iter().map(entry).collect();
    let chosen = chosen(entries, limit, unused, IN_USE).into_iter().filter(|entry| !is_held(&entry.key));
    let all = left.into_iter().map(entry).chain(chosen);
    let taken = all.map(|GarbageCandidate { key: file, bytes, unused }| RemovedEntry {
        what: contents(&file),
        bytes,
        unused,
        file,
    });
    taken.filter(|taken| dry || take(&taken.file)).collect()
}

/// Checks whether a process of this machine uses the overlay, or whether an installer holds its lock.
fn is_held(directory: &Path) -> bool {
    let path = directory.as_os_str().as_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names_it = |file: PathBuf| fs::read(file).is_ok_and(|text| text.windows(path.len()).any(|part| part == path));
    let mut files = processes.flat_map(|entry| ["environ", "maps"].map(|name| entry.path().join(name)));
    files.any(names_it) || lock::is_taken(directory)
}

fn is_left(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| name.as_bytes().starts_with(GONE.as_bytes()))
}

/// Removes an overlay. It is renamed first, so that no start finds half of it; a start that began to use it meanwhile gets it back.
fn take(directory: &Path) -> bool {
    let Some(name) = directory.file_name() else { return false };
    let mut aside = std::ffi::OsString::from(GONE);
    aside.push(name);
    let aside = directory.with_file_name(aside);
    if is_left(directory) {
        return fs::remove_dir_all(directory).is_ok();
    }
    if fs::rename(directory, &aside).is_err() {
        return false;
    }
    if unused(&aside).is_some_and(|unused| unused < IN_USE) {
        let _ = fs::rename(&aside, directory);
        return false;
    }
    fs::remove_dir_all(&aside).is_ok()
}

/// Describes the packages of an overlay.
fn contents(directory: &Path) -> String {
    let libraries = fs::read_dir(directory.join("env/lib")).into_iter().flatten().flatten();
    let packages =
        libraries.flat_map(|entry| fs::read_dir(entry.path().join("site-packages")).into_iter().flatten().flatten());
    let count = packages.filter(|entry| entry.path().extension().is_some_and(|end| end == "dist-info")).count();
    format!("a layer with {}", text::count(count as u64, "package"))
}

/// Describes how many overlays there are and how much space they need; `None` if there are none.
pub(super) fn words(environment: &Environment) -> Option<String> {
    let all = all(&shelves(environment));
    let oldest = all.iter().map(|found| found.unused).max()?;
    let bytes = text::size(all.iter().map(|found| found.bytes).sum());
    let days = oldest.as_secs() / 86_400;
    let unused = if days > 1 { format!(", the oldest not used for {days} days") } else { String::new() };
    Some(format!("{}, {bytes}{unused}", text::count(all.len() as u64, "layer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Makes a cache with an overlay that was not used for some days.
    fn cache(days: u32) -> (tempfile::TempDir, [PathBuf; 1], PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let layer = dir.path().join("trainit/layers/0123456789abcdef");
        let metadata = layer.join("env/lib/python3.12/site-packages/a-1.dist-info");
        fs::create_dir_all(&metadata).unwrap();
        fs::write(metadata.join("RECORD"), [b'x'; 10_000]).unwrap();
        fs::write(layer.join(USED), "").unwrap();
        let time = SystemTime::now() - days * DAY;
        [layer.clone(), layer.join(USED)]
            .iter()
            .for_each(|path| fs::File::open(path).unwrap().set_modified(time).unwrap());
        let shelves = [dir.path().join("trainit/layers")];
        (dir, shelves, layer)
    }

    #[test]
    fn an_old_layer_goes_and_one_that_was_used_this_week_stays() {
        let (dir, shelves, layer) = cache(40);
        let environment = [("XDG_CACHE_HOME", dir.path().to_str().unwrap())].into_iter().collect();
        assert!(words(&environment).unwrap().contains(", the oldest not used for "));
        assert_eq!(prune_shelves(&shelves, u64::MAX, Some(50 * DAY), true).len(), 0);
        assert_eq!(prune_shelves(&shelves, u64::MAX, None, true).len(), 0);
        assert_eq!(prune_shelves(&shelves, 0, None, true).len(), 1);
        let gone = prune_shelves(&shelves, u64::MAX, Some(30 * DAY), true);
        assert!(gone[0].words().contains("a layer with 1 package, ") && layer.exists(), "{}", gone[0].words());
        fs::write(layer.join(USED), "").unwrap();
        assert_eq!(prune_shelves(&shelves, 0, Some(DAY), true).len(), 0);
        let (_dir, shelves, layer) = cache(40);
        assert_eq!(prune_shelves(&shelves, u64::MAX, Some(30 * DAY), false).len(), 1);
        assert!(!layer.exists() && fs::read_dir(layer.parent().unwrap()).unwrap().next().is_none());
    }

    #[test]
    fn a_layer_that_a_process_runs_in_stays() {
        let (_dir, shelves, layer) = cache(40);
        let mut child = std::process::Command::new("cat");
        let child = child.env("VIRTUAL_ENV", layer.join("env")).stdin(std::process::Stdio::piped());
        let mut child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
        assert_eq!(prune_shelves(&shelves, 0, None, false).len(), 0);
        assert!(layer.exists());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(prune_shelves(&shelves, 0, None, false).len(), 1);
    }

    #[test]
    fn a_layer_that_an_installer_fills_stays_and_one_that_was_half_taken_away_goes() {
        let (_dir, shelves, layer) = cache(40);
        let lock = lock::take(&layer, None, &mut |_| {});
        assert_eq!(prune_shelves(&shelves, 0, None, false).len(), 0);
        drop(lock);
        fs::rename(&layer, layer.with_file_name(".gone-0123456789abcdef")).unwrap();
        assert_eq!(prune_shelves(&shelves, u64::MAX, Some(300 * DAY), false).len(), 1);
    }

    #[test]
    fn a_use_that_begins_while_it_is_taken_away_gives_it_back() {
        let (_dir, _, layer) = cache(0);
        assert!(!take(&layer) && layer.join("env").exists());
    }
}
