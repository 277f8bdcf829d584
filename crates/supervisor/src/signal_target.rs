//! Chooses the processes that a stop or checkpoint signal goes to.
//!
//! The trainer is the process that has a handler for the signal. What stands between PID 1 and the trainer passes no signal on, or passes
//! it on to data loaders as well, so it is looked through, and it must not end before the trainer: it may hold the trainer's output. The
//! rule is pure over a view of the processes; the real view is /proc.

use super::programs::{self, ProgramKind};
use protocol::handover::Scope;
use sys::{KillTarget, Pgid, Pid, Signal, proc};

/// Deepest nesting of processes that is looked through.
const DEPTH: u32 = 16;

/// The view of processes that the rule needs.
pub trait ProcessView {
    /// Returns a process's children.
    fn children(&self, pid: Pid) -> Vec<Pid>;
    /// Returns the kind of a process's program.
    fn kind(&self, pid: Pid) -> ProgramKind;
    /// Returns the name of a process's program.
    fn program(&self, pid: Pid) -> Option<String>;
    /// Returns whether a process has a handler for a signal.
    fn catches(&self, pid: Pid, signal: Signal) -> bool;
    /// Returns whether a shell started a process in the background (`&`): without job control such a process ignores INT or QUIT
    /// (POSIX, Shell Command Language, 2.11).
    fn is_background(&self, pid: Pid) -> bool;
    /// Returns whether a process leads a session with a terminal, so that its end hangs up on the others (setsid(2)).
    fn holds_terminal(&self, pid: Pid) -> bool;
    /// Returns whether a shell ends at once at a signal, and runs its EXIT trap then, even while a command is in the foreground.
    fn has_exit_trap(&self, pid: Pid) -> bool;
}

/// The real processes, from /proc.
pub struct RealProcesses;

impl ProcessView for RealProcesses {
    fn children(&self, pid: Pid) -> Vec<Pid> {
        proc::children(pid)
    }
    fn kind(&self, pid: Pid) -> ProgramKind {
        let own = proc::status(pid).map(|status| status.name);
        let file = proc::program(pid).and_then(|name| match programs::is_many_in_one(&name) {
            true => proc::first_word(pid),
            false => Some(name),
        });
        programs::kind([&file, &own].into_iter().flatten().map(String::as_str))
    }
    fn program(&self, pid: Pid) -> Option<String> {
        proc::program(pid)
    }
    fn catches(&self, pid: Pid, signal: Signal) -> bool {
        proc::status(pid).is_some_and(|status| signal.is_in(status.caught) && !is_data_loader(status.caught))
    }
    fn is_background(&self, pid: Pid) -> bool {
        // Bash itself always ignores QUIT (bash(1), SIGNALS).
        let ignores = |signal: Signal| proc::status(pid).is_some_and(|status| signal.is_in(status.ignored));
        ignores(Signal::INT) || ignores(Signal::QUIT) && self.kind(pid) != ProgramKind::Shell
    }
    fn holds_terminal(&self, pid: Pid) -> bool {
        proc::leads_terminal(pid)
    }
    fn has_exit_trap(&self, pid: Pid) -> bool {
        // With an EXIT trap bash catches every signal that would end it (bash, sig.c, initialize_terminating_signals).
        proc::status(pid)
            .is_some_and(|status| [Signal::TERM, Signal::SYS, Signal::XFSZ].iter().all(|it| it.is_in(status.caught)))
    }
}

/// Returns whether the handlers are those of a worker of PyTorch's data loader, which ends at TERM and saves nothing
/// (torch/csrc/DataLoader.cpp sets BUS, SEGV, FPE and TERM). A fault handler has ABRT or ILL as well.
fn is_data_loader(caught: u64) -> bool {
    let all = |signals: &[Signal]| signals.iter().all(|signal| signal.is_in(caught));
    all(&[Signal::BUS, Signal::SEGV, Signal::FPE]) && !Signal::ABRT.is_in(caught) && !Signal::ILL.is_in(caught)
}

/// The targets of a signal, and the processes that were left out on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalTargets {
    /// Shells above the targets: they get TERM first, whatever the signal is, so that a loop in them does not start the next run.
    pub shells: Vec<Pid>,
    /// What to signal, in order.
    pub signalled: Vec<KillTarget>,
    /// Processes that must not end before the targets: what stands above them, the rest of a pipeline, and helper programs.
    pub spared: Vec<Pid>,
    /// Shells among `signalled` whose trap decides what their background jobs hear.
    pub traps: Vec<Trap>,
}

