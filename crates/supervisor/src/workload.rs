//! The workload as PID 1 reaches it: the main process, all its descendants, and its terminal. Decides nothing.
//!
//! It knows which processes it may signal (never a reaped pid, never a helper) and how a signal gets there.

use super::delivery::{Delivery, deliver_one};
use super::guardian;
use super::helpers::Helpers;
use super::programs::ProgramKind;
use super::signal_target::{self, ProcessView, RealProcesses};
use super::unsent_signals::UnsentSignals;
use protocol::handover::Scope;
use std::collections::BTreeSet;
use sys::{KillTarget, Pgid, Pid, Signal, proc, process, signal, terminal};

/// Most repetitions of a walk over the process tree while it still finds new processes, so that a fork during a walk is not missed.
const WALKS: u32 = 10;

/// The processes of one start.
#[derive(Debug)]
pub(crate) struct Workload {
    main: Pid,
    /// The main process has been reaped, and its pid may be reused.
    gone: bool,
    delivery: Delivery,
    /// Every process got TERM at once, because /proc shows another pid namespace.
    told_everyone: bool,
    /// PID 1 has taken the terminal's foreground while the main process is stopped.
    lent: bool,
    /// Job control stopped the main process.
    stopped: bool,
    /// A TSTP was forwarded, so the main process is stopped on request.
    told_to_stop: bool,
    unsent: UnsentSignals,
}

impl Workload {
    /// Returns the workload of a main process that was just started.
    pub(crate) fn of(main: Pid) -> Self {
        let delivery = Delivery::default();
        let unsent = UnsentSignals::default();
        Workload {
            main,
            gone: false,
            delivery,
            told_everyone: false,
            lent: false,
            stopped: false,
            told_to_stop: false,
            unsent,
        }
    }

    /// Returns the sender of all signals.
    pub(crate) fn unsent(&self) -> &UnsentSignals {
        &self.unsent
    }

    /// Returns the main process.
    pub(crate) fn main(&self) -> Pid {
        self.main
    }

    /// Returns the group that the main process makes for itself before it becomes the workload.
    fn group(&self) -> Pgid {
        Pgid::led_by(self.main)
    }

    /// Returns whether the main process has been reaped.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Takes a reaped child, whose pid may be reused from now on; returns whether it was the main process.
    pub(crate) fn reaped(&mut self, pid: Pid) -> bool {
        self.delivery.forget(pid);
        self.unsent.forget(pid);
        let main = pid == self.main && !self.gone;
        if main {
            self.gone = true;
            terminal::take_back(self.group());
        }
        main
    }

    /// Forwards a signal to the main process or its group; ESRCH and EPERM are ignored, because PID 1 lives on.
    pub(crate) fn forward(&mut self, signal: Signal, scope: Scope) {
        match signal {
            _ if self.gone => return,
            Signal::CONT if self.stopped => return self.go_on(),
            Signal::TSTP => self.told_to_stop = true,
            _ => {}
        }
        // The group does not exist before the child has made it, and the signal must not be lost.
        if scope != Scope::Group || self.unsent.send(self.group(), signal).is_err_and(signal::is_final) {
            let _ = self.unsent.send(self.main, signal);
        }
    }

    /// Returns which of these signals the main process has a handler for.
    pub(crate) fn catches(&self, signals: u64) -> u64 {
        proc::status(self.main).filter(|_| !self.gone).map_or(0, |status| status.caught & signals)
    }

    /// Sends the stop signal within the scope; returns false if no process had a handler for a signal that trainit chose itself.
    pub(crate) fn deliver(&mut self, signal: Signal, scope: Scope, chosen_by_us: bool) -> bool {
        if self.gone {
            return true;
        }
        let targets = signal_target::choose(self.main, signal, scope, &RealProcesses);
        if scope == Scope::Group {
            self.delivery.know(group(self.group()));
        }
        let nobody = targets.signalled.is_empty();
        self.delivery.deliver(targets, signal, chosen_by_us, &self.unsent) > 0 || nobody
    }

    /// Returns the delivery of the stop signal, and the sender of all signals.
    pub(crate) fn delivery(&mut self) -> (&mut Delivery, &UnsentSignals) {
        (&mut self.delivery, &self.unsent)
    }

    /// Sends HUP to an interactive shell, as if its terminal had gone; other programs may give HUP another meaning. The shell would send
    /// it to its jobs (bash(1), SIGNALS), so it waits for a job that saves.
    pub(crate) fn hang_up(&mut self) {
        if self.gone || RealProcesses.kind(self.main) != ProgramKind::Shell {
            return;
        }
        self.delivery.end_after(self.main, Signal::HUP);
        if !self.delivery.saves() {
            self.delivery.release_spared(&self.unsent);
        }
    }

