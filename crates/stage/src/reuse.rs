//! Takes over what has not changed since the last time: files with the same key, size and tag are linked from the old directory.

use super::item::Item;
use super::journal::Journal;
use super::key::{KeyPath, path_of};
use super::list::{Items, Listing, items};
use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::Path;

/// The order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListOrder {
    /// Of a walk through directories: a slash comes before every other byte.
    Walk,
    /// Of an object store: by bytes.
    Bytes,
}

impl ListOrder {
    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        let byte = |byte: &u8| if self == ListOrder::Walk && *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
        a.iter().map(byte).cmp(b.iter().map(byte))
    }
}

/// Links unchanged files into the new directory, and notes them as whole; returns their number. Both listings are read once, side by side.
///
/// # Errors
/// The error of reading a listing or writing the journal.
pub(crate) fn reuse(
    old: (&Path, &Path),
    new: (&Listing, &Path),
    order: ListOrder,
    journal: &mut Journal,
    tell: &mut dyn FnMut() -> bool,
) -> io::Result<u64> {
    let ((old_list, old_tree), (listing, tree)) = (old, new);
    let mut before: std::iter::Peekable<Items> = items(old_list)?.peekable();
    let mut linked = 0;
    for (number, item) in (0..).zip(items(&listing.path)?) {
        let item = item?;
        while let Some(Ok(known)) = before.peek()
            && order.compare(&known.key, &item.key).is_lt()
        {
            before.next();
        }
        let Some(Ok(known)) = before.peek() else { break };
        if *known == item && item.is_file() && !item.tag.is_empty() && link(&item, old_tree, tree) {
            journal.whole(number)?;
            linked += 1;
        }
        if number.is_multiple_of(1000) && !tell() {
            break;
        }
    }
    Ok(linked)
}

fn link(item: &Item, old: &Path, new: &Path) -> bool {
    let Ok(KeyPath::File(path)) = path_of(&item.key) else { return false };
    let (from, to) = (old.join(&path), new.join(&path));
    let is_same = fs::symlink_metadata(&from).is_ok_and(|found| found.is_file() && found.len() == item.size);
    let made = || to.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok());
    is_same && made() && fs::hard_link(from, to).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_of_walks_and_stores_differ_at_slashes_alone() {
        use ListOrder::{Bytes, Walk};
        assert_eq!((Walk.compare(b"a/x", b"a.b"), Bytes.compare(b"a/x", b"a.b")), (Ordering::Less, Ordering::Greater));
        assert_eq!((Walk.compare(b"a", b"a/x"), Bytes.compare(b"a", b"a/x")), (Ordering::Less, Ordering::Less));
        assert_eq!(Walk.compare(b"a", b"a"), Ordering::Equal);
    }
}
