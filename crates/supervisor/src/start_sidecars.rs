//! The companions' processes: started, known by their pid until they are reaped, killed with all that descends from them. Decides
//! nothing.

use super::sidecars::SidecarPhase;
use super::state::State;
use super::unsent_signals::UnsentSignals;
use super::{ChildMains, SidecarArgs};
use protocol::state_file::SidecarRecord;
use std::ffi::c_int;
use std::path::Path;
use sys::signal::InheritedSignals;
use sys::{proc, process};

/// Those that run, and those that are to be started; each is named by its place in the policy's list.
#[derive(Default)]
pub struct StartedSidecars {
    wanted: Vec<usize>,
    running: Vec<(usize, c_int)>,
}

impl StartedSidecars {
    /// This one is to be started in the next turn.
    pub fn want(&mut self, index: usize) {
        self.wanted.push(index);
    }

    /// Whether any is to be started.
    pub fn any_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Starts those that are to be, and says which could not be: there is no process to be had.
    pub fn start(
        &mut self,
        state: &State,
        lives: &ChildMains<'_>,
        inherited: InheritedSignals,
        workdir: Option<&Path>,
    ) -> Vec<usize> {
        let wanted = std::mem::take(&mut self.wanted);
        let failed = wanted.into_iter().filter(|index| state.wants_sidecar(*index)).filter(|index| {
            let started = spawn(*index, state, lives, inherited, workdir);
            self.running.extend(started.iter().map(|pid| (*index, *pid)));
            started.is_err()
        });
        failed.collect()
    }

    /// One was reaped: which it was, if it was one. What shares its process group is told to end with it.
    pub fn reaped(&mut self, pid: c_int, unsent: &UnsentSignals) -> Option<usize> {
        let at = self.running.iter().position(|(_, running)| *running == pid)?;
        let _ = unsent.send(-pid, libc::SIGTERM);
        Some(self.running.swap_remove(at).0)
    }

    /// Kills each with all that descends from it.
    pub fn kill(&self, unsent: &UnsentSignals) {
        for pid in self.all() {
            let _ = unsent.send(pid, libc::SIGKILL);
        }
    }

    /// Each, and all that descends from it.
    pub fn all(&self) -> Vec<c_int> {
        self.running.iter().flat_map(|(_, pid)| proc::descendants(*pid).into_iter().chain([*pid])).collect()
    }

    /// For the state file.
    pub fn described(&self, state: &State) -> Vec<SidecarRecord> {
        let pid = |index| self.running.iter().find(|(running, _)| *running == index).map_or(0, |(_, pid)| *pid);
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

/// In a session of its own: what a person types at the terminal is for the main mode.
fn spawn(
    index: usize,
    state: &State,
    lives: &ChildMains<'_>,
    inherited: InheritedSignals,
    workdir: Option<&Path>,
) -> nix::Result<c_int> {
    let mode = state.policy.sidecars.get(index).map_or("", String::as_str);
    let attempt = state.sidecars().stages().nth(index).map_or(1, |(_, starts)| starts);
    process::fork(|| {
        // Also those through which errands hear that they are to finish.
        process::end_with_parent();
        process::close_all_but(&[]);
        let _ = nix::unistd::setsid();
        if let Some(workdir) = workdir {
            let _ = nix::unistd::chdir(workdir);
        }
        (lives.sidecar)(SidecarArgs { mode, run_dir: state.policy.run_dir.as_deref(), inherited, attempt })
    })
}
