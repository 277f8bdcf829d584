//! The pipeline: the steps between the container's start and the workload's, in order.
//!
//! Each step is a function. The results of earlier steps are in `Preparation` or passed as arguments.

use super::agreed_resume::Resuming;
use super::cluster::{self, Cluster};
use super::dependencies::request;
use super::enter::check_context;
use super::failure_hold;
use super::hooks::HookStage;
use super::host;
use super::interruption::Interruption;
use super::launch;
use super::login;
use super::login_shells;
use super::outputs::{self, Outputs};
use super::policy::{self, StopGrace};
use super::preparation::{Preparation, PreparedWorkload};
use super::previous_run;
use super::resume::{self, Resumed};
use super::server_setup::ServerWanted;
use super::stop_note;
use crate::check::{self, CheckContext, RunningChecks};
use crate::config::{Agreement, OnFailure, Settings};
use crate::engine::several_nodes;
use crate::error::{Error, ErrorKind, Result};
use crate::identity;
use crate::mode::Plan;
use crate::report::{self, LogNode, Report};
use nix::errno::Errno;
use protocol::errno;
use protocol::exit_code::FailureFamily;
use protocol::handover::{Message, Phase, WorkloadKind};
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use sys::environment::Environment;
use sys::{Root, reach};

impl Preparation {
    /// Turns the words of the command line into a workload; no file of a mount is read before this process is the workload's user.
    ///
    /// # Errors
    /// Any error that must keep the workload from starting.
    pub(super) fn run(&mut self, words: &[OsString]) -> Result<PreparedWorkload> {
        let began = SystemTime::now();
        let mut inherited = Environment::inherited();
        let (mut loaded, plan, entered) = self.settle(words, &inherited)?;
        loaded.settings.pin(&mut inherited);
        let grace = StopGrace::known(&loaded.settings, &Root::real(), &inherited);
        let warnings = std::mem::take(&mut loaded.warnings);
        // This process is about to be replaced by exec, so dropping the plan would only cost time.
        let mut plan = ManuallyDrop::new(plan);
        let mut context = ManuallyDrop::new(check_context(loaded, &plan, inherited.clone()));
        plan.set_user(entered.uid());
        self.world = cluster::find(&context, &plan);
        cluster::launch(self.world.as_ref(), &mut context, &mut plan);
        let interruption = interruption(&context.settings, &inherited);
        let run_dir = self.announce(&context, &plan, &grace, &inherited, entered.identity(), &interruption)?;
        self.console.settle(&context.settings, context.host_facts());
        self.console.name_node(cluster::log_node(self.world.as_ref()));
        self.introduce(&plan, &warnings);
        self.send_last_words(&context, run_dir.as_deref());
        self.begin_history(&context, &plan, run_dir.as_deref());
        self.send_grace(&context, plan.kind, &grace);
        self.send_stop_note(&context.settings, &plan, &interruption);
        context.at_home(entered, &plan.env);
        context.user.iter().flat_map(|user| &user.notes).for_each(|note| self.console.line(note));

        let ready = self.make_ready(&mut context, &plan, run_dir.as_deref(), grace.time);
        let ready = self.startable(&context, ready);
        let ready = self.meet(&context, &plan, ready);
        self.file(&context, &plan, began, ready.as_ref().err());
        let ready = ready?;
        self.console.start(&ready.command, user, self.since.elapsed());
        Ok(ready)
    }

    #[inline(never)] // its locals leave the stack with its frame, before the next steps run
    fn make_ready(
        &mut self,
        context: &mut CheckContext,
        plan: &Plan,
        run_dir: Option<&Path>,
        grace: Option<Duration>,
    ) -> Result<Resuming> {
        let changes = self.make_fit(context, plan)?;
        self.phase(Phase::Starting);
        let resumed = self.find_resume(context, plan)?;
        // Words that make a trainer resume mean nothing to a shell or a server.
        let more = if plan.kind == WorkloadKind::Train { resumed.arguments.as_slice() } else { &[] };
        let command = [&plan.command, more].concat();
        let outputs = Outputs {
            plan,
            attempt: self.attempt,
            run_dir,
            changes,
            resumed: &resumed,
            provenance: check::provenance(&self.findings),
            grace,
        };
        let mut environment = outputs.add_to(context.environment.clone());
        let wanted = ServerWanted { plan, request: request(context, plan), run_dir, grace };
        let command = self.fill_environment(context, &wanted, command, &mut environment)?;
        self.greet(context, &wanted.request, plan, &environment);
        host::raise_limits(&context.settings);
        Ok(Resuming { workload: PreparedWorkload { command, environment }, resumed })
    }

