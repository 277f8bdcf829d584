//! Going on from a checkpoint: finds the newest complete one and tells the workload of it.

use crate::checkpoint::{self, Checkpoint, FamilyChoice, Pattern};
use crate::config::{Resume, Settings};
use crate::error::{Error, Result};
use std::ffi::OsString;

/// The family and the pattern that are configured.
///
/// # Errors
/// A family that there is not, a pattern that cannot be, `plain` without a pattern (78).
pub fn watched(settings: &Settings) -> Result<(FamilyChoice, Option<Pattern>)> {
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

/// What a workload is given to go on from.
#[derive(Debug, Default)]
pub struct Resumed {
    /// The checkpoint, if there is one and it was asked for.
    pub found: Option<Checkpoint>,
    /// Words for its command line.
    pub arguments: Vec<OsString>,
    /// Variables.
    pub variables: Vec<(&'static str, OsString)>,
}

/// Looks for the newest complete checkpoint, where the configuration wants one to be told.
///
/// # Errors
/// The directory cannot be read: to begin anew over a run that cannot be seen just now would cost it.
pub fn resume(settings: &Settings) -> Result<Resumed> {
    let (Some(dir), true) = (&settings.checkpoint_dir.value, settings.checkpoint_resume.value != Resume::Off) else {
        return Ok(Resumed::default());
    };
    let (family, pattern) = watched(settings)?;
    let found = match checkpoint::newest(dir, family, pattern.as_ref()) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(settings, &error)),
    };
    let arguments = match &settings.checkpoint_resume.value {
        Resume::Arguments(template) => checkpoint::resume_arguments(template, found.as_ref()),
        _ => Vec::new(),
    };
    let variables = checkpoint::resume_environment(found.as_ref());
    Ok(Resumed { found, arguments, variables })
}

fn unreadable(settings: &Settings, error: &std::io::Error) -> Error {
    let dir = settings.checkpoint_dir.as_ref().map_or(String::new(), |dir| dir.display().to_string());
    let exit = crate::exit::Exit::Transient(crate::exit::Family::Output);
    Error::new(
        exit,
        format!("cannot look for a checkpoint in {dir} (checkpoint.dir, {})", settings.checkpoint_dir.origin),
    )
    .because(error.to_string())
    .hint("checkpoint.resume: off starts without looking")
}
