//! The history of the job: writes the end of an attempt, and lines that have waited for a first checkpoint.

use crate::job_history::{self, HistoryFile, WriteOutcome};
use crate::mirror::{CarriedStore, MirroredHistory};
use history::{EndEntry, Entry, Reason, SavedAt};
use protocol::errno;
use protocol::exit_code::Exit;
use protocol::handover::{AttemptEnd, HistoryPolicy, Message, Policy};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use supervisor::HelperArgs;
use sys::Signal;

/// How long the copy in the mirror may take: PID 1 gives this helper half a second more (`supervisor::helpers`).
const IN_A_STOP: Duration = Duration::from_millis(1500);
const IN_TIME: Duration = Duration::from_millis(9500);

/// The exit code of a death by SIGKILL.
const KILLED: u8 = 128 + Signal::KILL.number();

/// Signals that the kernel sends for a fault of the program, or that the program sends itself.
const FAULTS: [Signal; 6] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::ABRT, Signal::FPE, Signal::SYS];

/// Writes the end of the attempt, and the sum to the log where the job is over.
pub(super) fn write_end(task: &HelperArgs<'_>, waiting: &str, end: &AttemptEnd) {
    let Some(policy) = &task.policy.history else { return };
    let entry = Entry::End(entry(&policy.id, end));
    if write(task, policy, &format!("{waiting}{}", entry.line())) && end.over {
        let bytes = file(policy).read().unwrap_or_default();
        let sum = job_history::sum(&bytes, end.at).unwrap_or_default();
        task.handover.send(&Message::Note(job_history::sum_line(&sum)));
    }
    mirror(task, if end.stopped_by.is_some() { IN_A_STOP } else { IN_TIME });
}

/// Keeps a copy of the history in the mirror, where the next start finds it on any node.
fn mirror(task: &HelperArgs<'_>, within: Duration) {
    let (Some(policy), Some(mut history)) = (task.policy.mirror.clone(), MirroredHistory::of(task.policy)) else {
        return;
    };
    let (sender, kept) = mpsc::channel();
    // What carries the bytes ends with this process.
    std::thread::spawn(move || {
        let store = CarriedStore::start(&policy, std::iter::empty()).map_err(|failure| text::masked(&failure.text));
        sender.send(store.and_then(|mut store| history.keep(&mut store)))
    });
    let why = match kept.recv_timeout(within) {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why,
        Err(_) => format!("no answer within {}", protocol::units::seconds(within)),
    };
    task.handover.send(&Message::Note(format!("the end of this attempt is not in the mirror's history: {why}")));
}

/// Writes lines that have waited.
pub(super) fn write_waiting(task: &HelperArgs<'_>, lines: &str) {
    if let Some(policy) = &task.policy.history {
        write(task, policy, lines);
    }
}

/// Writes lines; returns whether they are written. Those that still have to wait go back to PID 1.
fn write(task: &HelperArgs<'_>, policy: &HistoryPolicy, lines: &str) -> bool {
    let told = match file(policy).append(&policy.id, lines) {
        Ok(WriteOutcome::Written) => {
            lists(task.policy).iter().for_each(|directory| file(policy).take_waiting_lists(directory));
            return true;
        }
        Ok(WriteOutcome::Waits) => {
            let waits = |line: &str| Message::HistoryWaits(line.to_owned());
            lines.split_inclusive('\n').for_each(|line| task.handover.send(&waits(line)));
            return false;
        }
        Err(error) => errno::words_of(&error),
    };
    let file = text::path(policy.file.as_ref());
    task.handover.send(&Message::Note(format!("the history is not written to {file} (history.file): {told}")));
    false
}

/// Returns the directory in which lists of packages wait: the one beside the state in which the workload's user can write.
fn lists(policy: &Policy) -> Option<PathBuf> {
    let run_dir = policy.run_dir.as_ref().map(PathBuf::from)?;
    Some(if policy.user.is_some() { run_dir.join(protocol::state_file::REQUESTS) } else { run_dir })
}

fn file(policy: &HistoryPolicy) -> HistoryFile {
    HistoryFile { path: PathBuf::from(&policy.file), waits: policy.waits }
}

fn entry(id: &str, end: &AttemptEnd) -> EndEntry {
    let saved = |(saved, at): &(protocol::handover::SavedCheckpoint, f64)| SavedAt {
        at: history::rounded(*at),
        step: saved.step,
        path: saved.path.clone(),
    };
    EndEntry {
        id: id.to_owned(),
        at: history::rounded(end.at),
        reason: reason(end),
        how: text::masked(end.how.lines().next().unwrap_or_default()),
        code: Some(end.code),
        asked_by: end.stopped_by.clone(),
        worked_until: end.worked_until.map(history::rounded),
        saved: end.saved.as_ref().map(saved),
        ..EndEntry::default()
    }
}

/// Returns why the attempt ended.
fn reason(end: &AttemptEnd) -> Reason {
    let ran = end.worked_until.is_some();
    let signal = end.signal.and_then(Signal::new);
    let killed = signal == Some(Signal::KILL) || end.code == KILLED || end.code == LACK_OF_MEMORY;
    match () {
        () if end.complete => Reason::Done,
        () if end.hung => Reason::Hung,
        () if end.stopped_by.is_some() => Reason::Stopped,
        () if end.memory_kills > 0 && (killed || ran) => Reason::Memory,
        () if !ran => Reason::Refused,
        () if end.code == 0 && signal.is_none() => Reason::Done,
        () if signal.is_some_and(|signal| !FAULTS.contains(&signal)) => Reason::Killed,
        () => Reason::Failed,
    }
}

/// The exit code of a preparation that the kernel killed for want of memory.
const LACK_OF_MEMORY: u8 = Exit::Transient(protocol::exit_code::FailureFamily::Host).code();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_follows_from_what_pid_1_saw() {
        let ran = || AttemptEnd { worked_until: Some(1.0), ..AttemptEnd::default() };
        let by =
            |signal: Signal| AttemptEnd { signal: Some(signal.number().into()), code: 128 + signal.number(), ..ran() };
        let stopped = |end| AttemptEnd { stopped_by: Some("SIGTERM".into()), ..end };
        let ends = [
            (ran(), Reason::Done),
            (AttemptEnd { code: 1, ..ran() }, Reason::Failed),
            (by(Signal::SEGV), Reason::Failed),
            (by(Signal::KILL), Reason::Killed),
            (AttemptEnd { memory_kills: 1, ..by(Signal::KILL) }, Reason::Memory),
            (AttemptEnd { memory_kills: 1, code: 1, ..ran() }, Reason::Memory),
            (stopped(by(Signal::TERM)), Reason::Stopped),
            (stopped(AttemptEnd { complete: true, ..ran() }), Reason::Done),
            (AttemptEnd { hung: true, ..by(Signal::KILL) }, Reason::Hung),
            (AttemptEnd { code: 111, ..AttemptEnd::default() }, Reason::Refused),
            (AttemptEnd { code: 214, memory_kills: 1, ..AttemptEnd::default() }, Reason::Memory),
            (stopped(AttemptEnd { code: 143, ..AttemptEnd::default() }), Reason::Stopped),
        ];
        for (end, expected) in ends {
            assert_eq!(reason(&end), expected, "{end:?}");
        }
    }
}
