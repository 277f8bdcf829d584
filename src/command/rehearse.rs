//! `trainit rehearse`: tries an unattended start in a build session. It runs the start, stops it after a while as an engine would, and
//! judges what is visible from outside: whether it started, whether it ended in time and with the right code, whether there is a
//! checkpoint, and whether a second start, which is tried, goes on from it.

mod facts;
mod job_output;
mod named_steps;
mod resume_row;
mod traces;
mod trial;
mod verdict;
mod went_on;

use super::{CommandInput, CommandOutput};
use crate::check::Status;
use crate::config::{Loaded, Resume};
use crate::error::{Error, ErrorKind, Result};
use crate::prepare::{self, StopGrace};
use crate::report::{self, Console};
use facts::{NextStart, RehearsalExpectation, RehearsalFacts};
use protocol::exit_code::Exit;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};
use sys::{Root, Signal, killable_call};
use trial::{RehearsedCheckpoint, StopRule, Trial, TrialPlan};
use went_on::SecondStart;

/// The default grace of Kubernetes. Docker's is a third of it.
const USUAL_GRACE: Duration = Duration::from_secs(30);

/// Time limit of the search for checkpoints on another machine.
const SEARCH: Duration = Duration::from_secs(60);

/// Time in which the second start is prepared, beyond that of the first one, which has installed what is needed.
const PREPARE: Duration = Duration::from_secs(60);

/// Time beyond twice the first start's in which the second start gets its handler for SIGTERM, on a machine that is busy.
const LATE: Duration = Duration::from_secs(10);

/// Settings for an unattended job: a rehearsal runs once, no user will examine a held failure, and it is no attempt of the job.
const ONCE: [&str; 3] = ["restart.max=0", "on_failure=exit", "history.file=off"];

/// Runs the start, stops it after `after`, and judges whether the job can run unattended.
///
/// # Errors
/// An invalid configuration (78), or a rehearsal that cannot be observed.
pub(super) fn run(mut asked: CommandInput, after: Duration, command: Vec<OsString>) -> Result<CommandOutput> {
    let (loaded, _) = asked.load()?;
    let mut console = Console::new(
        &loaded.settings,
        std::rc::Rc::new(crate::engine::HostFacts::of(&Root::real(), &asked.environment)),
    );
    let grace = StopGrace::known(&loaded.settings, &Root::real(), &asked.environment);
    let wanted = wanted(&loaded, &grace, after);
    let own = ONCE.iter().map(|set| (*set).to_owned());
    let limit = grace.time.is_none().then(|| format!("stop.grace={}s", USUAL_GRACE.as_secs()));
    asked.options.set.extend(own.chain(limit).filter(|set| !is_locked(&loaded, set)));
    console.line(&format!("rehearsal: the start as it would be unattended, and a stop {} later", text::seconds(after)));
    let (break_off, before, since) = (trial::listen()?, newest(&loaded)?, SystemTime::now());
    let stop = StopRule { least: after, most: after, named: Duration::ZERO };
    let plan = TrialPlan { options: &asked.options, words: &command, grace: wanted.grace, prepare: None, stop };
    let trial = trial::run(&plan, &break_off, &|| newest(&loaded).ok().flatten())?;
    let newest = newest(&loaded)?;
    let traces = traces(&loaded, before.as_ref(), since);
    let mut found = RehearsalFacts {
        before,
        newest,
        done: is_done(&loaded),
        next: next(&loaded),
        traces,
        went_on: None,
        broken_off: false,
    };
    if let Some(given) = found.newest.as_ref().filter(|_| may_go_on(&trial, &wanted, &found)) {
        console.line("rehearsal: the second start, to see whether the job goes on");
        let second = second(&loaded, &plan, &break_off, given, &trial)?;
        found.broken_off = second.trial.broken_off;
        found.went_on = Some(went_on::judge(&trial, &SecondStart { killed_code: wanted.killed_code, ..second }));
    }
    let verdict = verdict::judge(&wanted, &trial, &found);
    for row in &verdict.rows {
        console.row(row.status, row.about, &row.what, Duration::ZERO);
        row.hints.iter().for_each(|hint| console.advice(hint));
    }
    console.line(&verdict.words);
    Ok(CommandOutput { text: String::new(), exit: verdict.exit })
}

/// Returns whether a second start can show something: the first one was stopped, and something is there to go on from.
fn may_go_on(first: &Trial, wanted: &RehearsalExpectation, found: &RehearsalFacts) -> bool {
    let given = found.next.gives() || !wanted.resumes;
    first.prepared.is_some() && first.stop.is_some() && !first.broken_off && !found.done && given
}

/// Runs the second start.
fn second(
    loaded: &Loaded,
    first_plan: &TrialPlan<'_>,
    break_off: &AtomicBool,
    given: &RehearsedCheckpoint,
    first: &Trial,
) -> Result<SecondStart> {
    let begun = SystemTime::now();
    let before = all(loaded, begun)?;
    let least = went_on::least(first);
    let named = if first.named.is_empty() { least } else { first.ran };
    let late = if least < first.ran { first.ran + LATE } else { Duration::ZERO };
    let stop = StopRule { least, most: first.ran + late, named };
    let prepare = Some(first.prepared.unwrap_or_default() + PREPARE);
    let trial = trial::run(&TrialPlan { prepare, stop, ..*first_plan }, break_off, &|| None)?;
    let mut saved = all(loaded, begun)?;
    saved.retain(|saved| !before.contains(saved));
    Ok(SecondStart { path: given.path.clone(), step: given.step, trial, saved, killed_code: 0 })
}

