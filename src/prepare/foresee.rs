//! What a start would refuse, for `trainit check`: the steps of the pipeline in their order, without an installation, a hook or a file
//! that is written. The words and the codes are those of the steps themselves.

use super::cluster::{self, Cluster};
use super::dependencies::{only_warns, request};
use super::outputs;
use super::policy::StopGrace;
use super::server_setup::{self, ServerWanted};
use super::{enter, hooks, launch, login, pipeline, policy, resume};
use crate::check::{CheckContext, Finding, Status};
use crate::cli::StartRequest;
use crate::code;
use crate::config::{ConfigOptions, Loaded};
use crate::deps::{self, DepsOutcome, DepsOutlook};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Entered;
use crate::mode::{self, ModeFacts, Plan};
use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::{self, Message};
use std::ffi::OsString;
use sys::Root;
use sys::environment::Environment;

/// What a start would say beyond its checks.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    /// What would end it before the checks.
    pub before: Vec<Error>,
    /// What would end it after the checks, in the order of a start.
    pub refusals: Vec<Error>,
    /// What it would only warn of.
    pub warnings: Vec<Error>,
    /// Lines, also about what is not known without a start.
    pub lines: Vec<String>,
    /// The words about dependencies that are there.
    pub dependencies: Option<String>,
    /// The words about the job of several nodes or ranks.
    pub world: Option<String>,
}

impl Foreseen {
    /// Returns the exit code of the start; `checks` is the checks' own.
    pub(crate) fn exit(&self, checks: Option<Exit>) -> Option<Exit> {
        let code = |errors: &[Error]| errors.first().map(Error::exit);
        code(&self.before).or(checks).or_else(|| code(&self.refusals))
    }

    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.refusals.push(error)).ok()
    }
}

/// Returns what a start without words would become: by `mode` and `command`, as for nobody at a terminal. `None` where a COMMAND decides.
///
/// # Errors
/// A mode that does not exist (78), or one without a program in this image (127).
pub(crate) fn planned(loaded: &Loaded, entered: &Entered, inherited: &Environment) -> Result<Option<Plan>> {
    let request = StartRequest { options: ConfigOptions::default(), words: Vec::new(), literal: false };
    let unattended =
        |facts: ModeFacts<'_>| mode::plan(&request, &loaded.settings, ModeFacts { attended: false, ..facts });
    match enter::decide(loaded, entered, inherited, unattended) {
        Ok(mut plan) => {
            plan.set_user(entered.uid());
            Ok(Some(plan))
        }
        // Without words there is nothing to start, but a COMMAND may come.
        Err(error) if error.kind == ErrorKind::Usage => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at every step of a start but the checks, whose findings are given. `plan` is `None` where a COMMAND decides.
pub(crate) fn foresee(context: &CheckContext, plan: Option<&Plan>, findings: &[Finding]) -> Foreseen {
    let mut found = Foreseen::default();
    let of_command = Plan { by_name: true, command: context.command.clone(), ..Plan::default() };
    let planned = plan.unwrap_or(&of_command);
    found.policy(context, planned);
    found.hooks(context);
    found.lines.extend(code::outlook(&context.settings, &context.code));
    if code::is_missing(&context.settings, &context.code) {
        return found;
    }
    let failed = |finding: &&Finding| finding.status == Status::Fail && finding.family() == FailureFamily::Code.name();
    let of_code = findings.iter().find(failed);
    if of_code.is_some_and(|finding| matches!(finding.exit, Exit::Transient(_))) {
        // The directory may be dead, and whoever touches it would wait for ever.
        found.lines.push("the code cannot be reached, so requirements and the command are not looked at".to_owned());
        return found;
    }
    let entered = pipeline::enter(context, login::directory(context, planned));
    if of_code.is_none() {
        found.take(entered);
    }
    let installed = found.dependencies(context, planned);
    if found.before.is_empty() {
        found.take(resume::resume(&context.settings, &context.mounts, 0));
    }
    let mut environment = context.environment.clone();
    let changes = installed.iter().flat_map(DepsOutcome::environment);
    changes.for_each(|(name, value)| environment.set_over_pin(name, value));
    found.world(context, planned, &environment);
    outputs::unset_named(&mut environment);
    match plan {
        None => found
            .lines
            .push("COMMAND is not known here (`command` is not set), so its program is not looked for".to_owned()),
        Some(plan) if plan.setup => found.server(context, plan, installed.is_some(), &environment),
        Some(plan) => found.program(&plan.command, installed.is_some(), &environment),
    }
    found
}

impl Foreseen {
    /// Makes what PID 1 would get: a family or a pattern of checkpoints may be wrong, or all of it too long.
    fn policy(&mut self, context: &CheckContext, plan: &Plan) {
        let grace = StopGrace::known(&context.settings, &Root::real(), &context.environment);
        let policy = policy::policy(&context.settings, &context.workdir, plan, &grace, None);
        let fits = policy.map(|policy| handover::fits(&Message::Policy(policy)));
        self.before.extend(fits.map_or_else(Some, |fits| (!fits).then(policy::too_long)));
    }

    fn hooks(&mut self, context: &CheckContext) {
        let (refused, skipped) = hooks::refused(&context.settings);
        self.before.extend(refused);
        self.warnings.extend(skipped);
    }

    /// Returns the outcome of the dependencies, if a start would install nothing.
    fn dependencies(&mut self, context: &CheckContext, plan: &Plan) -> Option<DepsOutcome> {
        let request = request(context, plan);
        match deps::foresee(&request, &mut |line| self.lines.push(line.to_owned())) {
            Ok(DepsOutlook::Settled(outcome)) => {
                self.dependencies = outcome.words();
                Some(outcome)
            }
            Ok(DepsOutlook::Installs(words)) => {
                self.lines.push(words);
                None
            }
            Err(error) => {
                if only_warns(&request) { &mut self.warnings } else { &mut self.refusals }.push(error);
                None
            }
        }
    }

    /// Looks at the job as a start would.
    fn world(&mut self, context: &CheckContext, plan: &Plan, environment: &Environment) {
        let world = cluster::find(context, plan);
        self.before.extend(cluster::restartable(world.as_ref(), context, &plan.command).err());
        let cluster = Cluster::new(world.as_ref(), context, environment, &plan.command);
        self.warnings.extend(cluster.warnings());
        self.world = cluster.words();
    }

    /// Looks whether a mode's server could be set up. What an installation may bring is not missing yet.
    fn server(&mut self, context: &CheckContext, plan: &Plan, is_installed: bool, environment: &Environment) {
        if !is_installed || !mode::packages(plan, &context.settings).is_empty() {
            return self.lines.push(format!("mode {}: its server is looked for after the installation", plan.mode));
        }
        let grace = StopGrace::known(&context.settings, &Root::real(), environment).time;
        let wanted = ServerWanted { plan, request: request(context, plan), run_dir: None, grace };
        match server_setup::without_writing(context, &wanted, environment) {
            // Beside a workload that runs, its own server has the port.
            Err(error) if is_of_host(error.kind) => self.warnings.push(error),
            Err(error) => self.refusals.push(error),
            Ok(()) => {}
        }
    }

    /// Looks for the program of a command.
    fn program(&mut self, command: &[OsString], is_installed: bool, environment: &Environment) {
        let Some(error) = launch::obstacle(command, environment) else { return };
        if is_installed {
            return self.refusals.push(error);
        }
        self.lines.push(format!("{}, unless the installation brings it", error.what));
    }
}

fn is_of_host(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Permanent(FailureFamily::Host) | ErrorKind::Transient(FailureFamily::Host))
}
