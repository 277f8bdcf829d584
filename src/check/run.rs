//! Runs the tasks in processes that can be given up: what only this machine has to answer one after the other in one of them, each
//! that another machine has to answer in one of its own, everything at the same time. Their findings come back as JSON.

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

/// So long the order of the table is kept; then what is known is told, while the rest is waited for.
const ORDER: Duration = Duration::from_millis(500);
/// So long tasks share a process, which as a rule takes milliseconds for all of them.
const SHARED: Duration = Duration::from_millis(500);
/// So seldom word of what takes long is passed on to a person.
const WORD: Duration = Duration::from_secs(10);

/// What a person is told while checks run.
#[derive(Clone, Copy, Debug)]
pub enum CheckEvent<'a> {
    /// Something was found out.
    Finding(&'a Finding),
    /// Something takes long: how far it is.
    Progress(&'a str),
}

/// What a process says.
#[derive(Serialize, Deserialize)]
enum ProbeMessage {
    /// All that one task found.
    Findings(usize, Vec<Finding>),
    /// One task is not done, and goes on.
    Progress(usize, String),
}

/// Runs all checks, or those that `only` names. `begin` is called if there is anything to wait for, and `each` as findings come in,
/// in the order of the table unless one of them is late; the result is in that order.
pub fn run(
    context: &CheckContext,
    only: Option<&[String]>,
    begin: &mut dyn FnMut(),
    each: &mut dyn FnMut(CheckEvent<'_>),
) -> Vec<Finding> {
    start(context, only, begin, each).finish(each)
}

/// The same, up to where only those are out that may go on beside other preparations.
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

/// Checks of which some go on. Dropped, they are given up.
pub struct RunningChecks<'a>(DeadlineWatch<'a>);

impl RunningChecks<'_> {
    /// What is found so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.0.answers.iter().flat_map(|answer| answer.findings.clone()).collect()
    }

    /// Whether nothing is waited for.
    pub fn are_done(&self) -> bool {
        self.0.answers.iter().all(|answer| answer.done)
    }

    /// Waits for the rest, and gives all that was found.
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

/// What is to be done, and what became of it.
struct TaskResult<'a> {
    about: TaskInfo<'a>,
    work: Option<TaskWork<'a>>,
    findings: Vec<Finding>,
    done: bool,
    told: bool,
}

/// A process that does one task after the other.
struct Probe {
    away: KillableCall,
    /// Those that it has not answered, the one that it is busy with first.
    tasks: VecDeque<usize>,
    /// When that one is given up.
    deadline: Instant,
    /// When the others get processes of their own; none: they have, or there are none.
    parting: Option<Instant>,
    parted: bool,
}

struct DeadlineWatch<'a> {
    begun: Instant,
    answers: Vec<TaskResult<'a>>,
    probes: Vec<Probe>,
    /// This process has become another user.
    switched: bool,
    /// The last word of what takes long, and since when no other was passed on.
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

    /// Starts a process for these tasks. It does them in its own copy of this memory; here they stay, for another process.
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

    /// Waits for those tasks that are meant.
    fn wait_for(&mut self, each: &mut dyn FnMut(CheckEvent<'_>), meant: impl Fn(&TaskInfo<'_>) -> bool) {
        while self.answers.iter().any(|answer| !answer.done && meant(&answer.about)) && !self.probes.is_empty() {
            self.wait();
            self.tell(each);
        }
        self.answers.iter_mut().for_each(|answer| answer.tell(each));
    }

    /// Waits for the next answer, end or deadline.
    fn wait(&mut self) {
        let ready = self.poll();
        let probes = std::mem::take(&mut self.probes);
        for (mut probe, ready) in probes.into_iter().zip(ready) {
            let open = !ready || probe.away.receive();
            self.take_frames(&mut probe);
            self.judge(probe, open);
        }
    }

    /// Which probes have something to read, or have ended.
    fn poll(&self) -> Vec<bool> {
        let fds: Vec<_> = self.probes.iter().map(|probe| probe.away.fd()).collect();
        let next = self.probes.iter().map(Probe::next).min().unwrap_or(self.begun);
        let order = self.begun + ORDER;
        killable_call::wait(&fds, if Instant::now() < order { next.min(order) } else { next })
    }

    /// Whether a process goes on, and what becomes of its tasks. One that is slow keeps what it is busy with: the others are not to
    /// wait for it.
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
            // What cannot be understood is dropped; its task then has no answer.
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

    /// Takes an answer, if this process has still to give it.
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

    /// Tells what is known, up to the first task that is still out; all of it when that one is late.
    fn tell(&mut self, each: &mut dyn FnMut(CheckEvent<'_>)) {
        let late = self.begun.elapsed() >= ORDER;
        // What goes on beside others keeps nobody waiting.
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
    /// When something has to be done about it, if it says nothing.
    fn next(&self) -> Instant {
        self.parting.map_or(self.deadline, |parting| self.deadline.min(parting))
    }

    /// It has answered. What it may still be doing was given to others.
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

/// The process of a check has nowhere to write: what it found is told here.
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

/// What a task says that it goes on with. Whether anybody listens shows at the end.
fn pulse(log: &Rc<RefCell<AnswerPipe>>, index: usize) -> TaskProgress {
    let log = Rc::clone(log);
    Box::new(move |words| _ = say(&log, &ProbeMessage::Progress(index, words.to_owned())))
}

fn say(log: &RefCell<AnswerPipe>, said: &ProbeMessage) -> bool {
    serde_json::to_vec(said).is_ok_and(|body| log.borrow_mut().say(&body))
}

#[cfg(test)]
mod tests;
