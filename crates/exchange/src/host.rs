//! The host: the process that the others reach. A state machine: events and a clock go in, actions come out; it makes no system call.
//!
//! The host never leaves without telling its end to every process that it can still tell. After a *go* it stays until the guests have
//! closed their connections; after a *stop* until all processes have come, or their time is over. An engine may kill all processes when
//! the first one ends (`srun --kill-on-bad-exit`), so the guests of a *stop* stay, too, for as long as their connections are open: until
//! all know it, or `HOLD` is over.

use crate::agree::{self, Agree, LASTING, PASSING};
use crate::hello::{Hello, Verdict};
use crate::message::{Reply, Request};
use crate::outcome::{Outcome, Progress, Resume, Stop};
use crate::resume::{self, View};
use crate::words::{named, within};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a connection may be silent before its first message is whole.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer to a question is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the host stays for guests to close their connections after a *go*.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How long those that know a *stop* stay for those that do not.
const HOLD: Duration = Duration::from_secs(10);

/// How long a message may be on its way before the next step relies on it.
const SETTLE: Duration = Duration::from_millis(300);

/// How many connections without a first message there may be, beyond one for each process.
const STRANGERS: usize = 64;

/// A connection, as the caller counts them.
pub type ConnectionId = u64;

/// What happened to a connection.
#[derive(Debug)]
pub enum HostEvent {
    /// It was made, from this address.
    Opened(String),
    /// A message came.
    Received(Request),
    /// It was closed, it failed, or what came is no message, for this reason.
    Broken(Option<String>),
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostAction {
    /// Send a message.
    Send(ConnectionId, Reply),
    /// Close the connection in good order.
    Close(ConnectionId),
    /// Close the connection at once.
    Drop(ConnectionId),
}

/// A connection that is open.
#[derive(Debug)]
struct Open {
    address: String,
    since: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its first message has not come.
    Silent,
    /// It speaks for this process.
    Member(u32),
    /// Another one says that it is the same process; asked at this time whether it is still there.
    Disputed(u32),
    /// It is early: this host only tells its commit, and a later one on the same port is going to meet the others.
    Early,
    /// It has its last message, and is going to be closed.
    Answered,
}

/// A process that has come.
#[derive(Debug)]
struct Member {
    hello: Hello,
    address: String,
    /// Its connection, while it is open.
    connection: Option<ConnectionId>,
    /// Whether it sees the file that the host has made; asked at this time.
    looking: Option<Duration>,
    shared: bool,
    /// It was sent the end.
    told: bool,
}

/// The host.
#[derive(Debug)]
pub struct Host {
    own: Hello,
    agree: Agree,
    /// When the host stops waiting.
    deadline: Duration,
    wait: Duration,
    /// The name of the file that the host has made beside its checkpoints.
    mark: Option<String>,
    open: BTreeMap<ConnectionId, Open>,
    members: BTreeMap<u32, Member>,
    end: Option<(Outcome, Duration)>,
    /// When the end was told last.
    told_at: Duration,
    /// Those that know a *stop* have been let go.
    released: bool,
    /// The last connection that was refused, and why.
    refused: Option<String>,
    /// This host only tells its commit.
    tells_commit: bool,
}

impl Host {
    /// Begins. `now` counts from any moment; `clock` of the events is in milliseconds since 1970.
    pub fn new(own: Hello, agree: Agree, mark: Option<String>, wait: Duration, now: Duration) -> Self {
        let failed = match &own.verdict {
            Verdict::Failed { code, line } if agree.checks => Some(agree::failed(&own, *code, line)),
            _ => None,
        };
        let deadline = now.saturating_add(wait);
        let mut host = Host {
            own,
            agree,
            deadline,
            wait,
            mark,
            open: BTreeMap::new(),
            members: BTreeMap::new(),
            end: failed.map(|stop| (Outcome::Stop(stop), now)),
            told_at: now,
            released: false,
            refused: None,
            tells_commit: false,
        };
        host.decide_if_all_agree(now, &mut Vec::new());
        host
    }

    /// Begins as one that only tells its commit, until it is dropped: the others come to be met once this process is ready.
    pub fn telling_commit(own: Hello, now: Duration) -> Self {
        Host { tells_commit: true, ..Host::new(own, Agree::default(), None, Duration::MAX, now) }
    }

