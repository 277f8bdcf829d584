//! Resuming: finds the newest complete checkpoint, and passes it to the workload and the log.
//!
//! Where checkpoints are on another machine, which may be dead, a separate process looks for them.

use super::resume_words;
use crate::config::{Resume, Settings};
use crate::error::{Error, ErrorKind, Result};
use checkpoint::{self, Checkpoint, FamilyChoice, Pattern};
use protocol::errno;
use protocol::exit_code::FailureFamily;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use sys::mountinfo::{Mount, Mounts};
use sys::{killable_call, reach, stat};
use world::Known;

/// Time limit of a search on another machine once that machine answers: it may have a hundred thousand entries to read.
const SEARCH: Duration = Duration::from_secs(60);

/// Returns the configured family and pattern.
///
/// # Errors
/// An unknown family, an invalid pattern, or `plain` without a pattern (78).
pub(crate) fn watched(settings: &Settings) -> Result<(FamilyChoice, Option<Pattern>)> {
    let (word, origin) = (&settings.checkpoint_family.value, &settings.checkpoint_family.origin);
    let family = FamilyChoice::parse(word).ok_or_else(|| {
        let words: Vec<_> = FamilyChoice::words().collect();
        Error::config(format!("checkpoint.family: there is no family `{word}` ({origin})"))
            .hint(format!("families are: {}", words.join(", ")))
    })?;
    let pattern = settings.checkpoint_pattern.as_deref().map(Pattern::parse).transpose().map_err(|error| {
        Error::config(format!("checkpoint.pattern ({})", settings.checkpoint_pattern.origin)).caused_by(error)
    })?;
    Ok((family, pattern))
}

/// What a workload gets to resume from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Resumed {
    /// Words to add to its command line.
    pub arguments: Vec<OsString>,
    /// Variables to set.
    pub variables: Vec<(String, OsString)>,
    /// Lines for the log.
    pub lines: Vec<String>,
    /// The checkpoints that may be agreed on with other nodes, the newest first.
    pub saved: Vec<SavedHere>,
}

/// A complete checkpoint, and what the workload gets of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedHere {
    /// Its path below `checkpoint.dir`; the whole path where a link leads out of there.
    pub name: OsString,
    /// Its step, where that is known.
    pub step: Option<u64>,
    /// Words to add to the command line.
    pub arguments: Vec<OsString>,
    /// Variables to set.
    pub variables: Vec<(String, OsString)>,
}

/// Looks for the newest complete checkpoint, if the configuration wants the workload to resume, and for at most `older` ones before it.
///
/// # Errors
/// The directory cannot be read: starting anew over a run that is only invisible for the moment would destroy it.
pub(crate) fn resume(settings: &Settings, mounts: &Mounts, older: usize) -> Result<Resumed> {
    let (Some(dir), true) = (&settings.checkpoint_dir.value, settings.checkpoint_resume.value != Resume::Off) else {
        return Ok(Resumed::default());
    };
    let (family, pattern) = watched(settings)?;
    let find = || find(&settings.checkpoint_resume.value, dir, (family, pattern.as_ref()), older);
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
    let found = match reach::far(mounts, &absolute) {
        None => find().map_err(SearchError::Directory),
        Some(mount) => find_aside(mount, &absolute, find),
    };
    found.map_err(|error| unseen(settings, error))
}

/// Returns the warning that other nodes may resume from something else: this job has several, and `checkpoint.dir` is on a file system
/// of this node alone. It is for nodes that do not meet before the start, so the warning says no more than that.
pub(super) fn alone(
    settings: &Settings,
    mounts: &Mounts,
    nodes: Option<Known<u32>>,
    resumed: &Resumed,
) -> Option<Error> {
    let dir = settings.checkpoint_dir.value.as_ref().filter(|_| settings.checkpoint_resume.value != Resume::Off)?;
    let nodes = nodes?;
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
    if reach::far(mounts, &absolute).is_some() {
        return None;
    }
    let there = absolute.ancestors().find(|path| path.exists())?;
    // A type that is not known may be a shared one.
    let mount = stat::row_of(there, mounts).filter(|mount| mount.class().is_some_and(|class| !class.is_far()))?;
    let variable = |name: &str| resumed.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let from = match (variable("TRAINIT_RESUME_STEP"), variable("TRAINIT_RESUME_PATH")) {
        (Some(step), _) => format!("step {}", step.display()),
        (None, Some(path)) => text::path(Path::new(path)),
        (None, None) => "nothing".into(),
    };
    let Known { value: at_least, from: variable } = nodes;
    let what = format!("this node resumes from {from}, and the other nodes may resume from something else");
    let because = format!(
        "checkpoint.dir is on {} of this node, and the job has at least {at_least} nodes ({variable})",
        text::line(&String::from_utf8_lossy(mount.kind()))
    );
    let hint =
        "checkpoint.dir: a directory that all nodes share; or checkpoint.resume: off, where rank 0 tells the others";
    Some(Error::new(ErrorKind::Config, what).because(because).hint(hint))
}

