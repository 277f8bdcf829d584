//! Runs the tasks in processes that can be abandoned, all at the same time. Tasks that only this machine answers share one process. A task
//! that another machine has to answer gets its own. The findings return as JSON.

use super::progress::TaskProgress;
use super::rules::Rules;
use super::table;
use super::task::{CheckTask, TaskInfo, TaskWork};
use super::{CheckContext, Finding};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use sys::killable_call::{self, AnswerPipe, KillableCall, NoAnswer};
use sys::proc::WaitState;
use tracing::debug;

/// Time for which the output keeps the order of the table; after that, known findings are shown while the others are awaited.
const ORDER: Duration = Duration::from_millis(500);
/// Time for which tasks share a process, which usually needs milliseconds for all of them.
const SHARED: Duration = Duration::from_millis(500);
/// Shortest interval between two progress lines of a long task.
const WORD: Duration = Duration::from_secs(10);

/// An event for the log while checks run.
#[derive(Clone, Copy, Debug)]
pub enum CheckEvent<'a> {
    /// A check has ended.
    Finding(&'a Finding),
    /// The progress of a long check.
    Progress(&'a str),
}

/// A message of a check process.
#[derive(Serialize, Deserialize)]
enum ProbeMessage {
    /// All findings of one task.
    Findings(usize, Vec<Finding>),
    /// The progress of one task.
    Progress(usize, String),
}

/// Runs all checks, or those that `only` names. `begin` is called if there is anything to wait for, and `each` for every finding as it
/// arrives. The order is that of the table unless a task is late; the result always has that order.
pub fn run(
    context: &CheckContext,
    only: Option<&[String]>,
    begin: &mut dyn FnMut(),
    each: &mut dyn FnMut(CheckEvent<'_>),
) -> Vec<Finding> {
    start(context, only, begin, each).finish(each)
}

/// Starts the checks, and waits for all but those that may run in parallel to other preparations.
pub fn start<'a>(
    context: &'a CheckContext,
    only: Option<&'a [String]>,
    begin: &mut dyn FnMut(),
    each: &mut dyn FnMut(CheckEvent<'_>),
) -> RunningChecks<'a> {
    let host_facts = context.host_facts();
    let rules = Rules::new(&context.settings.checks, only);
    let tasks = table::plan(context, &host_facts, &rules);
    if !tasks.is_empty() {
        begin();
    }
    let switched = context.user.as_ref().is_some_and(|user| user.identity.switch.is_some());
    let mut watch = DeadlineWatch::start(tasks, switched);
    watch.wait_for(each, |about| !about.beside);
    RunningChecks(watch)
}

/// Checks that still run. Dropping this value abandons them.
pub struct RunningChecks<'a>(DeadlineWatch<'a>);

impl RunningChecks<'_> {
    /// Returns the findings so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.0.answers.iter().flat_map(|answer| answer.findings.clone()).collect()
    }

    /// Returns whether all checks have ended.
    pub fn are_done(&self) -> bool {
        self.0.answers.iter().all(|answer| answer.done)
    }

    /// Waits for the other checks, and returns all findings.
    pub fn finish(mut self, each: &mut dyn FnMut(CheckEvent<'_>)) -> Vec<Finding> {
        self.0.wait_for(each, |_| true);
        self.findings()
    }
}

impl Drop for RunningChecks<'_> {
    fn drop(&mut self) {
        self.0.probes.iter().for_each(|probe| probe.away.kill());
    }
}

/// A task and its result.
struct TaskResult<'a> {
    about: TaskInfo<'a>,
    work: Option<TaskWork<'a>>,
    findings: Vec<Finding>,
    done: bool,
    told: bool,
}

/// A process that runs its tasks one after the other.
struct Probe {
    away: KillableCall,
    /// The tasks without an answer; the first one is running.
    tasks: VecDeque<usize>,
    /// The deadline of the running task.
    deadline: Instant,
    /// The time at which the other tasks get their own processes; `None` if they have them, or if there are none.
    parting: Option<Instant>,
    parted: bool,
}

struct DeadlineWatch<'a> {
    begun: Instant,
    answers: Vec<TaskResult<'a>>,
    probes: Vec<Probe>,
    /// Whether this process has changed its user.
    switched: bool,
    /// The last progress of a long task, and the time since which no other was passed on.
    word: (String, Instant),
}

