//! The environment that a start would give its workload, without a start: nothing is installed and no hook runs.
//!
//! Sessions beside a container's first process use it, and platforms that replace that process.

use super::cluster::{self, Cluster};
use super::dependencies::request;
use super::outputs::{self, Outputs};
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

/// Variables that a start sets about itself.
const OF_A_START: [&str; 3] = ["TRAINIT", "TRAINIT_ATTEMPT", "TRAINIT_RUN_MODE"];

/// Returns the environment, and a line about its gaps.
///
/// # Errors
/// Any error in these steps that a start would fail for, too.
pub(crate) fn preview(sources: &ConfigSources<'_>, run_dir: Option<&Path>) -> Result<(Environment, Option<String>)> {
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
    outputs::unset_named(&mut environment);
    for name in OF_A_START {
        match inherited.get(name) {
            Some(value) => environment.set(name, value),
            None => environment.remove(name),
        }
    }
    Ok((environment, note))
}

/// Returns the environment for the shell of a user other than the workload's: the variables of the image and of the container's start.
///
/// The code's variables, the PATH and the HOME of the workload's user, and secrets are for that user alone.
fn for_others(settings: &Settings, user: u32, inherited: &Environment) -> (Environment, Option<String>) {
    let mut environment = inherited.clone();
    settings.pin(&mut environment);
    EnvValue::add_all(&settings.env, &mut environment);
    let note = format!(
        "this shell is not the workload's user: it gets only what the image sets (it has to be opened as {user})"
    );
    (environment, Some(note))
}

/// Returns the workload's environment as it can be found without installing anything.
///
/// # Errors
/// Any error in these steps that a start would fail for, too.
pub(super) fn found(
    context: &CheckContext,
    plan: &Plan,
    dependencies: Option<&deps::DepsOutcome>,
    attempt: u32,
    run_dir: Option<&Path>,
    grace: Option<Duration>,
) -> Result<Environment> {
    // Only the `code` checks run, because they find the commit and its owner; their findings are not judged here.
    let findings = check::run(context, Some(&["code".to_owned()]), &mut || {}, &mut |_| {});
    let outputs = Outputs {
        plan,
        attempt,
        run_dir,
        changes: dependencies.map_or(Vec::new(), |outcome| outcome.environment().to_vec()),
        resumed: &resume::resume(&context.settings, &context.mounts, 0)?,
        provenance: check::provenance(&findings),
        grace,
    };
    let mut environment = outputs.add_to(context.environment.clone());
    let world = cluster::find(context, plan);
    Cluster::new(world.as_ref(), context, &environment, &plan.command).add_to(&mut environment);
    Ok(environment)
}
