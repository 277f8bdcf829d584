//! Who was told of a stop, who was left out on purpose, and who still has to hear of it.

use super::helpers::Helpers;
use super::other_process::OtherProcess;
use super::programs::ProgramKind;
use super::signal_target::{self, ProcessView, RealProcesses, SignalTargets};
use super::trap_watch::{TrapResult, TrapWatch};
use super::unsent_signals::UnsentSignals;
use std::collections::BTreeSet;
use sys::{KillTarget, Pid, Signal, proc};

/// The delivery of a stop signal.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Processes that were told, or left out on purpose: as orphans they get no other signal.
    known: BTreeSet<Pid>,
    /// The processes that were signalled, and with which signal.
    told: Vec<(OtherProcess, Signal)>,
    /// The processes that end after those, and by which signal.
    spared: Vec<(OtherProcess, Signal)>,
    /// Shells whose trap is being watched.
    traps: Vec<TrapWatch>,
}

impl Delivery {
    /// Signals the targets; returns how many of them had a handler.
    ///
    /// A signal that trainit chose itself goes only to a process with a handler for it; any other process gets TERM.
    pub(crate) fn deliver(
        &mut self,
        targets: SignalTargets,
        signal: Signal,
        chosen_by_us: bool,
        unsent: &UnsentSignals,
    ) -> usize {
        let SignalTargets { shells, signalled, spared, traps } = targets;
        self.know(spared.iter().chain(&shells).copied());
        spared.into_iter().for_each(|pid| self.end_after(pid, Signal::TERM));
        for trap in &traps {
            self.know(trap.jobs.iter().copied());
            self.traps.push(TrapWatch::begin(trap, signal, unsent));
        }
        for shell in shells {
            deliver_one(unsent, shell.into(), Signal::TERM, false);
        }
        let watched = |target: &KillTarget| traps.iter().any(|trap| target.process() == Some(trap.shell));
        let tell = |target: &&KillTarget| watched(target) || deliver_one(unsent, **target, signal, chosen_by_us);
        let ready = signalled.iter().filter(tell).count();
        self.note_told(signalled.into_iter().filter_map(KillTarget::process), signal);
        ready
    }

    /// Notes processes that got no signal of their own, but need none.
    pub(crate) fn know(&mut self, processes: impl Iterator<Item = Pid>) {
        self.known.extend(processes);
    }

    fn note_told(&mut self, processes: impl Iterator<Item = Pid>, signal: Signal) {
        for pid in processes {
            self.known.insert(pid);
            self.told.extend(OtherProcess::of(pid).map(|process| (process, signal)));
        }
    }

    /// Forgets a reaped child, whose pid may be reused.
    pub(crate) fn forget(&mut self, pid: Pid) {
        self.known.remove(&pid);
    }

    /// Tells the processes that became children of PID 1 meanwhile. A helper program waits while a trainer saves.
    pub(crate) fn deliver_to_orphans(&mut self, helpers: &Helpers, unsent: &UnsentSignals) {
        for pid in proc::children(Pid::own()) {
            if helpers.has(pid) || !self.known.insert(pid) {
                continue;
            }
            if RealProcesses.kind(pid) == ProgramKind::Helper && self.saves() {
                self.end_after(pid, Signal::TERM);
                continue;
            }
            let targets = signal_target::choose_orphans(pid, &RealProcesses);
            self.deliver(targets, Signal::TERM, false, unsent);
        }
    }

    /// Passes on a stronger signal than the one before, to processes that catch it, or that did not catch the one before. A process that
    /// acts on the first and would die of the second is left alone.
    pub(crate) fn deliver_stronger(&mut self, signal: Signal, unsent: &UnsentSignals) {
        for (process, before) in self.told.iter_mut().filter(|(process, before)| *before != signal && process.runs()) {
            let caught = proc::status(process.pid).unwrap_or_default().caught;
            if signal.is_in(caught) || !before.is_in(caught) {
                deliver_one(unsent, process.pid.into(), signal, false);
                *before = signal;
            }
        }
    }

    /// Returns whether processes wait for the end of others, or a trap is being watched.
    pub(crate) fn awaits(&self) -> Awaited {
        Awaited { targets: !self.spared.is_empty(), trap: !self.traps.is_empty() }
    }

    /// Returns whether a process that was told still runs, other than those that end after it.
    pub(crate) fn saves(&self) -> bool {
        let is_spared = |process: &OtherProcess| self.spared.iter().any(|(spared, _)| spared == process);
        !self.traps.is_empty() || self.told.iter().any(|(process, _)| !is_spared(process) && process.runs())
    }

    /// Lets a process end by this signal after those that were told.
    pub(crate) fn end_after(&mut self, pid: Pid, signal: Signal) {
        self.spared.extend(OtherProcess::of(pid).map(|process| (process, signal)));
    }

    /// Ends the processes that were spared, after the others have ended.
    pub(crate) fn release_spared(&mut self, unsent: &UnsentSignals) {
        for (process, signal) in std::mem::take(&mut self.spared).into_iter().filter(|(process, _)| process.runs()) {
            deliver_one(unsent, process.pid.into(), signal, false);
        }
    }

    /// Looks what traps have passed on. A job that a trap has told counts as told. Another one hears the signal now if its shell is gone,
    /// and as an orphan else.
    pub(crate) fn look_at_traps(&mut self, unsent: &UnsentSignals) {
        for mut trap in std::mem::take(&mut self.traps) {
            let TrapResult::Over(heard, unheard) = trap.look(unsent) else {
                self.traps.push(trap);
                continue;
            };
            self.note_told(heard.into_iter(), Signal::TERM);
            for job in unheard {
                if trap.may_yet_act() {
                    self.known.remove(&job);
                } else {
                    deliver_one(unsent, job.into(), Signal::TERM, false);
                    self.note_told(std::iter::once(job), Signal::TERM);
                }
            }
        }
    }
}

/// What a delivery waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// The end of the signalled processes, after which others end.
    pub targets: bool,
    /// A shell's trap.
    pub trap: bool,
}

/// Sends a signal to one process, and continues it if it is stopped, because it could not act on the signal otherwise.
///
/// A signal that trainit chose itself goes only to a process with a handler; any other process gets TERM. Returns false in that case.
pub(crate) fn deliver_one(unsent: &UnsentSignals, target: KillTarget, signal: Signal, chosen_by_us: bool) -> bool {
    let status = || target.process().and_then(proc::status).unwrap_or_default();
    let ready = !chosen_by_us || signal.is_in(status().caught);
    let _ = unsent.send(target, if ready { signal } else { Signal::TERM });
    // The look comes after the signal, because a signal that is sent in any case need not wait for it.
    if status().state == 'T' {
        let _ = unsent.send(target, Signal::CONT);
    }
    ready
}
