//! What a start would bring, for `--dry-run`: the source is listed, and nothing is written but that list, which is removed.

use super::error::{Result, StageError};
use super::list::{ListWriter, Totals};
use super::objects::ObjectSource;
use super::path;
use super::request::{Progress, StageEvent, StageRequest, Tell};
use super::source::Source;
use super::space::{Room, judge, look};
use std::path::Path;

/// What would be brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the source holds.
    pub totals: Totals,
    /// The free room where it would go.
    pub free: Room,
}

/// Lists the source, and judges the room.
///
/// # Errors
/// As bringing it would, as far as that can be known.
pub fn plan(request: &StageRequest, tell: Tell<'_>) -> Result<Plan> {
    let scratch = temporary::make(&std::env::temp_dir(), "trainit-list-").map_err(StageError::io("making", "/tmp"))?;
    let to = ListWriter::make(scratch.path()).map_err(StageError::io("making", scratch.path()))?;
    let mut to = to.of_part(request.part);
    let mut heard = |_| tell(StageEvent::Progress(Progress::default()));
    match &request.source {
        Source::Path(root) => _ = path::list(root, &request.only, &mut to, &mut heard)?,
        Source::Object(url) => ObjectSource::open(url, request)?.list(&request.only, &mut to, &mut heard)?,
        Source::Other(from) => return Err(StageError::NoMeans(from.clone())),
    }
    let totals = to.finish().map_err(StageError::io("writing", scratch.path()))?.totals;
    if totals.files + totals.others == 0 {
        let (source_name, near) = (request.source.shown(), Vec::new());
        return Err(StageError::Empty { source_name, unwanted: !request.only.is_empty(), near });
    }
    let directory = request.store.as_deref().unwrap_or(&request.target);
    let there = directory.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let free = look(there).map_err(|errno| StageError::io("reading", there)(errno.into()))?.free;
    let needs = Room { bytes: totals.bytes, inodes: totals.files + totals.others };
    judge(needs, free, request.shared_room).map_err(|what| StageError::Room {
        what,
        directory: there.to_owned(),
        largest: Vec::new(),
    })?;
    Ok(Plan { totals, free })
}
