//! The history of the job in a start: its first line, the end of an attempt that had none, and the line with which the workload begins.

use super::made_of;
use super::preparation::Preparation;
use super::resume::Resumed;
use super::start_history::{PhaseTimes, StartHistory};
use crate::check::CheckContext;
use crate::config::{HistoryPath, Resume};
use crate::engine::{is_first_rank, several_nodes};
use crate::error::{Error, ErrorKind};
use crate::job_history::{self, HistoryFile, WriteOutcome, let_list_wait};
use crate::mirror::{CarriedStore, MirroredHistory};
use crate::mode::Plan;
use history::{
    Attempt, Attempts, ClosedBy, EndEntry, Entry, ReadyEntry, Reason, ResumedFrom, SavedAt, StartEntry, Sum, Versions,
    rounded,
};
use protocol::errno;
use protocol::handover::{HistoryPolicy, Message, MirrorPolicy, WorkloadKind};
use protocol::state_file::{ProcessIdentity, StateRecord};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::time::{Instant, UNIX_EPOCH};
use supervisor::state_dir::{self, unix_now};
use sys::environment::Environment;
use sys::{Pid, Root, reach};

/// The most attempts without an end that one start closes.
const MOST_CLOSED: usize = 8;

/// What a look at the history found.
#[derive(Default, Serialize, Deserialize)]
struct Look {
    /// An error in words.
    failed: Option<String>,
    waits: bool,
    before: Option<Versions>,
    sum: Option<Sum>,
}

impl Preparation {
    /// Decides whether a history is kept, and where.
    ///
    /// Of the processes of a job one writes. A start inside of another trainit's workload is part of that attempt.
    pub(super) fn history(
        &mut self,
        context: &CheckContext,
        plan: &Plan,
        inherited: &Environment,
    ) -> Option<HistoryPolicy> {
        let wanted = plan.kind == WorkloadKind::Train && self.handover.supervised();
        if !wanted || inherited.text("TRAINIT") == Some("1") || !is_first_rank(inherited) {
            return None;
        }
        let settings = &context.settings;
        let file = match (&settings.history_file.value, &settings.checkpoint_dir.value) {
            (HistoryPath::File(path), _) => HistoryFile::at(context.workdir.join(path)),
            (HistoryPath::Auto, Some(dir)) => HistoryFile::in_directory(&context.workdir.join(dir)),
            (HistoryPath::Auto, None) | (HistoryPath::Off, _) => return None,
        };
        // The first attempt began with PID 1, and later ones with this process.
        let began = if self.attempt == 1 { unix_now() - self.since.elapsed().as_secs_f64() } else { unix_now() };
        let id = new_id(began);
        let policy = HistoryPolicy { file: file.path.to_str()?.to_owned(), waits: file.waits, id: id.clone() };
        self.history = Some(StartHistory::new(file, id, began));
        Some(policy)
    }

    /// Writes the first line, and closes attempts that ended without a word.
    pub(super) fn begin_history(&mut self, context: &CheckContext, plan: &Plan, run_dir: Option<&Path>) {
        let Some(kept) = &self.history else { return };
        let (host, life) = (host(), life(run_dir));
        let start = StartEntry {
            id: kept.id.clone(),
            at: kept.began,
            life: format!("{host}/{life}"),
            attempt: self.attempt,
            job: self.world.as_ref().and_then(|world| world.job.as_ref()).map(|job| job.value.clone()),
            host: Some(host),
            nodes: several_nodes(self.world.as_ref(), &context.environment).map(|nodes| nodes.value.into()),
            trainit: env!("CARGO_PKG_VERSION").to_owned(),
            mode: plan.mode.clone(),
            command: text::command(&text::masked_words(&plan.command)),
        };
        let line = Entry::Start(start.clone()).line();
        let record = self.previous.as_ref();
        let looked = look_at(context, &kept.file, || look(&kept.file, &start, context, record, &line));
        let waits = looked.waits;
        self.history_written(looked, line);
        self.history.iter_mut().for_each(|kept| (kept.first, kept.waits) = (Some(start.clone()), waits));
    }

