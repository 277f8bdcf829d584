//! A piece of work for the runner: what to do, how long it may take, and what to say when no answer comes.

use super::progress::TaskProgress;
use super::rules::Rules;
use super::step::{Failure, Step, Target, walk};
use super::{Check, Finding, FindingFacts};
use nix::errno::Errno;
use std::time::Duration;
use sys::killable_call::NoAnswer;
use sys::mountinfo::LOCAL;
use sys::proc::WaitState;

/// What goes into the process that works.
pub type TaskWork<'a> = Box<dyn FnOnce(TaskProgress) -> Vec<Finding> + 'a>;

/// One piece of work.
pub struct CheckTask<'a> {
    /// What the runner keeps.
    pub about: TaskInfo<'a>,
    /// What the process does.
    pub work: TaskWork<'a>,
}

/// What the runner has to know of a task.
pub struct TaskInfo<'a> {
    /// Whose trouble it is when no answer comes.
    check: &'static Check,
    rules: Rules<'a>,
    /// The path, as it is shown; none: the machine.
    subject: Option<String>,
    /// Where the path seems to be: `nfs4 from nas:/export`.
    location: Option<String>,
    /// How long it may take.
    pub deadline: Duration,
    /// What hangs where no answer comes.
    hang: Hang,
    /// It may hang for ever, or take long by intention: it gets a process of its own from the beginning.
    pub alone: bool,
    /// It may go on while other things are prepared.
    pub beside: bool,
}

/// What hangs where no answer comes: what is told of that.
#[derive(Clone, Copy, Debug)]
pub struct Hang {
    /// What it is, where no path is looked at.
    pub what: &'static str,
    /// Why it does.
    pub because: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// As a rule it is a mount.
const MOUNT: Hang = Hang {
    what: "the machine",
    because: "its server or daemon hangs, and so would the workload",
    advice: "look at the mount on the host; a `timeout=` option of the path waits longer",
};

/// What can be told of a path before it is touched.
#[derive(Clone, Debug)]
pub struct PathClass {
    /// How long an answer may take.
    pub patience: Duration,
    /// The file system: `nfs4 from nas:/export`.
    pub location: Option<String>,
    /// Another machine has to answer.
    pub far: bool,
}

impl<'a> CheckTask<'a> {
    /// A walk that touches only /proc, /sys and /dev.
    pub fn of_machine<S: Target + 'static>(steps: &'static [Step<S>], rules: &Rules<'a>, subject: S) -> Option<Self> {
        Self::new(steps, rules, subject, |about| about)
    }

    /// A walk over a user's path. The deadline follows the kind of file system on the way to it, unless an option says it.
    pub fn of_path<S: Target + 'static>(
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

    /// The same, in a process of its own: it is going to take its time.
    pub fn apart(mut self, apart: bool) -> Self {
        self.about.alone |= apart;
        self
    }

    /// Something else hangs where no answer comes in this time, and is told as this check's trouble.
    pub fn hanging(mut self, check: Option<&'static Check>, hang: Hang, deadline: Duration) -> Self {
        self.about = TaskInfo { check: check.unwrap_or(self.about.check), hang, deadline, ..self.about };
        self
    }

    /// Work of its own that takes its time, and goes on while other things are prepared.
    pub fn beside(check: &'static Check, rules: &Rules<'a>, deadline: Duration, work: TaskWork<'a>) -> Self {
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

    /// The check that stands for it, and what that looks at.
    pub fn name(&self) -> String {
        let subject = self.subject.as_ref().map(|subject| format!(" of {subject}"));
        format!("{}{}", self.check.id, subject.unwrap_or_default())
    }

    /// The finding for a task that gave no answer; none when its check is off.
    pub fn silent(&self, silence: NoAnswer, took: Duration, waits: Option<WaitState>) -> Option<Finding> {
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

/// That the kernel gave no process, and what its answer means (fork(2), pipe(2)). Only what the errno says for sure is called a limit.
fn not_started(name: &str, errno: Errno) -> Failure {
    let (because, advice) = match errno {
        Errno::EAGAIN => ("a limit of processes is reached", "raise the limit: docker run --pids-limit, ulimit -u"),
        Errno::ENOMEM => ("there is no memory for another process", "raise the limit: docker run --memory"),
        Errno::EMFILE | Errno::ENFILE => {
            ("a limit of open files is reached", "raise the limit: docker run --ulimit nofile=65536")
        }
        _ => (
            "a sandbox (seccomp) or an emulator refuses the system call",
            "allow clone, fork, pipe2 and wait4 in the seccomp profile",
        ),
    };
    Failure::new(format!("no process could be started to check {name}: {}", errno.desc()))
        .because(because)
        .advice(advice)
}

/// That a process waits where no signal reaches it, and in which function of the kernel, is worth more than that it was slow.
fn asleep((state, function): &WaitState) -> Option<String> {
    let function = function.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
    (*state == 'D').then(|| format!("who looks waits in the kernel (state D{function})"))
}