    /// Takes one event of a connection.
    pub fn step(&mut self, id: ConnectionId, event: HostEvent, now: Duration, clock: u64) -> Vec<HostAction> {
        let mut actions = Vec::new();
        match event {
            HostEvent::Opened(address) => self.opened(id, address, now, &mut actions),
            HostEvent::Received(request) => self.received(id, request, (now, clock), &mut actions),
            HostEvent::Broken(why) => self.broken(id, why),
        }
        self.decide_if_all_agree(now, &mut actions);
        actions
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Duration) -> Vec<HostAction> {
        let mut actions = Vec::new();
        let late = |open: &Open| match open.stage {
            Stage::Silent => now >= open.since + HELLO_WITHIN,
            Stage::Disputed(_) | Stage::Answered => now >= open.since + ANSWER_WITHIN,
            Stage::Member(_) | Stage::Early => false,
        };
        let late: Vec<ConnectionId> = self.open.iter().filter(|(_, open)| late(open)).map(|(id, _)| *id).collect();
        for id in late {
            if self.open.get(&id).is_some_and(|open| open.stage == Stage::Silent) {
                self.refuse(id, "it said nothing");
            }
            self.open.remove(&id);
            actions.push(HostAction::Drop(id));
        }
        for member in self.members.values_mut() {
            member.looking = member.looking.filter(|asked| now < *asked + ANSWER_WITHIN);
        }
        if self.end.is_none() && now >= self.deadline {
            let stop = Stop::new(PASSING, self.missing_words());
            self.decide(Outcome::Stop(stop), now, &mut actions);
        }
        self.decide_if_all_agree(now, &mut actions);
        self.release(now, &mut actions);
        actions
    }

    /// Returns when `tick` is to be called at the latest.
    pub fn next(&self) -> Duration {
        let open = self.open.values().filter_map(|open| match open.stage {
            Stage::Silent => Some(open.since + HELLO_WITHIN),
            Stage::Disputed(_) | Stage::Answered => Some(open.since + ANSWER_WITHIN),
            Stage::Member(_) | Stage::Early => None,
        });
        let looking = self.members.values().filter_map(|member| member.looking).map(|asked| asked + ANSWER_WITHIN);
        let settled = self.told_at + SETTLE;
        let end = match &self.end {
            None => self.deadline,
            Some((Outcome::Go(_), since)) => *since + CLOSE_WITHIN,
            Some((Outcome::Stop(_), _)) if self.untold().is_empty() => settled,
            Some((Outcome::Stop(_), since)) if !self.released => (*since + HOLD).min(self.deadline.max(settled)),
            Some((Outcome::Stop(_), _)) => self.deadline.max(settled),
        };
        open.chain(looking).chain([end]).min().unwrap_or(end)
    }

    /// Returns whether the end is decided.
    pub fn is_decided(&self) -> bool {
        self.end.is_some()
    }

    /// Returns the end, once the host need not stay for anybody.
    pub fn end(&self, now: Duration) -> Option<&Outcome> {
        let (outcome, since) = self.end.as_ref()?;
        let may_leave = match outcome {
            Outcome::Go(_) => {
                let open = self.open.values().any(|open| matches!(open.stage, Stage::Member(_)));
                !open || now >= *since + CLOSE_WITHIN
            }
            // A stop is told to those that come late.
            Outcome::Stop(_) => now >= self.told_at + SETTLE && (now >= self.deadline || self.untold().is_empty()),
        };
        may_leave.then_some(outcome)
    }

    /// Returns how far the exchange has come.
    pub fn progress(&self) -> Progress {
        match &self.end {
            None => Progress::Waiting { unit: self.own.unit, of: self.own.of, missing: self.missing() },
            Some((outcome, _)) => {
                let code = match outcome {
                    Outcome::Go(_) => None,
                    Outcome::Stop(stop) => Some(stop.code),
                };
                Progress::Telling { unit: self.own.unit, missing: self.untold(), code }
            }
        }
    }

    /// Returns the processes that are not connected, or that have not come.
    fn missing(&self) -> Vec<u32> {
        let there = |index: &u32| self.members.get(index).is_some_and(|member| member.connection.is_some());
        (1..self.own.of).filter(|index| !there(index)).collect()
    }

    /// Returns the processes that do not know the end.
    fn untold(&self) -> Vec<u32> {
        let told = |index: &u32| self.members.get(index).is_some_and(|member| member.told);
        (1..self.own.of).filter(|index| !told(index)).collect()
    }

    fn opened(&mut self, id: ConnectionId, address: String, now: Duration, actions: &mut Vec<HostAction>) {
        let most = STRANGERS.saturating_add(self.own.of as usize);
        let silent = || {
            self.open
                .iter()
                .filter(|(_, open)| open.stage != Stage::Answered && !matches!(open.stage, Stage::Member(_)))
        };
        if silent().count() >= most
            && let Some(oldest) = silent().min_by_key(|(id, open)| (open.since, **id)).map(|(id, _)| *id)
        {
            self.open.remove(&oldest);
            actions.push(HostAction::Drop(oldest));
        }
        self.open.insert(id, Open { address, since: now, stage: Stage::Silent });
    }

