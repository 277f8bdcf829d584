//! The dependencies of a workload in a start: requests the installation from `deps`, and logs and keeps its outcome.

use super::preparation::Preparation;
use crate::check::{self, CheckContext};
use crate::config::OnError;
use crate::deps;
use crate::error::Result;
use crate::mode::Plan;
use protocol::exit_code::FailureFamily;
use protocol::handover::{Message, Phase, WorkloadKind};
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// The longest name of requirements that PID 1 keeps, in characters.
const LEFT_ALONE: usize = 300;

/// Digits of the digest of requirement files in the history.
const DIGITS: usize = 12;

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
                match &outcome {
                    deps::DepsOutcome::Nothing(left) => left.iter().for_each(|left| self.left_alone(left)),
                    _ => deps::two_pythons(request).iter().for_each(|other| self.left_alone(other)),
                }
                let packages = self.note_packages(request, &outcome);
                if let Some(words) = outcome.words() {
                    let words = packages.map_or(words.clone(), |hash| format!("{words}; environment {hash}"));
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

    /// Notes for the history what Python can import now and which requirements led to it; returns the hash of the former.
    fn note_packages(&mut self, request: &deps::DepsRequest<'_>, outcome: &deps::DepsOutcome) -> Option<String> {
        let is_kept = self.history.is_some();
        if !is_kept && outcome.words().is_none() {
            return None;
        }
        let packages = deps::frozen(request, outcome.environment(), is_kept);
        let hash = packages.as_ref().map(|packages| packages.hash.clone());
        if let Some(history) = &mut self.history {
            history.requirements = deps::digest(request).map(|digest| digest.chars().take(DIGITS).collect());
            history.packages = packages;
        }
        hash
    }

    /// Lets PID 1 know why a module may be missing: a job without one ends with nothing but a code.
    fn left_alone(&mut self, left: &deps::LeftAlone) {
        self.handover.send(&Message::LeftAlone(text::masked(&left.what).chars().take(LEFT_ALONE).collect()));
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

/// Returns whether a failure of the dependencies only warns.
pub(super) fn only_warns(request: &deps::DepsRequest<'_>) -> bool {
    request.settings.deps_on_error.map_or(request.kind == WorkloadKind::Build, |on_error| on_error == OnError::Warn)
}
