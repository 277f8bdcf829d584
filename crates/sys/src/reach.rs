//! Whether an access to a path depends on another machine, found out without that access. The path is walked over the mount table,
//! and only links on this machine are read. Where no mount is of another machine, no file is touched and no process is forked. Most
//! paths lie on the root file system, as this program does, and the kernel tells that without the table.

use super::killable_call;
use super::mountinfo::{self, Mount, Mounts};
use nix::errno::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// How many links may follow each other, as in the kernel (path_resolution(7)).
const LINKS: usize = 40;

/// Runs work that touches a path: in this process where only this machine has to answer, else in a process that is killed in time.
///
/// # Errors
/// The mount of the file system that gave no answer.
pub fn look<'a, T: Serialize + DeserializeOwned>(
    table: &'a Mounts,
    path: &Path,
    work: impl FnOnce() -> T,
) -> Result<T, &'a Mount> {
    let Some(mount) = far(table, path) else { return Ok(work()) };
    let answer = killable_call::ask(mount.patience(), || postcard::to_allocvec(&work()).unwrap_or_default());
    answer.ok().and_then(|answer| postcard::from_bytes(&answer).ok()).ok_or(mount)
}

/// Returns the first mount of another machine on the way to an absolute path; `None` where the path can be accessed without waiting
/// for another machine.
pub fn far<'a>(table: &'a Mounts, path: &Path) -> Option<&'a Mount> {
    if !table.is_read() && is_on_root(path) || !table.iter().any(Mount::is_far) {
        return None;
    }
    let mut rest: Vec<OsString> = names(path);
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    loop {
        let mount = mountinfo::covering(table, &here);
        if mount.is_some_and(Mount::is_far) {
            return mount;
        }
        let next = rest.pop()?;
        if next == ".." {
            here.pop();
            continue;
        }
        let there = here.join(&next);
        match link(table, &there).filter(|_| links < LINKS) {
            Some(target) => {
                links += 1;
                here = if target.is_absolute() { PathBuf::from("/") } else { here };
                rest.extend(names(&target));
            }
            None => here = there,
        }
    }
}

/// Tells whether the way to an absolute path never leaves the root file system (openat2(2), RESOLVE_NO_XDEV). The kernel refuses a
/// mount before it asks that file system. The answer is `false` also where the kernel cannot tell.
fn is_on_root(path: &Path) -> bool {
    use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
    let resolve = ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    let found = path.is_absolute().then(|| openat2(AT_FDCWD, path, how));
    matches!(found, Some(Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES)))
}

/// Reads the target of a link on this machine; a link on another machine is not read.
fn link(table: &[Mount], path: &Path) -> Option<PathBuf> {
    let far = mountinfo::covering(table, path).is_some_and(Mount::is_far);
    if far { None } else { std::fs::read_link(path).ok() }
}

/// Splits a path into its names, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::parse;
    use crate::process;
    use std::os::unix::fs::symlink;

    fn table(text: &str) -> Mounts {
        parse(text.as_bytes()).into()
    }

    #[test]
    fn what_lies_on_the_root_file_system_is_near_without_the_table() {
        let mounts = Mounts::of(&super::super::Root::real());
        assert_eq!(far(&mounts, Path::new("/no/such/path")), None);
        assert!(!mounts.is_read());
        assert_eq!(far(&mounts, Path::new("/proc/self/status")), None);
        assert!(mounts.is_read(), "a mount on the way is looked up");
    }

    #[test]
    fn links_and_dots_are_walked_on_this_machine() {
        let directory = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(directory.path()).unwrap();
        std::fs::create_dir_all(base.join("a/nas")).unwrap();
        symlink("a/nas/run", base.join("relative")).unwrap();
        symlink(base.join("relative"), base.join("absolute")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        let table =
            format!("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {}/a/nas rw - nfs4 nas:/x rw\n", base.display());
        let table = parse(table.as_bytes()).into();
        let is_far = |path: &str| far(&table, &base.join(path)).is_some();
        assert!(
            is_far("a/nas")
                && is_far("a/nas/x/..")
                && is_far("relative/7")
                && is_far("absolute")
                && is_far("x/../a/nas")
        );
        assert!(!is_far("a") && !is_far("a/nase") && !is_far("loop") && !is_far("none") && !is_far("none/../a"));
    }

    #[test]
    fn what_another_machine_has_to_answer_is_asked_in_another_process() {
        let (near, far) = (table("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), table("1 0 0:9 / / rw - 9p root rw\n"));
        assert_eq!(look(&near, Path::new("/x"), std::process::id), Ok(std::process::id()));
        assert!(look(&far, Path::new("/x"), std::process::id).is_ok_and(|pid| pid != std::process::id()));
        assert_eq!(look(&far, Path::new("/x"), || -> u32 { process::exit_now(0) }), Err(&far[0]));
    }

    #[test]
    fn nothing_is_far_where_nothing_far_is_mounted() {
        assert_eq!(far(&table("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), Path::new("/data")), None);
    }
}
