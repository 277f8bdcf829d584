//! The last step of a start with several nodes: all processes that trainit starts for the job meet, and start together or not at all.

use super::agreed_resume::{Resuming, resumes};
use super::dependencies::request;
use super::preparation::{Preparation, PreparedWorkload};
use super::shared_mark::{self, SharedMark};
use crate::check::{self, CheckContext, Status};
use crate::config::{Agreement, Settings};
use crate::deps;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Plan;
use crate::progress_bar::Amount;
use crate::report::NodesRow;
use crate::ticker::{self, Ticker};
use exchange::{Agree, Hello, LASTING, Outcome, PASSING, Place, Progress, Resume, Stop, Unit, Verdict};
use nix::errno::Errno;
use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::{Message, Phase};
use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime};
use sys::mountinfo::Mounts;
use world::{Known, Scope, World};

/// How long node 0 waits for its port to become free: an earlier job's processes may be ending.
const PORT_WITHIN: Duration = Duration::from_secs(60);

/// The time until the first line about waiting; it doubles after each, up to `LINES_MOST`.
const FIRST_LINE: Duration = Duration::from_secs(5);
const LINES_MOST: Duration = Duration::from_secs(60);

/// The processes that meet, and this one among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meeting {
    unit: Unit,
    of: u32,
    index: u32,
    place: Place,
    wait: Duration,
}

impl Meeting {
    /// Returns the meeting of a job; `None` where there is nobody to meet, or where nothing tells whom and where.
    ///
    /// In the scope of a process all ranks meet: each of them is a trainit that has to end where one fails.
    pub(super) fn of(world: Option<&World>, settings: &Settings) -> Option<Self> {
        let (world, wait) = (world?, settings.cluster_wait.value?);
        // The port of torchrun's ranks is torchrun's already, and its nodes have met before.
        if world.several().is_none() || world.elastic.is_some() || world.engine == "torchrun" {
            return None;
        }
        let value = |known: &Option<Known<u32>>| known.as_ref().map(|known| known.value);
        let (unit, of, index) = match world.scope {
            Scope::Node => (Unit::Node, value(&world.nodes)?, value(&world.node)?),
            // The only process of its node is named as the node, where the engine counts nodes.
            Scope::Process if value(&world.local_size) == Some(1) && world.nodes.is_some() && world.node.is_some() => {
                (Unit::Node, value(&world.nodes)?, value(&world.node)?)
            }
            Scope::Process => (Unit::Rank, value(&world.size)?, value(&world.rank)?),
            Scope::Launcher | Scope::Batch => return None,
        };
        let place = Place { name: world.master.as_ref()?.value.clone(), port: world.port.as_ref()?.value };
        (of > 1 && index < of).then_some(Meeting { unit, of, index, place, wait })
    }

    /// Returns whether the others come to this process.
    pub(super) fn is_host(&self) -> bool {
        self.index == 0
    }

    /// Returns where they meet.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Returns how long they wait for each other.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }
}

impl Preparation {
    /// Returns the meeting of this start. A later start in the same container meets nobody: the other nodes' workloads run.
    pub(super) fn meeting(&self, settings: &Settings) -> Option<Meeting> {
        Meeting::of(self.world.as_ref(), settings).filter(|_| self.attempt == 1)
    }

    /// Meets the other processes of the job, if there are any.
    ///
    /// # Errors
    /// The error of this start, or of the first process that failed: each ends with its code and its line.
    pub(super) fn meet(
        &mut self,
        context: &CheckContext,
        plan: &Plan,
        ready: Result<Resuming>,
    ) -> Result<PreparedWorkload> {
        self.end_commit_teller();
        let tells = context.settings.cluster_agree.contains(&Agreement::Checks);
        let Some(meeting) = self.meeting(&context.settings).filter(|_| ready.is_ok() || tells) else {
            return ready.map(|ready| self.together(context, ready));
        };
        self.handover.send_kept();
        let hello = self.hello(context, plan, &meeting, &ready);
        let agreed = self.come_together(&context.settings, &context.mounts, &meeting, hello, ready.as_ref().err())?;
        let mut ready = ready?;
        ready.take(&context.settings, &agreed)?.iter().for_each(|line| self.console.line(line));
        Ok(self.together(context, ready))
    }

