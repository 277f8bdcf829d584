//! The mount table of this process: /proc/self/mountinfo (proc_pid_mountinfo(5)). Reading the table never asks a file system.
//! Fields are split at single spaces, since a source may be empty. Names are bytes, in which `\040` and its like are decoded.

use super::Root;
use super::filesystem::FilesystemClass;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// How long a file system of this machine may take to answer.
pub const LOCAL: Duration = Duration::from_secs(5);
/// How long a file system of another machine may take to answer.
const NETWORK: Duration = Duration::from_secs(15);

/// One mount. A table may have thousands of rows, so all fields of a row share one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The id that statx(2) gives for a path on this mount.
    pub id: u64,
    class: Option<FilesystemClass>,
    /// All fields, one behind the other.
    text: Box<[u8]>,
    /// Where each field ends.
    ends: [u32; FIELDS],
}

/// How many fields are kept, in the order in which they stand in a row.
const FIELDS: usize = 6;

/// The table of this process, read when it is first used. Many starts never use it, and reading costs much time because the kernel
/// writes the table anew for each reader. Copies share the rows that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounts {
    root: Root,
    rows: Rc<OnceCell<Vec<Mount>>>,
}

impl Mounts {
    /// Makes a table that is not read yet.
    pub fn of(root: &Root) -> Self {
        Mounts { root: root.clone(), rows: Rc::default() }
    }

    /// Tells whether the table has been read.
    pub fn is_read(&self) -> bool {
        self.rows.get().is_some()
    }
}

impl Default for Mounts {
    /// Makes an empty table.
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<Mount>> for Mounts {
    fn from(rows: Vec<Mount>) -> Self {
        Mounts { root: Root::real(), rows: Rc::new(OnceCell::from(rows)) }
    }
}

impl Deref for Mounts {
    type Target = [Mount];
    fn deref(&self) -> &[Mount] {
        self.rows.get_or_init(|| parse(&self.root.read("/proc/self/mountinfo").unwrap_or_default()))
    }
}

/// Parses every row that can be understood, in the order of the table.
pub fn parse(table: &[u8]) -> Vec<Mount> {
    let mut mounts = Vec::with_capacity(table.iter().filter(|byte| **byte == b'\n').count());
    mounts.extend(table.split(|byte| *byte == b'\n').filter_map(row));
    mounts
}

fn row(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let (_parent, _device) = (number(fields.next()?)?, fields.next()?);
    let (root, point, options) = (fields.next()?, fields.next()?, fields.next()?);
    // No, one or more optional fields stand here, ended by a lone hyphen.
    fields.find(|field| *field == b"-")?;
    let (kind, source, super_options) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
    let fields = [root, point, options, kind, source, super_options];
    let (text, ends) = joined(fields)?;
    let mut mount = Mount { id, class: None, text, ends };
    mount.class = FilesystemClass::named(mount.kind(), mount.source());
    Some(mount)
}

/// Joins the fields, decoded, into one allocation, and returns where each field ends.
fn joined(fields: [&[u8]; FIELDS]) -> Option<(Box<[u8]>, [u32; FIELDS])> {
    let mut text = Vec::with_capacity(fields.iter().map(|field| field.len()).sum());
    let mut ends = [0; FIELDS];
    for (field, end) in fields.into_iter().zip(&mut ends) {
        unescape(field, &mut text);
        *end = u32::try_from(text.len()).ok()?;
    }
    Some((text.into_boxed_slice(), ends))
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Decodes `\ooo`, the kernel's way to write blanks, newlines and backslashes.
fn unescape(field: &[u8], plain: &mut Vec<u8>) {
    if !field.contains(&b'\\') {
        return plain.extend_from_slice(field);
    }
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'\\' { after.split_first_chunk::<3>() } else { None };
        match escaped.and_then(|(digits, after)| Some((octal(*digits)?, after))) {
            Some((value, after)) => {
                plain.push(value);
                rest = after;
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let value = digits.iter().try_fold(0u16, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u16::from(digit - b'0')),
        _ => None,
    })?;
    u8::try_from(value).ok()
}

/// Finds the mount with this id.
pub fn with_id(table: &[Mount], id: u64) -> Option<&Mount> {
    table.iter().find(|mount| mount.id == id)
}

/// Finds the mount that a path seems to lie on, by its name alone. The search touches no file system, and is wrong behind symbolic
/// links. Of mounts over each other the last one is visible.
pub fn covering<'a>(table: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    // `components` drops doubled slashes and dots, which the kernel never writes.
    let plain: PathBuf = path.components().collect();
    let covers = |mount: &&Mount| is_below(plain.as_os_str().as_bytes(), mount.point());
    table.iter().filter(covers).max_by_key(|mount| mount.point().len())
}

/// Tells whether a path seems to lie on an automount. A container does not see what autofs mounts on the host: the kernel answers
/// ELOOP.
pub fn is_automount(table: &[Mount], path: &Path) -> bool {
    covering(table, path).is_some_and(|mount| mount.kind() == b"autofs")
}

/// Tells whether a path is this directory, or something in it.
pub fn is_below(path: &[u8], directory: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(directory) else { return false };
    rest.is_empty() || rest.starts_with(b"/") || directory == b"/"
}

impl Mount {
    fn field<const N: usize>(&self) -> &[u8] {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let begin = N.checked_sub(1).map_or(0, end);
        self.text.get(begin..end(N)).unwrap_or_default()
    }

