//! `trainit checkpoint`: asks the running job to save now. It writes a request file and sends no signal, so that it works from an
//! unprivileged session; with `--wait` it also serves as a preStop hook.

use super::CommandOutput;
use crate::error::{Error, ErrorKind, Result};
use protocol::handover::{MirrorState, Phase};
use protocol::state_file::{CHECKPOINT_REQUEST, StateRecord};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use supervisor::state_dir::{self, FoundState};

/// Interval between two reads of the state file while waiting.
const LOOK: Duration = Duration::from_millis(50);

/// Time in which a running supervisor takes a request.
const TAKEN: Duration = Duration::from_secs(5);

/// Requests a checkpoint, and with a time waits until it is complete.
///
/// # Errors
/// No workload that is ready to save (1), no configured way to save (78), or no checkpoint in time (1).
pub(super) fn run(instance: Option<&Path>, wait: Option<Duration>, mirrored: bool) -> Result<CommandOutput> {
    if mirrored && wait.is_none() {
        return Err(Error::usage("--mirrored says what is waited for").hint("trainit checkpoint --wait 5m --mirrored"));
    }
    let (directory, before) = find(instance)?;
    may_save(&before, wait.is_some(), mirrored)?;
    request(&directory)?;
    let asked = |now: &StateRecord| (now.asks > before.asks).then(|| CommandOutput::well("asked for a checkpoint"));
    let answer = wait_for(&directory, &before, TAKEN, &asked)?;
    let Some(limit) = wait else { return Ok(answer) };
    wait_for(&directory, &before, limit, &|now| match &now.saved {
        Some(saved) if saved.fresh && now.saved != before.saved => {
            let there = now.mirror.as_ref().is_some_and(|mirror| is_there(mirror, &saved.path));
            let words = match mirrored {
                true => format!("checkpoint {} is complete, and in the mirror", text::line(&saved.path)),
                false => format!("checkpoint {} is complete", text::line(&saved.path)),
            };
            (!mirrored || there).then(|| CommandOutput::well(words))
        }
        _ => None,
    })
}

/// Returns whether this checkpoint is the newest that the mirror has. One that a newer one overtook is no longer waited for.
fn is_there(mirror: &MirrorState, path: &str) -> bool {
    mirror.newest.as_ref().is_some_and(|newest| newest.path == path)
}

fn find(instance: Option<&Path>) -> Result<(PathBuf, StateRecord)> {
    match super::find_state(instance) {
        FoundState::One(directory, record) if state_dir::is_alive(record.supervisor) => Ok((directory, *record)),
        FoundState::One(..) => Err(failure("the supervisor is gone")),
        FoundState::None | FoundState::Silent(_) => Err(failure("no trainit supervises here")),
        FoundState::Several(all) => {
            let error = Error::usage("several instances run here");
            Err(all.iter().fold(error, |error, path| {
                error.hint(format!("trainit checkpoint --instance {}", text::quoted(path.as_os_str())))
            }))
        }
    }
}

fn may_save(record: &StateRecord, waits: bool, mirrored: bool) -> Result<()> {
    if !record.can_save {
        return Err(Error::config("nothing is configured that makes the trainer save and go on")
            .hint("checkpoint.signal: USR1, if the trainer saves on that signal")
            .hint("checkpoint.request_file: PATH, if it looks for a file"));
    }
    if waits && !record.watches {
        return Err(Error::config("--wait cannot see a checkpoint appear").hint("checkpoint.dir: where they appear"));
    }
    if mirrored && record.mirror.is_none() {
        return Err(Error::config("this process uploads to no mirror").hint("checkpoint.mirror: s3://BUCKET/runs/NAME"));
    }
    if !record.phase.is_up() {
        return Err(failure(format!("nothing runs that could save: {}", record.phase.word())));
    }
    Ok(())
}

fn request(directory: &Path) -> Result<()> {
    let own = format!("{CHECKPOINT_REQUEST}{}-{:.0}", std::process::id(), state_dir::unix_now() * 1e6);
    state_dir::request(directory, &own).map_err(|error| {
        Error::new(ErrorKind::Unanswered, "the request cannot be made")
            .caused_by(error)
            .hint("ask as the user that the job runs as, or as root")
    })
}

/// Waits until there is an answer or a refusal, or the supervisor is gone.
fn wait_for(
    directory: &Path,
    before: &StateRecord,
    limit: Duration,
    answer: &dyn Fn(&StateRecord) -> Option<CommandOutput>,
) -> Result<CommandOutput> {
    let until = Instant::now() + limit;
    loop {
        let now = state_dir::read(directory).ok().filter(|now| state_dir::is_alive(now.supervisor));
        let Some(now) = now else { return Err(failure("the job ended before a checkpoint was complete")) };
        if now.refusals > before.refusals {
            return Err(refused(&now));
        }
        if let Some(answer) = answer(&now) {
            return Ok(answer);
        }
        if Instant::now() >= until {
            return Err(failure(late(&now, before, limit)));
        }
        std::thread::sleep(LOOK);
    }
}

/// Returns what is missing when the time is over.
fn late(now: &StateRecord, before: &StateRecord, limit: Duration) -> String {
    let limit = humantime::format_duration(limit);
    match &now.saved {
        Some(saved) if saved.fresh && now.saved != before.saved => {
            let why = now.mirror.as_ref().and_then(|mirror| mirror.failed.as_deref());
            let why = why.map_or(String::new(), |why| format!(": {}", text::line(why)));
            format!("checkpoint {} is complete, and not in the mirror after {limit}{why}", text::line(&saved.path))
        }
        _ => format!("no new checkpoint is complete after {limit}"),
    }
}

fn refused(now: &StateRecord) -> Error {
    match now.phase {
        Phase::Running | Phase::Checkpointing => {
            failure("the workload has no handler for checkpoint.signal (yet), and would die of it")
        }
        phase => failure(format!("nothing runs that could save: {}", phase.word())),
    }
}

fn failure(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unanswered, what)
}
