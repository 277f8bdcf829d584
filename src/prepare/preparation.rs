//! The values that a start carries through all its steps. The steps are methods in other files; this file depends on none of them.

use super::commit_teller::CommitTeller;
use super::start_history::{PhaseTimes, StartHistory};
use crate::check::Finding;
use crate::code::BroughtCode;
use crate::error::{Error, Result};
use crate::report::{Console, HookRow, NodesRow};
use protocol::handover::{HandoverWriter, Message, Phase};
use protocol::state_file::StateRecord;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::environment::Environment;
use world::World;

/// A start in preparation.
pub(super) struct Preparation {
    /// The pipe to PID 1, which drops everything if there is no supervisor.
    pub handover: HandoverWriter,
    /// The output for log lines.
    pub console: Console,
    /// When PID 1 started.
    pub since: Instant,
    /// The number of this start.
    pub attempt: u32,
    /// The reason of the failure is logged already.
    pub told: bool,
    /// The path of the report.
    pub(super) report: Option<PathBuf>,
    /// The hooks that ran.
    pub hooks: Vec<HookRow>,
    /// The job around this start; `None` where nothing tells of one.
    pub(super) world: Option<World>,
    /// The words of the row about that job.
    pub(super) world_words: Option<String>,
    /// How the meeting with the job's other processes ended; `None` where there was none.
    pub(super) nodes: Option<NodesRow>,
    /// The findings of the checks so far.
    pub(super) findings: Vec<Finding>,
    /// The problem with `state_dir`, until it can be logged.
    pub(super) state_trouble: Option<Error>,
    /// The outcome of the dependencies, and the time that they took.
    pub(super) dependencies: Option<(String, Duration)>,
    /// The code of `code.from`, or why it could not be brought; `None` without that key.
    pub(super) code: Option<Result<BroughtCode>>,
    /// The outcome of that, and the time that it took.
    pub(super) code_row: Option<(String, Duration)>,
    /// The process that tells the other nodes which commit this node has found.
    pub(super) commit_teller: Option<CommitTeller>,
    /// What the mirror of checkpoints had, or what was fetched from it, and the time that it took.
    pub(super) mirror_row: Option<(String, Duration)>,
    /// The results of the work that only root could do for another user, once it is done.
    pub(super) of_root: Option<OfRoot>,
    /// The state of the start before this one, which ended without a word.
    pub(super) previous: Option<StateRecord>,
    /// The phases so far.
    pub(super) times: PhaseTimes,
    /// The history of the job; `None` if none is written.
    pub(super) history: Option<StartHistory>,
}

/// The results of the work that only root can do for another user.
pub(super) struct OfRoot {
    /// The state directory, and whether it was made.
    pub(super) run_dir: Option<(PathBuf, bool)>,
    /// The state of the start before this one, which could not log its end itself.
    pub(super) previous: Option<StateRecord>,
}

/// A workload, ready to be started.
pub(super) struct PreparedWorkload {
    /// The command line.
    pub command: Vec<OsString>,
    /// The environment.
    pub environment: Environment,
}

impl Preparation {
    /// Returns a start that begins now.
    pub(super) fn new(handover: HandoverWriter, since: Instant, attempt: u32) -> Self {
        let (console, findings, hooks) = (Console::early(), Vec::new(), Vec::new());
        let (told, report, dependencies, of_root, state_trouble) = (false, None, None, None, None);
        let (world, world_words) = (None, None);
        Preparation {
            handover,
            console,
            since,
            attempt,
            told,
            report,
            hooks,
            world,
            world_words,
            nodes: None,
            findings,
            state_trouble,
            dependencies,
            code: None,
            commit_teller: None,
            code_row: None,
            mirror_row: None,
            of_root,
            previous: None,
            times: PhaseTimes::begin(if attempt == 1 { since } else { Instant::now() }),
            history: None,
        }
    }

    pub(super) fn is_first_start(&self) -> bool {
        self.attempt == 1 && self.handover.supervised()
    }

    /// Sends a phase to PID 1 when it begins: a prepare that is killed, or waits for ever, cannot send it any more.
    pub(super) fn phase(&mut self, phase: Phase) {
        self.times.enter(phase);
        self.handover.send(&Message::Phase(phase));
    }
}
