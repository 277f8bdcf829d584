//! Parses git's own small files, as far as they give the commit (gitrepository-layout(5)).
//!
//! Bytes in, no side effects. Unknown content counts as missing.

use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The content of `HEAD`, or of the file of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadReference {
    /// A commit.
    Commit(String),
    /// A reference by its full name, `refs/heads/main`.
    Reference(Vec<u8>),
    /// References are in tables (`git init --ref-format=reftable`), and `HEAD` is only a placeholder.
    Reftable,
}

/// git's placeholder in `HEAD` for references in tables.
const ELSEWHERE: &[u8] = b"refs/heads/.invalid";

/// Parses `HEAD`, or the file of a reference.
pub fn head(text: &[u8]) -> Option<HeadReference> {
    let text = text.trim_ascii();
    match text.strip_prefix(b"ref:").map(<[u8]>::trim_ascii) {
        Some(ELSEWHERE) => Some(HeadReference::Reftable),
        Some(name) => is_name(name).then(|| HeadReference::Reference(name.to_vec())),
        None => commit(text).map(HeadReference::Commit),
    }
}

/// Parses a commit's name: 40 hexadecimal digits (SHA-1) or 64 (SHA-256).
pub fn commit(text: &[u8]) -> Option<String> {
    let fits = matches!(text.len(), 40 | 64) && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| String::from_utf8_lossy(text).into_owned())
}

/// Returns whether a reference's name may become a path: below `refs/`, and never out of it.
fn is_name(name: &[u8]) -> bool {
    let part = |part: &[u8]| !part.is_empty() && !part.starts_with(b".");
    name.starts_with(b"refs/") && !name.iter().any(u8::is_ascii_control) && name.split(|byte| *byte == b'/').all(part)
}

/// Returns the path that a `.git` file points to, in worktrees and submodules.
pub fn link(text: &[u8]) -> Option<&Path> {
    path(text.strip_prefix(b"gitdir:")?.trim_ascii_start())
}

/// Parses a file that holds only a path (`commondir`).
pub fn path(text: &[u8]) -> Option<&Path> {
    let text = text.trim_ascii_end();
    (!text.is_empty() && !text.contains(&0)).then(|| Path::new(OsStr::from_bytes(text)))
}

/// Finds the commit of a reference in `packed-refs`: one `COMMIT NAME` per line, between comments and peeled tags.
pub fn packed(mut file: impl BufRead, name: &[u8]) -> Option<String> {
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line).ok()? > 0 {
        let hex = line.trim_ascii_end().strip_suffix(name).and_then(|rest| rest.strip_suffix(b" "));
        if let Some(commit) = hex.and_then(commit) {
            return Some(commit);
        }
        line.clear();
    }
    None
}

/// Returns the commit in the name of a directory that git-sync published: the hash alone, or `rev-` and the hash before version 4.
pub fn published(name: &[u8]) -> Option<String> {
    commit(name.strip_prefix(b"rev-").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn head_is_a_commit_a_reference_or_says_that_tables_are_used() {
        assert_eq!(head(format!("{ONE}\n").as_bytes()), Some(HeadReference::Commit(ONE.into())));
        assert_eq!(head(b"ref: refs/heads/a/b\n"), Some(HeadReference::Reference(b"refs/heads/a/b".to_vec())));
        assert_eq!(head(b"ref: refs/heads/.invalid\n"), Some(HeadReference::Reftable));
        assert_eq!(head("ab".repeat(32).as_bytes()), Some(HeadReference::Commit("ab".repeat(32))));
        for odd in
            ["", "ref:", "ref: HEAD", "ref: refs/../../etc/passwd", "ref: refs//x", "ref: refs/a\nb", "0123", "g"]
        {
            assert_eq!(head(odd.as_bytes()), None, "{odd:?}");
        }
    }

    #[test]
    fn packed_references_are_found_between_comments_and_peeled_tags() {
        let other = "f".repeat(40);
        let file = format!(
            "# pack-refs with: peeled fully-peeled sorted \n{other} refs/heads/m\n{ONE} refs/heads/main\n^{other}\n{other} refs/tags/main\n"
        );
        assert_eq!(packed(file.as_bytes(), b"refs/heads/main").as_deref(), Some(ONE));
        assert_eq!(packed(file.as_bytes(), b"refs/heads/mai"), None);
        assert_eq!(packed(&b""[..], b"refs/heads/main"), None);
    }

    #[test]
    fn links_keep_their_odd_names() {
        assert_eq!(link(b"gitdir: /a b/.git/worktrees/x\n"), Some(Path::new("/a b/.git/worktrees/x")));
        assert_eq!(link(b"gitdir: ../.git/modules/sub"), Some(Path::new("../.git/modules/sub")));
        assert_eq!((link(b"gitdir:\n"), link(b"/a/b"), link(b"gitdir: a\0b")), (None, None, None));
    }

    #[test]
    fn directories_of_git_sync_tell_their_commit() {
        assert_eq!(published(ONE.as_bytes()).as_deref(), Some(ONE));
        assert_eq!(published(format!("rev-{ONE}").as_bytes()).as_deref(), Some(ONE));
        assert_eq!((published(b"current"), published(b"rev-"), published(b"")), (None, None, None));
    }

    proptest! {
        #[test]
        fn what_is_understood_never_leads_out(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let text = [b"ref: refs/", &bytes[..]].concat();
            if let Some(HeadReference::Reference(name)) = head(&text) {
                prop_assert!(!Path::new(OsStr::from_bytes(&name)).components().any(|part| part.as_os_str() == ".."));
            }
            let _ = (head(&bytes), link(&bytes), path(&bytes), published(&bytes), packed(&bytes[..], b"refs/heads/a"));
        }

        #[test]
        fn a_packed_reference_is_found_among_others(names in proptest::collection::btree_set("[a-z/]{1,12}", 1..20), at: prop::sample::Index) {
            let names: Vec<String> = names.into_iter().collect();
            let line = |(number, name): (usize, &String)| format!("{number:040x} refs/heads/{name}\n");
            let file: String = names.iter().enumerate().map(line).collect();
            let at = at.index(names.len());
            let name = format!("refs/heads/{}", names[at]);
            prop_assert_eq!(packed(file.as_bytes(), name.as_bytes()), Some(format!("{at:040x}")));
        }
    }
}
