//! Whether a file of a finished checkpoint was written again later: a run that went back to an older step replaces its checkpoints in
//! place, and the mark of the earlier save still lies there.

use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;

/// How far the times of files may lie apart, on file servers and with clocks of several machines.
const TOLERANCE: Duration = Duration::from_secs(10);

/// Returns the first of the files that was written again after the mark, which the trainer writes last. The files of a copy are
/// new ones, in whatever order they were copied, and so they do not count.
pub(crate) fn after<'n>(dir: &Path, mark: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let mark = std::fs::metadata(dir.join(mark)).ok()?;
    names.into_iter().find(|name| std::fs::metadata(dir.join(name)).is_ok_and(|file| is_rewritten(&file, &mark)))
}

fn is_rewritten(file: &Metadata, mark: &Metadata) -> bool {
    let times = |data: &Metadata| Some((data.created().ok()?, data.modified().ok()?));
    let (Some((created, modified)), Some((mark_created, mark_modified))) = (times(file), times(mark)) else {
        return false;
    };
    // Times that were set, by a copy that keeps them, lie before the creation.
    let kept = mark_modified + TOLERANCE < mark_created;
    modified > mark_modified + TOLERANCE && (kept || created < mark_modified + TOLERANCE)
}
