//! Reads /etc/passwd and /etc/group (passwd(5), group(5)), and adds a line. Bytes in, bytes out; all other lines stay as they are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A line of /etc/passwd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswdEntry {
    /// The user's name.
    pub name: OsString,
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    /// The home directory, which may be empty.
    pub home: PathBuf,
    /// The shell, which may be empty.
    pub shell: PathBuf,
}

/// A line of /etc/group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// The group's name.
    pub name: OsString,
    /// The group's number.
    pub gid: u32,
    /// The names of the members, without users whose primary group it is.
    pub members: Vec<OsString>,
}

/// Returns every user in the order of the file; of equal names or numbers the first one counts.
pub fn users(file: &[u8]) -> Vec<PasswdEntry> {
    rows(file).filter_map(|row| user(&row)).collect()
}

/// Returns every group in the order of the file.
pub fn groups(file: &[u8]) -> Vec<GroupEntry> {
    rows(file).filter_map(|row| group(&row)).collect()
}

/// Splits lines into fields; lines that begin with `+` or `-` belong to a directory service and are left out.
fn rows(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = file.split(|byte| *byte == b'\n');
    let told = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"+"));
    told.filter(|line| !line.starts_with(b"-")).map(|line| line.split(|byte| *byte == b':').collect())
}

fn user(row: &[&[u8]]) -> Option<PasswdEntry> {
    let (name, uid, gid) = (*row.first()?, number(row.get(2)?)?, number(row.get(3)?)?);
    let path = |field: usize| row.get(field).map_or_else(PathBuf::new, |bytes| PathBuf::from(os(bytes)));
    (!name.is_empty()).then(|| PasswdEntry { name: os(name), uid, gid, home: path(5), shell: path(6) })
}

fn group(row: &[&[u8]]) -> Option<GroupEntry> {
    let (name, gid) = (*row.first()?, number(row.get(2)?)?);
    let members = row.get(3).copied().unwrap_or_default().split(|byte| *byte == b',');
    let members = members.filter(|name| !name.is_empty()).map(os).collect();
    (!name.is_empty()).then(|| GroupEntry { name: os(name), gid, members })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// The change that adds a line to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Append these bytes.
    Append(Vec<u8>),
    /// Replace the file, because the line must come before conflicting ones.
    Replace(Vec<u8>),
}

/// Returns the change after which a line's name and number have priority over those of the file.
///
/// An older line of the same name is removed. One of the same number stays after the new line, so that no name gets lost.
pub fn with_line(file: &[u8], line: &[u8]) -> Edit {
    let (name, id) = key(line);
    let lines = || file.split_inclusive(|byte| *byte == b'\n');
    if lines().map(key).any(|other| other.0 == name || other.1.is_some() && other.1 == id) {
        let kept = lines().filter(|other| key(other).0 != name).flatten().copied();
        return Edit::Replace([line, b"\n"].concat().into_iter().chain(kept).collect());
    }
    let end: &[u8] = if file.is_empty() || file.ends_with(b"\n") { b"" } else { b"\n" };
    Edit::Append([end, line, b"\n"].concat())
}

/// Returns where an older line of the name of `line` begins, and a name of the same length for it: the name read backwards, as
/// docker-stacks does it. `None` if there is no such line, or if that name is taken.
///
/// This serves a file that can be written in a directory that cannot: one write of these bytes keeps all other lines whole.
pub fn new_name_for_older(file: &[u8], line: &[u8]) -> Option<(usize, Vec<u8>)> {
    let (name, _) = key(line);
    let lines = || file.split_inclusive(|byte| *byte == b'\n');
    let before = lines().position(|other| key(other).0 == name)?;
    let other: Vec<u8> = name.iter().rev().copied().collect();
    let is_free = other.is_ascii() && lines().all(|line| key(line).0 != other);
    is_free.then(|| (lines().take(before).map(<[u8]>::len).sum(), other))
}

/// Returns the file with another home for a user of this name; `None` if that changes nothing.
pub fn with_home(file: &[u8], name: &[u8], home: &[u8]) -> Option<Vec<u8>> {
    let changed = |line: &[u8]| {
        let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let is_its = fields.len() == 7 && fields[0] == name;
        if is_its {
            fields[5] = home;
        }
        fields.join(&b':')
    };
    let new: Vec<u8> = file.split_inclusive(|byte| *byte == b'\n').flat_map(changed).collect();
    (new != file).then_some(new)
}

