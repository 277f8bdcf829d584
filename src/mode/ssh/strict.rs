//! Checks that only its owner can change a file of keys, as OpenSSH requires (sshd_config(5), StrictModes).
//!
//! A user who may write the file, or exchange a directory on its path, could log in with a key of their own.
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const GROUP: u32 = 0o020;
const EVERYBODY: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Returns what OpenSSH would object to about a user's file, with what to type.
///
/// OpenSSH objects to a directory that belongs to another user or that others may write. It checks from the file up to the home, or up to
/// the root directory where the file lies elsewhere. Missing files are not checked.
pub(super) fn fault(file: &Path, uid: u32, home: &Path) -> Option<String> {
    let there = file.ancestors().find_map(|path| path.canonicalize().ok())?;
    let home = home.canonicalize().ok();
    for step in there.ancestors() {
        let found = std::fs::symlink_metadata(step).ok()?;
        if let Some(why) = foreign(step, &found, uid).or_else(|| open(step, &found)) {
            return Some(why);
        }
        if home.as_deref() == Some(step) {
            break;
        }
    }
    None
}

fn foreign(step: &Path, found: &Metadata, uid: u32) -> Option<String> {
    let (shown, owner) = (text::quoted(step.as_os_str()), found.uid());
    (owner != 0 && owner != uid).then(|| format!("{shown} belongs to user {owner}: chown {uid} {shown}"))
}

fn open(step: &Path, found: &Metadata) -> Option<String> {
    let (shown, mode) = (text::quoted(step.as_os_str()), found.mode());
    let who = match mode {
        mode if mode & EVERYBODY != 0 => "everybody may write",
        mode if mode & GROUP != 0 => "a group may write",
        _ => return None,
    };
    Some(format!("{who} {shown} (mode {:o}): chmod go-w {shown}", mode & 0o7777))
}

/// Returns why others could have written a file that the configuration names.
///
/// Its owner does not count, because a mounted file is the host's. The permissions do not count on a read-only file system: a volume of
/// Kubernetes grants everything and is read-only.
pub(super) fn fault_of_named(file: &Path) -> Option<String> {
    let file = file.canonicalize().ok()?;
    if statvfs(&file).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY)) {
        return None;
    }
    let found = std::fs::metadata(&file).ok()?;
    let directory = file.parent()?;
    let around = std::fs::metadata(directory).ok()?;
    let exchangeable = around.mode() & STICKY == 0;
    open(&file, &found).or_else(|| open(directory, &around).filter(|_| exchangeable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// Makes a home with a file of keys, all of them closed to others.
    fn home() -> (tempfile::TempDir, [PathBuf; 3]) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap().join("home");
        let file = home.join(".ssh/authorized_keys");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::write(&file, "").unwrap();
        let steps = [home.clone(), home.join(".ssh"), file];
        steps.iter().for_each(|step| set(step, 0o700));
        (dir, steps)
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn own() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn each_step_from_the_file_to_the_home_may_be_written_by_its_owner_alone() {
        let (_dir, steps) = home();
        let [home, _, file] = &steps;
        assert_eq!(fault(file, own(), home), None);
        for step in &steps {
            for (mode, who) in
                [(0o720, "a group may write"), (0o702, "everybody may write"), (0o1777, "everybody may write")]
            {
                set(step, mode);
                let shown = step.display();
                assert_eq!(
                    fault(file, own(), home),
                    Some(format!("{who} {shown} (mode {mode:o}): chmod go-w {shown}"))
                );
            }
            set(step, 0o755);
        }
        // OpenSSH does not check above the home either.
        set(home.parent().unwrap(), 0o777);
        assert_eq!(fault(file, own(), home), None);
        assert!(fault(file, own(), Path::new("/elsewhere")).is_some());
    }

    #[test]
    fn what_is_not_there_yet_is_judged_by_where_it_will_be() {
        let (_dir, [home, ssh, file]) = home();
        fs::remove_file(&file).unwrap();
        fs::remove_dir(&ssh).unwrap();
        assert_eq!(fault(&file, own(), &home), None);
        set(&home, 0o775);
        assert!(fault(&file, own(), &home).unwrap().starts_with("a group may write"));
    }

    #[test]
    fn another_users_file_is_not_believed() {
        let (_dir, [home, _, file]) = home();
        if own() != 0 {
            return println!("SKIPPED: only root can give files away");
        }
        std::os::unix::fs::chown(&file, Some(4321), None).unwrap();
        let shown = file.display();
        assert_eq!(fault(&file, 0, &home), Some(format!("{shown} belongs to user 4321: chown 0 {shown}")));
        assert!(fault(&file, 4321, &home).is_none());
    }

    #[test]
    fn a_file_that_is_named_may_be_anybodys_but_not_everybodys_to_write() {
        let (_dir, [_, ssh, file]) = home();
        assert_eq!(fault_of_named(&file), None);
        set(&file, 0o664);
        assert!(fault_of_named(&file).unwrap().starts_with("a group may write"));
        set(&file, 0o644);
        set(&ssh, 0o1777);
        assert_eq!(fault_of_named(&file), None);
        set(&ssh, 0o777);
        assert!(fault_of_named(&file).unwrap().starts_with("everybody may write"));
    }
}