/// The reason why it is not known whether there is a checkpoint.
#[derive(Debug, thiserror::Error)]
enum SearchError {
    /// The directory cannot be read.
    #[error(transparent)]
    Directory(io::Error),
    /// The other machine does not answer.
    #[error("no answer in {} ({place})", text::seconds(*patience))]
    Silent { patience: Duration, place: String },
    /// The process that searched ended without an answer.
    #[error("the search gave no answer")]
    NoAnswer,
}

/// Finds the checkpoint.
fn find(
    resume: &Resume,
    dir: &Path,
    (family, pattern): (FamilyChoice, Option<&Pattern>),
    older: usize,
) -> io::Result<Resumed> {
    let survey = checkpoint::survey(dir, family, pattern)?;
    let found = survey.newest.as_ref();
    let (arguments, variables) = given(resume, found);
    let before = found.filter(|_| older > 0).map(|found| checkpoint::older(found, family, pattern, older));
    let all = found.filter(|found| found.stands && older > 0).into_iter().chain(before.iter().flatten());
    let saved = all.map(|found| SavedHere::of(resume, dir, found)).collect();
    Ok(Resumed { arguments, variables, lines: resume_words::lines(&survey, dir, SystemTime::now()), saved })
}

/// The words for a command line, and the variables, with which a workload resumes.
pub(super) type ResumeWords = (Vec<OsString>, Vec<(String, OsString)>);

/// Returns the words with which a workload resumes from a checkpoint.
pub(super) fn given(resume: &Resume, found: Option<&Checkpoint>) -> ResumeWords {
    let arguments = match resume {
        Resume::Arguments(template) => checkpoint::resume_arguments(template, found),
        _ => Vec::new(),
    };
    let variables = checkpoint::resume_environment(found).into_iter().map(|(name, value)| (name.to_owned(), value));
    (arguments, variables.collect())
}

impl SavedHere {
    fn of(resume: &Resume, dir: &Path, found: &Checkpoint) -> Self {
        let below = |dir: io::Result<PathBuf>| found.path.strip_prefix(dir.ok()?).map(Path::to_owned).ok();
        let name = below(std::path::absolute(dir)).or_else(|| below(dir.canonicalize()));
        let (arguments, variables) = given(resume, Some(found));
        SavedHere { name: name.unwrap_or_else(|| found.path.clone()).into(), step: found.step, arguments, variables }
    }
}

/// Searches in another process. The first answer shows that the file system is alive, so the search itself may take its time.
fn find_aside(mount: &Mount, dir: &Path, find: impl FnOnce() -> io::Result<Resumed>) -> Result<Resumed, SearchError> {
    let place = || text::location(mount.kind(), mount.source());
    let silent = |patience| SearchError::Silent { patience, place: place() };
    let first = || vec![u8::from(std::fs::read_dir(dir).is_ok_and(|mut names| names.next().is_some()))];
    killable_call::ask(mount.patience(), first).map_err(|_| silent(mount.patience()))?;
    let search = || find().map_err(|error| SearchedError { errno: error.raw_os_error(), words: error.to_string() });
    let answer = killable_call::ask(SEARCH, || postcard::to_allocvec(&search()).unwrap_or_default())
        .map_err(|_| silent(SEARCH))?;
    let found: Result<Resumed, SearchedError> = postcard::from_bytes(&answer).map_err(|_| SearchError::NoAnswer)?;
    found.map_err(|failed| SearchError::Directory(failed.into()))
}

/// An I/O error on its way from the process that searches.
#[derive(Serialize, Deserialize)]
struct SearchedError {
    errno: Option<i32>,
    words: String,
}

impl From<SearchedError> for io::Error {
    fn from(failed: SearchedError) -> Self {
        failed.errno.map_or_else(|| io::Error::other(failed.words), io::Error::from_raw_os_error)
    }
}

fn unseen(settings: &Settings, error: SearchError) -> Error {
    let dir = settings.checkpoint_dir.as_ref().map_or(String::new(), |dir| text::path(dir));
    let failed = Error::new(
        ErrorKind::Transient(FailureFamily::Output),
        format!("cannot look for a checkpoint in {dir} (checkpoint.dir, {})", settings.checkpoint_dir.origin),
    );
    let failed = match error {
        SearchError::Directory(error) => {
            let because = errno::cause_of(&error).map(|cause| cause.because.to_owned());
            Error { because, ..failed.caused_by(error) }
        }
        error => failed.caused_by(error),
    };
    failed.hint("checkpoint.resume: off starts without looking")
}
