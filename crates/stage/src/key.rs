//! The names of objects as paths below a directory: a key that would leave it, or that no file system can hold, is refused. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest name of a file, in bytes (limits.h, NAME_MAX).
const NAME_MAX: usize = 255;

/// The longest path, in bytes; the directory in front of it has to fit as well.
const PATH_MAX: usize = 3000;

/// How trainit's own names in a directory of data begin.
pub(crate) const OWN: &str = ".trainit-";

/// The path of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPath {
    /// A file.
    File(PathBuf),
    /// A directory: an empty object whose key ends with a slash, as consoles make them.
    Directory(PathBuf),
}

/// The reason why a key is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It has `.` or `..` between slashes, or begins with a slash.
    #[error("it leads out of the directory, or round about")]
    Leaves,
    /// It has two slashes in a row.
    #[error("it has an empty name between two slashes")]
    Empty,
    /// It has a byte that no name may have.
    #[error("it has a zero byte")]
    Zero,
    /// A name in it, or the whole, is too long for a file system.
    #[error("a name in it is too long for a file system (255 bytes)")]
    Long,
    /// The name belongs to trainit.
    #[error("trainit's own files have such names")]
    Own,
}

/// Returns the path of a key below the directory.
///
/// # Errors
/// The reason why the key is refused.
pub fn path_of(key: &[u8]) -> Result<KeyPath, BadKey> {
    let (name, is_directory) = key.strip_suffix(b"/").map_or((key, false), |name| (name, true));
    if key.starts_with(b"/") || name.is_empty() {
        return Err(BadKey::Leaves);
    }
    name.split(|byte| *byte == b'/').try_for_each(check)?;
    if name.starts_with(OWN.as_bytes()) {
        return Err(BadKey::Own);
    }
    if name.len() > PATH_MAX {
        return Err(BadKey::Long);
    }
    let path = Path::new(OsStr::from_bytes(name)).to_owned();
    Ok(if is_directory { KeyPath::Directory(path) } else { KeyPath::File(path) })
}

fn check(name: &[u8]) -> Result<(), BadKey> {
    match name {
        b"" => Err(BadKey::Empty),
        b"." | b".." => Err(BadKey::Leaves),
        name if name.contains(&0) => Err(BadKey::Zero),
        name if name.len() > NAME_MAX => Err(BadKey::Long),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    #[test]
    fn what_leaves_the_directory_is_refused() {
        for (key, expected) in [
            ("../x", BadKey::Leaves),
            ("a/../x", BadKey::Leaves),
            ("a/./x", BadKey::Leaves),
            ("/etc/x", BadKey::Leaves),
            ("a//b", BadKey::Empty),
            ("a//", BadKey::Empty),
            ("a\0b", BadKey::Zero),
            ("", BadKey::Leaves),
            ("/", BadKey::Leaves),
            (".trainit-staged", BadKey::Own),
        ] {
            assert_eq!(path_of(key.as_bytes()), Err(expected), "{key}");
        }
        assert_eq!(path_of("é".repeat(128).as_bytes()), Err(BadKey::Long));
        assert_eq!(path_of(b"a/b.jpg"), Ok(KeyPath::File("a/b.jpg".into())));
        assert_eq!(path_of(b"a/b/"), Ok(KeyPath::Directory("a/b".into())));
    }

    proptest! {
        #[test]
        fn an_accepted_key_stays_below_the_directory(key in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..40)) {
            if let Ok(KeyPath::File(path) | KeyPath::Directory(path)) = path_of(&key) {
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(path.components().count() > 0);
            }
        }
    }
}
