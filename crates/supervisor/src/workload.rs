//! The workload as PID 1 reaches it: the main process, all that descends from it, and the terminal it sits at. Decides nothing; it
//! knows whom it may signal (never a pid that was reaped, never an errand) and how a signal gets there.

use super::guardian;
use super::helpers::Helpers;
use super::signal_target::{self, SignalTargets};
use super::unsent_signals::UnsentSignals;
use nix::unistd::Pid;
use protocol::handover::Scope;
use std::collections::BTreeSet;
use std::ffi::c_int;
use sys::{proc, process, signal, terminal};

/// So often a walk over the tree is repeated while it still finds somebody new: who forks meanwhile is not missed.
const WALKS: u32 = 10;

/// The processes of one start.
#[derive(Debug)]
pub struct Workload {
    main: c_int,
    /// The main process has been reaped: its pid may be another's by now.
    gone: bool,
    /// Who has had the stop signal, or was spared it on purpose.
    delivered: BTreeSet<c_int>,
    /// We hold its place in the terminal's foreground while it is stopped.
    lent: bool,
    /// Job control stopped it.
    stopped: bool,
    /// A TSTP was passed on: it is stopped because somebody asked for that.
    told_to_stop: bool,
    unsent: UnsentSignals,
}

impl Workload {
    /// A main process that was just started.
    pub fn of(main: c_int) -> Self {
        let delivered = BTreeSet::new();
        let unsent = UnsentSignals::default();
        Workload { main, gone: false, delivered, lent: false, stopped: false, told_to_stop: false, unsent }
    }

    /// Through which all signals go.
    pub fn unsent(&self) -> &UnsentSignals {
        &self.unsent
    }

    /// The main process.
    pub fn main(&self) -> c_int {
        self.main
    }

    /// Whether the main process has been reaped.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// A child was reaped: from now on its pid means nothing. Says whether it was the main process.
    pub fn reaped(&mut self, pid: c_int) -> bool {
        self.delivered.remove(&pid);
        self.unsent.forget(pid);
        let main = pid == self.main && !self.gone;
        if main {
            self.gone = true;
            terminal::take_back(pid);
        }
        main
    }

    /// Passes a signal on to the main process, or its group. ESRCH and EPERM are no news: PID 1 lives on.
    pub fn forward(&mut self, number: c_int, scope: Scope) {
        match number {
            _ if self.gone => return,
            libc::SIGCONT if self.stopped => return self.go_on(),
            libc::SIGTSTP => self.told_to_stop = true,
            _ => {}
        }
        // Before the child has made its group there is none, and the signal must not be lost.
        if scope != Scope::Group || self.unsent.send(-self.main, number).is_err_and(signal::is_final) {
            let _ = self.unsent.send(self.main, number);
        }
    }

    /// Which of these signals the main process has a handler for.
    pub fn catches(&self, signals: u64) -> u64 {
        proc::status(self.main).filter(|_| !self.gone).map_or(0, |status| status.caught & signals)
    }

    /// The stop signal, to whom the scope says. Says whether anybody was ready for one that trainit chose itself.
    pub fn deliver(&mut self, number: c_int, scope: Scope, chosen_by_us: bool) -> bool {
        if self.gone {
            return true;
        }
        let SignalTargets { shells, signalled, spared } =
            signal_target::choose(self.main, number, scope, &signal_target::RealProcesses);
        for shell in &shells {
            deliver_one(&self.unsent, *shell, libc::SIGTERM, false);
        }
        let ready = signalled.iter().filter(|pid| deliver_one(&self.unsent, **pid, number, chosen_by_us)).count();
        if scope == Scope::Group {
            self.delivered.extend(group(self.main));
        }
        let nobody = signalled.is_empty();
        self.delivered.extend([shells, signalled, spared].into_iter().flatten().map(c_int::abs));
        ready > 0 || nobody
    }

    /// For a shell with a person at it: as if the terminal had gone. Others might know another meaning of it.
    pub fn hang_up(&self) {
        if !self.gone && signal_target::ProcessView::is_shell(&signal_target::RealProcesses, self.main) {
            deliver_one(&self.unsent, self.main, libc::SIGHUP, false);
        }
    }

    /// A signal only for who is ready for it: the others would die of it. Says whether anybody was.
    pub fn ask(&self, number: c_int, scope: Scope) -> bool {
        if self.gone {
            return false;
        }
        let chosen = match scope {
            Scope::Group => group(self.main).collect(),
            _ => signal_target::choose(self.main, number, scope, &signal_target::RealProcesses).signalled,
        };
        let ready = |pid: &c_int| proc::status(*pid).is_some_and(|status| signal::contains(status.caught, number));
        chosen.into_iter().filter(ready).filter(|pid| deliver_one(&self.unsent, *pid, number, true)).count() > 0
    }

