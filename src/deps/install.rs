//! Installing: the right place is made ready, the tool runs, and what came of it is written down.

use super::failure::{Failure, classify};
use super::installer::{self, Choice, Job, Tool};
use super::layer::{self, Layer};
use super::lock;
use super::python::{self, Python};
use super::redact::Redactor;
use super::run::{self, End};
use super::stamp::{Home, Stamp};
use super::target::{self, Target};
use super::view::View;
use super::wanted::{State, Wanted};
use super::{Outcome, pip, places, site};
use crate::config::LogFormat;
use crate::error::{Error, Result};
use crate::exit::{Exit, Family};
use crate::sys::temporary::Temporary;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The wait before the first new try; it doubles each time.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest such wait.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where packages go in this start.
struct Spot<'a> {
    home: Home,
    executable: PathBuf,
    packages: PathBuf,
    managed: bool,
    layer: Option<(Layer<'a>, PathBuf)>,
}

/// Installs, if that is still needed once the interpreter was asked and the place is ours.
///
/// # Errors
/// What cannot be installed (116), and what may be installed later (216).
pub fn install(wanted: &Wanted<'_>, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let started = Instant::now();
    let deadline = wanted.request.settings.deps_timeout.value.and_then(|limit| started.checked_add(limit));
    let python = python::ask(&wanted.interpreter, wanted.request.environment, deadline)?;
    if let Some(outcome) = wanted.unchanged(&python) {
        return Ok(outcome);
    }
    let spot = spot(wanted, &python, tell)?;
    let tool = tool(wanted, &python, &spot, tell)?;
    let lock = lock::take(&spot.lock_directory(), deadline, tell);
    if let Some(outcome) = wanted.unchanged(&python).filter(|_| lock.waited) {
        return Ok(outcome);
    }
    tell(&first_line(wanted, &python, &spot, &tool));
    spot.make_ready(&python, tell)?;
    run_tool(wanted, &spot, &tool, deadline, tell)?;
    let environment = finish(wanted, &python, &spot, &tool, tell)?;
    Ok(Outcome::Installed {
        files: wanted.selection.files.clone(),
        installer: tool.to_string(),
        took: started.elapsed(),
        environment,
    })
}

fn spot<'a>(wanted: &Wanted<'_>, python: &'a Python, tell: &mut dyn FnMut(&str)) -> Result<Spot<'a>> {
    match target::choose(python, wanted.request.root, wanted.request.environment) {
        Target::Here { managed } => {
            if managed {
                tell(
                    "the Python of this image is marked as the system's (EXTERNALLY-MANAGED); in a container it is installed into all the same",
                );
            }
            let (executable, packages) = (python.executable.clone(), python.purelib.clone());
            Ok(Spot { home: Home(python.own_directory()), executable, packages, managed, layer: None })
        }
        Target::Layer(why) => {
            let place = places::writable(wanted.request.environment).ok_or_else(|| nowhere(python, why))?;
            let layer = wanted.layer(python, &place);
            tell(&format!("{}: {why}, so packages go to {}", python.executable.display(), layer.root.display()));
            let (executable, packages) = (layer.executable(), layer.packages());
            Ok(Spot {
                home: Home(layer.own_directory()),
                executable,
                packages,
                managed: false,
                layer: Some((layer, place)),
            })
        }
    }
}

fn nowhere(python: &Python, why: &str) -> Error {
    permanent(format!("there is no place to install into for {}", python.executable.display()))
        .because(format!("{why}, and neither the home directory nor /var/tmp nor /tmp can be"))
        .hint("docker run --tmpfs /tmp:exec …   (Kubernetes: an emptyDir at /tmp)")
        .hint("or bake the packages into the image, or make a virtual environment on a volume")
}

fn tool(wanted: &Wanted<'_>, python: &Python, spot: &Spot<'_>, tell: &mut dyn FnMut(&str)) -> Result<Tool> {
    let request = wanted.request;
    let settings = pip::settings(request.root, request.environment, python);
    let choice = Choice {
        wanted: &request.settings.deps_installer,
        python,
        settings: &settings,
        for_pip: &wanted.inputs.for_pip,
        environment: request.environment,
        layered: spot.layer.is_some(),
    };
    installer::choose(choice, tell)
}

fn first_line(wanted: &Wanted<'_>, python: &Python, spot: &Spot<'_>, tool: &Tool) -> String {
    let names: Vec<_> = wanted.selection.files.iter().map(|file| file.display().to_string()).collect();
    let above: Vec<_> = spot.layer.iter().map(|(layer, _)| layer.packages()).collect();
    let why = match wanted.state(python, &spot.home, &above) {
        State::Changed(parts) => format!(", because {} changed", parts.join(" and ")),
        State::Unfinished => ", because an earlier installation was not finished".to_owned(),
        State::Current(_) | State::Unknown => String::new(),
    };
    let off = if wanted.selection.found { "; TRAINIT_DEPS_REQUIREMENTS=off turns this off" } else { "" };
    let python = python.executable.display();
    format!(
        "installing {} with {tool} for {python} (named by {}){why}{off}",
        names.join(" "),
        wanted.interpreter.named_by
    )
}