    /// Meets the others with this message, whose verdict is this error where there is one.
    ///
    /// # Errors
    /// The error that all processes of the job end with.
    pub(super) fn come_together(
        &mut self,
        settings: &Settings,
        mounts: &Mounts,
        meeting: &Meeting,
        own: Hello,
        failed: Option<&Error>,
    ) -> Result<Resume> {
        self.end_commit_teller();
        if let Some(error) = failed {
            (!self.told).then(|| self.console.error(error));
            self.handover.send(&Message::Failing(error.exit().code()));
        }
        self.phase(Phase::Waiting);
        let begun = Instant::now();
        match self.exchange(settings, mounts, meeting, own) {
            Ok(Outcome::Go(agreed)) => {
                let (words, waited) =
                    (format!("all {} {}s are ready", meeting.of, meeting.unit.word()), begun.elapsed());
                self.phase(Phase::Starting);
                self.console.row(Status::Ok, "nodes", &words, waited);
                self.nodes = Some(NodesRow::new(true, &words, waited));
                Ok(agreed)
            }
            Ok(Outcome::Stop(stop)) => {
                self.handover.send(&Message::Failing(stop.code));
                self.told = false;
                self.nodes = Some(NodesRow::new(false, &stop.line, begun.elapsed()));
                Err(stopped(stop))
            }
            // Its own failure comes first; it could not be told to the others.
            Err(error) => Err(failed.cloned().unwrap_or(error)),
        }
    }

    /// Notes what the workload resumes from, now that it is known.
    fn together(&mut self, context: &CheckContext, ready: Resuming) -> PreparedWorkload {
        self.history_ready(context, &ready.resumed);
        ready.workload
    }

    fn hello(&self, context: &CheckContext, plan: &Plan, meeting: &Meeting, ready: &Result<Resuming>) -> Hello {
        let settings = &context.settings;
        let wanted = |what| settings.cluster_agree.contains(&what);
        let gpus = self.findings.iter().find(|finding| finding.family() == "gpu" && finding.status == Status::Ok);
        let requirements = wanted(Agreement::Requirements).then(|| deps::digest(&request(context, plan))).flatten();
        let checkpoints = ready.as_ref().ok().filter(|_| wanted(Agreement::Resume));
        Hello {
            commit: check::provenance(&self.findings).commit,
            requirements,
            gpus: gpus.map(|finding| finding.what.clone()),
            checkpoints: checkpoints.and_then(|ready| ready.checkpoints(settings)),
            ..self.presence(meeting, ready.as_ref().err())
        }
    }