    fn received(&mut self, id: ConnectionId, request: Request, now: (Duration, u64), actions: &mut Vec<HostAction>) {
        let Some(stage) = self.open.get(&id).map(|open| open.stage) else { return };
        match (stage, request) {
            (Stage::Silent, Request::Hello(_)) if self.tells_commit => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.stage = Stage::Early;
                }
            }
            (Stage::Silent, Request::Hello(hello)) => self.hello(id, *hello, now, actions),
            (Stage::Silent, Request::Commit { job, attempt }) => {
                let reply = match self.of_another_start(&job, attempt) {
                    None => Reply::Commit(self.own.commit.clone()),
                    Some((why, last)) => Reply::Refused { why, last },
                };
                self.answer(id, reply, now.0, actions);
            }
            (Stage::Member(index), Request::Looked(seen)) => {
                if let Some(member) = self.members.get_mut(&index)
                    && member.looking.take().is_some()
                {
                    member.shared = seen == Some(true);
                }
            }
            (Stage::Disputed(index), Request::Here) => self.twice(id, index, now.0, actions),
            (Stage::Answered, _) => {}
            _ => {
                self.broken(id, Some("it said what was not asked".into()));
                actions.push(HostAction::Drop(id));
            }
        }
    }

    fn hello(&mut self, id: ConnectionId, hello: Hello, now: (Duration, u64), actions: &mut Vec<HostAction>) {
        if let Some((why, last)) = self.foreign(&hello) {
            self.refuse(id, &why);
            return self.answer(id, Reply::Refused { why, last }, now.0, actions);
        }
        let before = self.members.remove(&hello.index);
        if let Some((old, known)) = before.and_then(|member| Some((member.connection?, member.hello))) {
            self.replace(old, known.instance == hello.instance, hello.index, now.0, actions);
        }
        let address = self.open.get(&id).map(|open| open.address.clone()).unwrap_or_default();
        if let Some(open) = self.open.get_mut(&id) {
            open.stage = Stage::Member(hello.index);
        }
        let differ = agree::compare(&self.agree, &self.own, &hello, now.1);
        let ask = self.mark.as_ref().filter(|_| self.end.is_none() && differ.is_none() && hello.checkpoints.is_some());
        if let Some(mark) = ask {
            actions.push(HostAction::Send(id, Reply::Look(mark.clone())));
        }
        let looking = ask.map(|_| now.0);
        let index = hello.index;
        let connection = Some(id);
        self.members.insert(index, Member { hello, address, connection, looking, shared: false, told: false });
        match (&self.end, differ) {
            (Some((outcome, _)), _) => {
                let outcome = outcome.clone();
                self.tell(index, &outcome, now.0, actions);
            }
            (None, Some(stop)) => self.decide(Outcome::Stop(stop), now.0, actions),
            (None, None) => {}
        }
    }

    /// Returns why a process is none of this start, and whether trying again cannot help it.
    fn foreign(&self, hello: &Hello) -> Option<(String, bool)> {
        let own = &self.own;
        if let Some(another) = self.of_another_start(&hello.job, hello.attempt) {
            return Some(another);
        }
        let none = hello.index == 0 || hello.index >= hello.of.max(own.of);
        none.then(|| {
            (format!("{} {} of {} cannot be a guest of {}", hello.unit.word(), hello.index, hello.of, own.who()), false)
        })
    }

    fn of_another_start(&self, job: &Option<String>, attempt: u32) -> Option<(String, bool)> {
        let (own, name) = (&self.own, text::line(&self.own.name));
        if *job != own.job {
            // The name of a job may be its only secret, so it is not told.
            return Some((format!("{name} waits for another job"), false));
        }
        let words = || format!("{name} is of attempt {} of the job, not {attempt}", own.attempt);
        (attempt != own.attempt).then(|| (words(), attempt < own.attempt))
    }

    /// Gives the place of an earlier connection to a later one. Where both may be alive, the earlier one is asked.
    fn replace(&mut self, old: ConnectionId, same: bool, index: u32, now: Duration, actions: &mut Vec<HostAction>) {
        if same {
            self.open.remove(&old);
            return actions.push(HostAction::Drop(old));
        }
        if let Some(open) = self.open.get_mut(&old) {
            (open.stage, open.since) = (Stage::Disputed(index), now);
            actions.push(HostAction::Send(old, Reply::Who));
        }
    }

    /// Two processes say that they are the same one, and both are there.
    fn twice(&mut self, id: ConnectionId, index: u32, now: Duration, actions: &mut Vec<HostAction>) {
        if self.members.get(&index).is_none_or(|member| member.connection.is_none()) {
            self.open.remove(&id);
            return actions.push(HostAction::Drop(id)); // the other one has left, and this one is going to come again
        }
        let one = self.open.get(&id).map(|open| open.address.clone()).unwrap_or_default();
        let other = self.members.get(&index).map(|member| member.address.clone()).unwrap_or_default();
        let line =
            format!("{} {index} of {} is there twice: at {one} and at {other}", self.own.unit.word(), self.own.of);
        let stop = self.end.get_or_insert_with(|| (Outcome::Stop(Stop::new(LASTING, line)), now)).0.clone();
        self.answer(id, Reply::End(stop.clone()), now, actions);
        self.tell_all(&stop, now, actions);
    }

    fn broken(&mut self, id: ConnectionId, why: Option<String>) {
        let Some(open) = self.open.get(&id) else { return };
        let stage = open.stage;
        match (stage, why) {
            (Stage::Member(index), _) => {
                let member = self.members.get_mut(&index).filter(|member| member.connection == Some(id));
                member.into_iter().for_each(|member| (member.connection, member.looking) = (None, None));
            }
            (Stage::Silent, Some(why)) => self.refuse(id, &why),
            _ => {}
        }
        self.open.remove(&id);
    }

    fn refuse(&mut self, id: ConnectionId, why: &str) {
        let address = self.open.get(&id).map(|open| open.address.clone()).unwrap_or_default();
        self.refused = Some(format!("{address} was refused: {}", text::line(why)));
    }

    fn answer(&mut self, id: ConnectionId, reply: Reply, now: Duration, actions: &mut Vec<HostAction>) {
        if let Some(open) = self.open.get_mut(&id) {
            (open.stage, open.since) = (Stage::Answered, now);
            actions.push(HostAction::Send(id, reply));
        }
    }

    fn decide(&mut self, outcome: Outcome, now: Duration, actions: &mut Vec<HostAction>) {
        self.end = Some((outcome.clone(), now));
        self.tell_all(&outcome, now, actions);
    }

    fn tell_all(&mut self, outcome: &Outcome, now: Duration, actions: &mut Vec<HostAction>) {
        let all: Vec<u32> = self.members.keys().copied().collect();
        all.into_iter().for_each(|index| self.tell(index, outcome, now, actions));
    }

    /// Lets those go that have waited long enough for those that do not know a *stop*.
    fn release(&mut self, now: Duration, actions: &mut Vec<HostAction>) {
        let Some((Outcome::Stop(_), since)) = &self.end else { return };
        self.released |= now >= *since + HOLD;
        let told = self.members.values_mut().filter(|member| member.told);
        for id in told.filter_map(|member| member.connection.take_if(|_| self.released)) {
            self.open.remove(&id);
            actions.push(HostAction::Close(id));
        }
    }

    fn tell(&mut self, index: u32, outcome: &Outcome, now: Duration, actions: &mut Vec<HostAction>) {
        let Some(member) = self.members.get_mut(&index) else { return };
        if let Some(id) = member.connection.filter(|_| !member.told) {
            member.told = true;
            self.told_at = now;
            actions.push(HostAction::Send(id, Reply::End(outcome.clone())));
        }
    }

    /// Decides once all are there and nothing is asked any more.
    fn decide_if_all_agree(&mut self, now: Duration, actions: &mut Vec<HostAction>) {
        let asked = self.members.values().any(|member| member.looking.is_some())
            || self.open.values().any(|open| matches!(open.stage, Stage::Disputed(_)));
        let there = self.members.values().filter(|member| member.connection.is_some()).count() + 1;
        if self.end.is_some() || asked || there < self.own.of as usize {
            return;
        }
        let outcome = match self.agree.resume.then(|| self.resume()) {
            None => Outcome::Go(Resume::Own),
            Some(Ok(resume)) => Outcome::Go(resume),
            Some(Err(line)) => Outcome::Stop(Stop::new(LASTING, line)),
        };
        self.decide(outcome, now, actions);
    }

    fn resume(&self) -> Result<Resume, String> {
        let own = View { hello: &self.own, shared: false };
        let others = self.members.values().map(|member| View { hello: &member.hello, shared: member.shared });
        resume::choose(&std::iter::once(own).chain(others).collect::<Vec<_>>())
    }

    fn missing_words(&self) -> String {
        let (unit, of, missing) = (self.own.unit, self.own.of, self.missing());
        let mut line = format!("{} of {of} did not come within {}", named(unit, &missing), within(self.wait));
        let left = missing.iter().filter_map(|index| self.members.get(index));
        for member in left.take(3) {
            line += &format!("; {} came from {} and left", member.hello.short(), member.address);
        }
        line + &self.refused.as_ref().map(|refused| format!("; {refused}")).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "host/tests.rs"]
pub(crate) mod tests;
