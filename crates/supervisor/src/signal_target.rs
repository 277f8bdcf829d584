//! Chooses the processes that a stop or checkpoint signal goes to.
//!
//! A shell between PID 1 and the trainer does not pass signals on, so its children are looked at. The rule is pure over a view of the
//! processes; the real view is /proc.

use protocol::handover::Scope;
use sys::{KillTarget, Pgid, Pid, Signal, proc};

/// Deepest nesting of shells that is looked through.
const DEPTH: u32 = 8;

/// Names of shell programs.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "rbash"];

/// Programs that are a shell only when they are started by a shell's name.
const MANY_IN_ONE: [&str; 2] = ["busybox", "toybox"];

/// The view of processes that the rule needs.
pub trait ProcessView {
    /// Returns a process's children.
    fn children(&self, pid: Pid) -> Vec<Pid>;
    /// Returns whether a process is a shell.
    fn is_shell(&self, pid: Pid) -> bool;
    /// Returns whether a process has a handler for a signal.
    fn catches(&self, pid: Pid, signal: Signal) -> bool;
}

/// The real processes, from /proc.
pub struct RealProcesses;

impl ProcessView for RealProcesses {
    fn children(&self, pid: Pid) -> Vec<Pid> {
        proc::children(pid)
    }
    fn is_shell(&self, pid: Pid) -> bool {
        let program = proc::program(pid).or_else(|| proc::status(pid).map(|status| status.name));
        let name = program.and_then(|name| match MANY_IN_ONE.contains(&name.as_str()) {
            true => proc::first_word(pid),
            false => Some(name),
        });
        name.is_some_and(|name| SHELLS.contains(&name.as_str()))
    }
    fn catches(&self, pid: Pid, signal: Signal) -> bool {
        proc::status(pid).is_some_and(|status| signal.is_in(status.caught))
    }
}

/// The targets of a signal, and the processes that were left out on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalTargets {
    /// Shells above the targets: they get TERM first, whatever the signal is, so that a loop in them does not start the next run.
    pub shells: Vec<Pid>,
    /// The processes to signal, in order, or a process group.
    pub signalled: Vec<KillTarget>,
    /// The rest of a pipeline, which ends by itself after the trainer and must not be taken for an orphan before that.
    pub spared: Vec<Pid>,
}