    /// Brings data, checks and installs; returns what the installation changed.
    fn make_fit(&mut self, context: &mut CheckContext, plan: &Plan) -> Result<Vec<(OsString, OsString)>> {
        self.judge_code(plan.kind)?;
        cluster::restartable(self.world.as_ref(), context, &plan.command)?;
        context.add_secrets(&plan.env)?.iter().for_each(|line| self.console.line(line));
        self.hook(HookStage::BeforeChecks, &context.settings, &plan.command, &mut context.environment)?;
        check::forward_compat(context).iter().for_each(|line| self.console.line(line));
        let staging = self.begin_staging(context)?;
        let at_once = staging.as_ref().map(|_| context.without_staged());
        let checks = self.check(at_once.as_ref().unwrap_or(context))?;
        // The directory may be on a dead file system, so it is entered only after the checks have reached it.
        enter(context, login::directory(context, plan))?;
        let changes = self.install(&request(context, plan))?;
        self.finish(context, checks)?;
        if staging.is_some() {
            self.finish_staging(context, staging)?;
            self.check_staged(context)?;
        }
        Ok(changes)
    }

    /// Adds the cluster's, the login's and the server's variables, and runs the hooks before the start. Returns the workload's command.
    fn fill_environment(
        &mut self,
        context: &CheckContext,
        wanted: &ServerWanted<'_>,
        command: Vec<OsString>,
        environment: &mut Environment,
    ) -> Result<Vec<OsString>> {
        let cluster = Cluster::new(self.world.as_ref(), context, environment, &command);
        cluster.add_to(environment);
        cluster.tell(&mut self.console);
        self.world_words = cluster.words();
        host::share_cpus(context, environment).iter().for_each(|line| self.console.line(line));
        self.hook(HookStage::BeforeStart, &context.settings, &command, environment)?;
        outputs::unset_named(environment);
        login::log_in(wanted.plan, context.user.as_ref().map(|user| &user.identity), environment);
        let command = self.set_up_server(context, wanted, command, environment)?;
        login_shells::keep_path(context, wanted.plan, wanted.run_dir, environment);
        Ok(command)
    }

    /// Looks whether the command can start at all, while the other nodes can still be told; a start alone learns it from execve(2).
    fn startable(&self, context: &CheckContext, ready: Result<Resuming>) -> Result<Resuming> {
        let ready = ready?;
        let workload = self.meeting(&context.settings).map(|_| &ready.workload);
        let failure = workload.and_then(|workload| {
            let by_file = launch::certain_failure(&workload.command, &workload.environment);
            by_file.or_else(|| launch::tried_failure(workload))
        });
        failure.map_or(Ok(ready), Err)
    }

    /// Finds what the workload resumes from, and warns where other nodes may resume from something else.
    fn find_resume(&mut self, context: &CheckContext, plan: &Plan) -> Result<Resumed> {
        let together =
            self.meeting(&context.settings).filter(|_| context.settings.cluster_agree.contains(&Agreement::Resume));
        let older = if together.is_some() { exchange::STEPS_MAX - 1 } else { 0 };
        self.restore(context, plan)?;
        let resumed = resume::resume(&context.settings, &context.mounts, older)?;
        resumed.lines.iter().for_each(|line| self.console.line(line));
        let nodes = several_nodes(self.world.as_ref(), &context.environment).filter(|_| together.is_none());
        let alone = resume::alone(&context.settings, &context.mounts, nodes, &resumed);
        alone.iter().filter(|_| plan.kind == WorkloadKind::Train).for_each(|warning| self.console.warning(warning));
        Ok(resumed)
    }

