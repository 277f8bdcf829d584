//! A companion's first life: a short story for a mode that runs beside the main one. The main one has checked and installed; here the same
//! user, directory and environment are come by, and nothing is asked twice.

use super::dress::Wanted;
use super::enter;
use super::hooks::Stage;
use super::launch;
use super::policy::Grace;
use super::preview;
use super::story::{self, Ready, Story};
use super::{host, person, refuse};
use crate::check;
use crate::error::Result;
use crate::report::Console;
use crate::{deps, mode};
use protocol::handover::Door;
use std::ffi::{OsString, c_int};
use std::path::Path;
use std::time::Instant;
use supervisor::Beside;
use sys::environment::Environment;
use sys::{Args, Root, heap, process, signal};

/// Prepares and becomes the companion. Returns only with a failure's exit code.
pub fn companion(args: Args, beside: &Beside<'_>) -> c_int {
    heap::live_briefly();
    // Nobody types for it, and what it prints is no part of what the main one does.
    process::detach_stdio();
    signal::set_mask(0);
    let mut story = Story::new(Door::none(), Instant::now(), beside.attempt);
    let error = match tell(&mut story, &args.to_vec(), beside) {
        Ok(ready) => launch::launch(&ready, &story.door, &beside.inherited),
        Err(error) => error,
    };
    refuse(&mut story, &error)
}

fn tell(story: &mut Story, words: &[OsString], beside: &Beside<'_>) -> Result<Ready> {
    let mut inherited = Environment::inherited();
    let (loaded, entered) = enter::load(words, &inherited)?;
    loaded.settings.pin(&mut inherited);
    let plan =
        enter::decide(&loaded, &entered, &inherited, |facts| mode::companion(beside.mode, &loaded.settings, facts))?;
    let grace = Grace::known(&loaded.settings, &Root::real(), &inherited);
    let mut scene = story::scene(loaded, &plan, inherited.clone());
    // What is well has been told by the main one.
    story.console = Console::new(&scene.settings, scene.ground()).only_trouble();
    scene.at_home(entered, &plan.env);
    scene.add_secrets(&plan.env)?;
    story.hook(Stage::BeforeChecks, &scene.settings, &plan.command, &mut scene.environment)?;
    check::forward_compat(&mut scene);
    story::enter(&scene, &scene.workdir)?;
    let run_dir = beside.run_dir.map(Path::new);
    // Those that are not there have been told by the main one.
    let installed = deps::settled(&story::request(&scene, &plan)).ok().flatten();
    let mut environment = preview::found(&scene, &plan, installed.as_ref(), beside.attempt, run_dir, grace.time)?;
    host::share_cpus(&scene, &mut environment);
    story.hook(Stage::BeforeStart, &scene.settings, &plan.command, &mut environment)?;
    story.console = Console::new(&scene.settings, scene.ground());
    let wanted = Wanted { plan: &plan, request: story::request(&scene, &plan), run_dir, grace: grace.time };
    person::log_in(&plan, None, &mut environment);
    let command = story.dress(&scene, &wanted, plan.command.clone(), &mut environment)?;
    host::raise_limits(&scene.settings);
    story.console.line(&format!("companion {}: {}", plan.mode, text::command(&command)));
    Ok(Ready { command, environment })
}