    /// Sends a signal only to processes with a handler for it, because the others would die of it; returns whether there was any.
    pub(crate) fn ask(&self, signal: Signal, scope: Scope) -> bool {
        if self.gone {
            return false;
        }
        let chosen = match scope {
            Scope::Group => group(self.group()).map(KillTarget::from).collect(),
            _ => signal_target::choose_to_ask(self.main, signal, scope, &RealProcesses),
        };
        let catches = |pid| proc::status(pid).is_some_and(|status| signal.is_in(status.caught));
        let ready = |target: &KillTarget| target.process().is_some_and(catches);
        chosen.into_iter().filter(ready).filter(|target| deliver_one(&self.unsent, *target, signal, true)).count() > 0
    }

    /// Returns all descendants of PID 1 except helpers.
    pub(crate) fn tree(&self, helpers: &Helpers) -> Vec<Pid> {
        proc::descendants(Pid::own()).into_iter().filter(|pid| !helpers.has(*pid)).collect()
    }

    /// Sends TERM to the processes that became children of PID 1 after the stop signal was delivered.
    pub(crate) fn deliver_to_orphans(&mut self, helpers: &Helpers) {
        if !proc::is_of_this_namespace() && !std::mem::replace(&mut self.told_everyone, true) {
            self.signal_everyone(Signal::TERM);
        }
        self.delivery.deliver_to_orphans(helpers, &self.unsent);
    }

    /// Sends a signal to every descendant.
    ///
    /// Where /proc shows another pid namespace, only kill(2) with pid -1 reaches them, and only PID 1 of a namespace may use that.
    pub(crate) fn signal_tree(&mut self, signal: Signal, helpers: &Helpers) {
        if !proc::is_of_this_namespace() {
            return self.signal_everyone(signal);
        }
        let tree = self.tree(helpers);
        for pid in &tree {
            deliver_one(&self.unsent, (*pid).into(), signal, false);
        }
        self.delivery.know(tree.into_iter());
    }

    fn signal_everyone(&self, signal: Signal) {
        if process::is_first() {
            let _ = self.unsent.send(KillTarget::Everyone, signal);
        }
    }

    /// Sends SIGKILL to everything.
    ///
    /// Where trainit is not PID 1, no single call reaches every process. Where it is, kill(2) with pid -1 does not reach other users'
    /// processes if root has no CAP_KILL. So every descendant is signalled by its pid as well.
    pub(crate) fn kill(&mut self, helpers: &Helpers) {
        self.signal_everyone(Signal::KILL);
        let mut killed = BTreeSet::new();
        for _ in 0..WALKS {
            let new: Vec<Pid> = self.tree(helpers).into_iter().filter(|pid| killed.insert(*pid)).collect();
            for pid in &new {
                let _ = self.unsent.send(*pid, Signal::KILL);
            }
            if new.is_empty() {
                return;
            }
        }
    }

    /// Handles a main process that job control has stopped.
    ///
    /// With a shell above, trainit stops as well, so that the shell gets its terminal back. Without a shell, trainit continues a process
    /// that a person has stopped with Ctrl-Z by mistake, because no other process could.
    pub(crate) fn suspended(&mut self, by: Signal) {
        self.stopped = true;
        if [Signal::TTIN, Signal::TTOU].contains(&by) && terminal::hand_over(self.group()) {
            return self.go_on();
        }
        self.lent |= terminal::take_back(self.group());
        let by_terminal = [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&by);
        if by_terminal && !process::is_first() && terminal::is_there() {
            guardian::suspend(); // the CONT that ends this stop is forwarded like any other
        } else if by == Signal::TSTP && self.lent && !self.told_to_stop {
            self.go_on();
        }
    }

    /// Continues the main process and the processes that were stopped with it.
    ///
    /// A process group from the foreground returns there, unless it is continued in the background.
    fn go_on(&mut self) {
        if self.lent && terminal::hand_over(self.group()) {
            self.lent = false;
        }
        (self.stopped, self.told_to_stop) = (false, false);
        if self.unsent.send(self.group(), Signal::CONT).is_err_and(signal::is_final) {
            let _ = self.unsent.send(self.main, Signal::CONT);
        }
    }
}

/// Returns the descendants of PID 1 in a process group.
fn group(group: Pgid) -> impl Iterator<Item = Pid> {
    proc::descendants(Pid::own()).into_iter().filter(move |pid| Pgid::of(*pid) == Some(group))
}
