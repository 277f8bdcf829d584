//! Runs an installer until it succeeds, or until another try cannot help.

use super::blamed_setting;
use super::build_plan::{self, BuildPlan, MissingModule};
use super::build_steps;
use super::cache_dirs;
use super::failure::{InstallFailure, classify};
use super::failure_class::{MISSING_FILE, RetryAdvice};
use super::installation::Installation;
use super::installer::{InstallerJob, Tool};
use super::installer_view::InstallerView;
use super::manifest_files::ManifestFiles;
use super::protect::{self, ProtectedVersions};
use super::redact::Redactor;
use super::refusal::permanent;
use super::run::{self, ProgramEnd, Streams};
use super::shared_store::Share;
use super::wanted::WantedPackages;
use crate::config::Refresh;
use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use std::io::Write;
use std::time::{Duration, Instant};
use sys::cgroup;
use tempfile::NamedTempFile;

/// The wait before the first new try; it doubles each time.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest such wait.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The tries of one installation with one tool.
pub(super) struct Attempts<'a> {
    /// The installation.
    pub job: &'a Installation<'a>,
    /// The program that installs.
    pub tool: &'a Tool,
    /// The requirement files.
    pub files: &'a ManifestFiles,
    /// The store that gets the result, if this start builds for others.
    pub share: Option<&'a mut Share>,
}

/// A build that did not find a module.
type FailedBuild = (MissingModule, InstallFailure);

impl Attempts<'_> {
    /// Runs the tool until the packages are installed or the failure is final.
    ///
    /// # Errors
    /// Returns the failure: a permanent one as 116, one that may pass as 216.
    pub(super) fn run(mut self, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let all_shared = self.job.wanted.request.environment.get("UV_NO_BUILD_ISOLATION").is_some();
        let mut builds = BuildPlan::of(all_shared);
        for _ in 0..build_plan::STEPS_MAX {
            let Some((missing, failure)) = self.tries(&builds, tell)? else {
                if std::mem::take(&mut builds.skipped).is_empty() {
                    return Ok(());
                }
                continue;
            };
            let next = build_steps::next(self.job, &mut builds, &missing, &failure, &self.files.asked, tell);
            next.inspect_err(|error| self.publish(error, &failure))?;
        }
        Err(permanent("packages need each other while they are built, and that does not end".to_owned()))
    }

    /// Runs the tool until the packages are installed, a build does not find a module, or the failure is final.
    fn tries(&mut self, builds: &BuildPlan, tell: &mut dyn FnMut(&str)) -> Result<Option<FailedBuild>> {
        let (wanted, target) = (self.job.wanted, self.job.target);
        let kept = &self.job.kept_for(self.tool);
        // Without pip's log a network failure looks like a missing package.
        let log = cache_dirs::temporary(wanted.request.environment, "trainit-pip-log-");
        let kept_file = kept_file(wanted, kept, builds, self.tool)?;
        let files = self.files;
        let mut job = InstallerJob {
            tool: self.tool,
            executable: &target.executable,
            packages: &target.packages,
            managed: target.managed,
            files: &files.paths,
            beside: wanted.beside(),
            environment: wanted.request.environment,
            options: &wanted.start.options,
            log: log.as_ref().map(|log| log.path()),
            upgrade: wanted.request.settings.deps_refresh.value != Refresh::Never,
            fresh: false,
            hashed: wanted.inputs.hashed,
            compile: self.share.as_ref().is_some_and(|share| share.builds()),
            kept,
            kept_file: kept_file.as_ref().map(|file| file.path()),
            builds,
        };
        let tries = u32::from(wanted.request.settings.deps_retries.value.unwrap_or(0)) + 1;
        for attempt in 1.. {
            let Some((failure, missing)) = self.once(&job, tell)? else { break };
            if let Some(missing) = missing {
                return Ok(Some((missing, failure)));
            }
            let pause = pause(attempt);
            let time_left = self.job.deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
            let may_pass = match failure.class.again {
                RetryAdvice::Never => false,
                RetryAdvice::Fresh => !std::mem::replace(&mut job.fresh, true),
                RetryAdvice::Later => true,
            };
            if !may_pass || attempt >= tries || !time_left {
                return Err(self.failed(&failure, attempt));
            }
            tell(&format!("{}: try {} of {tries} in {:.1} s", failure.class.says, attempt + 1, pause.as_secs_f32()));
            std::thread::sleep(pause);
        }
        Ok(None)
    }

    /// Makes the error, and passes it on to the starts that wait for this build if the failure would be the same for them.
    fn failed(&self, failure: &InstallFailure, attempts: u32) -> Error {
        let error = told(self.job.wanted, failure, attempts);
        let error = match failure.class.is_about_versions() {
            true => self.job.kept.explain(error, &failure.lines),
            false => error,
        };
        self.publish(&error, failure);
        error
    }

    fn publish(&self, error: &Error, failure: &InstallFailure) {
        if let Some(share) = self.share.as_ref().filter(|_| failure.class.is_everywhere) {
            share.fail(error);
        }
    }

    /// Runs the tool once; returns the failure, if there was one, and the module that a build did not find.
    fn once(
        &mut self,
        job: &InstallerJob<'_>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Option<(InstallFailure, Option<MissingModule>)>> {
        let request = self.job.wanted.request;
        let redactor = Redactor::for_environment(job.environment);
        let terminal = request.shows_progress();
        let mut view = InstallerView::new(redactor.clone(), terminal, tell);
        let logged = job.log.and_then(|log| std::fs::metadata(log).ok()).map_or(0, |found| found.len() as usize);
        let kills = || cgroup::memory_kills(request.root).unwrap_or(0);
        let kills_before = kills();
        let streams = if terminal { Streams::Terminal } else { Streams::Both };
        let end = run::run(job.command(), streams, self.job.deadline, &mut |event| {
            view.event(event);
            if let Some(share) = &mut self.share {
                share.beat(|| view.progress());
            }
        });
        let said = view.finish();
        let end = end.map_err(|error| permanent(format!("{} cannot be started", job.tool)).caused_by(error))?;
        if matches!(end, ProgramEnd::Exited(status) if status.success()) {
            return Ok(None);
        }
        let log = job.log.and_then(|log| std::fs::read(log).ok()).unwrap_or_default();
        let log = redactor.text(&String::from_utf8_lossy(log.get(logged..).unwrap_or_default()));
        let failure = classify(job.tool, end, kills() > kills_before, &said, &log);
        let missing = MissingModule::find(&said, &log).filter(|_| failure.class.again == RetryAdvice::Never);
        failure.hidden.iter().filter(|_| missing.is_none()).for_each(|line| tell(line));
        Ok(Some((failure, missing)))
    }
}