/// Chooses the targets of a signal.
pub fn choose(main: Pid, signal: Signal, scope: Scope, view: &dyn ProcessView) -> SignalTargets {
    let only = |signalled| SignalTargets { signalled, ..SignalTargets::default() };
    match scope {
        Scope::Main => only(vec![main.into()]),
        Scope::Group => only(vec![Pgid::led_by(main).into()]),
        Scope::Tree => only(tree(main, view).into_iter().map(KillTarget::from).collect()),
        Scope::Auto => behind_shells(main, signal, view, DEPTH),
    }
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

/// Chooses the targets at and behind a shell.
///
/// A shell that catches the signal gets it alone, because its author has set a trap. Otherwise its children are looked at. Of a
/// pipeline, the members with a handler get the signal, if there are any.
fn behind_shells(pid: Pid, signal: Signal, view: &dyn ProcessView, depth: u32) -> SignalTargets {
    if depth == 0 || !view.is_shell(pid) || is_trapped(pid, signal, view) {
        return SignalTargets { signalled: vec![pid.into()], ..SignalTargets::default() };
    }
    let mut chosen = SignalTargets { shells: vec![pid], ..SignalTargets::default() };
    for child in view.children(pid) {
        let below = behind_shells(child, signal, view, depth - 1);
        chosen.shells.extend(below.shells);
        chosen.signalled.extend(below.signalled);
        chosen.spared.extend(below.spared);
    }
    let ready = |target: &KillTarget| target.process().is_some_and(|pid| is_ready(pid, signal, view));
    if chosen.signalled.iter().any(ready) {
        let (signalled, rest): (Vec<_>, Vec<_>) = chosen.signalled.into_iter().partition(ready);
        chosen.signalled = signalled;
        chosen.spared.extend(rest.into_iter().filter_map(KillTarget::process));
    }
    chosen
}

fn is_ready(pid: Pid, signal: Signal, view: &dyn ProcessView) -> bool {
    if view.is_shell(pid) { is_trapped(pid, signal, view) } else { view.catches(pid, signal) }
}

/// Returns whether a shell has set a trap: every shell catches INT while it waits for a command, so only a handler for TERM proves one.
fn is_trapped(shell: Pid, signal: Signal, view: &dyn ProcessView) -> bool {
    view.catches(shell, if signal == Signal::INT { Signal::TERM } else { signal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid_of(number: u8) -> Pid {
        Pid::new(number.into()).unwrap()
    }

    fn numbers(pids: Vec<Pid>) -> Vec<u8> {
        pids.into_iter().map(|pid| pid.number() as u8).collect()
    }

    /// Returns the numbers of targets that are all single processes.
    fn targets(targets: Vec<KillTarget>) -> Vec<u8> {
        let single = |target| match target {
            KillTarget::Process(pid) => pid,
            other => panic!("{other:?}"),
        };
        numbers(targets.into_iter().map(single).collect())
    }

    /// A process as (pid, parent, name, catches TERM); all catch INT.
    struct Fake(&'static [(u8, u8, &'static str, bool)]);

    impl ProcessView for Fake {
        fn children(&self, pid: Pid) -> Vec<Pid> {
            self.0.iter().filter(|p| pid_of(p.1) == pid).map(|p| pid_of(p.0)).collect()
        }
        fn is_shell(&self, pid: Pid) -> bool {
            self.0.iter().any(|p| pid_of(p.0) == pid && SHELLS.contains(&p.2))
        }
        fn catches(&self, pid: Pid, signal: Signal) -> bool {
            signal == Signal::INT || self.0.iter().any(|p| pid_of(p.0) == pid && p.3)
        }
    }

    fn auto(processes: &'static [(u8, u8, &'static str, bool)]) -> Vec<u8> {
        let chosen = choose(pid_of(2), Signal::TERM, Scope::Auto, &Fake(processes));
        [numbers(chosen.shells), targets(chosen.signalled)].concat()
    }

    #[test]
    fn a_trainer_is_signalled_alone_and_its_workers_are_not() {
        assert_eq!(auto(&[(2, 1, "python", true), (3, 2, "python", false)]), [2]);
    }

    #[test]
    fn a_shell_is_looked_through_and_comes_first() {
        assert_eq!(auto(&[(2, 1, "sh", false), (3, 2, "python", true), (4, 3, "python", false)]), [2, 3]);
        assert_eq!(auto(&[(2, 1, "sh", false), (3, 2, "bash", false), (4, 3, "python", false)]), [2, 3, 4]);
    }

    #[test]
    fn a_shell_with_a_trap_gets_it_alone() {
        assert_eq!(auto(&[(2, 1, "bash", true), (3, 2, "python", true)]), [2]);
    }

    #[test]
    fn a_shell_without_a_trap_is_looked_through_for_an_interrupt_too() {
        let chosen = choose(pid_of(2), Signal::INT, Scope::Auto, &Fake(&[(2, 1, "sh", false), (3, 2, "python", true)]));
        assert_eq!((numbers(chosen.shells), targets(chosen.signalled)), (vec![2], vec![3]));
        let trapped = choose(pid_of(2), Signal::INT, Scope::Auto, &Fake(&[(2, 1, "sh", true), (3, 2, "python", true)]));
        assert_eq!(targets(trapped.signalled), [2]);
    }

    #[test]
    fn of_a_pipeline_the_trainer_is_chosen_and_tee_goes_on() {
        let processes = Fake(&[(2, 1, "sh", false), (3, 2, "python", true), (4, 2, "tee", false)]);
        let chosen = choose(pid_of(2), Signal::TERM, Scope::Auto, &processes);
        assert_eq!(
            (numbers(chosen.shells), targets(chosen.signalled), numbers(chosen.spared)),
            (vec![2], vec![3], vec![4])
        );
        assert_eq!(auto(&[(2, 1, "sh", false), (3, 2, "python", false), (4, 2, "tee", false)]), [2, 3, 4]);
    }

    #[test]
    fn other_scopes_are_literal() {
        let processes = Fake(&[(2, 1, "sh", false), (3, 2, "python", true)]);
        assert_eq!(targets(choose(pid_of(2), Signal::TERM, Scope::Main, &processes).signalled), [2]);
        assert_eq!(
            choose(pid_of(2), Signal::TERM, Scope::Group, &processes).signalled,
            [KillTarget::Group(Pgid::led_by(pid_of(2)))]
        );
        assert_eq!(targets(choose(pid_of(2), Signal::TERM, Scope::Tree, &processes).signalled), [2, 3]);
    }
}