    /// Returns who this process is, and whether it failed.
    pub(super) fn presence(&self, meeting: &Meeting, failed: Option<&Error>) -> Hello {
        let world = self.world.as_ref();
        let verdict = failed
            .map_or(Verdict::Ready, |error| Verdict::Failed { code: error.exit().code(), line: self.reason(error) });
        Hello {
            unit: meeting.unit,
            of: meeting.of,
            index: meeting.index,
            name: world.map_or(String::new(), |world| world.name.clone()),
            job: world.and_then(|world| Some(world.job.as_ref()?.value.clone())),
            attempt: world.and_then(|world| world.attempt.as_ref()).map_or(0, |attempt| attempt.value),
            instance: instance(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: None,
            requirements: None,
            gpus: None,
            clock: 0, // written when it is sent
            verdict,
            checkpoints: None,
        }
    }

    /// Returns why this start failed, in one line.
    fn reason(&self, error: &Error) -> String {
        let failed = self.findings.iter().find(|finding| finding.status == Status::Fail);
        let line = match failed.filter(|_| matches!(error.kind, ErrorKind::Checks(_))) {
            Some(finding) => {
                let because = finding.because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
                format!("{}: {}{because}", finding.family(), finding.what)
            }
            None => format!("{error:#}"),
        };
        text::masked(&line).lines().next().unwrap_or_default().to_owned()
    }

    fn exchange(&mut self, settings: &Settings, mounts: &Mounts, meeting: &Meeting, own: Hello) -> Result<Outcome> {
        let failed = own.verdict != Verdict::Ready;
        let (mut lines, draws) = (WaitingLines::new(), ticker::draws(settings) && self.console.tells_all());
        let mut ticker = Ticker::new(true, Duration::ZERO);
        let (console, handover) = (&mut self.console, &self.handover);
        let mut tell = |progress: &Progress| {
            if let Some(code) = lines.new_code(progress) {
                handover.send(&Message::Failing(code));
            }
            match draws {
                true => ticker.tick(come(progress), || words(progress, failed, ""), &mut |_| {}),
                false => lines.due(progress, failed).iter().for_each(|line| console.line(line)),
            }
        };
        if meeting.index > 0 {
            // A start that failed may still be root, and looks at nothing.
            let mut look = |name: &str| if failed { None } else { shared_mark::is_seen(settings, mounts, name) };
            return Ok(exchange::join(&meeting.place, own, meeting.wait, &mut look, &mut tell));
        }
        let listener = listen(meeting)?;
        let mark = own.checkpoints.as_ref().filter(|_| resumes(settings));
        let mark = mark.and_then(|_| SharedMark::make(settings, mounts, own.instance));
        let name = mark.as_ref().map(SharedMark::name);
        exchange::host(listener, own, agree(settings), name, meeting.wait, &mut tell).map_err(|errno| {
            let what = "cannot wait for the other nodes";
            Error::new(ErrorKind::Transient(FailureFamily::Host), what).caused_by(errno)
        })
    }
}

/// Returns the error that all processes of the job end with.
fn stopped(stop: Stop) -> Error {
    let error = Error::new(ErrorKind::Checks(Exit::of_code(stop.code)), stop.line);
    match stop.code {
        LASTING => error.hint("cluster.agree (TRAINIT_CLUSTER_AGREE) says what has to be the same on all nodes"),
        PASSING if error.what.starts_with(exchange::COMMIT_DIFFERS) => {
            error.hint("TRAINIT_CODE_COMMIT: one commit for all nodes, whatever the branch is by now")
        }
        PASSING => error
            .hint("cluster.wait (TRAINIT_CLUSTER_WAIT) is how long the nodes wait for each other; off: they do not"),
        _ => error,
    }
}

/// Listens on the port of the trainer's rendezvous, which proves that it is free.
fn listen(meeting: &Meeting) -> Result<TcpListener> {
    let (port, begun) = (meeting.place.port, Instant::now());
    loop {
        let errno = match exchange::open(port) {
            Ok(listener) => return Ok(listener),
            Err(errno) => errno,
        };
        if errno != Errno::EADDRINUSE || begun.elapsed() >= PORT_WITHIN.min(meeting.wait) {
            return Err(closed(port, errno));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn closed(port: u16, errno: Errno) -> Error {
    let kind = match errno {
        Errno::EADDRINUSE => ErrorKind::Transient(FailureFamily::Host),
        _ => ErrorKind::Permanent(FailureFamily::Cluster),
    };
    let error =
        Error::new(kind, format!("cannot listen on port {port}, where the job's processes meet")).caused_by(errno);
    match errno {
        Errno::EADDRINUSE => error
            .because("another program on this node has the port: an earlier job, or another one beside this")
            .hint("cluster.port: another port, the same on all nodes"),
        _ => error.hint("cluster.port: another port, the same on all nodes; or cluster.wait: off"),
    }
}

fn agree(settings: &Settings) -> Agree {
    let has = |word| settings.cluster_agree.contains(&word);
    Agree {
        checks: has(Agreement::Checks),
        resume: has(Agreement::Resume),
        version: has(Agreement::Version),
        // Each node has found the commit of a branch by itself, and the branch may have moved between two of them.
        commit: has(Agreement::Commit) || settings.code_from.is_some(),
        commit_moves: settings.code_from.as_ref().is_some_and(|address| address.commit().is_none()),
        requirements: has(Agreement::Requirements),
        gpus: has(Agreement::Gpus),
        clock: has(Agreement::Clock),
    }
}

/// Returns a number that no other process of the job has.
fn instance() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id())
}

/// The lines about waiting: the first one soon, and then more and more seldom.
pub(super) struct WaitingLines {
    /// The exit code that PID 1 knows.
    code: Option<u8>,
    begun: Instant,
    next: Duration,
}

impl WaitingLines {
    pub(super) fn new() -> Self {
        WaitingLines { code: None, begun: Instant::now(), next: FIRST_LINE }
    }

    /// Returns the code that this start ends with, once.
    fn new_code(&mut self, progress: &Progress) -> Option<u8> {
        match progress {
            Progress::Telling { code, .. } if *code != self.code => {
                self.code = *code;
                *code
            }
            Progress::Stopped(code) if self.code.is_none() => {
                self.code = Some(*code);
                self.code
            }
            _ => None,
        }
    }

    /// Returns the line that is due, if there is one.
    pub(super) fn due(&mut self, progress: &Progress, failed: bool) -> Option<String> {
        let waited = self.begun.elapsed();
        if waited < self.next {
            return None;
        }
        self.next += (self.next).min(LINES_MOST);
        Some(words(progress, failed, &format!(", {} s", waited.as_secs())))
    }
}

/// Returns how many processes have come.
fn come(progress: &Progress) -> Option<Amount> {
    let Progress::Waiting { of, missing, .. } = progress else { return None };
    Amount::others(u64::from(*of).saturating_sub(missing.len() as u64), u64::from(*of))
}

/// Describes a wait; `after` is how long it has taken, or empty where that is shown elsewhere.
fn words(progress: &Progress, failed: bool, after: &str) -> String {
    match progress {
        Progress::Waiting { unit, of, missing } => {
            format!("waiting for {} of {of}{after}", exchange::named(*unit, missing))
        }
        Progress::Telling { unit, missing, .. } => {
            format!("this job does not start; waiting to tell {}{after}", exchange::named(*unit, missing))
        }
        Progress::Seeking(seen) if failed => format!("waiting to tell the other nodes{after}: {seen}"),
        Progress::Seeking(seen) => format!("waiting for node 0{after}: {seen}"),
        Progress::Stopped(_) => format!("this job does not start; waiting for the other nodes to know it{after}"),
        Progress::Reached => format!("waiting for the other nodes{after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known<T>(value: T) -> Option<Known<T>> {
        Some(Known::new(value, "TEST"))
    }

    fn world() -> World {
        World {
            engine: "slurm",
            nodes: known(3),
            node: known(1),
            master: known("n1".to_owned()),
            port: known(14211),
            ..World::default()
        }
    }

    fn meeting(world: &World) -> Option<(Unit, u32, u32)> {
        let found = Meeting::of(Some(world), &Settings::default());
        found.map(|meeting| (meeting.unit, meeting.of, meeting.index))
    }

    #[test]
    fn nodes_meet_as_nodes_and_ranks_as_ranks() {
        assert_eq!(meeting(&world()), Some((Unit::Node, 3, 1)));
        let rank = World { scope: Scope::Process, size: known(12), rank: known(7), local_size: known(4), ..world() };
        assert_eq!(meeting(&rank), Some((Unit::Rank, 12, 7)));
        let alone = World { scope: Scope::Process, size: known(3), rank: known(1), local_size: known(1), ..world() };
        assert_eq!(meeting(&alone), Some((Unit::Node, 3, 1)), "the only process of its node");
        let uncounted = World { nodes: None, node: None, ..alone };
        assert_eq!(meeting(&uncounted), Some((Unit::Rank, 3, 1)), "mpirun counts no nodes");
    }

    #[test]
    fn who_has_nobody_to_meet_or_cannot_find_the_others_goes_alone() {
        let one = World { nodes: known(1), node: known(0), ..world() };
        let range = World { nodes: None, elastic: known((1, 4)), ..world() };
        let both = World { elastic: known((1, 4)), ..world() };
        let below_torchrun = World { engine: "torchrun", ..world() };
        let nowhere = World { master: None, ..world() };
        let batch = World { scope: Scope::Batch, ..world() };
        let launcher = World { scope: Scope::Launcher, ..world() };
        let odd = World { node: known(3), ..world() };
        for world in [one, range, both, below_torchrun, nowhere, batch, launcher, odd] {
            assert_eq!(meeting(&world), None, "{world:?}");
        }
        let mut settings = Settings::default();
        settings.cluster_wait.value = None;
        assert_eq!((Meeting::of(Some(&world()), &settings), Meeting::of(None, &Settings::default())), (None, None));
    }

    #[test]
    fn the_codes_of_the_exchange_are_those_of_its_family() {
        let codes = [ErrorKind::Permanent, ErrorKind::Transient].map(|kind| kind(FailureFamily::Cluster).exit().code());
        assert_eq!(codes, [LASTING, PASSING]);
        assert_eq!(stopped(Stop { code: 111, line: "node 2".into() }).exit(), Exit::Permanent(FailureFamily::Data));
    }

    #[test]
    fn lines_about_waiting_become_seldom() {
        let mut lines = WaitingLines::new();
        let now = lines.begun;
        let progress = Progress::Waiting { unit: Unit::Node, of: 3, missing: vec![1, 2] };
        let told = (0..600).filter(|second| {
            lines.begun = now.checked_sub(Duration::from_secs(*second)).unwrap();
            lines.due(&progress, false).is_some()
        });
        let told: Vec<u64> = told.collect();
        assert!(told.starts_with(&[5, 10, 20, 40, 80, 140]), "{told:?}");
        assert_eq!(words(&progress, false, ", 5 s"), "waiting for nodes 1 and 2 of 3, 5 s");
    }
}
