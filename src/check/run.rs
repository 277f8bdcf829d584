//! Runs the tasks: each that touches a user's path in a process of its own, all others together in one, everything at the same
//! time. Their findings come back as JSON; who is overdue is given up.

use super::rules::Rules;
use super::table;
use super::task::{About, Pulse, Task, Work};
use super::{Finding, Scene};
use crate::sys::away::{self, Away, Silence, Voice};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// So long the order of the table is kept; then what is known is told, while the rest is waited for.
const ORDER: Duration = Duration::from_millis(500);
/// So seldom word of what takes long is passed on to a person.
const WORD: Duration = Duration::from_secs(10);

/// What a person is told while checks run.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// Something was found out.
    Finding(&'a Finding),
    /// Something takes long: how far it is.
    Progress(&'a str),
}

/// What a process says.
#[derive(Serialize, Deserialize)]
enum Said {
    /// All that one task found.
    Findings(usize, Vec<Finding>),
    /// One task is not done, and goes on.
    Progress(usize, String),
}

/// Runs all checks, or those that `only` names. `begin` is called if there is anything to wait for, and `each` as findings come in,
/// in the order of the table unless one of them is late; the result is in that order.
pub fn run(
    scene: &Scene,
    only: Option<&[String]>,
    begin: &mut dyn FnMut(),
    each: &mut dyn FnMut(Told<'_>),
) -> Vec<Finding> {
    let ground = scene.ground();
    let rules = Rules::new(&scene.settings.checks, only);
    let tasks = table::plan(scene, &ground, &rules);
    if !tasks.is_empty() {
        begin();
    }
    Watch::start(tasks).finish(each)
}

/// What became of one task.
struct Answer<'a> {
    about: About<'a>,
    findings: Vec<Finding>,
    done: bool,
    told: bool,
}

/// A process and the tasks that it has not answered yet.
struct Probe {
    away: Away,
    tasks: Vec<usize>,
    deadline: Instant,
}

struct Watch<'a> {
    begun: Instant,
    answers: Vec<Answer<'a>>,
    probes: Vec<Probe>,
    /// The last word of what takes long, and since when no other was passed on.
    word: (String, Instant),
}

impl<'a> Watch<'a> {
    fn start(tasks: Vec<Task<'a>>) -> Self {
        let begun = Instant::now();
        let mut watch = Watch { begun, answers: Vec::new(), probes: Vec::new(), word: (String::new(), begun) };
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for (index, Task { about, work }) in tasks.into_iter().enumerate() {
            if about.alone {
                alone.push(vec![(index, work)])
            } else {
                together.push((index, work))
            }
            watch.answers.push(Answer { about, findings: Vec::new(), done: false, told: false });
        }
        for works in std::iter::once(together).chain(alone).filter(|works| !works.is_empty()) {
            watch.launch(works);
        }
        watch
    }

