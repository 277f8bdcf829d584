//! `trainit status`: shows the state of the running container, as text or as JSON.

use super::CommandOutput;
use crate::error::{Error, ErrorKind, Result};
use protocol::state_file::{ProcessIdentity, SidecarRecord, StateRecord, VERSION};
use protocol::units;
use std::path::Path;
use supervisor::state_dir::{FoundState, unix_now};

/// Reads the instance and formats its state.
pub(super) fn run(instance: Option<&Path>, json: bool) -> Result<CommandOutput> {
    match super::find(instance) {
        FoundState::One(_, record) if json => to_json(&record),
        FoundState::One(directory, record) => Ok(CommandOutput::well(words(&directory, &record))),
        FoundState::Silent(supervisor) => match super::beginning(supervisor) {
            Some(_) if json => to_json(&begun(supervisor)),
            Some(words) => {
                Ok(CommandOutput::well(format!("phase      {words}\npids       supervisor {}\n", supervisor.pid)))
            }
            None => Err(Error::new(ErrorKind::Unanswered, super::STATELESS)
                .hint("`trainit init` keeps none; else no directory for it can be written: set state_dir")),
        },
        FoundState::None => Err(Error::new(ErrorKind::Unanswered, "no trainit supervises here")
            .hint("is trainit this container's ENTRYPOINT? `trainit exec` does not supervise")),
        FoundState::Several(all) => {
            let error = Error::usage("several instances run here");
            Err(all.iter().fold(error, |error, path| {
                error.hint(format!("trainit status --instance {}", text::quoted(path.as_os_str())))
            }))
        }
    }
}

fn to_json(record: &StateRecord) -> Result<CommandOutput> {
    match serde_json::to_string_pretty(record) {
        Ok(text) => Ok(CommandOutput::well(text::json(&text))),
        Err(error) => Err(Error::new(ErrorKind::Internal, "the state cannot be written as JSON").caused_by(error)),
    }
}

/// Makes the record of a supervisor without a written state: the first phase, and its start time.
fn begun(supervisor: ProcessIdentity) -> StateRecord {
    let began = unix_now() - supervisor::state_dir::age(supervisor).unwrap_or_default().as_secs_f64();
    StateRecord { version: VERSION, since: began, started: began, supervisor, attempt: 1, ..StateRecord::default() }
}

fn words(directory: &Path, record: &StateRecord) -> String {
    let mut rows = vec![
        ("phase", format!("{} for {}", record.phase.word(), age(record.since))),
        ("mode", record.mode.clone()),
        ("started", format!("{} ago, attempt {}", age(record.started), record.attempt)),
        ("pids", format!("supervisor {}, main {}", record.supervisor.pid, record.main)),
        ("state", text::path(directory)),
    ];
    rows.extend(record.sidecars.iter().map(|sidecar| ("sidecar", beside(sidecar))));
    let saved = record.saved.as_ref().map(|saved| {
        let others = if saved.others == 0 {
            String::new()
        } else {
            format!(" and {}", units::count(saved.others, "other file"))
        };
        format!("{}{others}, {}", saved.path, units::age(unix_now() - saved.modified))
    });
    let held = record.hold_s.map(|time| format!("{} more, then it ends", left(record.since + time as f64)));
    let unused =
        |since: f64| format!("for {}, it ends in {}", age(since), left(since + record.idle_s.unwrap_or(0) as f64));
    let idle = record.unused_since.map(unused);
    let hung = record.hung.then(|| "the watchdog has found that nothing happens any more".to_owned());
    let port = record.port.map(|port| port.to_string());
    let optional = [
        ("port", &port),
        ("checkpoint", &saved),
        ("used by", &record.used_by),
        ("not used", &idle),
        ("hangs", &hung),
        ("command", &record.command),
        ("held", &held),
        ("report", &record.report),
        ("stopped by", &record.stopped_by),
        ("ended", &record.ended),
        ("failed", &record.refused),
    ];
    rows.extend(optional.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name, value))));
    rows.into_iter().map(|(name, value)| format!("{name:<11}{}\n", lines(&value))).collect()
}

/// Neutralises control characters: the writer of the file may have aimed at the terminal. A failure keeps its line breaks.
fn lines(value: &str) -> String {
    value.lines().map(text::line).collect::<Vec<_>>().join("\n")
}

fn beside(sidecar: &SidecarRecord) -> String {
    let process = if sidecar.pid == 0 { String::new() } else { format!(", pid {}", sidecar.pid) };
    format!("{} {}{process}, start {}", sidecar.mode, sidecar.phase, sidecar.starts)
}

fn age(since: f64) -> String {
    time(unix_now() - since)
}

fn left(until: f64) -> String {
    time(until - unix_now())
}

fn time(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