/// Returns the name and the number by which lines of both files are looked up.
fn key(line: &[u8]) -> (&[u8], Option<u32>) {
    let mut fields = line.trim_ascii_end().split(|byte| *byte == b':');
    (fields.next().unwrap_or_default(), fields.nth(1).and_then(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n# a remark\n+nis::::::\n\nshort:x:7\n\
        jovyan:x:1000:100::/home/jovyan:/bin/bash\n:x:5:5::/:\nsecond:x:1000:1000::/home/second:/bin/sh\n";

    #[test]
    fn users_are_read_and_what_is_none_is_passed_over() {
        let users = users(PASSWD);
        assert_eq!(users.iter().map(|user| user.uid).collect::<Vec<_>>(), [0, 1000, 1000]);
        let jovyan = &users[1];
        assert_eq!((jovyan.name.to_str(), jovyan.gid), (Some("jovyan"), 100));
        assert_eq!((jovyan.home.to_str(), jovyan.shell.to_str()), (Some("/home/jovyan"), Some("/bin/bash")));
    }

    #[test]
    fn groups_are_read_with_their_members() {
        let groups = groups(b"root:x:0:\nvideo:x:44:alice,bob\nbroken:x\nlate:x:7");
        let told: Vec<_> = groups.iter().map(|group| (group.gid, group.members.len())).collect();
        assert_eq!(told, [(0, 0), (44, 2), (7, 0)]);
    }

    #[test]
    fn a_new_line_is_appended_and_never_glued_to_the_last_one() {
        let line = b"uid7:x:7:7::/:";
        assert_eq!(with_line(b"a:x:1:1::/:\n", line), Edit::Append(b"uid7:x:7:7::/:\n".into()));
        assert_eq!(with_line(b"a:x:1:1::/:", line), Edit::Append(b"\nuid7:x:7:7::/:\n".into()));
        assert_eq!(with_line(b"", line), Edit::Append(b"uid7:x:7:7::/:\n".into()));
    }

    #[test]
    fn a_line_that_renames_comes_first_and_loses_no_other_name() {
        let Edit::Replace(file) = with_line(PASSWD, b"alice:x:1000:100::/home/jovyan:/bin/bash") else { panic!() };
        let users = users(&file);
        let named: Vec<_> = users.iter().map(|user| user.name.to_str().unwrap()).collect();
        assert_eq!(named, ["alice", "root", "jovyan", "second"]);
        let Edit::Replace(file) = with_line(PASSWD, b"jovyan:x:1234:100::/home/jovyan:/bin/bash") else { panic!() };
        let numbers: Vec<_> = super::users(&file).iter().map(|user| user.uid).collect();
        assert_eq!(numbers, [1234, 0, 1000]);
    }

    #[test]
    fn an_older_line_of_the_name_can_be_renamed_where_it_stands() {
        let new = |line: &str| new_name_for_older(PASSWD, line.as_bytes());
        let (at, name) = new("jovyan:x:1010:0::/home/jovyan:/bin/bash").unwrap();
        assert_eq!((&PASSWD[at..at + 6], name.as_slice()), (&b"jovyan"[..], &b"nayvoj"[..]));
        assert_eq!(new("kitten:x:1010:0::/:"), None);
        assert_eq!(new_name_for_older(b"abba:x:7:7::/:\n", b"abba:x:8:8::/:"), None);
        assert_eq!(new_name_for_older(b"ab:x:7:7::/:\nba:x:9:9::/:\n", b"ab:x:8:8::/:"), None);
    }

    #[test]
    fn a_home_is_changed_in_its_users_line_alone() {
        let new = with_home(PASSWD, b"root", b"/home/root").unwrap();
        assert!(new.starts_with(b"root:x:0:0:root:/home/root:/bin/bash\n# a remark\n"));
        assert_eq!(with_home(&new, b"root", b"/home/root"), None);
        assert_eq!(with_home(b"root:x:0:0\n", b"root", b"/home/root"), None);
    }

    proptest! {
        #[test]
        fn an_edited_file_has_the_line_and_all_other_users(file: Vec<u8>, uid in 1u32..70000) {
            let line = format!("me:x:{uid}:5::/home/me:/bin/sh");
            let edited = match with_line(&file, line.as_bytes()) {
                Edit::Append(more) => [file.clone(), more].concat(),
                Edit::Replace(whole) => whole,
            };
            let (before, after) = (users(&file), users(&edited));
            prop_assert_eq!(after.iter().find(|user| user.uid == uid).unwrap().name.to_str(), Some("me"));
            for user in before.iter().filter(|user| user.name != "me") {
                prop_assert!(after.contains(user));
            }
            prop_assert!(groups(&edited).len() >= groups(&file).len().min(1));
        }
    }
}