impl Spot<'_> {
    /// The lock lies beside a layer and not in it: an unfinished one is removed.
    fn lock_directory(&self) -> PathBuf {
        let beside = self.layer.as_ref().and_then(|(layer, _)| layer.root.parent());
        beside.unwrap_or(&self.home.0).to_owned()
    }

    /// Takes back what an earlier installer left half done, and notes that one begins.
    fn make_ready(&self, python: &Python, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let begun = self.home.unfinished();
        match (&self.layer, begun) {
            (Some((layer, _)), begun) if begun.is_some() || !layer.executable().exists() => {
                layer.create().map_err(|e| unwritable(&layer.root, &e))?
            }
            (None, Some(begun)) => {
                for name in site::repair(&[&python.purelib, &python.platlib], begun) {
                    tell(&format!("{name} was left half installed by an earlier start: it is installed again"));
                }
            }
            _ => {}
        }
        self.home.begin().map_err(|error| unwritable(&self.home.0, &error))
    }

    /// Libraries cannot be loaded from a file system without exec, whatever the installer says.
    fn can_be_loaded(&self) -> Result<()> {
        let Some((layer, _)) = &self.layer else { return Ok(()) };
        if !places::is_noexec(&layer.root) || !layer::has_libraries(&layer.packages()) {
            return Ok(());
        }
        Err(permanent(format!("packages in {} cannot be loaded", layer.root.display()))
            .because("some have compiled parts, and the file system is mounted noexec")
            .hint("docker run --tmpfs /tmp:exec …"))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    permanent(format!("{} cannot be written", path.display())).because(error.to_string())
}

fn permanent(what: String) -> Error {
    Error::new(Exit::Permanent(Family::Deps), what)
}

fn run_tool(
    wanted: &Wanted<'_>,
    spot: &Spot<'_>,
    tool: &Tool,
    deadline: Option<Instant>,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let log = pip_log(wanted);
    let job = Job {
        tool,
        executable: &spot.executable,
        packages: &spot.packages,
        managed: spot.managed,
        files: &wanted.selection.files,
        environment: wanted.request.environment,
        log: log.as_ref().map(|log| log.path()),
    };
    let tries = u32::from(wanted.request.settings.deps_retries.value.unwrap_or(0)) + 1;
    for attempt in 1.. {
        let Some(failure) = attempt_once(wanted, &job, deadline, tell)? else { break };
        let pause = pause(attempt);
        let time_left = deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
        if !failure.class.passing || attempt >= tries || !time_left {
            return Err(told(wanted, &failure, attempt));
        }
        tell(&format!("{}: try {} of {tries} in {:.1} s", failure.class.says, attempt + 1, pause.as_secs_f32()));
        std::thread::sleep(pause);
    }
    Ok(())
}

/// pip's log goes where temporary files go; without one a network that is down looks like a missing package.
fn pip_log(wanted: &Wanted<'_>) -> Option<Temporary> {
    let environment = wanted.request.environment;
    let temporary = environment.get("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let make = |dir: PathBuf| Temporary::make(&dir, "trainit-pip-log-").ok();
    make(temporary).or_else(|| make(places::writable(environment)?))
}

/// Runs the tool once; the failure, if it was one.
fn attempt_once(
    wanted: &Wanted<'_>,
    job: &Job<'_>,
    deadline: Option<Instant>,
    tell: &mut dyn FnMut(&str),
) -> Result<Option<Failure>> {
    let redactor = Redactor::for_environment(job.environment);
    let terminal = io::stderr().is_terminal() && wanted.request.settings.log_format.value == LogFormat::Text;
    let mut view = View::new(redactor.clone(), terminal, tell);
    let logged = job.log.and_then(|log| std::fs::metadata(log).ok()).map_or(0, |found| found.len() as usize);
    let end = run::run(job.command(), terminal, deadline, &mut |event| view.event(event));
    let said = view.finish();
    let end = end.map_err(|error| permanent(format!("{} cannot be started", job.tool)).because(error.to_string()))?;
    if matches!(end, End::Exited(status) if status.success()) {
        return Ok(None);
    }
    let log = job.log.and_then(|log| std::fs::read(log).ok()).unwrap_or_default();
    let log = redactor.text(&String::from_utf8_lossy(log.get(logged..).unwrap_or_default()));
    Ok(Some(classify(job.tool, end, &said, &log)))
}

/// Doubling, and a little different for each of many replicas.
fn pause(attempt: u32) -> Duration {
    let whole = PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(8)).min(PAUSE_MAX);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    whole / 2 + (whole / 2).mul_f64(f64::from(now % 1_000_000) / 1e6)
}

fn told(wanted: &Wanted<'_>, failure: &Failure, tries: u32) -> Error {
    let names: Vec<_> = wanted.selection.files.iter().map(|file| file.display().to_string()).collect();
    let exit = if failure.class.passing { Exit::Transient(Family::Deps) } else { Exit::Permanent(Family::Deps) };
    let times = if tries > 1 { format!(", {tries} times") } else { String::new() };
    let mut error = Error::new(exit, format!("{} cannot be installed: {}{times}", names.join(" "), failure.class.says));
    if !failure.lines.is_empty() {
        error = error.because(failure.lines.join("; "));
    }
    [failure.class.hint].into_iter().filter(|hint| !hint.is_empty()).fold(error, |error, hint| error.hint(hint))
}

/// Writes the stamp, and what the interpreter answered; the variables that the workload needs.
fn finish(
    wanted: &Wanted<'_>,
    python: &Python,
    spot: &Spot<'_>,
    tool: &Tool,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<(OsString, OsString)>> {
    spot.can_be_loaded()?;
    let more: Vec<_> = spot.layer.iter().map(|(layer, _)| layer.packages()).collect();
    match &spot.layer {
        Some((_, place)) => python.remember_in(place),
        None => python.remember(),
    }
    let stamp = Stamp::new(wanted.parts(python, &more), wanted.selection.files.clone(), tool.to_string());
    if let Err(error) = spot.home.finish(&stamp) {
        tell(&format!("the next start will install again: {} cannot be written ({error})", spot.home.0.display()));
    }
    Ok(spot.layer.iter().flat_map(|(layer, _)| layer.environment(wanted.request.environment)).collect())
}
