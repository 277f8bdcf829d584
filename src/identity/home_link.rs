//! The home of a user whom docker-stacks' NB_USER renames: a link /home/NAME to the home that is there already.
//!
//! docker-stacks copies the home. A link costs nothing, loses no mount below the home, and copies no file that others may exchange
//! meanwhile. Only root makes it, in a /home that is the image's and root's.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::symlinkat;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::mountinfo::{self, Mounts};

/// A second name for a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeLink {
    /// The home.
    pub from: PathBuf,
    /// The new name, in /home.
    pub to: PathBuf,
}

/// Returns the directory of a home: itself, or the one behind the link that an earlier start made. No other link is followed.
pub(super) fn behind(root: &Root, home: &Path) -> Option<PathBuf> {
    let look = |path: &Path| root.path(path).symlink_metadata().ok();
    let found = look(home)?;
    if found.is_dir() {
        return Some(home.to_owned());
    }
    let is_ours =
        found.is_symlink() && found.uid() == sys::credentials::own_uid() && home.parent() == Some(Path::new("/home"));
    let target = std::fs::read_link(root.path(home)).ok().filter(|target| is_ours && target.starts_with("/home"))?;
    look(&target)?.is_dir().then_some(target)
}

/// Write permission of a group or of others.
const WRITABLE: u32 = 0o022;

impl HomeLink {
    /// Makes the link, unless something has the name already.
    ///
    /// # Errors
    /// A line that says why the home keeps its name.
    pub(super) fn make(&self, root: &Root, mounts: &Mounts) -> Result<(), String> {
        // The mount table answers without asking a file system: a mounted home is the one to use, and a mounted /home is not the image's.
        if mountinfo::covering(mounts, &self.to).is_some_and(|mount| mount.point() != b"/") {
            return Ok(());
        }
        let why = match self.link(root) {
            Ok(true) | Err(Errno::EEXIST) => return Ok(()),
            Ok(false) => "other users can write to its directory",
            Err(errno) => protocol::errno::words(errno),
        };
        Err(format!("NB_USER: {} cannot be made, beside {}: {why}", text::path(&self.to), text::path(&self.from)))
    }

    /// Returns whether the link was made: not where others could exchange it.
    fn link(&self, root: &Root) -> Result<bool, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = open(&root.path(self.to.parent().unwrap_or(Path::new("/"))), flags, Mode::empty())?;
        let found = fstat(&directory)?;
        if found.st_uid != sys::credentials::own_uid() || found.st_mode & WRITABLE != 0 {
            return Ok(false);
        }
        symlinkat(&self.from, &directory, self.to.file_name().unwrap_or_default()).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn made(mode: u32, mounts: &str) -> (Result<(), String>, Option<PathBuf>) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        std::fs::create_dir_all(root.path("/home/jovyan")).unwrap();
        std::fs::set_permissions(root.path("/home"), std::fs::Permissions::from_mode(mode)).unwrap();
        let link = HomeLink { from: "/home/jovyan".into(), to: "/home/kitten".into() };
        let mounts = mountinfo::parse(mounts.as_bytes()).into();
        let made = link.make(&root, &mounts).and_then(|()| link.make(&root, &mounts));
        (made, std::fs::read_link(root.path("/home/kitten")).ok())
    }

    #[test]
    fn a_new_name_leads_to_the_home_and_stays_at_the_next_start() {
        assert_eq!(made(0o755, ""), (Ok(()), Some("/home/jovyan".into())));
        assert_eq!(made(0o755, "1 0 0:1 / / rw - overlay overlay rw\n").1, Some("/home/jovyan".into()));
    }

    #[test]
    fn the_link_of_an_earlier_start_leads_to_the_home_and_other_links_to_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        std::fs::create_dir_all(root.path("/home/jovyan")).unwrap();
        let link = HomeLink { from: "/home/jovyan".into(), to: "/home/kitten".into() };
        link.make(&root, &Mounts::default()).unwrap();
        std::os::unix::fs::symlink("/etc", root.path("/home/away")).unwrap();
        let found = |home: &str| behind(&root, Path::new(home));
        assert_eq!(found("/home/kitten"), Some("/home/jovyan".into()));
        assert_eq!(found("/home/jovyan"), Some("/home/jovyan".into()));
        assert_eq!((found("/home/away"), found("/home/nobody")), (None, None));
    }

    #[test]
    fn no_name_is_given_in_a_directory_that_others_can_write_or_that_is_mounted() {
        let (refused, link) = made(0o777, "");
        assert!(refused.unwrap_err().contains("/home/kitten cannot be made"), "{link:?}");
        assert_eq!(link, None);
        assert_eq!(made(0o755, "1 0 0:1 / /home rw - nfs4 nas:/home rw\n"), (Ok(()), None));
        assert_eq!(made(0o755, "1 0 0:1 / /home/kitten rw - ext4 /dev/sda rw\n"), (Ok(()), None));
    }
}
