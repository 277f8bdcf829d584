//! The dependencies of a workload in a start: requests the installation from `deps`, and logs and keeps its outcome.

use super::preparation::Preparation;
use crate::check::{self, CheckContext};
use crate::config::OnError;
use crate::deps;
use crate::error::Result;
use crate::mode::Plan;
use protocol::exit_code::FailureFamily;
use protocol::handover::{Phase, WorkloadKind};
use std::ffi::OsString;
use std::time::{Duration, Instant};

impl Preparation {
    /// Installs the dependencies; returns the resulting changes of the environment.
    ///
    /// In a build mode a failure is only logged, because the person can repair it in the container.
    pub(super) fn install(&mut self, request: &deps::DepsRequest<'_>) -> Result<Vec<(OsString, OsString)>> {
        self.phase(Phase::Installing);
        let began = Instant::now();
        let (console, handover) = (&mut self.console, &self.handover);
        let outcome = deps::ensure(request, &mut |line| {
            handover.send_kept();
            console.line(line);
        });
        match outcome {
            Ok(outcome) => {
                if let Some(words) = outcome.words() {
                    self.console.row(check::Status::Ok, FailureFamily::Deps.name(), &words, began.elapsed());
                    self.remember_dependencies(words, began);
                }
                Ok(outcome.environment().to_vec())
            }
            Err(error) if only_warns(request) => {
                self.console.warning(&error);
                self.remember_dependencies(error.what, began);
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    fn remember_dependencies(&mut self, words: String, began: Instant) {
        let (words, before) = match self.dependencies.take() {
            Some((first, took)) => (format!("{first}; {words}"), took),
            None => (words, Duration::ZERO),
        };
        self.dependencies = Some((words, before + began.elapsed()));
    }
}

pub(super) fn request<'a>(context: &'a CheckContext, plan: &'a Plan) -> deps::DepsRequest<'a> {
    deps::DepsRequest {
        root: &context.root,
        settings: &context.settings,
        environment: &context.environment,
        workdir: context.workdir.clone(),
        code: context.code.clone(),
        command: &plan.command,
        by_mode: plan.by_name,
        kind: plan.kind,
    }
}

fn only_warns(request: &deps::DepsRequest<'_>) -> bool {
    request.settings.deps_on_error.map_or(request.kind == WorkloadKind::Build, |on_error| on_error == OnError::Warn)
}
