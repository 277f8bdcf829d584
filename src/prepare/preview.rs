//! The environment that a start would give its workload, without a start: for sessions beside a container's first process, and for
//! platforms that replace it. Nothing is installed and no hook runs.

use super::dependencies::request;
use super::outputs::Outputs;
use super::policy::StopGrace;
use super::resume;
use crate::check::{self, CheckContext};
use crate::config::{ConfigSources, EnvValue, Settings};
use crate::deps;
use crate::error::Result;
use crate::mode::Plan;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use sys::Root;
use sys::environment::Environment;

/// What a start says about itself alone.
const OF_A_START: [&str; 3] = ["TRAINIT", "TRAINIT_ATTEMPT", "TRAINIT_RUN_MODE"];

/// The environment, and a line about what it lacks.
///
/// # Errors
/// Whatever of it a start would fail for.
pub fn preview(sources: &ConfigSources<'_>, run_dir: Option<&Path>) -> Result<(Environment, Option<String>)> {
    let mut inherited = sources.environment.clone();
    let settled = check::settle(sources)?;
    if let Some(user) = settled.another() {
        return Ok(for_others(&settled.settings, user, &inherited));
    }
    let (loaded, entered) = settled.load()?;
    loaded.settings.pin(&mut inherited);
    let command = loaded.settings.command.iter().map(Into::into).collect();
    let plan = Plan { command, by_name: true, ..Plan::default() };
    let grace = StopGrace::known(&loaded.settings, &Root::real(), &inherited);
    let mut context = CheckContext::of(loaded, inherited.clone(), plan.command.clone());
    context.at_home(entered, &BTreeMap::new());
    context.add_secrets(&BTreeMap::new())?;
    check::forward_compat(&mut context);
    let outcome = deps::settled(&request(&context, &plan))?;
    let note = outcome.is_none().then(|| "the dependencies are not installed yet: trainit deps install".to_owned());
    let mut environment = found(&context, &plan, outcome.as_ref(), 1, run_dir, grace.time)?;
    for name in OF_A_START {
        match inherited.get(name) {
            Some(value) => environment.set(name, value),
            None => environment.remove(name),
        }
    }
    Ok((environment, note))
}

/// What the shell of another user than the workload's gets: the variables of the image and of who started the container. The code's
/// own, a PATH or a HOME that belongs to the workload's user, and secrets are that user's alone.
fn for_others(settings: &Settings, user: u32, inherited: &Environment) -> (Environment, Option<String>) {
    let mut environment = inherited.clone();
    settings.pin(&mut environment);
    EnvValue::add_all(&settings.env, &mut environment);
    let note =
        format!("this shell is not the workload's user: it gets only what the image sets (docker exec -u {user})");
    (environment, Some(note))
}

/// The workload's environment as it is found, with nothing done for it.
///
/// # Errors
/// Whatever of it a start would fail for.
pub(super) fn found(
    context: &CheckContext,
    plan: &Plan,
    dependencies: Option<&deps::DepsOutcome>,
    attempt: u32,
    run_dir: Option<&Path>,
    grace: Option<Duration>,
) -> Result<Environment> {
    // Nothing of it is judged here; the code's commit, and whose it is, is found by its checks.
    let findings = check::run(context, Some(&["code".to_owned()]), &mut || {}, &mut |_| {});
    let outputs = Outputs {
        plan,
        attempt,
        run_dir,
        changes: dependencies.map_or(Vec::new(), |outcome| outcome.environment().to_vec()),
        resumed: &resume::resume(&context.settings, &context.mounts)?,
        provenance: check::provenance(&findings),
        grace,
    };
    Ok(outputs.add_to(context.environment.clone()))
}
