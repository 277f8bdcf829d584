//! Runs the tasks: each that touches a user's path in a process of its own, all others together in one, everything at the same
//! time. Their findings come back as JSON; who is overdue is given up.

use super::rules::Rules;
use super::table;
use super::task::{About, Task, Work};
use super::{Finding, Scene};
use crate::sys::away::{self, Away, Silence, Voice};
use std::time::{Duration, Instant};

/// So long the order of the table is kept; then what is known is told, while the rest is waited for.
const ORDER: Duration = Duration::from_millis(500);

/// Runs all checks, or those that `only` names. `begin` is called if there is anything to wait for, and `each` as findings come in,
/// in the order of the table unless one of them is late; the result is in that order.
pub fn run(
    scene: &Scene,
    only: Option<&[String]>,
    begin: &mut dyn FnMut(),
    each: &mut dyn FnMut(&Finding),
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
}

impl<'a> Watch<'a> {
    fn start(tasks: Vec<Task<'a>>) -> Self {
        let mut watch = Watch { begun: Instant::now(), answers: Vec::new(), probes: Vec::new() };
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
        match Away::start(move |voice| works.into_iter().all(|(index, work)| answer(voice, index, work))) {
            Ok(away) => self.probes.push(Probe { away, tasks, deadline }),
            Err(_) => self.silent(&tasks, Silence::NotStarted),
        }
    }

    fn finish(mut self, each: &mut dyn FnMut(&Finding)) -> Vec<Finding> {
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
            let Ok((index, findings)) = serde_json::from_slice::<(usize, Vec<Finding>)>(&body) else { continue };
            let expected = probe.tasks.iter().position(|task| *task == index).map(|at| probe.tasks.swap_remove(at));
            if let Some(answer) = expected.and_then(|index| self.answers.get_mut(index)) {
                (answer.findings, answer.done) = (findings, true);
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
    fn tell(&mut self, each: &mut dyn FnMut(&Finding)) {
        let late = self.begun.elapsed() >= ORDER;
        for answer in self.answers.iter_mut().take_while(|answer| late || answer.done) {
            answer.tell(each);
        }
    }
}

impl Answer<'_> {
    fn tell(&mut self, each: &mut dyn FnMut(&Finding)) {
        if self.done && !self.told {
            self.told = true;
            self.findings.iter().for_each(each);
        }
    }
}

fn answer(voice: &mut Voice, index: usize, work: Work<'_>) -> bool {
    let begun = Instant::now();
    let mut findings = work();
    findings.iter_mut().for_each(|finding| finding.took = begun.elapsed());
    serde_json::to_vec(&(index, findings)).is_ok_and(|body| voice.say(&body))
}

#[cfg(test)]
mod tests;