/// A shell with a trap, and its background jobs that have a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The shell.
    pub shell: Pid,
    /// The jobs.
    pub jobs: Vec<Pid>,
    /// Whether the jobs may run in the foreground: then a trap that passes nothing on waits for their end.
    pub waits: bool,
}

impl SignalTargets {
    fn only(pid: Pid) -> Self {
        SignalTargets { signalled: vec![pid.into()], ..SignalTargets::default() }
    }

    fn add(&mut self, other: SignalTargets) {
        self.shells.extend(other.shells);
        self.signalled.extend(other.signalled);
        self.spared.extend(other.spared);
        self.traps.extend(other.traps);
    }

    /// Returns the processes that are signalled.
    fn processes(&self) -> impl Iterator<Item = Pid> {
        self.signalled.iter().filter_map(|target| target.process())
    }

    /// Leaves out some of the processes that were to be signalled.
    fn spare(&mut self, which: impl Fn(Pid) -> bool) {
        let (spared, signalled): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.signalled).into_iter().partition(|target| target.process().is_some_and(&which));
        self.signalled = signalled;
        self.spared.extend(spared.into_iter().filter_map(KillTarget::process));
    }

    /// Leaves out the shells too if nothing below them is signalled: they may read the output of a trainer beside them.
    fn spare_shells_alone(&mut self) {
        if self.signalled.is_empty() {
            self.spared.append(&mut self.shells);
        }
    }
}

/// Chooses the targets of a signal.
pub fn choose(main: Pid, signal: Signal, scope: Scope, view: &dyn ProcessView) -> SignalTargets {
    let only = |signalled| SignalTargets { signalled, ..SignalTargets::default() };
    match scope {
        Scope::Main => only(vec![main.into()]),
        Scope::Group => only(vec![Pgid::led_by(main).into()]),
        Scope::Tree => only(tree(main, view).into_iter().map(KillTarget::from).collect()),
        Scope::Auto => Search { signal, view, is_orphan: false }.at(main, 0, DEPTH),
    }
}

/// Chooses the processes that a signal asks to save. A shell with an EXIT trap would end at it, so its jobs are asked instead.
pub fn choose_to_ask(main: Pid, signal: Signal, scope: Scope, view: &dyn ProcessView) -> Vec<KillTarget> {
    let SignalTargets { mut signalled, traps, .. } = choose(main, signal, scope, view);
    let would_end = |pid| view.kind(pid) == ProgramKind::Shell && view.has_exit_trap(pid);
    signalled.retain(|target| !target.process().is_some_and(would_end));
    let jobs = traps.into_iter().filter(|trap| would_end(trap.shell)).flat_map(|trap| trap.jobs);
    signalled.extend(jobs.map(KillTarget::from));
    signalled
}

/// Chooses the targets of TERM at and below a process whose parent has ended.
pub fn choose_orphans(orphan: Pid, view: &dyn ProcessView) -> SignalTargets {
    Search { signal: Signal::TERM, view, is_orphan: true }.at(orphan, 0, DEPTH)
}

fn tree(main: Pid, view: &dyn ProcessView) -> Vec<Pid> {
    let mut found = vec![main];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let new: Vec<_> = view.children(parent).into_iter().filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        next += 1;
    }
    found
}

/// The search for the processes with a handler.
struct Search<'a> {
    signal: Signal,
    view: &'a dyn ProcessView,
    /// The search begins at a process whose parent has ended, and perhaps the reader of its output.
    is_orphan: bool,
}

