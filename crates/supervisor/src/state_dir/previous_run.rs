//! The state that earlier starts left because they were killed together with their container.

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

/// Longest time from making a state directory to locking it, with a margin.
const BEGINNING: Duration = Duration::from_secs(60);

/// Most entries of a state directory that are removed.
const ENTRIES: u32 = 10_000;

/// Returns the states that earlier starts of the same user left in these bases, the newest last.
///
/// Each is returned once, because the directories are removed, except for the caller's own.
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

/// Removes one state directory, unless its supervisor lives; returns its last state.
fn swept(home: &File, name: &OsStr) -> Option<StateRecord> {
    let Ok(found) = untrusted::directory(home, Path::new(name), Owners::These(&[own_uid()])) else {
        sweep_link(home, name);
        return None;
    };
    let record = find::read_in(&found, Owners::These(&[own_uid()])).ok();
    // A supervisor that was killed before its first write leaves an empty directory; a new one is about to be used.
    if record.is_none() && !is_older_than(&found, BEGINNING) || !sys::directory::lock(&found) {
        return None;
    }
    let _ = sys::directory::remove(home, name, ENTRIES);
    record
}

/// Removes a link to a state elsewhere together with that state.
fn sweep_link(home: &File, name: &OsStr) {
    let leads: Option<OsString> = readlinkat(home, name).ok().filter(|_| supervisor_of(Path::new(name)).is_some());
    if leads.is_some_and(|leads| !Path::new(&leads).exists()) {
        let _ = unlinkat(home, name, UnlinkatFlags::NoRemoveDir);
    }
}

/// Returns whether the link count proves that a directory has no other subdirectory; file systems that do not count report 1.
fn is_known_to_be_empty(home: &File, base: &Path, own: Option<&Path>) -> bool {
    let Ok(links) = home.metadata().map(|found| found.nlink()) else { return false };
    let has_own = || own.is_some_and(|own| own.parent().and_then(Path::parent) == Some(base) && own.exists());
    links == 2 || links == 3 && has_own()
}

fn is_older_than(directory: &File, age: Duration) -> bool {
    let modified = directory.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|passed| passed > age))
}
