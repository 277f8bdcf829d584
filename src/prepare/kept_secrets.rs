//! The directory for secrets that trainit made, and that the next start of the same container is going to use again.
//!
//! The state directory cannot serve: it is removed at the end of a start, and it may lie in memory (/dev/shm). Only directories of the
//! container's own file system count, because other containers may see a mount. A copy of that file system (`docker commit`) is another
//! container, so a file's name is made from what tells containers apart.

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::credentials::own_uid;
use sys::environment::Environment;
use sys::mountinfo::Mount;
use sys::untrusted::{self, Owners};

/// The file that container engines mount from a directory of theirs that is named after the container.
const OWN_MOUNT: &[u8] = b"/etc/hostname";

/// Returns the path of a mode's secret, in a directory that only this user may enter; the directory is made if it is missing.
///
/// `None` means that nothing of this container outlives a stop.
pub(super) fn place(mode: &str, mounts: &[Mount], environment: &Environment) -> Option<PathBuf> {
    let name = file_name(mode, mounts, environment.text("HOSTNAME"));
    let home = environment.get("HOME").filter(|home| is_of_the_container(Path::new(home)));
    let state = home.map(|home| Path::new(home).join(".local/state/trainit"));
    let shared = ["/var/tmp", "/tmp"].map(PathBuf::from).into_iter().filter(|base| is_of_the_container(base));
    let found = state.into_iter().chain(shared).find_map(|base| directory(&base).ok())?;
    Some(found.join(name))
}

/// Returns whether a directory is on the file system of `/`.
fn is_of_the_container(base: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    device(base).is_some_and(|of| Some(of) == device(Path::new("/")))
}

/// Makes or finds the directory of this user below a base where no other user can exchange it.
fn directory(base: &Path) -> io::Result<PathBuf> {
    untrusted::make_directories(base, 0o700)?;
    let settled = untrusted::settled(base)?;
    let name = format!("trainit-secrets-{}", own_uid());
    match mkdirat(&settled, name.as_str(), Mode::from_bits_truncate(0o700)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    untrusted::directory(&settled, Path::new(&name), Owners::These(&[own_uid()]))?;
    Ok(base.join(name))
}

/// Returns a name that is the same in every start of one container, and another one in other containers.
fn file_name(mode: &str, mounts: &[Mount], host_name: Option<&str>) -> String {
    let mut hash = Sha256::new();
    let own = mounts.iter().find(|mount| mount.point() == OWN_MOUNT).map_or(&b""[..], Mount::root);
    for part in [mode.as_bytes(), own, host_name.unwrap_or_default().as_bytes()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mounts(of: &str) -> Vec<Mount> {
        let table = format!("1 0 8:1 {of} /etc/hostname rw - ext4 /dev/sda1 rw\n");
        sys::mountinfo::parse(table.as_bytes())
    }

    #[test]
    fn a_secret_is_one_containers_and_one_modes() {
        let name = |mode, of, host| file_name(mode, &mounts(of), host);
        let own = name("jupyter", "/containers/1/hostname", Some("a"));
        assert_eq!(own, name("jupyter", "/containers/1/hostname", Some("a")));
        let others = [
            name("ide", "/containers/1/hostname", Some("a")),
            name("jupyter", "/containers/2/hostname", Some("a")),
            name("jupyter", "/containers/1/hostname", Some("b")),
        ];
        assert!(!others.contains(&own), "{others:?}");
        assert!(own.bytes().all(|byte| byte.is_ascii_hexdigit()) && !name("../x", "/", None).contains('/'));
    }

    #[test]
    fn the_directory_is_private_and_one_that_others_can_write_or_lead_elsewhere_is_not_used() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().join("state");
        let made = directory(&base).unwrap();
        assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(directory(&base).unwrap(), made);
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(directory(&base).is_err());
        std::fs::remove_dir(&made).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &made).unwrap();
        assert!(directory(&base).is_err());
    }
}