    /// Returns the visible part of the file system: `/`, a directory, or one file; a `//deleted` at the end is kept.
    pub fn root(&self) -> &[u8] {
        self.field::<0>()
    }

    /// Returns where the mount is.
    pub fn point(&self) -> &[u8] {
        self.field::<1>()
    }

    /// Returns the options of this mount: `ro`, `noexec` …
    fn options(&self) -> &[u8] {
        self.field::<2>()
    }

    /// Returns the type with its subtype: `ext4`, `fuse.gcsfuse`.
    pub fn kind(&self) -> &[u8] {
        self.field::<3>()
    }

    /// Returns the source: a device, `server:/export`, or any other text; it may be empty.
    pub fn source(&self) -> &[u8] {
        self.field::<4>()
    }

    /// Returns the options of the file system: `rw`, `size=64k` …
    pub fn super_options(&self) -> &[u8] {
        self.field::<5>()
    }

    /// Returns where the mount is, as a path.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.point()))
    }

    /// Tells whether nothing can be written through this mount.
    pub fn is_read_only(&self) -> bool {
        has_option(self.options(), b"ro") || self.has_read_only_file_system()
    }

    /// Tells whether the file system itself, and not only this mount of it, permits no writing.
    pub fn has_read_only_file_system(&self) -> bool {
        has_option(self.super_options(), b"ro")
    }

    /// Tells whether programs and libraries on this mount cannot be run.
    pub fn is_noexec(&self) -> bool {
        has_option(self.options(), b"noexec") || has_option(self.super_options(), b"noexec")
    }

    /// Returns the class of the file system; `None` where its type is unknown.
    pub fn class(&self) -> Option<FilesystemClass> {
        self.class
    }

    /// Tells whether this mount is the layered root of a container's image.
    pub fn is_image(&self) -> bool {
        self.class() == Some(FilesystemClass::Image)
    }

    /// Returns how long an answer of the file system may take.
    pub fn patience(&self) -> Duration {
        if self.is_far() { NETWORK } else { LOCAL }
    }

    /// Tells whether an answer depends on more than this machine.
    pub fn is_far(&self) -> bool {
        self.class().is_some_and(FilesystemClass::is_far)
    }

    /// Returns whether a FUSE daemon answers for the mount.
    pub fn is_fuse(&self) -> bool {
        self.kind() == b"fuse" || self.kind().starts_with(b"fuse.")
    }

    /// Returns the user that a FUSE mount is for, where it is for that user alone: without `allow_other` (mount.fuse(8)).
    pub fn private_to(&self) -> Option<u32> {
        let options = self.super_options();
        if !self.is_fuse() || has_option(options, b"allow_other") {
            return None;
        }
        let user = options.split(|byte| *byte == b',').find_map(|option| option.strip_prefix(b"user_id="))?;
        std::str::from_utf8(user).ok()?.parse().ok()
    }

