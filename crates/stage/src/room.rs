//! Makes room for what is going to be brought, or says why there is none.

use super::error::{Result, StageError};
use super::place::Place;
use super::prune::{self, Kept};
use super::request::{StageEvent, StageRequest, Tell};
use super::space::{FileSystem, Room, judge, look};

/// How many data sets of a store are named.
const NAMED: usize = 3;

/// Checks the room; in a store, removes what was not used for longest until it is enough.
///
/// # Errors
/// Too little room.
pub(crate) fn make(place: &Place, request: &StageRequest, needs: Room, tell: Tell<'_>) -> Result<()> {
    let look = || look(&place.base).map_err(|errno| StageError::io("reading", &place.base)(errno.into()));
    let found = look()?;
    if place.in_store {
        make_in_store(place, request, needs, found, tell);
    }
    let free = look()?.free;
    judge(needs, free, request.shared_room).map_err(|what| {
        let mut kept = if place.in_store { prune::inventory(&place.base) } else { Vec::new() };
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.stamp.totals.bytes));
        let shown = |kept: &Kept| format!("{} {}", kept.stamp.source, text::size(kept.stamp.totals.bytes));
        let largest = kept.iter().take(NAMED).map(shown).collect();
        StageError::Room { what, directory: place.base.clone(), largest }
    })
}

fn make_in_store(place: &Place, request: &StageRequest, needs: Room, found: FileSystem, tell: Tell<'_>) {
    let most = request.store_size.unwrap_or(found.bytes / 10 * 9).saturating_sub(needs.bytes);
    let short = needs.bytes.saturating_sub(found.free.bytes);
    let kept = prune::inventory(&place.base);
    for kept in prune::chosen(&kept, most, short) {
        let (source, size) = (&kept.stamp.source, text::size(kept.stamp.totals.bytes));
        let line = format!("removed from stage.store: {source}, {size}, unused for {}", text::time(kept.unused));
        prune::remove(kept);
        tell(StageEvent::Line(line));
    }
}
