//! `trainit status`: shows the state of the running container with the sum of its job's history, as text, as JSON or as metrics.

use super::{CommandInput, CommandOutput};
use crate::error::{Error, ErrorKind, Result};
use crate::job_history::{self, HistoryFile};
use crate::report;
use history::Sum;
use protocol::handover::{MirrorState, Mirrored};
use protocol::state_file::{ProcessIdentity, SidecarRecord, StateRecord, VERSION};
use protocol::units;
use serde::Serialize;
use std::path::Path;
use supervisor::state_dir::{FoundState, unix_now};
use sys::mountinfo::Mounts;
use sys::{credentials, reach};

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusForm {
    /// For people.
    Words,
    /// As JSON.
    Json,
    /// As Prometheus' text format.
    Metrics,
}

impl StatusForm {
    /// Returns the form that options ask for.
    pub(super) fn of(json: bool, metrics: bool) -> Self {
        match (json, metrics) {
            (true, _) => StatusForm::Json,
            (_, true) => StatusForm::Metrics,
            _ => StatusForm::Words,
        }
    }
}

/// The JSON form.
#[derive(Serialize)]
struct StatusJson<'a> {
    #[serde(flatten)]
    record: &'a StateRecord,
    /// The sum of the job's history.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Sum>,
}

/// Reads the instance and formats its state.
pub(super) fn run(asked: &CommandInput, instance: Option<&Path>, form: StatusForm) -> Result<CommandOutput> {
    match super::find(instance) {
        FoundState::One(directory, record) => tell(&directory, &record, history_of(asked, &record), form),
        FoundState::Silent(supervisor) => match super::beginning(supervisor) {
            Some(_) if form != StatusForm::Words => tell(Path::new(""), &begun(supervisor), None, form),
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

/// Reads the sum of the job's history as the workload's user; `None` if there is none, or it cannot be read now.
fn history_of(asked: &CommandInput, record: &StateRecord) -> Option<Sum> {
    let file = HistoryFile::at(record.history_file.as_ref()?.into());
    if credentials::own_uid() == 0 {
        asked.enter().ok()?;
    }
    let sum = || file.read().ok().and_then(|bytes| job_history::sum(&bytes, unix_now()));
    let mounts = Mounts::default();
    let answer = reach::look(&mounts, &file.path, || serde_json::to_vec(&sum()).unwrap_or_default());
    serde_json::from_slice(&answer.ok()?).ok()?
}

fn tell(directory: &Path, record: &StateRecord, history: Option<Sum>, form: StatusForm) -> Result<CommandOutput> {
    match form {
        StatusForm::Words => Ok(CommandOutput::well(words(directory, record, history.as_ref()))),
        StatusForm::Json => to_json(&StatusJson { record, history }),
        StatusForm::Metrics => Ok(CommandOutput::well(report::metrics(record, history.as_ref(), unix_now()))),
    }
}

fn to_json(told: &StatusJson<'_>) -> Result<CommandOutput> {
    match serde_json::to_string_pretty(told) {
        Ok(text) => Ok(CommandOutput::well(text::json(&text))),
        Err(error) => Err(Error::new(ErrorKind::Internal, "the state cannot be written as JSON").caused_by(error)),
    }
}

/// Makes the record of a supervisor without a written state: the first phase, and its start time.
fn begun(supervisor: ProcessIdentity) -> StateRecord {
    let began = unix_now() - supervisor::state_dir::age(supervisor).unwrap_or_default().as_secs_f64();
    StateRecord { version: VERSION, since: began, started: began, supervisor, attempt: 1, ..StateRecord::default() }
}

fn words(directory: &Path, record: &StateRecord, history: Option<&Sum>) -> String {
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
    let mirror = record.mirror.as_ref().map(mirror_words);
    let staged = record.staged.map(|staged| match staged.all {
        0 => "the source is listed".to_owned(),
        all => format!("{} of {}", units::size(staged.done), units::size(all)),
    });
    let held = record.hold_s.map(|time| format!("{} more, then it ends", left(record.since + time as f64)));
    let unused =
        |since: f64| format!("for {}, it ends in {}", age(since), left(since + record.idle_s.unwrap_or(0) as f64));
    let idle = record.unused_since.map(unused);
    let hung = record.hung.then(|| "the watchdog has found that nothing happens any more".to_owned());
    let port = record.port.map(|port| port.to_string());
    let history = history.map(job_history::sum_words);
    let optional = [
        ("port", &port),
        ("data", &staged),
        ("checkpoint", &saved),
        ("history", &history),
        ("mirror", &mirror),
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

/// Returns what is in the mirror, what is on its way, and what failed.
fn mirror_words(mirror: &MirrorState) -> String {
    let name = |one: &Mirrored| one.step.map_or_else(|| one.path.clone(), |step| format!("step {step}"));
    let there = mirror.newest.as_ref().map_or_else(|| "nothing yet".into(), |newest| format!("up to {}", name(newest)));
    let going = mirror.going.as_ref().map(|going| {
        let left = units::size(going.left);
        format!("; {}: {} %, {left} to go", name(&going.checkpoint), going.percent())
    });
    let failed = mirror.failed.as_ref().map(|why| format!("; {why}"));
    [Some(there), going, failed].into_iter().flatten().collect()
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
