//! `hooks.after_stop`: runs the hooks in the remaining time when the workload has ended. Their result changes nothing.

use crate::hooks::{HookEvent, Hooks};
use protocol::handover::Message;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use supervisor::HelperArgs;
use sys::environment::Environment;
use sys::signal;

/// The variable that brings the container's exit code to the hooks.
const EXIT_CODE: &str = "TRAINIT_EXIT_CODE";

/// Longest line, so that it fits a frame of the handover.
const LINE_MAX: usize = 900;

/// Runs the hooks.
pub(super) fn run(task: &HelperArgs<'_>, time: Duration, code: u8) {
    let Some(after_stop) = &task.policy.stop.after_stop else { return };
    let mut environment = Environment::inherited();
    for (name, value) in &after_stop.locked {
        match value {
            Some(value) => environment.pin(name, value),
            None => environment.remove(name),
        }
    }
    environment.set(EXIT_CODE, code.to_string());
    environment.set("TRAINIT_RUN_MODE", &task.policy.mode);
    // A program inherits the signal mask, and a hook that blocks TERM would have to be killed.
    signal::set_mask(0);
    let until = Instant::now() + time;
    let note = |text: &str| {
        let text: String = text::masked(text).chars().take(LINE_MAX).collect();
        task.handover.send(&Message::Note(text));
    };
    for path in &after_stop.paths {
        let timeout = until.saturating_duration_since(Instant::now()).min(after_stop.timeout.unwrap_or(time));
        let hooks = Hooks { paths: vec![PathBuf::from(path)], timeout: Some(timeout), ..Hooks::default() };
        let _ = hooks.run(&mut environment, &mut |told| match told {
            HookEvent::Line(line) => note(line),
            HookEvent::Done(path, took) => {
                note(&format!("hook  {}: done in {:.1} s", text::path(path), took.as_secs_f64()))
            }
            HookEvent::Skipped(error) | HookEvent::Failed(_, _, error) => {
                note(&format!("hook  {error:#}").replace('\n', ";"))
            }
        });
    }
}
