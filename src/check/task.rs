//! A task of the runner: its function, its deadline, and the finding for a missing answer.

use super::progress::TaskProgress;
use super::rules::Rules;
use super::step::{Failure, Step, Target, walk};
use super::{Check, Finding, FindingFacts};
use nix::errno::Errno;
use std::time::Duration;
use sys::killable_call::NoAnswer;
use sys::mountinfo::LOCAL;
use sys::proc::WaitState;

/// The function that runs in the check process.
pub(super) type TaskWork<'a> = Box<dyn FnOnce(TaskProgress) -> Vec<Finding> + 'a>;

/// One task.
pub(super) struct CheckTask<'a> {
    /// The part that stays with the runner.
    pub about: TaskInfo<'a>,
    /// The part that the check process runs.
    pub work: TaskWork<'a>,
}

/// The facts that the runner has about a task.
pub(super) struct TaskInfo<'a> {
    /// The check that fails if no answer comes.
    check: &'static Check,
    rules: Rules<'a>,
    /// The path as messages show it; `None` for the machine.
    subject: Option<String>,
    /// The apparent file system of the path: `nfs4 from nas:/export`.
    location: Option<String>,
    /// The longest time without an answer.
    pub deadline: Duration,
    /// The texts for a missing answer.
    hang: Hang,
    /// Whether the task gets its own process from the start: it may hang for ever, or take long.
    pub alone: bool,
    /// Whether the task may run in parallel to other preparations.
    pub beside: bool,
}

/// The texts for a missing answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hang {
    /// What hangs, if it is not a path.
    pub what: &'static str,
    /// The cause.
    pub because: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// The texts for the usual case, a mount.
const MOUNT: Hang = Hang {
    what: "the machine",
    because: "its server or daemon hangs, and so would the workload",
    advice: "look at the mount on the host; a `timeout=` option of the path waits longer",
};

/// The facts about a path before the first access.
#[derive(Clone, Debug)]
pub(super) struct PathClass {
    /// The longest wait for an answer.
    pub patience: Duration,
    /// The file system: `nfs4 from nas:/export`.
    pub location: Option<String>,
    /// Whether another machine has to answer.
    pub far: bool,
}

impl<'a> CheckTask<'a> {
    /// Makes a task that reads only /proc, /sys and /dev.
    pub(super) fn of_machine<S: Target + 'static>(
        steps: &'static [Step<S>],
        rules: &Rules<'a>,
        subject: S,
    ) -> Option<Self> {
        Self::new(steps, rules, subject, |about| about)
    }

    /// Makes a task for a user's path. The class of its file system sets the deadline, unless an option does.
    pub(super) fn of_path<S: Target + 'static>(
        steps: &'static [Step<S>],
        rules: &Rules<'a>,
        subject: S,
        way: PathClass,
        timeout: Option<Duration>,
    ) -> Option<Self> {
        let PathClass { patience, location, far } = way;
        let deadline = timeout.unwrap_or(patience);
        Self::new(steps, rules, subject, |about| TaskInfo { location, deadline, alone: far, ..about })
    }

    /// Gives the task its own process, because it will take long.
    pub(super) fn apart(mut self, apart: bool) -> Self {
        self.about.alone |= apart;
        self
    }

    /// Sets the check, texts and deadline for a task whose hang is no mount's.
    pub(super) fn hanging(mut self, check: Option<&'static Check>, hang: Hang, deadline: Duration) -> Self {
        self.about = TaskInfo { check: check.unwrap_or(self.about.check), hang, deadline, ..self.about };
        self
    }

    /// Makes a long task that runs in parallel to other preparations.
    pub(super) fn beside(check: &'static Check, rules: &Rules<'a>, deadline: Duration, work: TaskWork<'a>) -> Self {
        let about = TaskInfo { deadline, alone: true, beside: true, ..TaskInfo::of(check, rules, None) };
        CheckTask { about, work }
    }

    fn new<S: Target + 'static>(
        steps: &'static [Step<S>],
        rules: &Rules<'a>,
        mut subject: S,
        amend: impl FnOnce(TaskInfo<'a>) -> TaskInfo<'a>,
    ) -> Option<Self> {
        let rules = *rules;
        let check = &steps.iter().find(|step| rules.wants(&step.check)).and(steps.first())?.check;
        let subject_name = subject.name();
        Some(CheckTask {
            about: amend(TaskInfo::of(check, &rules, subject_name)),
            work: Box::new(move |pulse| {
                subject.speaks_with(pulse);
                walk(steps, &rules, &mut subject)
            }),
        })
    }
}

impl<'a> TaskInfo<'a> {
    fn of(check: &'static Check, rules: &Rules<'a>, subject: Option<String>) -> Self {
        let (rules, deadline) = (*rules, LOCAL);
        TaskInfo { check, rules, subject, location: None, deadline, hang: MOUNT, alone: false, beside: false }
    }

    /// Returns the check that represents the task, and its target.
    pub(super) fn name(&self) -> String {
        let subject = self.subject.as_ref().map(|subject| format!(" of {subject}"));
        format!("{}{}", self.check.id, subject.unwrap_or_default())
    }

    /// Makes the finding for a task without an answer; `None` if its check is off.
    pub(super) fn silent(&self, silence: NoAnswer, took: Duration, waits: Option<WaitState>) -> Option<Finding> {
        let name = self.subject.as_deref().unwrap_or(self.hang.what);
        let at = self.location.as_ref().map(|location| format!(" ({location})")).unwrap_or_default();
        let failure = match silence {
            NoAnswer::Overdue => Failure::new(format!("{name} did not answer in {}{at}", text::seconds(self.deadline)))
                .because(self.hang.because)
                .adding(waits.as_ref().and_then(asleep))
                .advice(self.hang.advice),
            NoAnswer::Died => Failure::new(format!("the check of {name} ended without an answer{at}"))
                .because("its process was killed, or broke on what it found"),
            NoAnswer::NotStarted(errno) => not_started(name, errno),
        };
        let finding = failure.passing(true).finding(self.check, &self.rules)?;
        Some(Finding { subject: self.subject.clone(), took, facts: FindingFacts::new(), ..finding })
    }
}

/// Makes the failure for a process that could not start (fork(2), pipe(2)). Only an unambiguous errno is called a limit.
fn not_started(name: &str, errno: Errno) -> Failure {
    let (because, advice) = match errno {
        Errno::EAGAIN => ("a limit of processes is reached", "raise the limit of processes"),
        Errno::ENOMEM => ("there is no memory for another process", "raise the limit of memory"),
        Errno::EMFILE | Errno::ENFILE => ("a limit of open files is reached", "raise the limit of open files to 65536"),
        _ => (
            "a sandbox (seccomp) or an emulator refuses the system call",
            "allow clone, fork, pipe2 and wait4 in the seccomp profile",
        ),
    };
    Failure::new(format!("no process could be started to check {name}: {}", protocol::errno::words(errno)))
        .because(because)
        .advice(advice)
}

/// Describes a process that no signal reaches, with the kernel function that it waits in.
fn asleep((state, function): &WaitState) -> Option<String> {
    let function = function.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
    (*state == 'D').then(|| format!("who looks waits in the kernel (state D{function})"))
}
