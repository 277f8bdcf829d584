//! A node's part of a checkpoint that several nodes save, each on a disk of its own. By the family's rule no node has a whole one.

use super::completeness::tree_of_part;
use super::listing::EntryKind;
use super::search::{Search, list};
use super::{Checkpoint, FamilyChoice, Pattern};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Most candidates that are looked at, the newest first.
const LOOKS: usize = 8;

/// Finds the newest part that was saved at `since` or later and of which this node knows, by its family's mark, that all nodes have
/// saved theirs. A checkpoint that is whole here is no part, and neither is an older one.
///
/// # Errors
/// The errors of `newest`.
pub fn saved_by_all(
    dir: &Path,
    family: FamilyChoice,
    pattern: Option<&Pattern>,
    since: SystemTime,
) -> io::Result<Option<Checkpoint>> {
    let listing = list(dir, family, pattern)?;
    let Some(search) = Search::of(&listing, family, pattern, Some(since)) else { return Ok(None) };
    let Some(all_have) = search.family.saved_by_all else { return Ok(None) };
    let directories = search.candidates.iter().filter(|candidate| candidate.entry.kind == EntryKind::Directory);
    for candidate in directories.take(LOOKS) {
        if search.judge(candidate).is_ok() {
            return Ok(None);
        }
        if all_have(search.context(), candidate).is_ok() {
            let part = part_at(&listing.path(candidate.entry), candidate.step, search.family.name);
            return Ok(part.filter(|part| part.modified >= since));
        }
    }
    Ok(None)
}

/// Returns what this node has of the checkpoint at a path; `None` as long as one of the files is not whole.
pub fn part_at(path: &Path, step: Option<u64>, family: &'static str) -> Option<Checkpoint> {
    let contents = tree_of_part(path).ok().filter(|contents| contents.size > 0)?;
    Some(Checkpoint {
        path: path.to_owned(),
        step,
        size: contents.size,
        modified: contents.modified,
        family,
        others: Vec::new(),
        stands: true,
        unread: contents.unread,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::UNIX_EPOCH;

    /// A pickle of the names of two nodes' files.
    const INDEX: &[u8] =
        b"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x0c__0_0.distcp\x94\x8c\x0c__1_0.distcp\x94e.";

    #[test]
    fn the_node_with_the_index_knows_that_all_have_saved_and_has_only_its_part() {
        let dir = tempfile::tempdir().unwrap();
        let find = || saved_by_all(dir.path(), FamilyChoice::Auto, None, UNIX_EPOCH).unwrap();
        let step = dir.path().join("step-9");
        fs::create_dir(&step).unwrap();
        fs::write(step.join("__0_0.distcp"), "shard").unwrap();
        assert_eq!(find(), None, "no index yet");
        fs::write(step.join(".metadata"), INDEX).unwrap();
        assert_eq!(find().map(|part| (part.path, part.step)), Some((step.clone(), Some(9))));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        assert_eq!(saved_by_all(dir.path(), FamilyChoice::Auto, None, later).unwrap(), None, "of an earlier training");
        fs::write(step.join("__1_0.distcp"), "shard").unwrap();
        assert_eq!(find(), None, "it is whole here");
    }
}
