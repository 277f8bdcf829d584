//! The hooks of a start: when they run, what they may change, and how they are told.

use super::story::Story;
use crate::check::Status;
use crate::config::{EnvValue, OnError, Settings};
use crate::error::Result;
use crate::hooks::{Hooks, Told};
use crate::report::Hook;
use protocol::exit_code::Family;
use protocol::handover::{AfterStop, Phase};
use std::ffi::OsString;
use sys::environment::Environment;

/// When a start's hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anything is looked at.
    BeforeChecks,
    /// When nothing is left to do but to become the workload.
    BeforeStart,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Stage::BeforeChecks => "before_checks",
            Stage::BeforeStart => "before_start",
        }
    }
}

impl Story {
    /// Runs the hooks of a stage; what they export is in `environment` afterwards.
    ///
    /// # Errors
    /// A hook's failure, unless `hooks.on_error` only warns.
    pub(super) fn hook(
        &mut self,
        stage: Stage,
        settings: &Settings,
        command: &[OsString],
        environment: &mut Environment,
    ) -> Result<()> {
        let paths = match stage {
            Stage::BeforeChecks => &settings.hooks_before_checks.value,
            Stage::BeforeStart => &settings.hooks_before_start.value,
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
            Told::Line(line) => console.line(line),
            Told::Skipped(error) => console.warning(error),
            Told::Done(path, took) => {
                console.row(Status::Ok, Family::Hook.name(), &text::path(path), took);
                ran.push(Hook::new(stage.name(), path, took, None));
            }
            Told::Failed(path, took, error) => {
                if !strict {
                    console.warning(error);
                }
                ran.push(Hook::new(stage.name(), path, took, Some(error)));
            }
        })
    }
}

/// What PID 1 has run after the workload.
pub fn after_stop(settings: &Settings) -> Option<AfterStop> {
    let paths = settings.hooks_after_stop.iter().map(|path| path.to_string_lossy().into_owned());
    let paths: Vec<String> = paths.collect();
    let locked = || locked(settings, &Environment::inherited());
    (!paths.is_empty()).then(|| AfterStop { paths, timeout: settings.hooks_timeout.value, locked: locked() })
}

/// The locked variables whose inherited values do not count.
fn locked(settings: &Settings, inherited: &Environment) -> Vec<(String, Option<String>)> {
    let value = |variable: &EnvValue| variable.file.is_none().then(|| variable.value.clone());
    let variables = settings.locked_variables().map(|(name, variable)| (name.to_owned(), value(variable)));
    variables.filter(|(name, value)| inherited.text(name) != value.as_deref()).collect()
}
