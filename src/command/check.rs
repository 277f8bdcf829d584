//! `trainit check`: all checks, or some, with nothing started. `trainit gpu` is the same for one family.

use super::{Answer, Asked};
use crate::check::{self, Finding, Scene};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::report::{self, Console, Report};
use std::time::SystemTime;

/// Runs the checks that `only` names (all, when it is empty) and tells what they found: as lines on stderr, or as JSON on stdout.
///
/// # Errors
/// A configuration that cannot be (78), a check that there is not (64).
pub fn run(asked: &Asked, json: bool, only: &[String]) -> Result<Answer> {
    let began = SystemTime::now();
    let scene = scene(asked)?;
    check::validate(&scene.settings)?;
    check::validate_only(only)?;
    let only = (!only.is_empty()).then_some(only);
    let mut console = Console::new(&scene.settings, scene.place());
    let findings = check::run(&scene, only, &mut |finding| {
        if !json {
            console.finding(finding);
        }
    });
    let exit = check::verdict(&findings).unwrap_or(Exit::Success);
    let text = match json {
        true => Report::new(&scene, None, &findings, began).with_exit(exit).to_json(),
        false => tell_remedies(&scene, &findings, &mut console),
    };
    Ok(Answer { text, exit })
}

fn tell_remedies(scene: &Scene, findings: &[Finding], console: &mut Console) -> String {
    if let Some(remedies) = report::remedies(findings, &scene.command) {
        console.remedies(&remedies);
    }
    if findings.is_empty() {
        console.line("nothing to check: no data, output or code is configured, and no GPU is asked for");
    }
    String::new()
}

/// The ids of a family, for `--only`.
pub fn family(name: &str) -> Vec<String> {
    let ids = check::checks().map(|check| check.id.to_owned());
    ids.filter(|id| id.split_once('.').is_some_and(|(family, _)| family == name)).collect()
}

/// What the checks, and other sub-commands, look at. The working directory is entered, as at a start.
pub(super) fn scene(asked: &Asked) -> Result<Scene> {
    let loaded = asked.load()?;
    std::env::set_current_dir(&loaded.workdir).map_err(|error| {
        let what = format!("cannot enter the working directory {}", loaded.workdir.display());
        Error::new(Exit::Permanent(crate::exit::Family::Code), what).because(error.to_string())
    })?;
    let command = loaded.settings.command.iter().map(Into::into).collect();
    Ok(Scene {
        root: crate::sys::Root::real(),
        environment: asked.environment.clone(),
        workdir: loaded.workdir,
        code: loaded.code,
        command,
        settings: loaded.settings,
    })
}
