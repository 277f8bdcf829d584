//! Makes room for what is going to be brought, or says why there is none.

use super::error::{Result, StageError};
use super::place::Place;
use super::prune::{self, Kept};
use super::request::{StageEvent, StageRequest, Tell};
use super::space::{FileSystem, Room, judge, look};
use nix::errno::Errno;

/// How many data sets of a store are named.
const NAMED: usize = 3;

/// Checks the room; in a store, removes what was not used for longest until it is enough.
///
/// # Errors
/// Too little room.
pub(crate) fn make(place: &Place, request: &StageRequest, needs: Room, tell: Tell<'_>) -> Result<()> {
    let found = look(&place.base).map_err(not_read(place))?;
    if place.in_store {
        keep_within_size(place, request, needs.bytes, found, tell);
        evict(place, request, needs, tell)?;
    }
    let free = look(&place.base).map_err(not_read(place))?.free;
    judge(needs, free, request.shared_room).map_err(|what| {
        let mut kept = if place.in_store { prune::inventory(&place.base) } else { Vec::new() };
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.stamp.totals.bytes));
        let shown = |kept: &Kept| format!("{} {}", kept.stamp.source, text::size(kept.stamp.totals.bytes));
        let largest = kept.iter().take(NAMED).map(shown).collect();
        StageError::Room { what, directory: place.base.clone(), largest }
    })
}

fn not_read(place: &Place) -> impl FnOnce(Errno) -> StageError {
    |errno| StageError::io("reading", &place.base)(errno.into())
}

/// Removes what makes the store larger than it may be.
fn keep_within_size(place: &Place, request: &StageRequest, needs: u64, found: FileSystem, tell: Tell<'_>) {
    let most = request.store_size.unwrap_or(found.bytes / 10 * 9).saturating_sub(needs);
    let kept = prune::inventory(&place.base);
    prune::chosen(&kept, most, 0).into_iter().for_each(|kept| remove(kept, tell));
}

/// Removes what was not used for longest, one data set at a time, until bytes and inodes are enough. The file system is asked after each,
/// because files that two data sets share give nothing back.
fn evict(place: &Place, request: &StageRequest, needs: Room, tell: Tell<'_>) -> Result<()> {
    let all = prune::inventory(&place.base);
    let most = prune::unused(&all).fold(look(&place.base).map_err(not_read(place))?.free, |most, kept| Room {
        bytes: most.bytes.saturating_add(kept.stamp.totals.bytes),
        inodes: most.inodes.saturating_add(kept.stamp.totals.files + kept.stamp.totals.others),
    });
    // What cannot fit at all is no reason to remove anything.
    if judge(needs, most, request.shared_room).is_err() {
        return Ok(());
    }
    for kept in prune::unused(&all) {
        let free = look(&place.base).map_err(not_read(place))?.free;
        if judge(needs, free, request.shared_room).is_ok() {
            break;
        }
        remove(kept, tell);
    }
    Ok(())
}

fn remove(kept: &Kept, tell: Tell<'_>) {
    let (source, size) = (&kept.stamp.source, text::size(kept.stamp.totals.bytes));
    let line = format!("removed from stage.store: {source}, {size}, unused for {}", text::span(kept.unused));
    prune::remove(kept);
    tell(StageEvent::Line(line));
}
