//! The pipeline: the steps between the container's start and the workload's, in order.
//!
//! Each step is a function. The results of earlier steps are in `Preparation` or passed as arguments.

use super::dependencies::request;
use super::enter::check_context;
use super::failure_hold;
use super::hooks::HookStage;
use super::host;
use super::login;
use super::outputs::Outputs;
use super::policy::{self, StopGrace};
use super::preparation::{Preparation, PreparedWorkload};
use super::resume;
use super::server_setup::ServerWanted;
use super::stop_note;
use crate::check::{self, CheckContext, RunningChecks};
use crate::config::OnFailure;
use crate::engine::Platform;
use crate::error::{Error, ErrorKind, Result};
use crate::identity;
use crate::mode::Plan;
use crate::report::{self, Report};
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
        let run_dir = self.announce(&context, &plan, &grace, &inherited, entered.identity())?;
        self.console.settle(&context.settings, context.host_facts());
        self.introduce(&plan, &warnings);
        self.send_last_words(&context, run_dir.as_deref());
        self.send_grace(&context, plan.kind, &grace);
        self.send_stop_note(&plan);
        context.at_home(entered, &plan.env);
        context.user.iter().flat_map(|user| &user.notes).for_each(|note| self.console.line(note));

        let ready = self.make_ready(&mut context, &plan, run_dir.as_deref(), grace.time);
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
    ) -> Result<PreparedWorkload> {
        context.add_secrets(&plan.env)?;
        self.hook(HookStage::BeforeChecks, &context.settings, &plan.command, &mut context.environment)?;
        check::forward_compat(context).iter().for_each(|line| self.console.line(line));
        let checks = self.check(context)?;
        // The directory may be on a dead file system, so it is entered only after the checks have reached it.
        enter(context, login::directory(context, plan))?;
        let changes = self.install(&request(context, plan))?;
        self.finish(context, checks)?;
        self.phase(Phase::Starting);
        let resumed = resume::resume(&context.settings, &context.mounts)?;
        resumed.lines.iter().for_each(|line| self.console.line(line));
        let alone = resume::alone(&context.settings, &context.mounts, &context.environment, &resumed);
        alone.iter().filter(|_| plan.kind == WorkloadKind::Train).for_each(|warning| self.console.warning(warning));
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
        host::share_cpus(context, &mut environment).iter().for_each(|line| self.console.line(line));
        self.hook(HookStage::BeforeStart, &context.settings, &command, &mut environment)?;
        let wanted = ServerWanted { plan, request: request(context, plan), run_dir, grace };
        login::log_in(plan, context.user.as_ref().map(|user| &user.identity), &mut environment);
        let command = self.set_up_server(context, &wanted, command, &mut environment)?;
        self.greet(context, &wanted.request, plan, &environment);
        host::raise_limits(&context.settings);
        Ok(PreparedWorkload { command, environment })
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
    ) -> Result<Option<PathBuf>> {
        let user = policy::user(identity);
        let at_once = plan.setup || !plan.sidecars.is_empty();
        let (run_dir, run_dir_made) = self.run_dir(&context.settings, inherited, user.as_ref(), at_once).unzip();
        let run_dir_made = run_dir_made.unwrap_or_default();
        self.report = report_file(context, run_dir.as_deref(), user.is_some());
        let report = self.report.as_ref().map(|file| file.to_string_lossy().into_owned());
        let mut policy = policy::policy(&context.settings, &context.workdir, plan, grace, run_dir.as_deref())?;
        policy.hold = failure_hold::hold(&context.settings, inherited, report.as_deref());
        (policy.report.file, policy.user, policy.run_dir_made) = (report, user, run_dir_made);
        if !self.handover.keep(&Message::Policy(policy)) {
            return Err(Error::config("checkpoint.*, stop.*, state_dir and the groups are too long together")
                .hint("shorter paths, or symbolic links"));
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
        let engine = match context.platform() {
            Platform::Container => "docker stop kills after 10 s by default (docker run --stop-timeout 600)",
            Platform::Pod => "Kubernetes kills after 30 s by default (terminationGracePeriodSeconds: 600)",
            Platform::Host => return,
        };
        self.console.line(&format!("stop.grace is not set: {engine}"));
    }

    /// Logs what a stop will do that cannot be helped, while there is time to write the start in another way.
    fn send_stop_note(&mut self, plan: &Plan) {
        let told = plan.kind == WorkloadKind::Train && self.is_first_start();
        stop_note::note(&plan.command).filter(|_| told).iter().for_each(|line| self.console.line(line));
    }

    fn introduce(&mut self, plan: &Plan, warnings: &[Error]) {
        let modes = [std::slice::from_ref(&plan.mode), &plan.sidecars].concat().join(" + ");
        self.console.banner(&modes, &plan.command);
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
        let last = match self.of_root.take() {
            Some(of_root) => of_root.last_words,
            None => self.last_words(&context.settings, &context.environment, own),
        };
        // On a machine, another job of the user may have left the state, which says nothing about this start.
        last.filter(|_| context.platform().is_container()).iter().for_each(|line| self.console.line(line));
    }

    /// Runs all checks; some of them may go on while dependencies are installed.
    fn check<'a>(&mut self, context: &'a CheckContext) -> Result<RunningChecks<'a>> {
        self.phase(Phase::Checking);
        let (console, handover) = (&mut self.console, &self.handover);
        let checks = check::start(context, None, &mut || handover.send_kept(), &mut |told| console.check(told));
        self.findings = checks.findings();
        self.judge(context).map(|()| checks)
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
        if let Some(correction) = report::correction(&self.findings, || context.started()) {
            self.console.correction(&correction);
        }
        self.told = true;
        Err(Error::new(ErrorKind::Checks(exit), report::termination(&self.findings, None, exit)))
    }

    /// Writes the JSON report if it is wanted; a failure to write it does not prevent the training.
    #[inline(never)]
    fn file(&mut self, context: &CheckContext, plan: &Plan, began: SystemTime, error: Option<&Error>) {
        let Some(file) = self.report.take() else { return };
        let mut report =
            Report::new(context, Some(&plan.mode), &self.findings, began).with_hooks(std::mem::take(&mut self.hooks));
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

/// Returns the path of the report: as configured, or beside the state if a person is going to look for it.
///
/// A user other than PID 1's can write in only one directory there.
fn report_file(context: &CheckContext, run_dir: Option<&Path>, other: bool) -> Option<PathBuf> {
    let wanted = context.settings.report_file.value.as_ref().map(|file| context.workdir.join(file));
    let held = context.settings.on_failure.value != OnFailure::Exit;
    let directory =
        |run_dir: &Path| if other { run_dir.join(protocol::state_file::REQUESTS) } else { run_dir.to_owned() };
    wanted.or_else(|| run_dir.filter(|_| held).map(|run_dir| directory(run_dir).join(protocol::state_file::REPORT)))
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