    fn launch(&mut self, works: Vec<(usize, Work<'a>)>) {
        let tasks: Vec<usize> = works.iter().map(|(index, _)| *index).collect();
        let deadline = self.begun
            + tasks.iter().filter_map(|index| Some(self.answers.get(*index)?.about.deadline)).max().unwrap_or_default();
        let work = |voice| {
            let voice = Rc::new(RefCell::new(voice));
            works.into_iter().all(|(index, work)| answer(&voice, index, work))
        };
        match Away::start(work) {
            Ok(away) => self.probes.push(Probe { away, tasks, deadline }),
            Err(_) => self.silent(&tasks, Silence::NotStarted),
        }
    }

    fn finish(mut self, each: &mut dyn FnMut(Told<'_>)) -> Vec<Finding> {
        while !self.probes.is_empty() {
            self.wait();
            self.tell(each);
        }
        self.answers.iter_mut().for_each(|answer| answer.tell(each));
        self.answers.into_iter().flat_map(|answer| answer.findings).collect()
    }

    /// Waits for the next answer, end or deadline.
    fn wait(&mut self) {
        let ready = self.poll();
        let probes = std::mem::take(&mut self.probes);
        for (mut probe, ready) in probes.into_iter().zip(ready) {
            let open = !ready || probe.away.receive();
            self.take_frames(&mut probe);
            if probe.tasks.is_empty() {
                continue;
            }
            if !open {
                self.silent(&probe.tasks, Silence::Died);
            } else if Instant::now() >= probe.deadline {
                probe.away.kill();
                self.silent(&probe.tasks, Silence::Overdue);
            } else {
                self.probes.push(probe);
            }
        }
    }

    /// Which probes have something to read, or have ended.
    fn poll(&self) -> Vec<bool> {
        let fds: Vec<_> = self.probes.iter().map(|probe| probe.away.fd()).collect();
        let next = self.probes.iter().map(|probe| probe.deadline).min().unwrap_or(self.begun);
        let order = self.begun + ORDER;
        away::wait(&fds, if Instant::now() < order { next.min(order) } else { next })
    }

    fn take_frames(&mut self, probe: &mut Probe) {
        while let Some(body) = probe.away.body() {
            // What cannot be understood is dropped; its task then has no answer.
            match serde_json::from_slice(&body) {
                Ok(Said::Findings(index, findings)) => {
                    let expected = probe.tasks.iter().position(|task| *task == index);
                    let expected = expected.map(|at| probe.tasks.swap_remove(at));
                    if let Some(answer) = expected.and_then(|index| self.answers.get_mut(index)) {
                        (answer.findings, answer.done) = (findings, true);
                    }
                }
                Ok(Said::Progress(index, words)) => {
                    self.word.0 = words;
                    let again = self.answers.get(index).map(|answer| Instant::now() + answer.about.deadline);
                    probe.deadline = again.unwrap_or(probe.deadline);
                }
                Err(_) => {}
            }
        }
    }

    fn silent(&mut self, tasks: &[usize], silence: Silence) {
        let took = self.begun.elapsed();
        for index in tasks {
            if let Some(answer) = self.answers.get_mut(*index) {
                (answer.findings, answer.done) = (answer.about.silent(silence, took).into_iter().collect(), true);
            }
        }
    }

    /// Tells what is known, up to the first task that is still out; all of it when that one is late.
    fn tell(&mut self, each: &mut dyn FnMut(Told<'_>)) {
        let late = self.begun.elapsed() >= ORDER;
        for answer in self.answers.iter_mut().take_while(|answer| late || answer.done) {
            answer.tell(each);
        }
        if self.word.1.elapsed() >= WORD && !self.word.0.is_empty() {
            each(Told::Progress(&std::mem::take(&mut self.word.0)));
            self.word.1 = Instant::now();
        }
    }
}

impl Answer<'_> {
    fn tell(&mut self, each: &mut dyn FnMut(Told<'_>)) {
        if self.done && !self.told {
            self.told = true;
            self.findings.iter().for_each(|finding| each(Told::Finding(finding)));
        }
    }
}

fn answer(voice: &Rc<RefCell<Voice>>, index: usize, work: Work<'_>) -> bool {
    let begun = Instant::now();
    let mut findings = work(pulse(voice, index));
    findings.iter_mut().for_each(|finding| finding.took = begun.elapsed());
    say(voice, &Said::Findings(index, findings))
}

/// What a task says that it goes on with. Whether anybody listens shows at the end.
fn pulse(voice: &Rc<RefCell<Voice>>, index: usize) -> Pulse {
    let voice = Rc::clone(voice);
    Box::new(move |words| _ = say(&voice, &Said::Progress(index, words.to_owned())))
}

fn say(voice: &RefCell<Voice>, said: &Said) -> bool {
    serde_json::to_vec(said).is_ok_and(|body| voice.borrow_mut().say(&body))
}

#[cfg(test)]
mod tests;