    /// Finds the state directory and sends the policy to PID 1.
    #[inline(never)]
    fn announce(
        &mut self,
        context: &CheckContext,
        plan: &Plan,
        grace: &StopGrace,
        inherited: &Environment,
        identity: &identity::WorkloadIdentity,
        interruption: &Interruption,
    ) -> Result<Option<PathBuf>> {
        let user = policy::user(identity);
        let history = self.history(context, plan, inherited);
        let waits = history.as_ref().is_some_and(|history| history.waits);
        let at_once = plan.setup || login_shells::are_kept(plan) || !plan.sidecars.is_empty() || waits;
        let (run_dir, run_dir_made) = self.run_dir(&context.settings, inherited, user.as_ref(), at_once).unzip();
        let run_dir_made = run_dir_made.unwrap_or_default();
        let writable = run_dir.as_deref().map(|run_dir| workloads_directory(run_dir, user.is_some()));
        self.history.iter_mut().for_each(|history| history.list_waits_in = writable.clone());
        self.report = report_file(context, writable.as_deref());
        let report = self.report.as_ref().map(|file| file.to_string_lossy().into_owned());
        let mut policy = policy::policy(&context.settings, &context.workdir, plan, grace, run_dir.as_deref())?;
        let LogNode { name, quiet } = cluster::log_node(self.world.as_ref());
        (policy.report.node, policy.report.quiet) = (name, quiet);
        policy.history = history;
        policy.mirror = self.uploads_to(context, plan)?;
        policy.hold = failure_hold::hold(&context.settings, inherited, report.as_deref());
        (policy.report.file, policy.user, policy.run_dir_made) = (report, user, run_dir_made);
        (policy.preempt, policy.requeue) = (interruption.preempt.clone(), interruption.requeue.clone());
        if !self.handover.keep(&Message::Policy(policy)) {
            return Err(policy::too_long());
        }
        if context.settings.prepare_timeout.or(context.settings.lifetime.value).is_some() {
            self.handover.send_kept();
        }
        Ok(run_dir)
    }

    /// Logs the grace, because few users know how little time an engine gives by default.
    fn send_grace(&mut self, context: &CheckContext, kind: WorkloadKind, grace: &StopGrace) {
        let unknown = grace.from.is_empty() && kind == WorkloadKind::Train && self.is_first_start();
        if !unknown || !self.console.tells_all() {
            return;
        }
        let Some(engine) = context.host_facts().starter().stop_grace() else { return };
        self.console.line(&format!("stop.grace is not set: {engine}"));
    }

    /// Logs what a stop will do that cannot be helped, while there is time to write the start in another way.
    fn send_stop_note(&mut self, settings: &Settings, plan: &Plan, interruption: &Interruption) {
        let told = plan.kind == WorkloadKind::Train && self.is_first_start();
        let of_launcher = cluster::stop_note(self.world.as_ref(), settings);
        let notes = stop_note::note(&plan.command).into_iter().chain(of_launcher);
        let notes = notes.chain(interruption.notes.iter().cloned());
        notes.filter(|_| told).for_each(|line| self.console.line(&line));
    }

    fn introduce(&mut self, plan: &Plan, warnings: &[Error]) {
        let modes = [std::slice::from_ref(&plan.mode), &plan.sidecars].concat().join(" + ");
        self.console.banner(&modes, if plan.is_open { &[] } else { &plan.command });
        warnings.iter().chain(&self.state_trouble.take()).for_each(|warning| self.console.warning(warning));
        if let Some(note) = &plan.note {
            self.console.line(note);
        }
        if !self.handover.supervised() && !plan.sidecars.is_empty() {
            let what = format!("nothing runs beside it: {} would need a supervisor", plan.sidecars.join(", "));
            self.console.warning(&Error::usage(what).hint("trainit run instead of trainit exec"));
        }
    }

    /// Logs what the start before this one could not log itself.
    fn send_last_words(&mut self, context: &CheckContext, own: Option<&Path>) {
        self.previous = match self.of_root.take() {
            Some(of_root) => of_root.previous,
            None => self.previous_run(&context.settings, &context.environment, own),
        };
        // On a machine, another job of the user may have left the state, which says nothing about this start.
        let last = self.previous.as_ref().filter(|_| context.platform().is_container());
        last.map(previous_run::line).iter().for_each(|line| self.console.line(line));
    }

