//! `trainit check`: all checks, or some, with nothing started, and what else a start would refuse.

use super::{CommandInput, CommandOutput};
use crate::check::{self, CheckContext, Finding, Status};
use crate::config::{EnvValue, Loaded};
use crate::error::{Error, Result};
use crate::identity::Entered;
use crate::mode::Plan;
use crate::prepare::{self, Foreseen};
use crate::report::{self, Console, Form, Report};
use ::stage::StageRequest;
use protocol::exit_code::{Exit, FailureFamily, TABLE};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime};
use sys::heap;

/// Runs the checks that `only` names (all if it is empty), and writes their findings: as lines on stderr, or as JSON on stdout. Without
/// `only` it also looks at what else a start would refuse.
///
/// # Errors
/// An invalid configuration (78), or an unknown check (64).
pub(super) fn run(asked: &CommandInput, json: bool, only: &[String], form: Option<&str>) -> Result<CommandOutput> {
    let began = SystemTime::now();
    let form = form.map(form_named).transpose()?;
    check::validate_only(only)?;
    let (mut scene, plan) = planned_context(asked)?;
    let env = plan.as_ref().ok().and_then(Option::as_ref).map_or_else(BTreeMap::new, |plan| plan.env.clone());
    let (notes, mut console) = settle(&mut scene, &env)?;
    let only = (!only.is_empty()).then_some(only);
    if !json {
        notes.iter().for_each(|note| console.line(note));
    }
    let findings = check::run(&scene, only, &mut || {}, &mut |told| {
        if !json {
            console.check(told);
        }
    });
    let checks = check::verdict(&findings);
    let foreseen = if only.is_none() { foresee(&scene, plan, &findings) } else { Foreseen::default() };
    let exit = foreseen.exit(checks).unwrap_or(Exit::Success);
    if json {
        let report = Report::new(&scene, None, &findings, began).with_notes(notes.iter().chain(&foreseen.lines));
        return Ok(CommandOutput { text: add(&foreseen, report).with_exit(exit).to_json(), exit });
    }
    tell_foreseen(&foreseen, &mut console);
    let text = tell_end(&scene, &findings, foreseen.warnings.len(), exit, form, &mut console);
    Ok(CommandOutput { text, exit })
}

/// Looks at the other steps of a start; a mode that cannot be planned would end it before all of them.
fn foresee(scene: &CheckContext, plan: Result<Option<Plan>>, findings: &[Finding]) -> Foreseen {
    match plan {
        Ok(plan) => prepare::foresee(scene, plan.as_ref(), findings),
        Err(error) => Foreseen { before: vec![error], ..Foreseen::default() },
    }
}

fn add(foreseen: &Foreseen, report: Report) -> Report {
    let report = match &foreseen.dependencies {
        Some(words) => report.with_dependencies(words, Duration::ZERO),
        None => report,
    };
    let report = match &foreseen.world {
        Some(words) => report.with_world(words),
        None => report,
    };
    let refused = foreseen.before.iter().chain(&foreseen.refusals).map(|error| (Status::Fail, error));
    let warned = foreseen.warnings.iter().map(|error| (Status::Warn, error));
    refused.chain(warned).fold(report, |report, (status, error)| report.with_refusal(status, error))
}

fn tell_foreseen(foreseen: &Foreseen, console: &mut Console) {
    foreseen.lines.iter().for_each(|line| console.line(line));
    if let Some(words) = &foreseen.dependencies {
        console.row(Status::Ok, FailureFamily::Deps.name(), words, Duration::ZERO);
    }
    if let Some(words) = &foreseen.world {
        console.row(Status::Ok, "world", words, Duration::ZERO);
    }
    foreseen.warnings.iter().for_each(|warning| console.warning(warning));
    foreseen.before.iter().chain(&foreseen.refusals).for_each(|error| console.error(error));
}

/// Makes the context that a start would have, and what it would become.
fn planned_context(asked: &CommandInput) -> Result<(CheckContext, Result<Option<Plan>>)> {
    heap::expect_short_life();
    let (loaded, entered) = asked.load()?;
    let mut environment = asked.environment.clone();
    let plan = prepare::planned(&loaded, &entered, &environment);
    let known = plan.as_ref().ok().and_then(Option::as_ref);
    let command = known.map_or_else(|| configured(&loaded), |plan| plan.command.clone());
    let env = known.map_or_else(BTreeMap::new, |plan| plan.env.clone());
    EnvValue::add_all(&env, &mut environment);
    let mut scene = CheckContext::of(loaded, environment, command);
    scene.at_home(entered, &env);
    Ok((scene, plan))
}

