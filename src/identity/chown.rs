//! Gives directories to the new user, as docker-stacks' CHOWN_HOME and CHOWN_EXTRA ask for it.
//!
//! Only named directories change, and with `-R` the entries below them on the same mount, within limits of number and time. Links are
//! never followed, neither on the way to the directory nor below it, because others may have made them.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{Gid, Uid, fchownat};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::stat;

/// Most entries that are looked at.
const ENTRIES: u32 = 200_000;
/// Time limit of the walk.
const TIME: Duration = Duration::from_secs(60);
/// Deepest nesting, because each level holds a descriptor.
const DEPTH: u32 = 100;

/// A directory to give to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chown {
    /// The directory's path.
    pub path: PathBuf,
    /// The entries below it change, too.
    pub recursive: bool,
}

/// Options of chown(1) that change nothing here.
const HARMLESS: [&str; 8] = ["-v", "-c", "-f", "-h", "--verbose", "--changes", "--quiet", "--no-dereference"];

/// Returns whether a variable of docker-stacks says yes.
pub(super) fn is_yes(text: &str) -> bool {
    matches!(text, "1" | "yes" | "true")
}

/// Returns a line for each variable with options that are not read.
pub(super) fn unread_options(environment: &Environment) -> impl Iterator<Item = String> {
    ["CHOWN_HOME_OPTS", "CHOWN_EXTRA_OPTS"].into_iter().filter_map(|name| {
        let known = |word: &str| has_recursive(word) || HARMLESS.contains(&word);
        let unread = environment.text(name)?.split_whitespace().find(|word| !known(word))?;
        Some(format!("{name}: `{}` is not read, -R alone is", text::line(unread)))
    })
}

/// Returns the directories that the variables ask for.
pub(super) fn wanted(environment: &Environment, home: impl FnOnce() -> Option<PathBuf>) -> Vec<Chown> {
    let yes = |name| environment.text(name).is_some_and(is_yes);
    let recursive = |name| environment.text(name).is_some_and(has_recursive);
    let home = if yes("CHOWN_HOME") { home() } else { None };
    let of_home = home.map(|path| (path, recursive("CHOWN_HOME_OPTS")));
    let of_home = of_home.map(|(path, recursive)| Chown { path, recursive });
    of_home.into_iter().chain(extra(environment)).collect()
}

/// Returns the directories of CHOWN_EXTRA, which an explicit user gets as well.
pub(super) fn extra(environment: &Environment) -> Vec<Chown> {
    let recursive = environment.text("CHOWN_EXTRA_OPTS").is_some_and(has_recursive);
    let paths = environment.text("CHOWN_EXTRA").unwrap_or_default().split(',').map(str::trim);
    paths.filter(|path| path.starts_with('/')).map(|path| Chown { path: path.into(), recursive }).collect()
}

/// Returns whether options contain `-R`, alone or among other letters, or its long form.
fn has_recursive(options: &str) -> bool {
    let is =
        |word: &str| word == "--recursive" || !word.starts_with("--") && word.starts_with('-') && word.contains('R');
    options.split_whitespace().any(is)
}

/// A walk with its limits.
struct ChownWalk {
    user: Uid,
    group: Gid,
    device: libc::dev_t,
    left: u32,
    until: Instant,
    failure: Option<String>,
    /// The first mount below, which keeps its owners.
    mount: Option<OsString>,
    /// The kernel lets users make hard links to files of others (fs.protected_hardlinks=0).
    open_links: bool,
}

impl Chown {
    /// Changes the owner; returns what could not be changed.
    pub fn carry_out(&self, uid: u32, gid: u32) -> Option<String> {
        self.within(uid, gid, ENTRIES, TIME)
    }