impl<'a> DeadlineWatch<'a> {
    fn start(tasks: Vec<CheckTask<'a>>, switched: bool) -> Self {
        let begun = Instant::now();
        let word = (String::new(), begun);
        let mut watch = DeadlineWatch { begun, answers: Vec::new(), probes: Vec::new(), switched, word };
        let (mut together, mut alone) = (VecDeque::new(), Vec::new());
        for (index, CheckTask { about, work }) in tasks.into_iter().enumerate() {
            if about.alone {
                alone.push(index)
            } else {
                together.push_back(index)
            }
            watch.answers.push(TaskResult { about, work: Some(work), findings: Vec::new(), done: false, told: false });
        }
        watch.launch(together);
        alone.into_iter().for_each(|task| watch.launch([task].into()));
        watch
    }

    /// Starts a process for these tasks. The process has its own copy of the memory, so the tasks stay available for another process.
    fn launch(&mut self, tasks: VecDeque<usize>) {
        let Some(first) = tasks.front() else { return };
        let now = Instant::now();
        let deadline = now + self.patience(*first);
        let parting = (tasks.len() > 1).then(|| now + SHARED);
        let names = || tasks.iter().filter_map(|task| Some(self.answers.get(*task)?.about.name()));
        debug!(target: "check", "one process begins: {}", names().collect::<Vec<_>>().join(", "));
        let answers = &mut self.answers;
        let mut work = |index: usize| answers.get_mut(index)?.work.take();
        let process = KillableCall::start(|log| {
            let log = Rc::new(RefCell::new(log));
            tasks.iter().all(|index| work(*index).is_none_or(|work| answer(&log, *index, work)))
        });
        match process {
            Ok(away) => self.probes.push(Probe { away, tasks, deadline, parting, parted: false }),
            Err(errno) => tasks.iter().for_each(|task| self.silent(*task, NoAnswer::NotStarted(errno), None)),
        }
    }

    fn patience(&self, task: usize) -> Duration {
        self.answers.get(task).map(|answer| answer.about.deadline).unwrap_or_default()
    }

    /// Waits for the selected tasks.
    fn wait_for(&mut self, each: &mut dyn FnMut(CheckEvent<'_>), meant: impl Fn(&TaskInfo<'_>) -> bool) {
        while self.answers.iter().any(|answer| !answer.done && meant(&answer.about)) && !self.probes.is_empty() {
            self.wait();
            self.tell(each);
        }
        self.answers.iter_mut().for_each(|answer| answer.tell(each));
    }

    /// Waits for the next answer, exit or deadline.
    fn wait(&mut self) {
        let ready = self.poll();
        let probes = std::mem::take(&mut self.probes);
        for (mut probe, ready) in probes.into_iter().zip(ready) {
            let open = !ready || probe.away.receive();
            self.take_frames(&mut probe);
            self.judge(probe, open);
        }
    }

    /// Returns which processes have output or have ended.
    fn poll(&self) -> Vec<bool> {
        let fds: Vec<_> = self.probes.iter().map(|probe| probe.away.fd()).collect();
        let next = self.probes.iter().map(Probe::next).min().unwrap_or(self.begun);
        let order = self.begun + ORDER;
        killable_call::wait(&fds, if Instant::now() < order { next.min(order) } else { next })
    }

    /// Decides whether a process continues, and what happens to its tasks. A slow process keeps its running task; the others must not wait
    /// for it.
    fn judge(&mut self, mut probe: Probe, open: bool) {
        let Some(current) = probe.tasks.front().copied() else {
            return probe.end();
        };
        let now = Instant::now();
        if open && now < probe.next() {
            return self.probes.push(probe);
        }
        let rest = probe.tasks.split_off(1);
        if !open {
            self.silent(current, NoAnswer::Died, None);
            return self.launch(rest);
        }
        if now >= probe.deadline {
            let waits = probe.away.waits();
            probe.away.kill();
            self.silent(current, NoAnswer::Overdue, waits);
        } else {
            self.probes.push(Probe { parting: None, parted: true, ..probe });
        }
        rest.into_iter().for_each(|task| self.launch([task].into()));
    }

