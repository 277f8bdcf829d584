//! `trainit rehearse`: tries an unattended start in a build session. It runs the start, stops it after a while as an engine would, and
//! judges what is visible from outside: whether it started, whether it ended in time and with the right code, whether there is a
//! checkpoint, and whether the next start would resume from it.

mod trial;
mod verdict;

use super::{CommandInput, CommandOutput};
use crate::check::Status;
use crate::config::{Loaded, Resume};
use crate::error::{Error, ErrorKind, Result};
use crate::prepare::{self, StopGrace};
use crate::report::{self, Console};
use protocol::exit_code::Exit;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use sys::{Root, Signal, killable_call};
use verdict::{NextStart, RehearsalExpectation, RehearsalFacts};

/// The default grace of Kubernetes. Docker's is a third of it.
const USUAL_GRACE: Duration = Duration::from_secs(30);

/// Time limit of the search for checkpoints on another machine.
const SEARCH: Duration = Duration::from_secs(60);

/// Settings for an unattended job: a rehearsal runs once, and no user will examine a held failure.
const ONCE: [&str; 2] = ["restart.max=0", "on_failure=exit"];

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
    let before = newest(&loaded)?;
    let trial = trial::run(&asked.options, &command, after, wanted.grace, &|| newest(&loaded).ok().flatten())?;
    let found = RehearsalFacts { before, newest: newest(&loaded)?, done: is_done(&loaded), next: next(&loaded) };
    let verdict = verdict::judge(&wanted, &trial, &found);
    for row in &verdict.rows {
        console.row(row.status, row.about, &row.what, Duration::ZERO);
        row.hints.iter().for_each(|hint| console.advice(hint));
    }
    console.line(&verdict.words);
    Ok(CommandOutput { text: String::new(), exit: verdict.exit })
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

/// Returns the newest complete checkpoint. Another process searches, since the directory may be on a machine that does not answer.
fn newest(loaded: &Loaded) -> Result<Option<trial::RehearsedCheckpoint>> {
    let Some(dir) = checkpoints(loaded) else { return Ok(None) };
    let (family, pattern) = prepare::watched(&loaded.settings)?;
    let look = || {
        let newest = checkpoint::newest(&dir, family, pattern.as_ref()).ok().flatten();
        postcard::to_allocvec(&newest.as_ref().map(trial::RehearsedCheckpoint::of)).unwrap_or_default()
    };
    let answer = killable_call::ask(SEARCH, look).ok().and_then(|answer| postcard::from_bytes(&answer).ok());
    answer.ok_or_else(|| {
        Error::new(ErrorKind::Unanswered, format!("{} does not answer (checkpoint.dir)", text::path(&dir)))
    })
}

/// Returns the arguments and variables of the next start.
fn next(loaded: &Loaded) -> NextStart {
    let mut settings = loaded.settings.clone();
    settings.checkpoint_dir.value = checkpoints(loaded);
    match prepare::resume(&settings, &loaded.mounts) {
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
}

/// Returns the seconds since 1970.
fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