/// Writes the protected versions, and for uv what is left out, to a file for the tool; `None` if that is nothing.
fn kept_file(
    wanted: &WantedPackages<'_>,
    kept: &ProtectedVersions,
    builds: &BuildPlan,
    tool: &Tool,
) -> Result<Option<NamedTempFile>> {
    let is_uv = matches!(tool, Tool::Uv { .. });
    let skipped = builds.skipped.iter().filter(|_| is_uv).map(|name| protect::left_out(name));
    let text = kept.text(is_uv) + &skipped.collect::<String>();
    if text.is_empty() {
        return Ok(None);
    }
    let file = cache_dirs::temporary(wanted.request.environment, "trainit-kept-").and_then(|mut file| {
        file.write_all(text.as_bytes()).ok()?;
        Some(file)
    });
    file.map(Some).ok_or_else(|| {
        permanent("no temporary file can be written".to_owned())
            .hint("give the container a writable /tmp, or set TMPDIR")
    })
}

/// Returns the wait before the next try: it doubles, with some jitter so that many replicas do not retry at once.
fn pause(attempt: u32) -> Duration {
    let whole = PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(8)).min(PAUSE_MAX);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    whole / 2 + (whole / 2).mul_f64(f64::from(now % 1_000_000) / 1e6)
}

fn told(wanted: &WantedPackages<'_>, failure: &InstallFailure, tries: u32) -> Error {
    let names: Vec<_> = wanted.selection.files.iter().map(|file| file.display().to_string()).collect();
    let later = failure.class.again == RetryAdvice::Later;
    let kind = if later { ErrorKind::Transient } else { ErrorKind::Permanent }(FailureFamily::Deps);
    let times = if tries > 1 { format!(", {tries} times") } else { String::new() };
    let mut error = Error::new(kind, format!("{} cannot be installed: {}{times}", names.join(" "), failure.class.says));
    if !failure.lines.is_empty() {
        error = error.because(failure.lines.join("; "));
    }
    let request = wanted.request;
    match blamed_setting::naming(&failure.lines, request.environment) {
        Some(hint) if failure.class.says == MISSING_FILE => error.hint(hint),
        _ => blamed_setting::set(failure.class, request.settings, request.environment)
            .into_iter()
            .fold(error.hint(failure.class.hint), Error::hint),
    }
}
