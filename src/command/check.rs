//! `trainit check`: all checks, or some, with nothing started.

use super::{CommandInput, CommandOutput};
use crate::check::{self, CheckContext, Finding, Status};
use crate::error::Result;
use crate::report::{self, Console, Report};
use protocol::exit_code::{Exit, TABLE};
use std::collections::BTreeMap;
use std::time::SystemTime;
use sys::heap;

/// Runs the checks that `only` names (all if it is empty), and writes their findings: as lines on stderr, or as JSON on stdout.
///
/// # Errors
/// An invalid configuration (78), or an unknown check (64).
pub(super) fn run(asked: &CommandInput, json: bool, only: &[String]) -> Result<CommandOutput> {
    let began = SystemTime::now();
    check::validate_only(only)?;
    let (scene, notes, mut console) = stage(asked)?;
    let only = (!only.is_empty()).then_some(only);
    if !json {
        notes.iter().for_each(|note| console.line(note));
    }
    let findings = check::run(&scene, only, &mut || {}, &mut |told| {
        if !json {
            console.check(told);
        }
    });
    let exit = check::verdict(&findings).unwrap_or(Exit::Success);
    let text = match json {
        true => Report::new(&scene, None, &findings, began).with_exit(exit).to_json(),
        false => tell_end(&scene, &findings, exit, &mut console),
    };
    Ok(CommandOutput { text, exit })
}

/// Prepares the checks as the user that a start would become; returns the context, the log lines about the user, and the console.
pub(super) fn stage(asked: &CommandInput) -> Result<(CheckContext, Vec<String>, Console)> {
    heap::expect_short_life();
    let mut scene = context(asked)?;
    check::validate(&scene.settings)?;
    let console = Console::new(&scene.settings, scene.host_facts());
    scene.add_secrets(&BTreeMap::new())?;
    let compat = check::forward_compat(&mut scene);
    let notes = scene.user.iter().flat_map(|user| &user.notes).cloned().chain(compat).collect();
    Ok((scene, notes, console))
}

/// Writes the correction and the summary to stderr; returns an empty text for stdout.
pub(super) fn tell_end(scene: &CheckContext, findings: &[Finding], exit: Exit, console: &mut Console) -> String {
    if let Some(correction) = report::correction(findings, || scene.started()) {
        console.correction(&correction);
    }
    console.line(&summary(findings, exit));
    String::new()
}

/// Summarises the findings as a start would see them.
fn summary(findings: &[Finding], exit: Exit) -> String {
    let warnings = findings.iter().filter(|finding| finding.status == Status::Warn).count() as u64;
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
    let command = loaded.settings.command.iter().map(Into::into).collect();
    let mut scene = CheckContext::of(loaded, asked.environment.clone(), command);
    scene.at_home(entered, &BTreeMap::new());
    Ok(scene)
}
