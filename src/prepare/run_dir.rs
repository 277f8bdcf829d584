//! The state directory of a start.
//!
//! PID 1 makes it with its first write there, a moment after the start, so that short commands do not pay for it. Where a reader may need
//! it before, it is made at once.

use super::state_base;
use crate::config::{OnFailure, Settings};
use crate::error::Error;
use protocol::handover::TargetUser;
use protocol::state_file::ProcessIdentity;
use std::path::{Path, PathBuf};
use supervisor::state_dir::{self, NoStateDir};
use sys::environment::Environment;
use sys::mountinfo::Mounts;

/// The owner and the circumstances of a state directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunDirOwner<'a> {
    /// The workload's user; `None` if that is PID 1's user.
    pub user: Option<&'a TargetUser>,
    /// PID 1's identity.
    pub supervisor: ProcessIdentity,
    /// Files are going to be put there during the start.
    pub at_once: bool,
    /// The mount table.
    pub mounts: &'a Mounts,
}

/// Returns the directory's path, and whether it was made; `None` if no place works. A problem with a configured base is reported.
pub(super) fn run_dir(
    settings: &Settings,
    environment: &Environment,
    whose: &RunDirOwner<'_>,
    warn: &mut dyn FnMut(Error),
) -> Option<(PathBuf, bool)> {
    let RunDirOwner { user, supervisor, at_once, .. } = *whose;
    // The workload's user cannot enter root's own runtime directory.
    let runtime = environment.get("XDG_RUNTIME_DIR").map(Path::new).filter(|_| user.is_none());
    if user.is_none() && !at_once && !is_awaited(settings) {
        let place = state_dir::place(runtime, supervisor).map_err(|error| warn(nowhere(error)));
        return place.ok().map(|place| (place, false));
    }
    let configured = settings.state_dir.value.as_deref();
    let configured = configured.and_then(|base| in_base(base, runtime, whose).map_err(&mut *warn).ok());
    let usual = || state_dir::make(None, runtime, supervisor).map_err(|error| warn(nowhere(error))).ok();
    let run_dir = configured.or_else(usual)?;
    if user.is_some() || settings.watchdog_heartbeat.is_some() {
        // Without these entries the workload cannot ask for a checkpoint or send a heartbeat; that does not prevent the start.
        let _ = run_dir.open_to_workload(user.map(|user| (user.uid, user.gid)));
    }
    Some((run_dir.path().to_owned(), true))
}

/// Returns the error of a start without a state directory, which cannot answer questions or take requests.
fn nowhere(error: NoStateDir) -> Error {
    Error::config("no state directory: `trainit status`, `health --ready` and `checkpoint` cannot answer here")
        .caused_by(error)
        .hint("TRAINIT_STATE_DIR=DIRECTORY: a local one that only root (or the container's user) may write")
}

/// Makes the directory in a configured base.
fn in_base(base: &Path, runtime: Option<&Path>, whose: &RunDirOwner<'_>) -> Result<state_dir::StateDir, Error> {
    state_base::provide(base, whose.mounts)?;
    state_dir::make(Some(base), runtime, whose.supervisor).map_err(|error| {
        let what = format!("state_dir {} cannot be used, so the state is in a usual place", text::path(base));
        Error::config(what).caused_by(error).hint("look at it: ls -la, df; or set state_dir to another directory")
    })
}

/// Returns whether a configured feature needs the directory from the workload's first moment on, or before.
fn is_awaited(settings: &Settings) -> bool {
    settings.state_dir.is_some()
        || settings.watchdog_heartbeat.is_some()
        || settings.on_failure.value != OnFailure::Exit
        || !settings.hooks_before_checks.is_empty()
        || !settings.hooks_before_start.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_at_once_only_for_who_may_look_into_it_before_the_first_words() {
        let base = tempfile::tempdir().unwrap();
        let environment: Environment = [("XDG_RUNTIME_DIR", base.path().to_str().unwrap())].into_iter().collect();
        let me = state_dir::identity_of(sys::Pid::own()).unwrap();
        let mut settings = Settings::default();
        let mounts = sys::mountinfo::parse(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n").into();
        let whose = RunDirOwner { user: None, supervisor: me, at_once: false, mounts: &mounts };
        let run_dir = |settings: &Settings| run_dir(settings, &environment, &whose, &mut |why| panic!("{why}"));
        let (place, made) = run_dir(&settings).unwrap();
        assert!(!made && !place.exists());
        settings.state_dir.value = Some(base.path().into());
        settings.watchdog_heartbeat.value = Some(std::time::Duration::from_secs(60));
        let (place, made) = run_dir(&settings).unwrap();
        assert!(made && place.join(protocol::state_file::HEARTBEAT).exists());
        std::fs::remove_dir_all(place).unwrap();
    }
}
