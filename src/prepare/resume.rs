//! Resuming: finds the newest complete checkpoint, and passes it to the workload and the log.
//!
//! Where checkpoints are on another machine, which may be dead, a separate process looks for them.

use crate::config::{Resume, Settings};
use crate::error::{Error, ErrorKind, Result};
use checkpoint::{self, Checkpoint, FamilyChoice, PassedOver, Pattern, Survey};
use protocol::errno;
use protocol::exit_code::FailureFamily;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime};
use sys::mountinfo::{Mount, Mounts};
use sys::{killable_call, reach};

/// Most incomplete checkpoints that are logged; a directory may be full of them.
const PASSED_OVER: usize = 3;
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
    Ok(Resumed { arguments, variables: variables.collect(), lines: words(&survey, SystemTime::now()) })
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

/// Returns lines about the checkpoint that was found, and about newer ones that cannot be used.
fn words(survey: &Survey, now: SystemTime) -> Vec<String> {
    let mut lines = vec![match &survey.newest {
        Some(found) => from(found, now.duration_since(found.modified).unwrap_or_default()),
        None => "resume: no complete checkpoint yet, a fresh start".to_owned(),
    }];
    let passed = |over: &PassedOver| format!("resume: passed over {}: {}", text::path(&over.path), over.why);
    lines.extend(survey.passed_over.iter().take(PASSED_OVER).map(passed));
    let rest = survey.passed_over.len().saturating_sub(PASSED_OVER);
    lines.extend((rest > 0).then(|| format!("resume: and {rest} more that are not complete")));
    lines
        .extend(survey.cut.then(|| "resume: checkpoint.dir has too many entries; something newer may be there".into()));
    lines
}

fn from(found: &Checkpoint, age: Duration) -> String {
    let step = found.step.map_or(String::new(), |step| format!("step {step}, "));
    format!("resume: from {} ({step}{}, {} old)", text::path(&found.path), text::size(found.size), rounded(age))
}

/// Rounds an age as a person says it: the seconds of a day do not matter.
fn rounded(age: Duration) -> impl std::fmt::Display {
    let seconds = age.as_secs();
    let unit = match seconds {
        0..3600 => 1,
        3600..86400 => 60,
        _ => 3600,
    };
    humantime::format_duration(Duration::from_secs(seconds - seconds % unit))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_on_from_is_told_with_its_age_and_what_was_passed_over_with_the_reason() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let newest = Checkpoint {
            path: "/out/ckpt-7.pt".into(),
            step: Some(7),
            size: 3 << 20,
            modified: now - Duration::from_secs(3 * 3600 + 62),
            family: "torch",
        };
        let over = |n: u32| PassedOver { path: format!("/out/ckpt-{n}.pt").into(), why: "it was cut".into() };
        let survey = Survey { newest: Some(newest), passed_over: (8..13).map(over).collect(), ..Survey::default() };
        let lines = words(&survey, now);
        assert_eq!(lines[0], "resume: from /out/ckpt-7.pt (step 7, 3 MiB, 3h 1m old)");
        assert_eq!(lines[1], "resume: passed over /out/ckpt-8.pt: it was cut");
        assert_eq!((lines.len(), lines[4].as_str()), (5, "resume: and 2 more that are not complete"));
        assert_eq!(words(&Survey::default(), now), ["resume: no complete checkpoint yet, a fresh start"]);
    }
}
