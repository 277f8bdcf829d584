//! Names and homes of users: from /etc/passwd and /etc/group, which are read only on demand, or made up for an unknown number.

use super::accounts::{self, GroupEntry, PasswdEntry};
use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::Root;

/// The file of users.
pub(super) const PASSWD: &str = "/etc/passwd";
/// The file of groups.
pub(super) const GROUP: &str = "/etc/group";

/// Both files, each read at most once.
pub(super) struct Accounts<'a> {
    root: &'a Root,
    users: OnceCell<Vec<PasswdEntry>>,
    groups: OnceCell<Vec<GroupEntry>>,
}

/// What is known of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownUser {
    /// The user's name.
    pub name: OsString,
    /// /etc/passwd lists this number under this name.
    pub listed: bool,
    /// Possible homes, the best first.
    pub homes: Vec<PathBuf>,
    /// The user's shell, unless it allows no session.
    pub shell: Option<PathBuf>,
    /// The primary group of /etc/passwd, if the user has another one now.
    pub gid: Option<u32>,
    /// A name for the user's group, if /etc/group has none.
    pub group: Option<OsString>,
}

/// The user that docker-stacks' images come with, which NB_USER renames.
const JOVYAN: &str = "jovyan";

impl<'a> Accounts<'a> {
    /// Returns the files below a root.
    pub(super) fn new(root: &'a Root) -> Self {
        Accounts { root, users: OnceCell::new(), groups: OnceCell::new() }
    }

    fn users(&self) -> &[PasswdEntry] {
        self.users.get_or_init(|| accounts::users(&self.root.read(PASSWD).unwrap_or_default()))
    }

    /// Returns every group.
    pub(super) fn groups(&self) -> &[GroupEntry] {
        self.groups.get_or_init(|| accounts::groups(&self.root.read(GROUP).unwrap_or_default()))
    }

    /// Returns the user with this number.
    pub(super) fn user(&self, uid: u32) -> Option<&PasswdEntry> {
        self.users().iter().find(|user| user.uid == uid)
    }

    /// Returns the user of this name.
    pub(super) fn user_named(&self, name: &str) -> Option<&PasswdEntry> {
        self.users().iter().find(|user| user.name == name)
    }

    /// Returns the group of this name.
    pub(super) fn group_named(&self, name: &str) -> Option<&GroupEntry> {
        self.groups().iter().find(|group| group.name == name)
    }

    /// Returns what is known of a user that stays the same.
    pub(super) fn of(&self, uid: u32, gid: u32) -> KnownUser {
        KnownUser { group: None, ..self.called(uid, gid, None, None) }
    }

    /// Returns what is known of a user that may get another name and a name for its group.
    pub(super) fn called(&self, uid: u32, gid: u32, name: Option<&str>, group: Option<&str>) -> KnownUser {
        let entry = self.user(uid);
        let named = name.and_then(|name| self.user_named(name));
        let listed = entry.is_some_and(|entry| name.is_none_or(|name| entry.name == name));
        let new = name.filter(|_| named.is_none()).map(home_of);
        let renamed = new.as_ref().filter(|_| entry.is_none()).and_then(|_| self.renamed(uid));
        let known = || named.into_iter().chain(entry).chain(renamed);
        let homes = new.into_iter().chain(known().map(|entry| entry.home.clone()));
        let mut shells = known().map(|entry| entry.shell.clone());
        // docker-stacks' user stays in the group of the image's own, whose files it may write.
        let of_image = name.and_then(|_| self.user_named(JOVYAN));
        let own = || entry.map_or_else(|| format!("uid{uid}").into(), |entry| entry.name.clone());
        let has_group = self.groups().iter().any(|group| group.gid == gid);
        // A name that another group has stays that group's, unless it is the user's own group.
        let group = group.filter(|group| self.group_named(group).is_none() || Some(*group) == name);
        KnownUser {
            listed,
            homes: homes.filter(|home| home.is_absolute()).collect(),
            shell: shells.find(|shell| is_shell(shell)),
            gid: known().chain(of_image).map(|entry| entry.gid).find(|first| *first != gid),
            group: (!has_group).then(|| group.map_or_else(|| format!("gid{gid}").into(), OsString::from)),
            name: name.map_or_else(own, OsString::from),
        }
    }
}

impl Accounts<'_> {
    /// Returns the account whose home a user of a new name takes over: the one of its number, else docker-stacks' own.
    fn renamed(&self, uid: u32) -> Option<&PasswdEntry> {
        self.user(uid).or_else(|| self.user_named(JOVYAN))
    }

    /// Returns the home that a new name leads to, and the one it is to be found at; `None` unless both are in /home.
    pub(super) fn moved_home(&self, uid: u32, name: &str) -> Option<(PathBuf, PathBuf)> {
        let old = match name {
            "root" => self.user_named(JOVYAN),
            name => self.renamed(uid).filter(|_| self.user_named(name).is_none()),
        };
        let (old, new) = (old?.home.clone(), home_of(name));
        (old.starts_with("/home") && old != new).then_some((old, new))
    }
}

fn home_of(name: &str) -> PathBuf {
    Path::new("/home").join(name)
}

/// Returns whether a shell allows a session: `nologin`, `false` and an empty path do not.
fn is_shell(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], OsStr::as_bytes);
    path.is_absolute() && ![&b"nologin"[..], b"false", b"sync", b"true"].contains(&name)
}
