//! Installing: the right place is made ready, the tool runs, and what came of it is written down.

use super::already;
use super::failure::{Again, Failure, classify};
use super::installed::Installed;
use super::installer::{self, Choice, Job, Tool};
use super::layer::{self, Layer};
use super::lock;
use super::pip::Setting;
use super::protect::{self, Kept};
use super::python::{self, Python};
use super::redact::Redactor;
use super::run::{self, End};
use super::satisfied::Answer;
use super::stamp::{Home, Names, Stamp};
use super::target::{self, Target};
use super::view::View;
use super::wanted::{State, Wanted};
use super::{Outcome, pip, places, site};
use crate::config::{LogFormat, Refresh};
use crate::error::{Error, Result};
use crate::exit::{Exit, Family};
use crate::sys::cgroup;
use crate::sys::temporary::Temporary;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The wait before the first new try; it doubles each time.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest such wait.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where packages go in this start.
struct Spot<'a> {
    python: &'a Python,
    home: Home,
    executable: PathBuf,
    packages: PathBuf,
    managed: bool,
    layer: Option<(Layer<'a>, PathBuf)>,
}

/// What was seen of an interpreter's packages already.
pub struct Looked {
    /// The interpreter, as it was remembered.
    pub python: Python,
    /// Whether its packages are enough.
    pub answer: Answer,
}

/// Installs, if that is still needed once the interpreter was asked and the place is ours.
///
/// # Errors
/// What cannot be installed (116), and what may be installed later (216).
pub fn install(wanted: &Wanted<'_>, looked: Option<Looked>, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let started = Instant::now();
    let deadline = wanted.request.settings.deps_timeout.value.and_then(|limit| started.checked_add(limit));
    let python = python::ask(&wanted.interpreter, wanted.request.environment, deadline)?;
    if let Some(outcome) = wanted.unchanged(&python) {
        return Ok(outcome);
    }
    let answer = match looked.filter(|looked| looked.python == python) {
        Some(looked) => looked.answer,
        None => already::look(wanted, &python, tell),
    };
    if let Answer::Yes(requirements) = answer {
        return Ok(already::settle(wanted, &python, requirements));
    }
    let spot = spot(wanted, &python, tell)?;
    let lock = lock::take(&spot.lock_directory(), deadline, tell);
    if let Some(outcome) = wanted.unchanged(&python).filter(|_| lock.waited) {
        return Ok(outcome);
    }
    let settings = pip::settings(wanted.request.root, wanted.request.environment, &python);
    let kept = kept(wanted, &python, &settings, spot.layer.is_some());
    let tool = tool(wanted, &spot, &settings, &kept, tell)?;
    tell(&first_line(wanted, &spot, &tool, &answer));
    wanted.refusals(&kept, wanted.asked()).iter().for_each(|line| tell(line));
    let before = spot.make_ready(tell)?;
    run_tool(wanted, &spot, &tool, &kept, deadline, tell)?;
    let packages = check(wanted, &spot, &kept, &before, tell)?;
    let environment = finish(wanted, &spot, &tool, &before, tell)?;
    Ok(Outcome::Installed {
        files: wanted.selection.files.clone(),
        installer: tool.to_string(),
        packages,
        took: started.elapsed(),
        environment,
    })
}

