//! `trainit rehearse`: tries in a build session what an unattended start would do. It runs the start itself, stops it after a while as an
//! engine would, and judges what can be seen from outside: did it begin, did it end in time and with the right code, is there a
//! checkpoint, and would the next start go on from it.

mod trial;
mod verdict;

use super::{CommandInput, CommandOutput};
use crate::check::Status;
use crate::config::{Loaded, Resume};
use crate::error::{Error, Result};
use crate::prepare::{self, StopGrace};
use crate::report::Console;
use protocol::exit_code::Exit;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use sys::{Root, killable_call};
use verdict::{NextStart, RehearsalExpectation, RehearsalFacts};

/// What an engine gives that nobody asked for more: Kubernetes. Docker gives a third of it.
const USUAL_GRACE: Duration = Duration::from_secs(30);

/// How long a directory of checkpoints on another machine is searched.
const SEARCH: Duration = Duration::from_secs(60);

/// What belongs to a job that is left alone: a rehearsal is tried once, and nobody comes to look.
const ONCE: [&str; 2] = ["restart.max=0", "on_failure=exit"];

/// Runs the start, stops it after `after`, and says whether it is ready to be sent off.
///
/// # Errors
/// A configuration that cannot be (78), or a rehearsal that cannot be watched.
pub fn run(mut asked: CommandInput, after: Duration, command: Vec<OsString>) -> Result<CommandOutput> {
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

/// What the configuration wants to see.
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
        killed_code: map(Exit::Signal(libc::SIGKILL as u8).code()),
        watched: checkpoints(loaded),
        resumes: settings.checkpoint_resume.value != Resume::Off,
    }
}

/// Where checkpoints appear.
fn checkpoints(loaded: &Loaded) -> Option<PathBuf> {
    Some(loaded.workdir.join(loaded.settings.checkpoint_dir.value.as_ref()?))
}

fn is_done(loaded: &Loaded) -> bool {
    loaded.settings.stop_done_file.as_ref().is_some_and(|file| loaded.workdir.join(file).exists())
}

/// The newest complete checkpoint. Another process looks, since the directory may be on a machine that is dead.
fn newest(loaded: &Loaded) -> Result<Option<trial::RehearsedCheckpoint>> {
    let Some(dir) = checkpoints(loaded) else { return Ok(None) };
    let (family, pattern) = prepare::watched(&loaded.settings)?;
    let look = || {
        let newest = checkpoint::newest(&dir, family, pattern.as_ref()).ok().flatten();
        postcard::to_allocvec(&newest.as_ref().map(trial::RehearsedCheckpoint::of)).unwrap_or_default()
    };
    let answer = killable_call::ask(SEARCH, look).ok().and_then(|answer| postcard::from_bytes(&answer).ok());
    answer.ok_or_else(|| Error::new(Exit::Failure, format!("{} does not answer (checkpoint.dir)", text::path(&dir))))
}

/// What the next start would be given.
fn next(loaded: &Loaded) -> NextStart {
    let mut settings = loaded.settings.clone();
    settings.checkpoint_dir.value = checkpoints(loaded);
    match prepare::resume(&settings, &loaded.mounts) {
        Ok(resumed) => NextStart { arguments: resumed.arguments, variables: resumed.variables, failure: None },
        Err(error) => NextStart { failure: Some(error.what), ..NextStart::default() },
    }
}

/// A locked key may not be set even to what a rehearsal needs.
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

/// Seconds since 1970.
fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
