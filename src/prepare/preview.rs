//! The environment that a start would give its workload, without a start: for sessions beside a container's first process, and for
//! platforms that replace it. Nothing is installed and no hook runs.

use super::outputs::Outputs;
use super::policy::Grace;
use super::resume;
use crate::check::{self, Scene};
use crate::config::{self, Sources};
use crate::deps;
use crate::environment::Environment;
use crate::error::Result;
use crate::handover::Kind;
use crate::mode::Plan;
use crate::sys::Root;
use std::collections::BTreeMap;
use std::path::Path;

/// What a start says about itself alone.
const OF_A_START: [&str; 3] = ["TRAINIT", "TRAINIT_ATTEMPT", "TRAINIT_RUN_MODE"];

/// The environment, and a line about what it lacks.
///
/// # Errors
/// Whatever of it a start would fail for.
pub fn preview(sources: &Sources<'_>, run_dir: Option<&Path>) -> Result<(Environment, Option<String>)> {
    let inherited = sources.environment;
    let loaded = config::load(sources)?;
    let command = loaded.settings.command.iter().map(Into::into).collect();
    let plan = Plan { command, by_name: true, ..Plan::default() };
    let grace = Grace::known(&loaded.settings, &Root::real(), inherited);
    let mut scene = Scene::of(loaded, inherited.clone(), plan.command.clone());
    let identity = scene.identity(inherited)?;
    scene.become_user(identity, &BTreeMap::new())?;
    scene.add_secrets(&BTreeMap::new())?;
    // Nothing of it is judged here; the code's commit, and whose it is, is found by its checks.
    let findings = check::run(&scene, Some(&["code".to_owned()]), &mut || {}, &mut |_| {});
    let outcome = deps::settled(&request(&scene, &plan))?;
    let note = outcome.is_none().then(|| "the dependencies are not installed yet: trainit deps install".to_owned());
    let outputs = Outputs {
        plan: &plan,
        attempt: 1,
        run_dir,
        changes: outcome.map_or(Vec::new(), |outcome| outcome.environment().to_vec()),
        resumed: &resume::resume(&scene.settings, &scene.mounts)?,
        provenance: check::provenance(&findings),
        grace: grace.time,
    };
    let mut environment = outputs.add_to(scene.environment.clone());
    for name in OF_A_START {
        match inherited.get(name) {
            Some(value) => environment.set(name, value),
            None => environment.remove(name),
        }
    }
    Ok((environment, note))
}

fn request<'a>(scene: &'a Scene, plan: &'a Plan) -> deps::Request<'a> {
    deps::Request {
        root: &scene.root,
        settings: &scene.settings,
        environment: &scene.environment,
        workdir: scene.workdir.clone(),
        code: scene.code.clone(),
        command: &plan.command,
        by_mode: true,
        kind: Kind::default(),
    }
}