    /// Returns whether users prove who they are with Kerberos (nfs(5), mount.cifs(8): `sec=krb5…`).
    pub fn is_kerberized(&self) -> bool {
        self.super_options().split(|byte| *byte == b',').any(|option| option.starts_with(b"sec=krb5"))
    }
}

fn has_option(options: &[u8], name: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &[u8] = b"\
        27 1 254:0 / / rw,relatime - overlay ov\\040erlay rw,lowerdir=/a:/b\n\
        60 27 0:50 / /data ro,nosuid master:2 propagate_from:3 - nfs4 nas:/ds rw,vers=4.2\n\
        61 27 0:51 /x //y - broken\n\
        62 27 0:52 / /empty\\040source rw - tmpfs  ro,noexec,size=4k\n\
        63 60 0:53 /sub\\012dir//deleted /data/over rw shared:1 - fuse.gcsfuse bucket rw\n\
        64 27 0:54 / /data/over rw - ext4 /dev/sda1 rw\n";

    #[test]
    fn rows_with_empty_sources_and_optional_fields_are_understood() {
        let table = parse(TABLE);
        assert_eq!(table.iter().map(|mount| mount.id).collect::<Vec<_>>(), [27, 60, 62, 63, 64]);
        let mount = with_id(&table, 62).unwrap();
        assert_eq!((mount.point(), mount.source()), (&b"/empty source"[..], &b""[..]));
        assert!(mount.is_read_only() && mount.class() == Some(FilesystemClass::Memory));
        assert_eq!(table[0].source(), b"ov erlay");
        assert_eq!(table[3].root(), b"/sub\ndir//deleted");
    }

    #[test]
    fn the_longest_and_last_mount_covers_a_path() {
        let table = parse(TABLE);
        let id = |path: &str| covering(&table, Path::new(path)).unwrap().id;
        assert_eq!([id("/data/over/x"), id("/data/overt"), id("/database"), id("/")], [64, 60, 27, 27]);
    }

    #[test]
    fn what_a_mount_permits_and_how_far_it_is_stand_in_its_row() {
        let table = parse(TABLE);
        let far = |id| with_id(&table, id).unwrap().is_far();
        assert_eq!([far(27), far(60), far(62), far(63), far(64)], [false, true, false, true, false]);
        assert!(with_id(&table, 27).unwrap().is_image() && with_id(&table, 62).unwrap().is_noexec());
    }

    #[test]
    fn a_fuse_mount_without_allow_other_is_its_users_alone() {
        let table = parse(
            b"1 0 0:1 / /a rw - fuse mountpoint-s3 rw,user_id=7,group_id=0\n\
            2 0 0:2 / /b rw - fuse.sshfs h:/ rw,user_id=7,group_id=0,allow_other\n\
            3 0 0:3 / /c rw - fuseblk /dev/sdb rw,user_id=0\n\
            4 0 0:4 / /d rw - nfs4 s:/ rw,vers=4.2,sec=krb5p\n",
        );
        assert_eq!(table.iter().map(Mount::private_to).collect::<Vec<_>>(), [Some(7), None, None, None]);
        assert_eq!(table.iter().map(Mount::is_kerberized).collect::<Vec<_>>(), [false, false, false, true]);
    }

    fn escaped(name: &[u8]) -> Vec<u8> {
        let octal = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            byte => vec![*byte],
        };
        name.iter().flat_map(octal).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(table in proptest::collection::vec(any::<u8>(), 0..400)) {
            parse(&table);
        }

        #[test]
        fn what_the_kernel_writes_is_read_back(
            point in proptest::collection::vec(1u8.., 1..60),
            source in proptest::collection::vec(1u8.., 0..20),
            optional in "( (shared|master):[0-9]{1,3}){0,3}",
        ) {
            let head = [b"9 1 0:1 / ".as_slice(), &escaped(&point), b" rw", optional.as_bytes(), b" - t "].concat();
            let line = [&head, &escaped(&source)[..], b" rw"].concat();
            let table = parse(&line);
            prop_assert_eq!(table.len(), 1);
            prop_assert_eq!((table[0].point(), table[0].source()), (&point[..], &source[..]));
        }
    }
}
