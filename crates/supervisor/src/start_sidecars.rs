//! Starts the sidecars' processes, keeps their pids until they are reaped, and kills them with all their descendants. Decides nothing.

use super::sidecars::SidecarPhase;
use super::state::State;
use super::unsent_signals::UnsentSignals;
use super::{ChildMains, SidecarArgs};
use protocol::state_file::SidecarRecord;
use std::path::Path;
use sys::signal::InheritedSignals;
use sys::{Pgid, Pid, Signal, proc, process};

/// The running sidecars and those to start, each by its index in the policy's list.
#[derive(Default)]
pub(crate) struct StartedSidecars {
    wanted: Vec<usize>,
    running: Vec<(usize, Pid)>,
}

impl StartedSidecars {
    /// Marks this sidecar to be started in the next iteration of the event loop.
    pub(crate) fn want(&mut self, index: usize) {
        self.wanted.push(index);
    }

    /// Returns whether any sidecar waits to be started.
    pub(crate) fn any_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Starts the waiting sidecars; returns those that could not be started, because no process could be made.
    pub(crate) fn start(
        &mut self,
        state: &State,
        child_mains: &ChildMains<'_>,
        inherited: InheritedSignals,
        workdir: Option<&Path>,
    ) -> Vec<usize> {
        let wanted = std::mem::take(&mut self.wanted);
        let failed = wanted.into_iter().filter(|index| state.wants_sidecar(*index)).filter(|index| {
            let started = spawn(*index, state, child_mains, inherited, workdir);
            self.running.extend(started.iter().map(|pid| (*index, *pid)));
            started.is_err()
        });
        failed.collect()
    }

    /// Takes a reaped process; returns the index if it was a sidecar, and sends TERM to the rest of its process group.
    pub(crate) fn reaped(&mut self, pid: Pid, unsent: &UnsentSignals) -> Option<usize> {
        let at = self.running.iter().position(|(_, running)| *running == pid)?;
        let _ = unsent.send(Pgid::led_by(pid), Signal::TERM);
        Some(self.running.swap_remove(at).0)
    }

    /// Kills each sidecar with all its descendants.
    pub(crate) fn kill(&self, unsent: &UnsentSignals) {
        for pid in self.all() {
            let _ = unsent.send(pid, Signal::KILL);
        }
    }

    /// Returns each sidecar and all its descendants.
    pub(crate) fn all(&self) -> Vec<Pid> {
        self.running.iter().flat_map(|(_, pid)| proc::descendants(*pid).into_iter().chain([*pid])).collect()
    }

    /// Returns the records for the state file.
    pub(crate) fn described(&self, state: &State) -> Vec<SidecarRecord> {
        let pid = |index| self.running.iter().find(|(running, _)| *running == index).map_or(0, |(_, pid)| pid.number());
        let all = state.policy.sidecars.iter().zip(state.sidecars().stages()).enumerate();
        all.map(|(index, (mode, (stage, starts)))| SidecarRecord {
            mode: mode.clone(),
            phase: match stage {
                SidecarPhase::Runs => "running",
                SidecarPhase::Waits(_) => "waiting",
                SidecarPhase::Over => "ended",
            }
            .into(),
            pid: pid(index),
            starts,
        })
        .collect()
    }
}

/// Forks a sidecar in a session of its own, because a person's input at the terminal is for the main mode.
fn spawn(
    index: usize,
    state: &State,
    child_mains: &ChildMains<'_>,
    inherited: InheritedSignals,
    workdir: Option<&Path>,
) -> nix::Result<Pid> {
    let mode = state.policy.sidecars.get(index).map_or("", String::as_str);
    let attempt = state.sidecars().stages().nth(index).map_or(1, |(_, starts)| starts);
    process::fork(|| {
        // `close_all_but` also closes the pipes that ask helpers to finish.
        process::end_with_parent();
        process::close_all_but(&[]);
        let _ = nix::unistd::setsid();
        if let Some(workdir) = workdir {
            let _ = nix::unistd::chdir(workdir);
        }
        (child_mains.sidecar)(SidecarArgs { mode, run_dir: state.policy.run_dir.as_deref(), inherited, attempt })
    })
}
