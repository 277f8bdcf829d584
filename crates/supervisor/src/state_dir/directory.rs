//! A state directory as its writer has it: made and written by descriptors, below a base where no other user can exchange it.
//!
//! Root writes here beside users that it does not trust: a path could lead elsewhere from one call to the next.

use super::FILE;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};
use protocol::state_file::{HEARTBEAT, REQUESTS, StateRecord};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use sys::credentials::own_uid;
use sys::untrusted::{self, Owners};
use sys::{directory, process};

/// Name of the new state file until it is complete.
const NEW: &str = "state.new";

/// Most entries that are removed at the end: the workload's user may have made any number.
const ENTRIES: u32 = 10_000;

/// The state directory of one supervisor, open.
#[derive(Debug)]
pub struct StateDir {
    /// `trainit-UID`, in a base where no other user can exchange it.
    home: File,
    /// The directory itself.
    file: File,
    path: PathBuf,
}

/// Opens `trainit-UID` in a base, makes it if it is missing, and checks that only this user can write there.
pub(super) fn home(base: &Path) -> io::Result<File> {
    made(&opened(base)?, Path::new(&super::home_name(own_uid())))
}

/// Opens a base; for root it has to be one where no other user can exchange an entry of root's.
fn opened(base: &Path) -> io::Result<File> {
    match untrusted::settled(base) {
        Err(_) if own_uid() != 0 => {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            Ok(openat(AT_FDCWD, base, flags, Mode::empty()).map(File::from)?)
        }
        settled => settled,
    }
}

/// Opens a directory of this user in another one, and makes it if it is missing.
fn made(parent: &File, name: &Path) -> io::Result<File> {
    match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => untrusted::directory(parent, name, Owners::These(&[own_uid()])),
        Err(errno) => Err(errno.into()),
    }
}

impl StateDir {
    /// Makes `BASE/trainit-UID/NAME`; a directory that exists keeps its contents.
    ///
    /// # Errors
    /// The error of mkdir(2) or open(2), or in words why the base cannot be used.
    pub fn make(path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default();
        let base = path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
        whatever_the_mask_is(|| {
            let home = home(base)?;
            let file = made(&home, Path::new(name))?;
            Ok(StateDir { home, file, path: path.to_owned() })
        })
    }

    /// Returns the directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Locks the directory as long as it is open; unlike a pid, a lock tells in every pid namespace whether its owner lives.
    pub fn lock(&self) -> bool {
        directory::lock(&self.file)
    }

    /// Replaces the state file in one step.
    ///
    /// # Errors
    /// The error of openat(2), write(2) or renameat(2). A full disk then costs the update, not the container.
    pub fn write(&self, record: &StateRecord) -> io::Result<()> {
        let bytes = serde_json::to_vec(record)?;
        let new = untrusted::create(&self.file, Path::new(NEW), 0o644).or_else(|_| {
            unlinkat(&self.file, NEW, UnlinkatFlags::NoRemoveDir)?;
            untrusted::create(&self.file, Path::new(NEW), 0o644)
        });
        let mut new = new?;
        new.write_all(&bytes)?;
        // The mode must not depend on the umask.
        new.set_permissions(Permissions::from_mode(0o644))?;
        Ok(renameat(&self.file, NEW, &self.file, FILE)?)
    }

    /// Makes the entries that the workload writes, for its user alone, who may be another one than this process's.
    ///
    /// # Errors
    /// The error of mkdir(2), open(2) or chown(2).
    pub fn open_to_workload(&self, user: Option<(u32, u32)>) -> io::Result<()> {
        match mkdirat(&self.file, REQUESTS, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let heartbeat = untrusted::append(&self.file, Path::new(HEARTBEAT), 0o600, Owners::Anyone)?;
        let Some((uid, gid)) = user else { return Ok(()) };
        std::os::unix::fs::fchown(heartbeat, Some(uid), Some(gid))?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        Ok(fchownat(&self.file, REQUESTS, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Removes the directory, and the links in `bases` that lead readers to it.
    pub fn remove(self, bases: &[PathBuf]) {
        let Some(name) = self.path.file_name() else { return };
        // The state file goes first: if the rest stays, the next start must not report a sudden death.
        let _ = unlinkat(&self.file, FILE, UnlinkatFlags::NoRemoveDir);
        let _ = directory::remove(&self.home, name, ENTRIES);
        let is_usual = bases.iter().any(|base| self.path.parent().and_then(Path::parent) == Some(base));
        for base in bases.iter().filter(|_| !is_usual) {
            let Ok(home) = there(base) else { continue };
            if readlinkat(&home, name).is_ok_and(|leads| leads == self.path) {
                let _ = unlinkat(&home, name, UnlinkatFlags::NoRemoveDir);
            }
        }
    }
}

/// Opens `trainit-UID` in a base, if it is there and only this user can write there.
pub(super) fn there(base: &Path) -> io::Result<File> {
    untrusted::directory(opened(base)?, Path::new(&super::home_name(own_uid())), Owners::These(&[own_uid()]))
}

/// Puts a link into a base that leads readers to a state directory elsewhere.
pub(super) fn link(base: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default();
    whatever_the_mask_is(|| Ok(symlinkat(to, home(base)?.as_fd(), name)?))
}

/// Makes an entry with umask 022, whatever the inherited one is, because another user may read the state.
fn whatever_the_mask_is<T>(make: impl FnOnce() -> T) -> T {
    process::with_umask(0o022, make)
}
