//! The writer of the state file: writes when something changed that a reader would see, and removes the file at the end.

use super::clock::{Clock, due};
use super::log_words;
use super::requests::Requests;
use super::start_sidecars::StartedSidecars;
use super::state::State;
use crate::state_dir;
use protocol::handover::{Phase, Policy};
use protocol::state_file::{self, StateRecord};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::Pid;

/// A phase that is shorter than this is not written, because each write to a disk costs more than that.
const PASSING: Duration = Duration::from_millis(100);

/// The state directory and what was last written there.
#[derive(Default)]
pub(crate) struct StateWriter {
    directory: Option<PathBuf>,
    /// prepare has named the directory; otherwise it is in the usual base.
    named: bool,
    /// Another process has made the directory.
    made: bool,
    /// The present directory has a state file.
    written: bool,
    /// Requests in the directory can be watched, and are not yet.
    unwatched: bool,
    /// The directory, open since the first write: before that, inherited descriptors are closed.
    ///
    /// It is locked as long as PID 1 lives, so that the next start can tell a dead start's directory from a living neighbour's.
    open: Option<state_dir::StateDir>,
    record: StateRecord,
    /// Time of the next write, for a change that need not be written at once.
    write_at: Option<Clock>,
}

impl StateWriter {
    /// Returns a writer without a directory.
    pub(crate) fn new() -> Self {
        StateWriter {
            record: StateRecord { version: state_file::VERSION, ..StateRecord::default() },
            ..StateWriter::default()
        }
    }

    /// Sets the latest time of the first write, whatever prepare has sent by then; a plain init keeps no state.
    pub(crate) fn begin(&mut self, state: &State) {
        self.write_at = (!state.is_plain()).then_some(PASSING);
    }

    /// Moves into the directory that prepare named, once; `since` is the time since PID 1 started.
    ///
    /// The directory does not exist yet unless it was `made`.
    pub(crate) fn move_in(&mut self, directory: &Path, made: bool, since: Duration) {
        (self.named, self.unwatched) = (true, true);
        self.made |= made;
        if self.directory.as_deref() == Some(directory) {
            return;
        }
        if std::mem::take(&mut self.written) {
            // Two directories of one supervisor would be two instances to a reader. The new directory is written at once.
            self.write_at = Some(Clock::ZERO);
            self.open.take().into_iter().for_each(|before| before.remove(&state_dir::usual_bases()));
        }
        self.lie_in(directory, since);
    }

    /// Moves into the usual directory if prepare has named none by the time of the first write.
    ///
    /// A start may take long to read its configuration, or ask a slow directory of users.
    fn move_in_unasked(&mut self, since: Duration) {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = state_dir::identity_of(Pid::own());
        match own.and_then(|own| state_dir::place(runtime.as_deref(), own).ok()) {
            Some(directory) => self.lie_in(&directory, since),
            None => self.write_at = None,
        }
    }

    fn lie_in(&mut self, directory: &Path, since: Duration) {
        self.record.started = state_dir::unix_now() - since.as_secs_f64();
        self.directory = Some(directory.to_owned());
        self.record.supervisor = state_dir::supervisor_of(directory).unwrap_or_default();
    }

    /// Returns whether prepare has named the directory.
    pub(crate) fn is_named(&self) -> bool {
        self.named
    }

    /// Returns the watch of requests, once: the directory is open, and prepare has said which user may write requests.
    fn watch_requests(&mut self, policy: &Policy) -> Option<Requests> {
        let open = self.open.as_ref().filter(|_| std::mem::take(&mut self.unwatched))?;
        Requests::watch(open, policy.user.as_ref())
    }

    /// Returns when the next change must be written.
    pub(crate) fn deadline(&self) -> Option<Clock> {
        self.write_at
    }