impl Search<'_> {
    /// Finds the targets at and below a process. `layers` is the number of generations here that belong to a wrapper above.
    fn at(&self, pid: Pid, layers: u32, depth: u32) -> SignalTargets {
        if depth == 0 {
            return SignalTargets::only(pid);
        }
        match self.view.kind(pid) {
            ProgramKind::Shell if self.decides(pid) => self.at_trap(pid, depth),
            ProgramKind::Shell => self.at_shell(pid, depth),
            ProgramKind::Wrapper(own) => self.behind(pid, own, depth),
            _ if layers > 0 || !self.decides(pid) => self.behind(pid, layers, depth),
            _ => SignalTargets::only(pid),
        }
    }

    /// Returns whether a process has a handler that decides about a stop. Every Python program and every shell that waits catches INT,
    /// so for INT only a handler for TERM proves one.
    fn decides(&self, pid: Pid) -> bool {
        self.view.catches(pid, if self.signal == Signal::INT { Signal::TERM } else { self.signal })
    }

    /// A shell without a trap ends at the signal, and its children are looked at. It waits if its end would take a trainer's terminal away.
    fn at_shell(&self, shell: Pid, depth: u32) -> SignalTargets {
        let mut chosen = self.among(self.view.children(shell), 0, depth);
        match self.view.holds_terminal(shell) && chosen.processes().any(|pid| self.decides(pid)) {
            true => chosen.spared.push(shell),
            false => chosen.shells.insert(0, shell),
        }
        chosen
    }

    /// A shell runs its trap only when the command in the foreground has ended (bash(1), SIGNALS), so that command hears the signal, too.
    /// Of what runs in the background the trap decides. An EXIT trap would clean up under a trainer that saves, so that shell waits.
    fn at_trap(&self, shell: Pid, depth: u32) -> SignalTargets {
        // A shell that runs in the background itself has only children that look so.
        let waits = self.view.is_background(shell);
        let (background, foreground): (Vec<_>, Vec<_>) =
            self.view.children(shell).into_iter().partition(|pid| self.view.is_background(*pid));
        let jobs: Vec<_> = background.into_iter().filter(|pid| self.decides(*pid)).collect();
        let mut chosen = self.among(foreground, 0, depth);
        if self.is_orphan {
            // Bash writes `Terminated` when a signal ends a command, and dies of SIGPIPE before its trap if that has no reader.
            chosen.spare(|pid| !self.decides(pid));
            chosen.spare_shells_alone();
        }
        if self.view.has_exit_trap(shell) && chosen.processes().any(|pid| self.decides(pid)) {
            chosen.spared.push(shell);
            chosen.spared.extend(jobs);
            return chosen;
        }
        chosen.signalled.insert(0, shell.into());
        if !jobs.is_empty() {
            chosen.traps.push(Trap { shell, jobs, waits });
        }
        chosen
    }

    /// A process that has no handler, or its own idea of a stop, is spared if a process below it has a handler.
    fn behind(&self, pid: Pid, layers: u32, depth: u32) -> SignalTargets {
        let mut below = self.among(self.view.children(pid), layers.saturating_sub(1), depth);
        if !below.processes().any(|found| self.decides(found)) {
            return SignalTargets::only(pid);
        }
        below.spared.push(pid);
        below
    }

    /// Finds the targets among siblings. If some have a handler, the others are spared; helper programs are spared beside a trainer.
    fn among(&self, siblings: Vec<Pid>, layers: u32, depth: u32) -> SignalTargets {
        let mut found: Vec<_> = siblings.into_iter().map(|sibling| self.at(sibling, layers, depth - 1)).collect();
        if found.iter().any(|one| one.processes().any(|pid| self.is_ready(pid))) {
            for one in &mut found {
                one.spare(|pid| !self.is_ready(pid));
                one.spare_shells_alone();
            }
        }
        let mut chosen = SignalTargets::default();
        found.into_iter().for_each(|one| chosen.add(one));
        let (helpers, trainers): (Vec<_>, Vec<_>) = chosen.processes().partition(|pid| self.is_helper(*pid));
        let helpers = if trainers.is_empty() { Vec::new() } else { helpers };
        let others: Vec<_> = trainers.iter().copied().filter(|pid| self.is_beside(*pid, &trainers)).collect();
        chosen.spare(|pid| helpers.contains(&pid) || others.contains(&pid));
        chosen
    }

    fn is_ready(&self, pid: Pid) -> bool {
        match self.view.kind(pid) {
            ProgramKind::Shell => self.decides(pid),
            _ => self.view.catches(pid, self.signal),
        }
    }

    fn is_helper(&self, pid: Pid) -> bool {
        self.view.kind(pid) == ProgramKind::Helper
    }

    /// Returns whether a process runs in the background beside another program in the foreground. Ranks are several processes of one
    /// program.
    fn is_beside(&self, pid: Pid, trainers: &[Pid]) -> bool {
        let program = self.view.program(pid);
        let in_front = |other: &&Pid| **other != pid && !self.view.is_background(**other);
        let mut others = trainers.iter().filter(in_front).peekable();
        self.view.is_background(pid)
            && others.peek().is_some()
            && others.all(|other| self.view.program(*other) != program)
    }
}

#[cfg(test)]
mod tests;