    /// Runs all checks; some of them may go on while dependencies are installed.
    fn check<'a>(&mut self, context: &'a CheckContext) -> Result<RunningChecks<'a>> {
        self.phase(Phase::Checking);
        let (console, handover) = (&mut self.console, &self.handover);
        let checks = check::start(context, None, &mut || handover.send_kept(), &mut |told| console.check(told));
        self.findings = checks.findings();
        self.judge(context).map(|()| checks)
    }

    /// Checks the paths whose data was brought.
    fn check_staged(&mut self, context: &CheckContext) -> Result<()> {
        let staged = context.only_staged();
        let only = [FailureFamily::Data.name().to_owned()];
        let (console, handover) = (&mut self.console, &self.handover);
        let found = check::run(&staged, Some(&only), &mut || handover.send_kept(), &mut |told| console.check(told));
        self.findings.extend(found);
        self.judge(context)
    }

    /// Waits for the checks that are still running.
    fn finish(&mut self, context: &CheckContext, checks: RunningChecks<'_>) -> Result<()> {
        if !checks.are_done() {
            self.phase(Phase::Checking);
        }
        let (console, handover) = (&mut self.console, &self.handover);
        self.findings = checks.finish(&mut |told| {
            handover.send_kept();
            console.check(told);
        });
        self.judge(context)
    }

    /// Decides whether the findings let the start continue.
    fn judge(&mut self, context: &CheckContext) -> Result<()> {
        let Some(exit) = check::verdict(&self.findings) else { return Ok(()) };
        let form = report::Form::Of(context.host_facts().starter());
        let correction = report::correction(&self.findings, form, || context.started());
        self.console.failures(&self.findings, correction.as_ref());
        self.told = true;
        Err(Error::new(ErrorKind::Checks(exit), report::termination(&self.findings, None, exit)))
    }

    /// Writes the JSON report if it is wanted; a failure to write it does not prevent the training.
    #[inline(never)]
    fn file(&mut self, context: &CheckContext, plan: &Plan, began: SystemTime, error: Option<&Error>) {
        let Some(file) = self.report.take() else { return };
        let notes = context.user.iter().flat_map(|user| &user.notes);
        let mut report = Report::new(context, Some(&plan.mode), &self.findings, began)
            .with_hooks(std::mem::take(&mut self.hooks))
            .with_notes(notes);
        if let Some(words) = self.world_words.take() {
            report = report.with_world(words);
        }
        if let Some(nodes) = self.nodes.take() {
            report = report.with_nodes(nodes);
        }
        if let Some(sum) = self.history.as_ref().and_then(|history| history.sum.clone()) {
            report = report.with_history(sum);
        }
        if let Some((words, took)) = self.code_row.take() {
            report = report.with_code(words, took);
        }
        if let Some((words, took)) = self.mirror_row.take() {
            report = report.with_mirror(words, took);
        }
        if let Some((words, took)) = self.dependencies.take() {
            report = report.with_dependencies(words, took);
        }
        if let Some(error) = error {
            report = report.with_exit(error.exit());
        }
        let save = || report.save(&file).map_err(|error| errno::words_of(&error));
        let saved = reach::look(&context.mounts, &file, save);
        if let Err(why) = saved.unwrap_or_else(|_| Err("its file system does not answer".to_owned())) {
            let what = format!("the report cannot be written to {} (report.file)", file.display());
            self.console.warning(&Error::new(ErrorKind::Internal, what).because(why));
        }
    }
}

/// Returns the directory of the state in which the workload's user can write: another user than PID 1's has only one there.
fn workloads_directory(run_dir: &Path, other: bool) -> PathBuf {
    if other { run_dir.join(protocol::state_file::REQUESTS) } else { run_dir.to_owned() }
}

fn interruption(settings: &Settings, inherited: &Environment) -> Interruption {
    Interruption::of(settings, &Root::real(), inherited, |program| which::which(program).is_ok())
}

/// Returns the path of the report: as configured, or beside the state if a person is going to look for it.
///
/// `writable` is the directory beside the state in which the workload's user can write.
fn report_file(context: &CheckContext, writable: Option<&Path>) -> Option<PathBuf> {
    let wanted = context.settings.report_file.value.as_ref().map(|file| context.workdir.join(file));
    let held = context.settings.on_failure.value != OnFailure::Exit;
    wanted.or_else(|| writable.filter(|_| held).map(|directory| directory.join(protocol::state_file::REPORT)))
}

/// Enters the working directory. Checks have covered only the code directory, so another process first tests whether any other one is
/// dead.
pub(super) fn enter(context: &CheckContext, workdir: &Path) -> Result<()> {
    let answers = || -> u8 { workdir.is_dir().into() };
    let dead =
        reach::far(&context.mounts, workdir).is_some() && reach::look(&context.mounts, workdir, answers).is_err();
    let entered = if dead { Err(Errno::ETIMEDOUT.into()) } else { std::env::set_current_dir(workdir) };
    entered.map_err(|error| {
        let cause = errno::cause_of(&error);
        let kind = if cause.is_some() { ErrorKind::Transient } else { ErrorKind::Permanent };
        let failed =
            Error::new(kind(FailureFamily::Code), format!("cannot enter the working directory {}", workdir.display()))
                .caused_by(error);
        match cause {
            Some(cause) => failed.because(cause.because).hint(cause.advice),
            None => failed.hint("mount it, or set workdir (TRAINIT_WORKDIR)"),
        }
    })
}

fn user() -> String {
    format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid())
}