fn spot<'a>(wanted: &Wanted<'_>, python: &'a Python, tell: &mut dyn FnMut(&str)) -> Result<Spot<'a>> {
    let request = wanted.request;
    match target::choose(&request.settings.deps_target, python, request.root, request.environment)? {
        Target::Here { managed } => {
            if managed {
                tell(
                    "the Python of this image is marked as the system's (EXTERNALLY-MANAGED); in a container it is installed into all the same",
                );
            }
            let (executable, packages) = (python.executable.clone(), python.purelib.clone());
            Ok(Spot { python, home: Home(python.own_directory()), executable, packages, managed, layer: None })
        }
        Target::Layer(why) => {
            let place = places::writable(wanted.request.environment).ok_or_else(|| nowhere(python, why))?;
            let layer = wanted.layer(python, &place);
            tell(&format!("{}: {why}, so packages go to {}", python.executable.display(), layer.root.display()));
            let (executable, packages) = (layer.executable(), layer.packages());
            Ok(Spot {
                python,
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

/// What of the image stays as it is.
pub(super) fn kept(wanted: &Wanted<'_>, python: &Python, settings: &[Setting], layered: bool) -> Kept {
    let seen = [python.purelib.as_path(), python.platlib.as_path()];
    let installed = Installed::read(python.package_directories());
    let (home, now) = (Home(python.own_directory()), protect::names(&installed));
    let before = home.before().unwrap_or_else(|| now.clone());
    protect::choose(protect::Choice {
        words: &wanted.request.settings.deps_protect,
        installed: &installed,
        ours: &ours(&home, &before, now),
        pinned: &protect::pinned(settings, wanted.request.environment, wanted.beside()),
        seen: if layered { &[] } else { &seen },
    })
}

fn tool(
    wanted: &Wanted<'_>,
    spot: &Spot<'_>,
    settings: &[Setting],
    kept: &Kept,
    tell: &mut dyn FnMut(&str),
) -> Result<Tool> {
    let request = wanted.request;
    let choice = Choice {
        wanted: &request.settings.deps_installer,
        python: spot.python,
        settings,
        kept,
        for_pip: &wanted.inputs.for_pip,
        environment: request.environment,
        layered: spot.layer.is_some(),
    };
    installer::choose(choice, tell)
}

fn first_line(wanted: &Wanted<'_>, spot: &Spot<'_>, tool: &Tool, answer: &Answer) -> String {
    let python = spot.python;
    let names: Vec<_> = wanted.selection.files.iter().map(|file| file.display().to_string()).collect();
    let above: Vec<_> = spot.layer.iter().map(|(layer, _)| layer.packages()).collect();
    let why = match wanted.state(python, &spot.home, &above) {
        State::Old => ", looking for newer versions (deps.refresh)".to_owned(),
        State::Changed(parts) => match answer {
            Answer::No(missing) => format!(", because {} changed: {missing}", parts.join(" and ")),
            _ => format!(", because {} changed", parts.join(" and ")),
        },
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

    /// What is there, a layer's first.
    fn installed(&self) -> Installed {
        let above = self.layer.as_ref().map(|_| &self.packages);
        Installed::read(above.into_iter().chain(self.python.package_directories()))
    }

    /// Takes back what an earlier installer left half done, and notes that one begins; what was there before the first of them.
    fn make_ready(&self, tell: &mut dyn FnMut(&str)) -> Result<Names> {
        let python = self.python;
        let begun = self.home.unfinished();
        let before = self.home.before().unwrap_or_else(|| protect::names(&self.installed()));
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
        self.home.begin(&before).map_err(|error| unwritable(&self.home.0, &error))?;
        Ok(before)
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

pub(super) fn permanent(what: String) -> Error {
    Error::new(Exit::Permanent(Family::Deps), what)
}

fn run_tool(
    wanted: &Wanted<'_>,
    spot: &Spot<'_>,
    tool: &Tool,
    kept: &Kept,
    deadline: Option<Instant>,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    // Without pip's log a network that is down looks like a missing package.
    let log = places::temporary(wanted.request.environment, "trainit-pip-log-");
    let kept_file = kept_file(wanted, kept, tool)?;
    let mut job = Job {
        tool,
        executable: &spot.executable,
        packages: &spot.packages,
        managed: spot.managed,
        files: &wanted.selection.files,
        environment: wanted.request.environment,
        log: log.as_ref().map(|log| log.path()),
        upgrade: wanted.request.settings.deps_refresh.value != Refresh::Never,
        fresh: false,
        kept,
        kept_file: kept_file.as_ref().map(|file| file.path()),
    };
    let tries = u32::from(wanted.request.settings.deps_retries.value.unwrap_or(0)) + 1;
    for attempt in 1.. {
        let Some(failure) = attempt_once(wanted, &job, deadline, tell)? else { break };
        let pause = pause(attempt);
        let time_left = deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
        let may_pass = match failure.class.again {
            Again::Never => false,
            Again::Fresh => !std::mem::replace(&mut job.fresh, true),
            Again::Later => true,
        };
        if !may_pass || attempt >= tries || !time_left {
            return Err(kept.explain(told(wanted, &failure, attempt), &failure.lines));
        }
        tell(&format!("{}: try {} of {tries} in {:.1} s", failure.class.says, attempt + 1, pause.as_secs_f32()));
        std::thread::sleep(pause);
    }
    Ok(())
}

/// What is kept, as a file for the tool; none if nothing is.
fn kept_file(wanted: &Wanted<'_>, kept: &Kept, tool: &Tool) -> Result<Option<Temporary>> {
    if kept.is_empty() {
        return Ok(None);
    }
    let text = kept.text(matches!(tool, Tool::Uv { .. }));
    let file = places::temporary(wanted.request.environment, "trainit-kept-").and_then(|mut file| {
        file.file().write_all(text.as_bytes()).ok()?;
        Some(file)
    });
    file.map(Some).ok_or_else(|| {
        permanent("no temporary file can be written".to_owned()).hint("docker run --tmpfs /tmp:exec …, or set TMPDIR")
    })
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
    let kills = || cgroup::memory_kills(wanted.request.root).unwrap_or(0);
    let kills_before = kills();
    let end = run::run(job.command(), terminal, deadline, &mut |event| view.event(event));
    let said = view.finish();
    let end = end.map_err(|error| permanent(format!("{} cannot be started", job.tool)).because(error.to_string()))?;
    if matches!(end, End::Exited(status) if status.success()) {
        return Ok(None);
    }
    let log = job.log.and_then(|log| std::fs::read(log).ok()).unwrap_or_default();
    let log = redactor.text(&String::from_utf8_lossy(log.get(logged..).unwrap_or_default()));
    Ok(Some(classify(job.tool, end, kills() > kills_before, &said, &log)))
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
    let exit =
        if failure.class.again == Again::Later { Exit::Transient(Family::Deps) } else { Exit::Permanent(Family::Deps) };
    let times = if tries > 1 { format!(", {tries} times") } else { String::new() };
    let mut error = Error::new(exit, format!("{} cannot be installed: {}{times}", names.join(" "), failure.class.says));
    if !failure.lines.is_empty() {
        error = error.because(failure.lines.join("; "));
    }
    [failure.class.hint].into_iter().filter(|hint| !hint.is_empty()).fold(error, |error, hint| error.hint(hint))
}

/// What is kept must be as it was; who wanted it otherwise is told. How many packages came or changed.
fn check(
    wanted: &Wanted<'_>,
    spot: &Spot<'_>,
    kept: &Kept,
    before: &Names,
    tell: &mut dyn FnMut(&str),
) -> Result<usize> {
    let now = spot.installed();
    kept.verify(&now)?;
    wanted.refusals(kept, protect::new_requirements(before, &now)).iter().for_each(|line| tell(line));
    Ok(protect::new(before, &now).count())
}

/// Writes the stamp, and what the interpreter answered; the variables that the workload needs.
fn finish(
    wanted: &Wanted<'_>,
    spot: &Spot<'_>,
    tool: &Tool,
    before: &Names,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<(OsString, OsString)>> {
    let python = spot.python;
    spot.can_be_loaded()?;
    let more: Vec<_> = spot.layer.iter().map(|(layer, _)| layer.packages()).collect();
    match &spot.layer {
        Some((_, place)) => python.remember_in(place),
        None => python.remember(),
    }
    let stamp = Stamp::new(wanted.parts(python, &more), wanted.selection.files.clone(), tool.to_string());
    if let Err(error) = spot.home.finish(&ours(&spot.home, before, protect::names(&spot.installed())), &stamp) {
        tell(&format!("the next start will install again: {} cannot be written ({error})", spot.home.0.display()));
    }
    Ok(spot.layer.iter().flat_map(|(layer, _)| layer.environment(wanted.request.environment)).collect())
}

/// What trainit installed so far, of what is there now: all that came since `before`, and what is written down.
fn ours(home: &Home, before: &Names, mut now: Names) -> Names {
    let earlier = home.ours();
    now.retain(|name, version| before.get(name) != Some(version) || earlier.get(name) == Some(version));
    now
}