    /// Takes what a mirror has of earlier attempts, and closes those of them that ended without a word.
    pub(super) fn fetch_history(&mut self, context: &CheckContext, mirror: &MirrorPolicy, store: &mut CarriedStore) {
        let Some(kept) = &self.history else { return };
        let (Some(first), waits) = (kept.first.clone(), kept.waits) else { return };
        match MirroredHistory::new(&mirror.url, kept.file.clone(), &kept.id).fetch(store) {
            Ok(0) => return,
            Ok(_) => {}
            Err(why) => {
                let what =
                    format!("the history of earlier attempts is not taken from {} (checkpoint.mirror)", mirror.url);
                return self.console.warning(&Error::new(ErrorKind::Internal, what).because(why));
            }
        }
        let line = if waits { Entry::Start(first.clone()).line() } else { String::new() };
        let record = self.previous.as_ref();
        let looked = look_at(context, &kept.file, || look(&kept.file, &first, context, record, &line));
        // A line that waits still does so in PID 1, and a second one of it means nothing.
        self.history_written(Look { waits: false, ..looked }, line);
    }

    /// Writes that the workload begins; says what changed since the attempt before, if the workload goes on from a checkpoint.
    pub(super) fn history_ready(&mut self, context: &CheckContext, resumed: &Resumed) {
        let times = std::mem::replace(&mut self.times, PhaseTimes::begin(Instant::now()));
        let Some(kept) = &self.history else { return };
        let versions = Versions {
            requirements: kept.requirements.clone(),
            environment: kept.packages.as_ref().map(|packages| packages.hash.clone()),
            image: made_of::image(&context.settings, &context.environment),
            ..made_of::of_findings(&self.findings)
        };
        let from = resumed_from(context, resumed);
        let goes_on = self.attempt > 1 || from.as_ref().is_some_and(|from| from.path.is_some());
        let changes = kept.before.as_ref().filter(|_| goes_on).and_then(|before| made_of::changes(&versions, before));
        let ready =
            ReadyEntry { id: kept.id.clone(), at: rounded(unix_now()), phases: times.all(), resumed: from, versions };
        let line = Entry::Ready(ready).line();
        let looked = look_at(context, &kept.file, || append_with_list(kept, &line));
        self.history_written(looked, line);
        changes.iter().for_each(|line| self.console.line(line));
    }

    /// Takes the result of a write: a line that waits goes to PID 1, and a failure is one warning.
    fn history_written(&mut self, look: Look, line: String) {
        let Some(kept) = &mut self.history else { return };
        kept.before = look.before.or(kept.before.take());
        kept.sum = look.sum.or(kept.sum.take());
        if look.waits {
            self.handover.keep(&Message::HistoryWaits(line));
        }
        if let Some(why) = look.failed {
            let what = format!("the history is not written to {} (history.file)", text::path(&kept.file.path));
            let error = Error::new(ErrorKind::Internal, what).because(why).hint("history.file: another path, or off");
            self.history = None;
            self.handover.keep(&Message::HistoryFailed);
            self.console.warning(&error);
        }
    }
}

/// Looks at the history where its file system answers in time. The answer passes as JSON, because lines leave out what is not known, which
/// only a format with names can say.
fn look_at(context: &CheckContext, file: &HistoryFile, work: impl Fn() -> Look) -> Look {
    let looked = reach::look(&context.mounts, &file.path, || serde_json::to_vec(&work()).unwrap_or_default());
    looked.ok().and_then(|answer| serde_json::from_slice(&answer).ok()).unwrap_or_else(silent)
}