/// Prepares the checks as the user that a start would become; returns the context, the log lines about the user, and the console.
pub(super) fn prepared(asked: &CommandInput) -> Result<(CheckContext, Vec<String>, Console)> {
    heap::expect_short_life();
    let mut scene = context(asked)?;
    let (notes, console) = settle(&mut scene, &BTreeMap::new())?;
    Ok((scene, notes, console))
}

/// Adds what a start adds before its checks; returns the log lines about it, and the console.
fn settle(scene: &mut CheckContext, mode_env: &BTreeMap<String, EnvValue>) -> Result<(Vec<String>, Console)> {
    check::validate(&scene.settings)?;
    let mut console = Console::new(&scene.settings, scene.host_facts());
    leave_out_unbrought(scene).iter().for_each(|line| console.line(line));
    let secrets = scene.add_secrets(mode_env)?;
    let compat = check::forward_compat(scene);
    let notes = scene.user.iter().flat_map(|user| &user.notes).cloned().chain(secrets).chain(compat).collect();
    Ok((notes, console))
}

/// Leaves out the paths whose data only a start brings; returns a line for each.
fn leave_out_unbrought(scene: &mut CheckContext) -> Vec<String> {
    let missing: Vec<_> =
        scene.stage_requests().into_iter().filter(|request| ::stage::look(request).is_none()).collect();
    let workdir = scene.workdir.clone();
    let is_missing = |path: &Path| missing.iter().any(|request| request.target == workdir.join(path));
    scene.settings.data.value.retain(|path| path.from.is_none() || !is_missing(&path.path));
    let line = |request: &StageRequest| {
        let (target, source) = (text::path(&request.target), request.source.shown());
        format!("{target} is not checked: a start brings it from {source} (trainit stage --dry-run)")
    };
    missing.iter().map(line).collect()
}

/// Writes the correction and the summary to stderr; returns an empty text for stdout. `more` counts the warnings that are no findings.
pub(super) fn tell_end(
    scene: &CheckContext,
    findings: &[Finding],
    more: usize,
    exit: Exit,
    form: Option<Form>,
    console: &mut Console,
) -> String {
    let form = form.unwrap_or_else(|| Form::Of(scene.host_facts().starter()));
    let correction = report::correction(findings, form, || scene.started());
    console.failures(findings, correction.as_ref());
    console.line(&summary(findings, more, exit));
    String::new()
}

/// Returns the form of a name.
fn form_named(name: &str) -> Result<Form> {
    let unknown = || Error::usage(format!("--as {name}: no such form")).hint(format!("one of {}", Form::names()));
    Form::named(name).ok_or_else(unknown)
}

/// Summarises the findings as a start would see them.
fn summary(findings: &[Finding], more: usize, exit: Exit) -> String {
    let warnings = (findings.iter().filter(|finding| finding.status == Status::Warn).count() + more) as u64;
    match (TABLE.iter().find(|(known, _)| *known == exit), warnings) {
        (Some((_, meaning)), _) => format!("a start would end with exit code {} ({meaning})", exit.code()),
        (None, 0) => "a start would go on".to_owned(),
        (None, warnings) => format!("a start would go on, with {}", text::count(warnings, "warning")),
    }
}

/// Returns the ids of a family for `--only`.
pub(super) fn family(name: &str) -> Vec<String> {
    let ids = check::checks().map(|check| check.id.to_owned());
    ids.filter(|id| id.split_once('.').is_some_and(|(family, _)| family == name)).collect()
}

/// Makes the context of the checks and other sub-commands as the workload's user. It enters no directory: a check examines the working
/// directory in a process that may hang.
pub(super) fn context(asked: &CommandInput) -> Result<CheckContext> {
    let (loaded, entered) = asked.load()?;
    Ok(context_of(asked, loaded, entered))
}

/// Makes the context of a configuration that was read.
pub(super) fn context_of(asked: &CommandInput, loaded: Loaded, entered: Entered) -> CheckContext {
    let command = configured(&loaded);
    let mut scene = CheckContext::of(loaded, asked.environment.clone(), command);
    scene.at_home(entered, &BTreeMap::new());
    scene
}

/// Returns the command of the configuration.
fn configured(loaded: &Loaded) -> Vec<OsString> {
    loaded.settings.command.iter().map(Into::into).collect()
}