    fn take_frames(&mut self, probe: &mut Probe) {
        while let Some(body) = probe.away.body() {
            // An invalid message is dropped; its task then has no answer.
            match serde_json::from_slice(&body) {
                Ok(ProbeMessage::Findings(index, findings)) => self.take(probe, index, findings),
                Ok(ProbeMessage::Progress(index, words)) => {
                    self.word.0 = words;
                    probe.deadline = Instant::now() + self.patience(index);
                }
                Err(_) => {}
            }
        }
    }

    /// Stores the findings of a task, unless the task no longer belongs to this process.
    fn take(&mut self, probe: &mut Probe, index: usize, mut findings: Vec<Finding>) {
        let Some(at) = probe.tasks.iter().position(|task| *task == index) else { return };
        probe.tasks.remove(at);
        if self.switched {
            findings.iter_mut().for_each(Finding::ask_trainit_for_the_user);
        }
        if let Some(answer) = self.answers.get_mut(index) {
            told(&answer.about, &findings);
            (answer.findings, answer.done) = (findings, true);
        }
        if let Some(next) = probe.tasks.front() {
            probe.deadline = Instant::now() + self.patience(*next);
        }
    }

    fn silent(&mut self, task: usize, silence: NoAnswer, waits: Option<WaitState>) {
        let took = self.begun.elapsed();
        if let Some(answer) = self.answers.get_mut(task) {
            (answer.findings, answer.done) = (answer.about.silent(silence, took, waits).into_iter().collect(), true);
        }
    }

    /// Passes on findings up to the first open task; after `ORDER` it passes on all that are known.
    fn tell(&mut self, each: &mut dyn FnMut(CheckEvent<'_>)) {
        let late = self.begun.elapsed() >= ORDER;
        // A task that runs in parallel to other preparations delays no output.
        let told = |answer: &&mut TaskResult<'_>| late || answer.done || answer.about.beside;
        for answer in self.answers.iter_mut().take_while(told) {
            answer.tell(each);
        }
        if self.word.1.elapsed() >= WORD && !self.word.0.is_empty() {
            each(CheckEvent::Progress(&std::mem::take(&mut self.word.0)));
            self.word.1 = Instant::now();
        }
    }
}

impl Probe {
    /// Returns the time at which a silent process needs attention.
    fn next(&self) -> Instant {
        self.parting.map_or(self.deadline, |parting| self.deadline.min(parting))
    }

    /// Ends a process that has answered. Its other tasks were given to other processes.
    fn end(self) {
        if self.parted {
            self.away.kill();
        }
    }
}

impl TaskResult<'_> {
    fn tell(&mut self, each: &mut dyn FnMut(CheckEvent<'_>)) {
        if self.done && !self.told {
            self.told = true;
            self.findings.iter().for_each(|finding| each(CheckEvent::Finding(finding)));
        }
    }
}

fn answer(log: &Rc<RefCell<AnswerPipe>>, index: usize, work: TaskWork<'_>) -> bool {
    let begun = Instant::now();
    let mut findings = work(pulse(log, index));
    findings.iter_mut().for_each(|finding| finding.took = begun.elapsed());
    say(log, &ProbeMessage::Findings(index, findings))
}

/// Logs the findings of a task: the check's own process has no log to write to.
fn told(about: &TaskInfo<'_>, findings: &[Finding]) {
    let took = findings.iter().map(|finding| finding.took).max().unwrap_or_default();
    let words: Vec<String> = findings.iter().map(|found| format!("{} {:?}", found.check, found.status)).collect();
    debug!(
        target: "check",
        findings = %words.join(", "),
        took_us = took.as_micros() as u64,
        "{}: done",
        about.name()
    );
}

/// Makes the progress report of a task. A closed pipe is noticed at the end.
fn pulse(log: &Rc<RefCell<AnswerPipe>>, index: usize) -> TaskProgress {
    let log = Rc::clone(log);
    Box::new(move |words| _ = say(&log, &ProbeMessage::Progress(index, words.to_owned())))
}

fn say(log: &RefCell<AnswerPipe>, said: &ProbeMessage) -> bool {
    serde_json::to_vec(said).is_ok_and(|body| log.borrow_mut().say(&body))
}

#[cfg(test)]
mod tests;