/// Reads the history, closes attempts without an end, and writes the first line.
fn look(
    file: &HistoryFile,
    start: &StartEntry,
    context: &CheckContext,
    record: Option<&StateRecord>,
    line: &str,
) -> Look {
    file.shorten();
    // What cannot be read may still be written: a torn history is no reason to stop.
    let mut bytes = file.read().unwrap_or_default();
    let attempts = Attempts::read(&bytes);
    let dead: Vec<&Attempt> =
        attempts.open().filter(|attempt| attempt.start.id != start.id && !lives(&attempt.start)).collect();
    let newest = (!dead.is_empty()).then(|| newest_checkpoint(context)).flatten();
    let last = dead.iter().skip(dead.len().saturating_sub(MOST_CLOSED));
    let closed: String =
        last.map(|attempt| Entry::End(closing(attempt, start, newest.as_ref(), record)).line()).collect();
    let earlier = attempts.all.iter().rev().filter(|attempt| attempt.start.id != start.id);
    let before = earlier.into_iter().find_map(|attempt| attempt.ready.as_ref());
    let lines = format!("{closed}{line}");
    bytes.push(b'\n');
    bytes.extend_from_slice(lines.as_bytes());
    let (before, sum) = (before.map(|ready| ready.versions.clone()), job_history::sum(&bytes, unix_now()));
    Look { before, sum, ..append(file, &start.id, &lines) }
}

fn append(file: &HistoryFile, id: &str, lines: &str) -> Look {
    match file.append(id, lines) {
        Ok(outcome) => Look { waits: outcome == WriteOutcome::Waits, ..Look::default() },
        Err(error) => Look { failed: Some(errno::words_of(&error)), ..Look::default() },
    }
}

/// Appends the line with which the workload begins, and keeps the list of its packages.
fn append_with_list(kept: &StartHistory, line: &str) -> Look {
    let look = append(&kept.file, &kept.id, line);
    if let Some(packages) = kept.packages.as_ref().filter(|_| look.failed.is_none()) {
        // A history without its lists is whole, so an error is none of the start.
        let _ = match &kept.list_waits_in {
            Some(directory) if look.waits => let_list_wait(directory, &packages.hash, &packages.text),
            _ => kept.file.keep_list(&packages.hash, &packages.text),
        };
    }
    look
}

fn silent() -> Look {
    Look { failed: Some("its file system does not answer".to_owned()), ..Look::default() }
}

/// Returns the end of an attempt that has none, with what is known of it now.
fn closing(attempt: &Attempt, start: &StartEntry, newest: Option<&SavedAt>, record: Option<&StateRecord>) -> EndEntry {
    let began = attempt.ready.as_ref().map_or(attempt.start.at, |ready| ready.at);
    let saved = newest.filter(|saved| saved.at >= began && saved.at <= start.at).cloned();
    let record = record.filter(|record| is_of(record.supervisor, &attempt.start));
    let told = record.map(|record| record.since.max(record.saved.as_ref().map_or(0.0, |saved| saved.modified)));
    let seen = [Some(began), saved.as_ref().map(|saved| saved.at), told].into_iter().flatten().fold(0.0, f64::max);
    let phase = record.map_or(String::new(), |record| format!(", {} when last told", record.phase.word()));
    EndEntry {
        id: attempt.start.id.clone(),
        at: start.at,
        by: ClosedBy::NextStart,
        reason: Reason::Silent,
        how: format!("ended without a word{phase}"),
        asked_by: record.and_then(|record| record.stopped_by.clone()),
        seen: Some(rounded(seen)),
        saved,
        ..EndEntry::default()
    }
}

/// Returns whether a state is of the supervisor of an attempt on this machine or in this container.
fn is_of(supervisor: ProcessIdentity, start: &StartEntry) -> bool {
    let name = format!("-{}-{}", supervisor.pid, supervisor.start);
    start.life.starts_with(&format!("{}/", host())) && start.life.ends_with(&name)
}

