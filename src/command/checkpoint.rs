//! `trainit checkpoint`: asks the running job to save now. A request file and no signal, so that it works from an unprivileged
//! session; with `--wait` also as a preStop hook.

use super::{Answer, bases, named};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::handover::Phase;
use crate::state::{self, CHECKPOINT_REQUEST, Found, REQUESTS, Record};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the state file is read while waiting.
const LOOK: Duration = Duration::from_millis(100);

/// Asks, and with a time waits for a complete checkpoint.
///
/// # Errors
/// Nothing runs that could save (1), nothing is configured that makes it save (78), it did not come in time (1).
pub fn run(instance: Option<&Path>, wait: Option<Duration>) -> Result<Answer> {
    let (directory, before) = find(instance)?;
    may_save(&before, wait.is_some())?;
    request(&directory)?;
    match wait {
        None => Ok(Answer::well("asked for a checkpoint")),
        Some(limit) => wait_for(&directory, &before, limit),
    }
}

fn find(instance: Option<&Path>) -> Result<(PathBuf, Record)> {
    match state::find(named(instance).as_deref(), &bases()) {
        Found::One(directory, record) => Ok((directory, *record)),
        Found::None => Err(Error::new(Exit::Failure, "no trainit supervises here")),
        Found::Several(all) => {
            let error = Error::usage("several instances run here");
            Err(all
                .iter()
                .fold(error, |error, path| error.hint(format!("trainit checkpoint --instance {}", path.display()))))
        }
    }
}

fn may_save(record: &Record, waits: bool) -> Result<()> {
    if !record.can_save {
        return Err(Error::config("nothing is configured that makes the trainer save and go on")
            .hint("checkpoint.signal: USR1, if the trainer saves on that signal")
            .hint("checkpoint.request_file: PATH, if it looks for a file"));
    }
    if waits && !record.watches {
        return Err(Error::config("--wait cannot see a checkpoint appear").hint("checkpoint.dir: where they appear"));
    }
    if !matches!(record.phase, Phase::Running | Phase::Checkpointing) {
        return Err(Error::new(Exit::Failure, format!("nothing runs that could save: {}", record.phase.word())));
    }
    Ok(())
}

fn request(directory: &Path) -> Result<()> {
    let own = format!("{CHECKPOINT_REQUEST}{}-{:.0}", std::process::id(), state::unix_now() * 1e6);
    std::fs::write(directory.join(REQUESTS).join(own), "").map_err(|error| {
        Error::new(Exit::Failure, "the request cannot be made")
            .because(error.to_string())
            .hint("ask as the user that the job runs as, or as root")
    })
}

fn wait_for(directory: &Path, before: &Record, limit: Duration) -> Result<Answer> {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        let Ok(now) = state::read(directory) else {
            return Err(Error::new(Exit::Failure, "the job ended before a checkpoint was complete"));
        };
        match &now.saved {
            Some(saved) if saved.fresh && now.saved != before.saved => {
                return Ok(Answer::well(format!("checkpoint {} is complete", saved.path)));
            }
            _ => std::thread::sleep(LOOK),
        }
    }
    let limit = humantime::format_duration(limit);
    Err(Error::new(Exit::Failure, format!("no new checkpoint is complete after {limit}")))
}