    /// Everything that descends from PID 1 and is no errand.
    pub fn tree(&self, helpers: &Helpers) -> Vec<c_int> {
        proc::descendants(process::own_pid()).into_iter().filter(|pid| !helpers.has(*pid)).collect()
    }

    /// TERM for what became our child since the stop was delivered.
    pub fn deliver_to_orphans(&mut self, helpers: &Helpers) {
        if !proc::is_of_this_namespace() && self.delivered.insert(-1) {
            self.signal_everyone(libc::SIGTERM);
        }
        for pid in proc::children(process::own_pid()) {
            if !helpers.has(pid) && self.delivered.insert(pid) {
                deliver_one(&self.unsent, pid, libc::SIGTERM, false);
            }
        }
    }

    /// A signal for every descendant. Where /proc shows other processes than ours, only "all that we may signal" is left to say it,
    /// and only PID 1 of a namespace may say that.
    pub fn signal_tree(&mut self, number: c_int, helpers: &Helpers) {
        if !proc::is_of_this_namespace() {
            return self.signal_everyone(number);
        }
        for pid in self.tree(helpers) {
            deliver_one(&self.unsent, pid, number, false);
            self.delivered.insert(pid);
        }
    }

    fn signal_everyone(&self, number: c_int) {
        if process::is_first() {
            let _ = self.unsent.send(-1, number);
        }
    }

    /// SIGKILL for everything. Not PID 1, there is no call that reaches all of it at once; and that call does not reach other users'
    /// processes where root has no CAP_KILL.
    pub fn kill(&mut self, helpers: &Helpers) {
        self.signal_everyone(libc::SIGKILL);
        let mut killed = BTreeSet::new();
        for _ in 0..WALKS {
            let new: Vec<c_int> = self.tree(helpers).into_iter().filter(|pid| killed.insert(*pid)).collect();
            for pid in &new {
                let _ = self.unsent.send(*pid, libc::SIGKILL);
            }
            if new.is_empty() {
                return;
            }
        }
    }

    /// Job control stopped the main process. With a shell above us we stop as well, so that it gets its terminal back; without one
    /// nobody could continue what a person stopped with Ctrl-Z by mistake, so we do.
    pub fn suspended(&mut self, by: c_int) {
        self.stopped = true;
        if [libc::SIGTTIN, libc::SIGTTOU].contains(&by) && terminal::hand_over(self.main) {
            return self.go_on();
        }
        self.lent |= terminal::take_back(self.main);
        let by_terminal = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&by);
        if by_terminal && !process::is_first() && terminal::is_there() {
            guardian::suspend(); // the CONT that ends this is passed on like any other
        } else if by == libc::SIGTSTP && self.lent && !self.told_to_stop {
            self.go_on();
        }
    }

    /// Continues the main process and those that were stopped with it. What was in front is in front again, unless it is continued
    /// in the background.
    fn go_on(&mut self) {
        if self.lent && terminal::hand_over(self.main) {
            self.lent = false;
        }
        (self.stopped, self.told_to_stop) = (false, false);
        if self.unsent.send(-self.main, libc::SIGCONT).is_err_and(signal::is_final) {
            let _ = self.unsent.send(self.main, libc::SIGCONT);
        }
    }
}

/// Everybody of ours in a process group.
fn group(group: c_int) -> impl Iterator<Item = c_int> {
    let of = |pid: &c_int| nix::unistd::getpgid(Some(Pid::from_raw(*pid)));
    proc::descendants(process::own_pid()).into_iter().filter(move |pid| of(pid) == Ok(Pid::from_raw(group)))
}

/// A stopped process could not act on it, so it is continued afterwards. What trainit chose itself is sent only to who is ready for
/// it: an unready trainer would die of it. Says whether it was ready.
fn deliver_one(unsent: &UnsentSignals, pid: c_int, number: c_int, chosen_by_us: bool) -> bool {
    let status = || proc::status(pid.abs()).unwrap_or_default();
    let ready = !chosen_by_us || signal::contains(status().caught, number);
    let _ = unsent.send(pid, if ready { number } else { libc::SIGTERM });
    // Only now: what is sent in any case need not wait for a look at it.
    if status().state == 'T' {
        let _ = unsent.send(pid, libc::SIGCONT);
    }
    ready
}
