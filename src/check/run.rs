//! Runs the tasks: each that touches a user's path in a process of its own, all others together in one, everything at the same
//! time. A process answers over a pipe with frames of a length and a JSON body; one that is overdue is killed and left to PID 1,
//! since a process that waits for a dead file system may not even die.

use super::rules::Rules;
use super::table;
use super::task::{About, Silence, Task, Work};
use super::{Finding, Scene};
use crate::sys::process::{Aside, fork_aside};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Longest answer that is taken; what is longer counts as none.
const BODY_MAX: usize = 256 << 10;
/// So long the order of the table is kept; then what is known is told, while the rest is waited for.
const ORDER: Duration = Duration::from_millis(500);

/// Runs all checks, or those that `only` names. `each` is called as findings come in, in the order of the table unless one of them
/// is late; the result is in that order.
pub fn run(scene: &Scene, only: Option<&[String]>, each: &mut dyn FnMut(&Finding)) -> Vec<Finding> {
    let ground = scene.ground();
    let rules = Rules::new(&scene.settings.checks, only);
    Watch::start(table::plan(scene, &ground, &rules)).finish(each)
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
    process: Aside,
    pipe: OwnedFd,
    received: Vec<u8>,
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
        match probe(works) {
            Ok((process, pipe)) => self.probes.push(Probe { process, pipe, received: Vec::new(), tasks, deadline }),
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
            let open = !ready || probe.receive();
            self.take_frames(&mut probe);
            if probe.tasks.is_empty() {
                continue;
            }
            if !open {
                self.silent(&probe.tasks, Silence::Died);
            } else if Instant::now() >= probe.deadline {
                probe.process.kill();
                self.silent(&probe.tasks, Silence::Overdue);
            } else {
                self.probes.push(probe);
            }
        }
    }

    /// Which probes have something to read, or have ended.
    fn poll(&self) -> Vec<bool> {
        let mut fds: Vec<PollFd<'_>> =
            self.probes.iter().map(|probe| PollFd::new(probe.pipe.as_fd(), PollFlags::POLLIN)).collect();
        let next = self.probes.iter().map(|probe| probe.deadline).min().unwrap_or(self.begun);
        let order = self.begun + ORDER;
        let next = if Instant::now() < order { next.min(order) } else { next };
        // One millisecond more than is left: never awake too early, to find that nothing is due.
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect()
    }

    fn take_frames(&mut self, probe: &mut Probe) {
        while let Some((index, findings)) = probe.frame() {
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

impl Probe {
    /// Reads what is there; false at the end, or when more comes than is ever needed.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match read(&self.pipe, &mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend_from_slice(bytes.get(..length).unwrap_or_default());
                self.received.len() <= BODY_MAX + 4
            }
            Err(errno) => matches!(errno, nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN),
        }
    }

    /// Takes one whole frame off what was read. What cannot be understood is dropped; its task then has no answer.
    fn frame(&mut self) -> Option<(usize, Vec<Finding>)> {
        loop {
            let (head, rest) = self.received.split_first_chunk::<4>()?;
            let length = Some(u32::from_le_bytes(*head) as usize).filter(|length| *length <= BODY_MAX)?;
            let answer = serde_json::from_slice(rest.get(..length)?).ok();
            self.received.drain(..length + 4);
            if answer.is_some() {
                return answer;
            }
        }
    }
}

/// Starts a process that does these works, one after the other.
fn probe(works: Vec<(usize, Work<'_>)>) -> nix::Result<(Aside, OwnedFd)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let process = fork_aside(move || {
        silence();
        let mut pipe = File::from(theirs);
        i32::from(!works.into_iter().all(|(index, work)| answer(&mut pipe, index, work)))
    })?;
    Ok((process, ours))
}

/// A process that can never end must not hold the workload's output open: who reads it would wait for ever. What it has to say
/// comes over the pipe; a panic is told by its silence.
fn silence() {
    std::panic::set_hook(Box::new(|_| {}));
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(&null);
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}

fn answer(pipe: &mut File, index: usize, work: Work<'_>) -> bool {
    let begun = Instant::now();
    let mut findings = work();
    findings.iter_mut().for_each(|finding| finding.took = begun.elapsed());
    let Ok(body) = serde_json::to_vec(&(index, findings)) else { return false };
    let Ok(length) = u32::try_from(body.len()) else { return false };
    pipe.write_all(&length.to_le_bytes()).and_then(|()| pipe.write_all(&body)).is_ok()
}

#[cfg(test)]
mod tests;
