//! What earlier starts left behind because they were killed with all they had.

use super::{directory, find, supervisor_of};
use nix::fcntl::readlinkat;
use nix::unistd::{UnlinkatFlags, unlinkat};
use protocol::handover::Phase;
use protocol::state_file::StateRecord;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::credentials::own_uid;
use sys::untrusted::{self, Owners};

/// Longer than it takes from making a state directory to holding its lock.
const BEGINNING: Duration = Duration::from_secs(60);

/// Most entries of one that are taken away.
const ENTRIES: u32 = 10_000;

/// What earlier starts of the same user left in these bases, newest last. It is told once: the directories are taken away, but for the
/// caller's own.
pub fn previous_runs(bases: &[PathBuf], own: Option<&Path>) -> Vec<StateRecord> {
    let mut left: Vec<StateRecord> = bases.iter().flat_map(|base| left_in(base, own)).collect();
    left.sort_by(|a, b| a.started.total_cmp(&b.started));
    left
}

fn left_in(base: &Path, own: Option<&Path>) -> Vec<StateRecord> {
    let Ok(home) = directory::there(base) else { return Vec::new() };
    if is_known_to_be_empty(&home, base, own) {
        return Vec::new();
    }
    let own = own.and_then(Path::file_name);
    let names = find::names(&home).into_iter().filter(|name| Some(name.as_os_str()) != own);
    names.filter_map(|name| swept(&home, &name)).filter(|record| record.phase != Phase::Ended).collect()
}

/// Takes one away, unless its supervisor lives; what it said last.
fn swept(home: &File, name: &OsStr) -> Option<StateRecord> {
    let Ok(found) = untrusted::directory(home, Path::new(name), Owners::These(&[own_uid()])) else {
        sweep_link(home, name);
        return None;
    };
    let record = find::read_in(&found, Owners::These(&[own_uid()])).ok();
    // Whoever was killed before it wrote anything left an empty directory; one that is new is about to be used.
    if record.is_none() && !is_older_than(&found, BEGINNING) || !sys::directory::lock(&found) {
        return None;
    }
    let _ = sys::directory::remove(home, name, ENTRIES);
    record
}

/// A link to a state elsewhere goes with the state.
fn sweep_link(home: &File, name: &OsStr) {
    let leads: Option<OsString> = readlinkat(home, name).ok().filter(|_| supervisor_of(Path::new(name)).is_some());
    if leads.is_some_and(|leads| !Path::new(&leads).exists()) {
        let _ = unlinkat(home, name, UnlinkatFlags::NoRemoveDir);
    }
}

/// Whether a directory's link count says that no other is in it: most file systems count one for each, those that do not say 1.
fn is_known_to_be_empty(home: &File, base: &Path, own: Option<&Path>) -> bool {
    let Ok(links) = home.metadata().map(|found| found.nlink()) else { return false };
    let has_own = || own.is_some_and(|own| own.parent().and_then(Path::parent) == Some(base) && own.exists());
    links == 2 || links == 3 && has_own()
}

fn is_older_than(directory: &File, age: Duration) -> bool {
    let modified = directory.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|passed| passed > age))
}