/// Returns whether the supervisor of an attempt is a process that can be seen here, and lives.
fn lives(start: &StartEntry) -> bool {
    let own = Pid::parent().and_then(state_dir::identity_of).and_then(state_dir::instance_name);
    let (Some(own), Some((host_name, name))) = (own, start.life.rsplit_once('/')) else { return false };
    let namespace = own.split('-').next();
    let mut parts = name.split('-');
    if host_name != host() || parts.next() != namespace {
        return false;
    }
    let (pid, began) = (parts.next().and_then(|pid| pid.parse().ok()), parts.next());
    let living = pid.and_then(Pid::new).and_then(state_dir::identity_of);
    living.is_some_and(|living| Some(living.start.to_string().as_str()) == began)
}

fn newest_checkpoint(context: &CheckContext) -> Option<SavedAt> {
    let dir = context.settings.checkpoint_dir.value.as_ref()?;
    let (family, pattern) = super::resume::watched(&context.settings).ok()?;
    let found = checkpoint::newest(&context.workdir.join(dir), family, pattern.as_ref()).ok()??;
    let at = found.modified.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(SavedAt { at: rounded(at), step: found.step, path: text::path(&found.path) })
}

/// Returns what the workload goes on from; `None` if trainit did not look.
fn resumed_from(context: &CheckContext, resumed: &Resumed) -> Option<ResumedFrom> {
    let settings = &context.settings;
    let looked = settings.checkpoint_dir.value.is_some() && settings.checkpoint_resume.value != Resume::Off;
    let variable = |name: &str| {
        let found = resumed.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    };
    looked.then(|| ResumedFrom {
        path: variable("TRAINIT_RESUME_PATH"),
        step: variable("TRAINIT_RESUME_STEP").and_then(|step| step.parse().ok()),
    })
}

/// Returns an identity for a new attempt: the time in milliseconds, so that names sort by it, and a random number.
fn new_id(began: f64) -> String {
    let random = RandomState::new().build_hasher().finish() as u32;
    format!("{:011x}{random:08x}", (began * 1e3) as u64)
}

fn host() -> String {
    let name = Root::real().text("/proc/sys/kernel/hostname").unwrap_or_default();
    text::line(name.trim()).into_owned()
}

/// Returns the identity of the supervisor.
fn life(run_dir: Option<&Path>) -> String {
    let named = run_dir.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let own = || Pid::parent().and_then(state_dir::identity_of).and_then(state_dir::instance_name);
    named.or_else(own).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_attempt_was_last_seen_at_its_checkpoint_or_by_its_state() {
        let life = format!("{}/4026-1-77", host());
        let attempt = Attempt {
            start: StartEntry { id: "a".into(), at: 100.0, life, ..StartEntry::default() },
            ready: Some(ReadyEntry { id: "a".into(), at: 110.0, ..ReadyEntry::default() }),
            end: None,
        };
        let start = StartEntry { at: 200.0, ..StartEntry::default() };
        let saved = |at| SavedAt { at, step: Some(7), path: "7".into() };
        let closed = |at: f64, record: Option<&StateRecord>| closing(&attempt, &start, Some(&saved(at)), record);
        assert_eq!((closed(150.0, None).seen, closed(150.0, None).saved), (Some(150.0), Some(saved(150.0))));
        // A checkpoint of an earlier attempt is none of this one.
        assert_eq!((closed(90.0, None).seen, closed(90.0, None).saved), (Some(110.0), None));
        let supervisor = ProcessIdentity { pid: 1, start: 77 };
        let record = StateRecord { since: 180.0, supervisor, ..StateRecord::default() };
        assert_eq!(closed(150.0, Some(&record)).seen, Some(180.0));
        let foreign = StateRecord { supervisor: ProcessIdentity { pid: 1, start: 78 }, ..record };
        assert_eq!(closed(150.0, Some(&foreign)).seen, Some(150.0));
    }
}
