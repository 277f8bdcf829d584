//! The state directory of a start. PID 1 makes it with the first words that it writes there, a moment after the start, so that a
//! thousand short commands do not pay for it. Where somebody may look into it before, it is made at once.

use crate::config::{OnFailure, Settings};
use crate::environment::Environment;
use crate::handover::User;
use crate::state::{self, Identity};
use std::path::{Path, PathBuf};

/// Whose it is.
#[derive(Clone, Copy, Debug)]
pub struct For<'a> {
    /// The workload's user, where that is another one than PID 1's.
    pub user: Option<&'a User>,
    /// PID 1.
    pub supervisor: Identity,
    /// Something is going to be put there during the start.
    pub at_once: bool,
}

/// Where it is, and whether it was made; none: it cannot be anywhere.
pub fn run_dir(settings: &Settings, environment: &Environment, whose: &For<'_>) -> Option<(PathBuf, bool)> {
    let For { user, supervisor, at_once } = *whose;
    // Root's own runtime directory is closed to the workload's user.
    let runtime = environment.get("XDG_RUNTIME_DIR").map(Path::new).filter(|_| user.is_none());
    if user.is_none() && !at_once && !is_awaited(settings) {
        return state::place(runtime, supervisor).map(|place| (place, false));
    }
    let run_dir = state::make(settings.state_dir.value.as_deref(), runtime, supervisor)?;
    if user.is_some() || settings.watchdog_heartbeat.is_some() {
        // Without these the workload cannot ask for a checkpoint or show that it lives; that is no reason not to start it.
        let _ = state::open_to_workload(&run_dir, user.map(|user| (user.uid, user.gid)));
    }
    Some((run_dir, true))
}

/// Whether something that is configured looks for it: at its usual place or elsewhere, from the workload's first moment on, or before.
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
        let me = Identity::of(std::process::id() as i32).unwrap();
        let mut settings = Settings::default();
        let whose = For { user: None, supervisor: me, at_once: false };
        let (place, made) = run_dir(&settings, &environment, &whose).unwrap();
        assert!(!made && !place.exists());
        settings.state_dir.value = Some(base.path().into());
        settings.watchdog_heartbeat.value = Some(std::time::Duration::from_secs(60));
        let (place, made) = run_dir(&settings, &environment, &whose).unwrap();
        assert!(made && place.join(state::HEARTBEAT).exists());
        std::fs::remove_dir_all(place).unwrap();
    }
}
