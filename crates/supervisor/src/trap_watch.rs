//! What a shell's trap does with a stop signal for a job in the background.
//!
//! A trap that passes the signal on (`trap 'kill $PID' TERM`) has told the trainer, and a second signal could make it leave without a
//! checkpoint. A trap that does not has left the trainer untold. Nothing in /proc shows the past of a process, so the job is stopped for a
//! moment: a signal that the trap sends meanwhile is pending, and can be seen.

use super::other_process::OtherProcess;
use super::signal_target::Trap;
use super::unsent_signals::UnsentSignals;
use std::time::Duration;
use sys::{Pid, Signal, proc};

/// The pause between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// Most looks at jobs that have not stopped yet: a process that waits in the kernel stops later.
const TO_STOP: u32 = 10;
/// Most looks at all. A trap that has not passed anything on by then is busy with something else.
const LOOKS: u32 = 50;

/// A shell with a trap, and the jobs that are stopped while it acts.
#[derive(Debug)]
pub(crate) struct TrapWatch {
    shell: OtherProcess,
    signal: Signal,
    jobs: Vec<OtherProcess>,
    waits: bool,
    /// The shell has got the signal.
    told: bool,
    looks: u32,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TrapResult {
    /// The trap may still act.
    Acts,
    /// The trap is over. The jobs run again; the first ones have a signal of the trap's, the others have none.
    Over(Vec<Pid>, Vec<Pid>),
}

impl TrapWatch {
    /// Stops the jobs.
    pub(crate) fn begin(trap: &Trap, signal: Signal, unsent: &UnsentSignals) -> Self {
        for job in &trap.jobs {
            let _ = unsent.send(*job, Signal::STOP);
        }
        let jobs = trap.jobs.iter().filter_map(|job| OtherProcess::of(*job)).collect();
        TrapWatch { shell: OtherProcess::named(trap.shell), signal, jobs, waits: trap.waits, told: false, looks: 0 }
    }

    /// Signals the shell once the jobs have stopped, and looks then what the shell has passed on.
    pub(crate) fn look(&mut self, unsent: &UnsentSignals) -> TrapResult {
        self.looks += 1;
        if !self.told {
            let stopped =
                |job: &OtherProcess| !job.runs() || proc::status(job.pid).is_some_and(|status| status.state == 'T');
            if self.jobs.iter().all(stopped) || self.looks > TO_STOP {
                self.told = true;
                let _ = unsent.send(self.shell.pid, self.signal);
            }
            return TrapResult::Acts;
        }
        let (heard, unheard): (Vec<Pid>, Vec<Pid>) =
            self.jobs.iter().filter(|job| job.runs()).map(|job| job.pid).partition(|pid| has_pending(*pid));
        if !unheard.is_empty() && self.shell.runs() && self.looks < LOOKS {
            return TrapResult::Acts;
        }
        for job in heard.iter().chain(&unheard) {
            let _ = unsent.send(*job, Signal::CONT);
        }
        TrapResult::Over(heard, unheard)
    }

    /// Returns whether the trap may still tell its jobs. A shell that waits for a job in the foreground does not.
    pub(crate) fn may_yet_act(&self) -> bool {
        self.shell.runs() && !self.waits
    }
}

/// Returns whether a signal is pending that a trap may have sent.
fn has_pending(pid: Pid) -> bool {
    let asks = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];
    proc::status(pid).is_some_and(|status| asks.iter().any(|signal| signal.is_in(status.pending)))
}