/// Returns the expectations of the configuration.
fn wanted(loaded: &Loaded, grace: &StopGrace, after: Duration) -> RehearsalExpectation {
    let settings = &loaded.settings;
    let map = |code: u8| settings.exit_map.get(&code.to_string()).copied().unwrap_or(code);
    RehearsalExpectation {
        after,
        grace: grace.time.unwrap_or(USUAL_GRACE),
        grace_from: if grace.time.is_some() {
            grace.from.clone()
        } else {
            "what Kubernetes gives by default; Docker: 10 s".into()
        },
        stop_code: settings.stop_exit_code.value.map(map),
        killed_code: map(Exit::Signal(Signal::KILL.number()).code()),
        watched: checkpoints(loaded),
        resumes: settings.checkpoint_resume.value != Resume::Off,
    }
}

/// Returns the directory of checkpoints.
fn checkpoints(loaded: &Loaded) -> Option<PathBuf> {
    Some(loaded.workdir.join(loaded.settings.checkpoint_dir.value.as_ref()?))
}

fn is_done(loaded: &Loaded) -> bool {
    loaded.settings.stop_done_file.as_ref().is_some_and(|file| loaded.workdir.join(file).exists())
}

/// Returns the newest complete checkpoint.
fn newest(loaded: &Loaded) -> Result<Option<RehearsedCheckpoint>> {
    let (family, pattern) = prepare::watched(&loaded.settings)?;
    let look = |dir: &Path| checkpoint::newest(dir, family, pattern.as_ref()).ok().flatten();
    ask(loaded, |dir| look(dir).as_ref().map(RehearsedCheckpoint::of))
}

/// Returns the complete checkpoints that changed last. What changed at `since` or later counts as the training's.
fn all(loaded: &Loaded, since: SystemTime) -> Result<Vec<RehearsedCheckpoint>> {
    let (family, pattern) = prepare::watched(&loaded.settings)?;
    let look = |dir: &Path| checkpoint::complete(dir, family, pattern.as_ref(), since).unwrap_or_default();
    ask(loaded, |dir| look(dir).iter().map(RehearsedCheckpoint::of).collect())
}

/// Returns what was written since the first start began and is no new checkpoint.
fn traces(loaded: &Loaded, before: Option<&RehearsedCheckpoint>, since: SystemTime) -> Vec<String> {
    let Ok((family, pattern)) = prepare::watched(&loaded.settings) else { return Vec::new() };
    let look = |dir: &Path| {
        let survey = checkpoint::survey(dir, family, pattern.as_ref()).unwrap_or_default();
        let search = traces::TraceSearch { dir, workdir: &loaded.workdir, pattern: pattern.as_ref(), since };
        let complete = checkpoint::complete(dir, family, pattern.as_ref(), since).unwrap_or_default();
        traces::lines(&search, &survey, &complete, before)
    };
    ask(loaded, look).unwrap_or_default()
}

/// Looks at the directory of checkpoints, if there is one, in another process: the directory may be on a machine that does not answer.
fn ask<T: Default + Serialize + DeserializeOwned>(loaded: &Loaded, look: impl FnOnce(&Path) -> T) -> Result<T> {
    let Some(dir) = checkpoints(loaded) else { return Ok(T::default()) };
    let work = || postcard::to_allocvec(&look(&dir)).unwrap_or_default();
    let answer = killable_call::ask(SEARCH, work).ok().and_then(|answer| postcard::from_bytes(&answer).ok());
    answer.ok_or_else(|| {
        Error::new(ErrorKind::Unanswered, format!("{} does not answer (checkpoint.dir)", text::path(&dir)))
    })
}

/// Returns the arguments and variables of the next start.
fn next(loaded: &Loaded) -> NextStart {
    let mut settings = loaded.settings.clone();
    settings.checkpoint_dir.value = checkpoints(loaded);
    match prepare::resume(&settings, &loaded.mounts, 0) {
        Ok(resumed) => {
            let seen = if resumed.variables.is_empty() { seen(&resumed.lines) } else { Vec::new() };
            NextStart { arguments: resumed.arguments, variables: resumed.variables, failure: None, seen }
        }
        Err(error) => NextStart { failure: Some(report::chain(&error)), ..NextStart::default() },
    }
}

/// Returns what the lines about resuming say, without their heads and arrows.
fn seen(lines: &[String]) -> Vec<String> {
    let bare = |line: &String| line.trim_start_matches("resume: ").trim_start().trim_start_matches("→ ").to_owned();
    lines.iter().map(bare).collect()
}

/// Returns whether a key is locked: even a rehearsal may not set it.
fn is_locked(loaded: &Loaded, set: &str) -> bool {
    let key = set.split('=').next().unwrap_or_default();
    let covers = |lock: &str| key.strip_prefix(lock).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    loaded.settings.lock.iter().any(|lock| covers(&lock.0))
}

/// A row of the verdict.
struct VerdictRow {
    status: Status,
    about: &'static str,
    what: String,
    hints: Vec<String>,
    /// Whether the question has no answer, so that the job is not known to be ready.
    open: bool,
}

impl VerdictRow {
    fn new(status: Status, about: &'static str, what: impl Into<String>) -> Self {
        VerdictRow { status, about, what: what.into(), hints: Vec::new(), open: false }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn open(self) -> Self {
        VerdictRow { open: true, ..self }
    }
}

/// Returns the seconds since 1970.
fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
