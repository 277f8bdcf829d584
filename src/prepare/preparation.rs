//! What goes with a start through all of its steps. The steps are methods in files of their own; this file knows none of them.

use crate::check::Finding;
use crate::error::Error;
use crate::report::{Console, HookRow};
use protocol::handover::{HandoverWriter, Message, Phase};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::environment::Environment;

/// What goes with a start through all of it.
pub struct Preparation {
    /// The way to PID 1, or to nothing where there is no supervisor.
    pub handover: HandoverWriter,
    /// Where lines go.
    pub console: Console,
    /// When PID 1 started.
    pub since: Instant,
    /// The number of this start.
    pub attempt: u32,
    /// Why it fails is on the console already.
    pub told: bool,
    /// Where the report goes.
    pub(super) report: Option<PathBuf>,
    /// The hooks that ran.
    pub hooks: Vec<HookRow>,
    /// What the checks have found so far.
    pub(super) findings: Vec<Finding>,
    /// What is wrong with `state_dir`, until it can be told.
    pub(super) state_trouble: Option<Error>,
    /// What came of the dependencies, and how long that took.
    pub(super) dependencies: Option<(String, Duration)>,
    /// What only root could do for another user, once it is done.
    pub(super) of_root: Option<OfRoot>,
}

/// What only root could do for another user.
pub(super) struct OfRoot {
    /// The state directory, and whether it was made.
    pub(super) run_dir: Option<(PathBuf, bool)>,
    /// What the start before this one could not say itself.
    pub(super) last_words: Option<String>,
}

/// A workload, ready to be started.
pub struct PreparedWorkload {
    /// Its command line.
    pub command: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
}

impl Preparation {
    /// A start that begins now.
    pub fn new(handover: HandoverWriter, since: Instant, attempt: u32) -> Self {
        let (console, findings, hooks) = (Console::early(), Vec::new(), Vec::new());
        let (told, report, dependencies, of_root, state_trouble) = (false, None, None, None, None);
        Preparation {
            handover,
            console,
            since,
            attempt,
            told,
            report,
            hooks,
            findings,
            state_trouble,
            dependencies,
            of_root,
        }
    }

    pub(super) fn is_first_start(&self) -> bool {
        self.attempt == 1 && self.handover.supervised()
    }

    /// Says what is done from now on, at once: a prepare that is killed, or waits for ever, cannot say it any more.
    pub(super) fn phase(&self, phase: Phase) {
        self.handover.send(&Message::Phase(phase));
    }
}
