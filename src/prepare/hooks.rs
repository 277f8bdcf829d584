//! The hooks of a start: their time, the changes that they may make, and their log lines.

use super::preparation::Preparation;
use crate::check::Status;
use crate::config::{EnvValue, OnError, Settings};
use crate::error::{Error, Result};
use crate::hooks::{self, HookEvent, Hooks};
use crate::report::HookRow;
use protocol::exit_code::FailureFamily;
use protocol::handover::{AfterStop, Phase};
use std::ffi::OsString;
use sys::environment::Environment;

/// The time of a start's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookStage {
    /// Before any check.
    BeforeChecks,
    /// As the last step before the workload.
    BeforeStart,
}

impl HookStage {
    const fn name(self) -> &'static str {
        match self {
            HookStage::BeforeChecks => "before_checks",
            HookStage::BeforeStart => "before_start",
        }
    }
}

impl Preparation {
    /// Runs the hooks of a stage; variables that they export are in `environment` afterwards.
    ///
    /// # Errors
    /// A hook failed, unless `hooks.on_error` only warns.
    pub(super) fn hook(
        &mut self,
        stage: HookStage,
        settings: &Settings,
        command: &[OsString],
        environment: &mut Environment,
    ) -> Result<()> {
        let paths = match stage {
            HookStage::BeforeChecks => &settings.hooks_before_checks.value,
            HookStage::BeforeStart => &settings.hooks_before_start.value,
        };
        if paths.is_empty() {
            return Ok(());
        }
        self.phase(Phase::Hooks);
        let strict = settings.hooks_on_error.value == OnError::Fail;
        let hooks =
            Hooks { paths: paths.clone(), timeout: settings.hooks_timeout.value, strict, words: command.to_vec() };
        let (console, ran) = (&mut self.console, &mut self.hooks);
        hooks.run(environment, &mut |told| match told {
            HookEvent::Line(line) => console.line(line),
            HookEvent::Skipped(error) => console.warning(error),
            HookEvent::Done(path, took) => {
                console.row(Status::Ok, FailureFamily::Hook.name(), &text::path(path), took);
                ran.push(HookRow::new(stage.name(), path, took, None));
            }
            HookEvent::Failed(path, took, error) => {
                if !strict {
                    console.warning(error);
                }
                ran.push(HookRow::new(stage.name(), path, took, Some(error)));
            }
        })
    }
}

/// Returns the hooks that would end a start without being run, and those that it would skip.
pub(super) fn refused(settings: &Settings) -> (Vec<Error>, Vec<Error>) {
    let paths = settings.hooks_before_checks.iter().chain(settings.hooks_before_start.iter());
    let (refused, skipped) = hooks::obstacles(paths);
    match settings.hooks_on_error.value {
        OnError::Fail => (refused, skipped),
        OnError::Warn => (Vec::new(), [refused, skipped].concat()),
    }
}

/// Returns the hooks that PID 1 has run after the workload.
pub(super) fn after_stop(settings: &Settings) -> Option<AfterStop> {
    let paths = settings.hooks_after_stop.iter().map(|path| path.to_string_lossy().into_owned());
    let paths: Vec<String> = paths.collect();
    let locked = || locked(settings, &Environment::inherited());
    (!paths.is_empty()).then(|| AfterStop { paths, timeout: settings.hooks_timeout.value, locked: locked() })
}

/// Returns the locked variables whose inherited values do not count.
fn locked(settings: &Settings, inherited: &Environment) -> Vec<(String, Option<String>)> {
    let value = |variable: &EnvValue| variable.file.is_none().then(|| variable.value.clone());
    let variables = settings.locked_variables().map(|(name, variable)| (name.to_owned(), value(variable)));
    variables.filter(|(name, value)| inherited.text(name) != value.as_deref()).collect()
}
