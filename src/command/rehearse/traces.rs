//! What a start has written that is no new checkpoint, so that a refusal can name it: what is not complete, and files below or beside
//! the directory of checkpoints. Names and times are read, within fixed bounds, and no contents.

use super::trial::RehearsedCheckpoint;
use checkpoint::{Checkpoint, Pattern, Survey};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Most lines of one kind.
const MOST: usize = 3;
/// Most entries of directories that are read.
const ENTRIES: usize = 20_000;
/// Longest search of one directory.
const TIME: Duration = Duration::from_secs(2);
/// How deep the search goes below the directory of checkpoints, and below others.
const BELOW: usize = 4;
const BESIDE: usize = 2;
/// Directories of the kernel, which hold no checkpoints.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Ends of the names of checkpoints.
const ENDINGS: [&str; 13] =
    ["pt", "pth", "ckpt", "safetensors", "npz", "npy", "bin", "h5", "msgpack", "pkl", "distcp", "pickle", "tar"];

/// Where a start may write, and what counts as its own.
pub(super) struct TraceSearch<'a> {
    /// The directory of checkpoints.
    pub dir: &'a Path,
    /// The working directory of the job.
    pub workdir: &'a Path,
    /// The pattern of checkpoints.
    pub pattern: Option<&'a Pattern>,
    /// When the start began.
    pub since: SystemTime,
}

/// Returns a line for each trace.
pub(super) fn lines(
    search: &TraceSearch<'_>,
    survey: &Survey,
    complete: &[Checkpoint],
    before: Option<&RehearsedCheckpoint>,
) -> Vec<String> {
    let passed = survey.passed_over.iter().take(MOST);
    let mut lines: Vec<String> = passed.map(|over| format!("{}: {}", text::path(&over.path), over.why)).collect();
    let old = survey.newest.as_ref().map(RehearsedCheckpoint::of).filter(|newest| Some(newest) == before);
    lines.extend(old.map(|old| format!("{} was saved already, before this start", old.words())));
    let newest = survey.newest.as_ref();
    let others = complete.iter().filter(|found| found.modified >= search.since && Some(*found) != newest);
    let named = others.take(MOST).map(|found| format!("{} was saved, and is not the newest", found_words(found)));
    lines.extend(named);
    if !lines.is_empty() {
        return lines;
    }
    let below = written(search, search.dir, BELOW);
    let deeper = below.iter().filter_map(|file| file.parent()).filter(|parent| *parent != search.dir);
    let places: BTreeSet<&Path> = deeper.collect();
    lines.extend(places.iter().take(MOST).map(|place| {
        format!("files were written one or more directories deeper: checkpoint.dir={}", text::path(place))
    }));
    let here = below.iter().filter(|file| file.parent() == Some(search.dir));
    lines.extend(
        here.take(MOST)
            .map(|file| format!("{} was written, and is no checkpoint by the rule in force", text::path(file))),
    );
    if lines.is_empty() {
        let places = [search.dir.parent().unwrap_or(search.dir), search.workdir];
        // What is beside the directory of checkpoints comes first: a working directory may hold what other jobs write.
        let mut beside: Vec<PathBuf> = places.into_iter().flat_map(|place| written(search, place, BESIDE)).collect();
        beside.retain(|file| !file.starts_with(search.dir));
        let mut named = BTreeSet::new();
        beside.retain(|file| named.insert(file.clone()));
        lines.extend(
            beside.iter().take(MOST).map(|file| format!("{} was written, outside of checkpoint.dir", text::path(file))),
        );
    }
    lines
}

fn found_words(found: &Checkpoint) -> String {
    RehearsedCheckpoint::of(found).words()
}

/// Lists files that look like checkpoints and were written since the start.
fn written(search: &TraceSearch<'_>, place: &Path, depth: usize) -> Vec<PathBuf> {
    let (begun, mut left) = (Instant::now(), ENTRIES);
    let mut found = Vec::new();
    let mut open = vec![(place.to_owned(), depth)];
    while let Some((directory, depth)) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            left = left.saturating_sub(1);
            if left == 0 || begun.elapsed() > TIME {
                return found;
            }
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth > 0 && !KERNEL.iter().any(|kernel| path == Path::new(kernel)) {
                open.push((path, depth - 1));
            } else if kind.is_file() && resembles(search.pattern, &path) && is_since(&entry, search.since) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_since(entry: &std::fs::DirEntry, since: SystemTime) -> bool {
    let data = entry.metadata().ok().filter(|data| data.len() > 0);
    data.and_then(|data| data.modified().ok()).is_some_and(|modified| modified >= since)
}

/// Returns whether a name is one of a checkpoint.
fn resembles(pattern: Option<&Pattern>, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let fits = pattern.is_some_and(|pattern| pattern.step_of(name.as_encoded_bytes()).is_some());
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    fits || ENDINGS.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[&str]) -> Vec<String> {
        told_of(&tempfile::tempdir().unwrap(), "ck", files)
    }

    /// The same for a directory of checkpoints of another name; the root is the working directory.
    fn told_of(root: &tempfile::TempDir, dir: &str, files: &[&str]) -> Vec<String> {
        let dir = root.path().join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        for file in files {
            std::fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(file), "x").unwrap();
        }
        let search = TraceSearch { dir: &dir, workdir: root.path(), pattern: None, since: SystemTime::UNIX_EPOCH };
        let place = root.path().to_str().unwrap().to_owned();
        lines(&search, &Survey::default(), &[], None).iter().map(|line| line.replace(&place, "")).collect()
    }

    #[test]
    fn files_deeper_or_elsewhere_are_named() {
        let deeper = "files were written one or more directories deeper: checkpoint.dir=/ck/run/7";
        assert_eq!(told(&["ck/run/7/model.pt", "ck/run/7/optim.pt"]), [deeper]);
        assert_eq!(told(&["out/ckpt-7.npz", "train.py"]), ["/out/ckpt-7.npz was written, outside of checkpoint.dir"]);
        assert_eq!(told(&["ck/notes.txt"]), [""; 0]);
        assert_eq!(told(&["ck/a.pt"]), ["/ck/a.pt was written, and is no checkpoint by the rule in force"]);
    }

    #[test]
    fn what_is_beside_the_directory_is_named_before_what_else_the_working_directory_holds() {
        let files = ["a/1.npz", "a/2.npz", "a/3.npz", "run/mine.npz"];
        let named = told_of(&tempfile::tempdir().unwrap(), "run/ck", &files);
        assert_eq!(named.len(), MOST);
        assert_eq!(named[0], "/run/mine.npz was written, outside of checkpoint.dir");
    }
}
