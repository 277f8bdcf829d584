//! Resuming: finds the newest complete checkpoint, and passes it to the workload and the log.
//!
//! Where checkpoints are on another machine, which may be dead, a separate process looks for them.

use super::resume_words;
use crate::config::{Resume, Settings};
use crate::error::{Error, ErrorKind, Result};
use checkpoint::{self, FamilyChoice, Pattern};
use protocol::errno;
use protocol::exit_code::FailureFamily;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime};
use sys::mountinfo::{Mount, Mounts};
use sys::{killable_call, reach};

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
    let pattern =
        settings.checkpoint_pattern.as_deref().map(Pattern::parse).transpose().map_err(|why| {
            Error::config(format!("checkpoint.pattern: {why} ({})", settings.checkpoint_pattern.origin))
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
}

/// Looks for the newest complete checkpoint, if the configuration wants the workload to resume.
///
/// # Errors
/// The directory cannot be read: starting anew over a run that is only invisible for the moment would destroy it.
pub(crate) fn resume(settings: &Settings, mounts: &Mounts) -> Result<Resumed> {
    let (Some(dir), true) = (&settings.checkpoint_dir.value, settings.checkpoint_resume.value != Resume::Off) else {
        return Ok(Resumed::default());
    };
    let (family, pattern) = watched(settings)?;
    let find = || find(&settings.checkpoint_resume.value, dir, family, pattern.as_ref());
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
    let found = match reach::far(mounts, &absolute) {
        None => find(),
        Some(mount) => find_aside(mount, &absolute, find),
    };
    found.map_err(|why| unseen(settings, why))
}

/// Finds the checkpoint, or returns why not.
fn find(resume: &Resume, dir: &Path, family: FamilyChoice, pattern: Option<&Pattern>) -> Result<Resumed, String> {
    let survey = checkpoint::survey(dir, family, pattern).map_err(|error| because(&error))?;
    let found = survey.newest.as_ref();
    let arguments = match resume {
        Resume::Arguments(template) => checkpoint::resume_arguments(template, found),
        _ => Vec::new(),
    };
    let variables = checkpoint::resume_environment(found).into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(Resumed {
        arguments,
        variables: variables.collect(),
        lines: resume_words::lines(&survey, dir, SystemTime::now()),
    })
}

/// Returns the system's error with its likely cause.
fn because(error: &std::io::Error) -> String {
    errno::cause_of(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {}", cause.because))
}

/// Searches in another process. The first answer shows that the file system is alive, so the search itself may take its time.
fn find_aside(mount: &Mount, dir: &Path, find: impl FnOnce() -> Result<Resumed, String>) -> Result<Resumed, String> {
    let place = text::location(mount.kind(), mount.source());
    let silent = |patience| format!("no answer in {} ({place})", text::seconds(patience));
    let first = || vec![u8::from(std::fs::read_dir(dir).is_ok_and(|mut names| names.next().is_some()))];
    killable_call::ask(mount.patience(), first).map_err(|_| silent(mount.patience()))?;
    let answer = killable_call::ask(SEARCH, || postcard::to_allocvec(&find()).unwrap_or_default())
        .map_err(|_| silent(SEARCH))?;
    postcard::from_bytes(&answer).unwrap_or_else(|_| Err("the search gave no answer".to_owned()))
}

fn unseen(settings: &Settings, why: String) -> Error {
    let dir = settings.checkpoint_dir.as_ref().map_or(String::new(), |dir| text::path(dir));
    Error::new(
        ErrorKind::Transient(FailureFamily::Output),
        format!("cannot look for a checkpoint in {dir} (checkpoint.dir, {})", settings.checkpoint_dir.origin),
    )
    .because(why)
    .hint("checkpoint.resume: off starts without looking")
}