    /// Writes what changed: lasting phases at once, others a little later. Returns the watch of requests when it begins: that is before
    /// a reader can see the first state and ask for something.
    pub(crate) fn keep(
        &mut self,
        state: &State,
        main: Pid,
        started_sidecars: &StartedSidecars,
        stopped_by: Option<&str>,
        now: Clock,
    ) -> Option<Requests> {
        if self.directory.is_none() && due(self.write_at, now) {
            self.move_in_unasked(now);
        }
        self.directory.as_ref()?;
        let mut record =
            StateRecord { stopped_by: stopped_by.map(str::to_owned), ..self.describe(state, main, started_sidecars) };
        let news = record != self.record || !self.is_written();
        if !news || self.may_pass(record.phase) && now < *self.write_at.get_or_insert(now + PASSING) {
            return self.watch_requests(&state.policy);
        }
        self.write_at = None;
        if record.phase != self.record.phase || self.record.since == 0.0 {
            record.since = state_dir::unix_now();
        }
        // A full disk costs the update, not the container.
        if self.open.is_none() {
            self.open = self.directory.as_deref().and_then(open);
        }
        let requests = self.watch_requests(&state.policy);
        let _ = self.open.as_ref().map(|open| open.write(&record));
        (self.written, self.record) = (true, record);
        requests
    }

    /// Returns whether a reader may have seen a state.
    pub(crate) fn is_written(&self) -> bool {
        self.written
    }

    /// Returns whether a phase may be over before a reader could see it.
    fn may_pass(&self, phase: Phase) -> bool {
        match phase {
            Phase::Configuring
            | Phase::Staging
            | Phase::Checking
            | Phase::Installing
            | Phase::Starting
            | Phase::Waiting => true,
            Phase::Running => !self.is_written(),
            _ => false,
        }
    }

    /// Removes the directory, which the next start would otherwise report as a sudden death.
    pub(crate) fn close(&mut self) {
        let Some(directory) = self.directory.take() else { return };
        let (made, written) = (self.made, self.open.take());
        if let Some(open) = written.or_else(|| made.then(|| open(&directory)).flatten()) {
            open.remove(&state_dir::usual_bases());
        }
    }

    fn describe(&self, state: &State, main: Pid, started_sidecars: &StartedSidecars) -> StateRecord {
        StateRecord {
            phase: state.phase(),
            main: main.number(),
            attempt: state.attempt,
            mode: state.policy.mode.clone(),
            kind: state.policy.kind,
            command: state.command().map(str::to_owned),
            staged: state.staged(),
            ended: state.ended().map(log_words::how),
            saved: state.checkpoints().newest.clone(),
            mirror: state.mirror().cloned(),
            hung: state.verdict().hung,
            asks: state.checkpoints().asks,
            refusals: state.checkpoints().refusals,
            can_save: state.policy.checkpoint.signal.is_some() || state.policy.checkpoint.request_file.is_some(),
            watches: state.policy.checkpoint.watched.is_some(),
            port: state.policy.service.as_ref().map(|service| service.port),
            service: state.policy.service.clone(),
            report: state.policy.report.file.clone(),
            history_file: state.policy.history.as_ref().map(|history| history.file.clone()),
            hold_s: state
                .policy
                .hold
                .as_ref()
                .filter(|_| state.phase() == Phase::Holding)
                .map(|hold| hold.time.as_secs()),
            refused: state.refusal().map(str::to_owned).or_else(|| Some(state.prepare_killed()?.words())),
            sidecars: started_sidecars.described(state),
            used_by: state.used_by().map(str::to_owned),
            unused_since: state.unused_since().map(|since| self.record.started + since.as_secs_f64()),
            idle_s: state.policy.idle.unused.as_ref().map(|idle| idle.after.as_secs()),
            ..self.record.clone()
        }
    }
}

/// Opens the directory, makes it if it is missing, and locks it.
fn open(directory: &Path) -> Option<state_dir::StateDir> {
    let open = state_dir::StateDir::make(directory).ok()?;
    open.lock();
    Some(open)
}