    fn within(&self, uid: u32, gid: u32, entries: u32, time: Duration) -> Option<String> {
        let mut walk = ChownWalk {
            user: Uid::from_raw(uid),
            group: Gid::from_raw(gid),
            device: 0,
            left: entries,
            until: Instant::now() + time,
            failure: None,
            mount: None,
            open_links: std::fs::read("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.starts_with(b"0")),
        };
        let begun = walk.begin(self);
        let mount =
            walk.mount.map(|name| format!("{} below it is a mount; name it, too, if it is meant", text::os(&name)));
        let why = begun.err().map(words).or(walk.failure).or(mount)?;
        Some(format!("{} was not given to {uid}:{gid} in whole: {why}", text::path(&self.path)))
    }
}

/// Describes an error: root may change owners, unless it is mapped to nobody or lacks the capability.
fn words(errno: Errno) -> String {
    match errno {
        Errno::ELOOP => "its path holds a link; name the directory that the link leads to".to_owned(),
        Errno::EPERM => "not permitted here, as on NFS with root_squash, or without the capability CHOWN".to_owned(),
        errno => protocol::errno::words(errno).to_owned(),
    }
}

impl ChownWalk {
    fn begin(&mut self, what: &Chown) -> Result<(), Errno> {
        let (parent, name) = open_parent(&what.path)?;
        let found = fstatat(&parent, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if is(&found, SFlag::S_IFLNK) {
            return Err(Errno::ELOOP);
        }
        self.device = found.st_dev;
        self.give(parent.as_fd(), &name, &found)?;
        let below = what.recursive && is(&found, SFlag::S_IFDIR);
        if below { self.below(parent.as_fd(), &name, DEPTH) } else { Ok(()) }
    }

    fn give(&self, directory: BorrowedFd<'_>, name: &OsStr, found: &FileStat) -> Result<(), Errno> {
        if (found.st_uid, found.st_gid) == (self.user.as_raw(), self.group.as_raw()) {
            return Ok(());
        }
        fchownat(directory, name, Some(self.user), Some(self.group), AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    /// Handles all entries of a directory. Each level is opened from its parent, so that an entry that becomes a link is not followed.
    fn below(&mut self, parent: BorrowedFd<'_>, name: &OsStr, depth: u32) -> Result<(), Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(parent, name, flags, Mode::empty())?;
        let listed = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
        let entries =
            std::fs::read_dir(listed).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        for name in entries.flatten().map(|entry| entry.file_name()) {
            if !self.one(directory.as_fd(), &name, depth) {
                break;
            }
        }
        Ok(())
    }

    /// Handles one entry; returns false when a limit is reached.
    fn one(&mut self, directory: BorrowedFd<'_>, name: &OsString, depth: u32) -> bool {
        if self.left == 0 || Instant::now() >= self.until || depth == 0 {
            self.failure = Some("there is too much below it; chown it on the host, once".to_owned());
            return false;
        }
        self.left -= 1;
        // The entry is gone.
        let Ok(found) = fstatat(directory, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else { return true };
        if found.st_dev != self.device || stat::is_mount_root(directory, name) == Some(true) {
            self.mount.get_or_insert_with(|| name.clone());
            return true;
        }
        let is_directory = is(&found, SFlag::S_IFDIR);
        if self.open_links && !is_directory && found.st_nlink > 1 && found.st_uid == 0 {
            self.failure.get_or_insert_with(|| format!("{} is root's and has other names, too", text::os(name)));
            return true;
        }
        let given = self.give(directory, name, &found);
        let below = if is_directory { self.below(directory, name, depth - 1) } else { Ok(()) };
        if let Err(errno) = given.and(below) {
            self.failure.get_or_insert_with(|| words(errno));
        }
        true
    }
}

fn is(found: &FileStat, kind: SFlag) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

/// Opens the directory above a path, without a link on the way; returns it with the last name.
fn open_parent(path: &Path) -> Result<(OwnedFd, OsString), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut names: Vec<&OsStr> = path.iter().skip(1).collect();
    let last = names.pop().unwrap_or(OsStr::new("."));
    let mut directory = nix::fcntl::open("/", flags, Mode::empty())?;
    for name in names {
        directory = openat(&directory, name, flags, Mode::empty()).map_err(|errno| {
            let found = fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
            if found.is_ok_and(|found| is(&found, SFlag::S_IFLNK)) { Errno::ELOOP } else { errno }
        })?;
    }
    Ok((directory, last.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn asked(variables: &[(&str, &str)]) -> Vec<Chown> {
        wanted(&variables.iter().copied().collect(), || Some("/home/jovyan".into()))
    }

    #[test]
    fn only_what_is_named_is_given_and_only_with_the_option_what_is_below() {
        assert_eq!(asked(&[("CHOWN_HOME_OPTS", "-R"), ("CHOWN_EXTRA_OPTS", "-R")]), []);
        let all =
            asked(&[("CHOWN_HOME", "yes"), ("CHOWN_EXTRA", "/work, /opt/conda,relative"), ("CHOWN_EXTRA_OPTS", "-vR")]);
        let told: Vec<_> = all.iter().map(|one| (one.path.to_str().unwrap(), one.recursive)).collect();
        assert_eq!(told, [("/home/jovyan", false), ("/work", true), ("/opt/conda", true)]);
        assert!(!has_recursive("--reference=/R") && has_recursive("--recursive"));
    }

    /// Makes a directory with a file, a link to the outside, and a file in a directory below.
    fn tree() -> (tempfile::TempDir, Chown) {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("home");
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/file"), "").unwrap();
        std::fs::write(outer.path().join("outside"), "").unwrap();
        symlink(outer.path(), path.join("link")).unwrap();
        (outer, Chown { path, recursive: true })
    }

    #[test]
    fn a_tree_is_given_without_what_its_links_lead_to() {
        if !nix::unistd::geteuid().is_root() {
            return println!("SKIPPED: only root can give files away");
        }
        let (outer, chown) = tree();
        assert_eq!(chown.carry_out(12345, 54321), None);
        let owner = |path: &str| {
            let found = std::fs::symlink_metadata(outer.path().join(path)).unwrap();
            (found.uid(), found.gid())
        };
        assert_eq!(["home", "home/a/b/file", "home/link"].map(owner), [(12345, 54321); 3]);
        assert_eq!(["outside", "."].map(owner), [(0, 0); 2]);
    }

    #[test]
    fn no_link_is_followed_on_the_way_to_a_directory() {
        let (outer, _) = tree();
        let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        for path in ["home/link", "home/link/home"] {
            let chown = Chown { path: outer.path().join(path), recursive: true };
            let told = chown.carry_out(own.0, own.1).unwrap();
            assert!(told.contains("its path holds a link"), "{told}");
        }
        let file = Chown { path: outer.path().join("home/a/b/file"), recursive: true };
        assert_eq!(file.carry_out(own.0, own.1), None);
    }

    #[test]
    fn options_that_are_not_read_are_named() {
        let told =
            |options: &str| unread_options(&[("CHOWN_HOME_OPTS", options)].into_iter().collect()).collect::<Vec<_>>();
        assert_eq!(told("-R -v --recursive -fR"), Vec::<String>::new());
        assert_eq!(told("-R --from=0:0"), ["CHOWN_HOME_OPTS: `--from=0:0` is not read, -R alone is"]);
    }

    #[test]
    fn a_walk_ends_at_its_limits_and_says_so() {
        let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let (_outer, chown) = tree();
        let told = chown.within(own.0, own.1, 2, TIME).unwrap();
        assert!(told.contains("too much below it"), "{told}");
        assert!(chown.within(own.0, own.1, ENTRIES, Duration::ZERO).is_some());
        let absent = Chown { path: "/no/such".into(), recursive: false };
        assert!(absent.carry_out(own.0, own.1).unwrap().contains("No such file"));
    }
}
