//! The preparation of a sidecar, a mode that runs beside the main one.
//!
//! The main mode has checked and installed already. This pipeline only finds the same user, directory and environment, and repeats no
//! question.

use super::dependencies::request;
use super::enter;
use super::hooks::HookStage;
use super::launch;
use super::outputs;
use super::pipeline;
use super::policy::StopGrace;
use super::preparation::{Preparation, PreparedWorkload};
use super::preview;
use super::server_setup::ServerWanted;
use super::{host, login, login_shells, refuse};
use crate::check;
use crate::error::Result;
use crate::report::Console;
use crate::{deps, mode};
use protocol::handover::HandoverWriter;
use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;
use supervisor::SidecarArgs;
use sys::environment::Environment;
use sys::{Args, Root, heap, process, signal};

/// Prepares and becomes the sidecar; returns only with a failure's exit code.
pub(crate) fn sidecar(args: Args, beside: &SidecarArgs<'_>) -> u8 {
    heap::expect_short_life();
    // No person types for a sidecar, and its output is no part of the main mode's.
    process::detach_stdio();
    signal::set_mask(0);
    let mut preparation = Preparation::new(HandoverWriter::none(), Instant::now(), beside.attempt);
    let error = match run(&mut preparation, &args.to_vec(), beside) {
        Ok(ready) => launch::launch(&ready, &preparation.handover, &beside.inherited),
        Err(error) => error,
    };
    refuse(&mut preparation, &error)
}

fn run(preparation: &mut Preparation, words: &[OsString], beside: &SidecarArgs<'_>) -> Result<PreparedWorkload> {
    let mut inherited = Environment::inherited();
    let (loaded, entered) = enter::load(words, &inherited)?;
    loaded.settings.pin(&mut inherited);
    let plan =
        enter::decide(&loaded, &entered, &inherited, |facts| mode::sidecar(beside.mode, &loaded.settings, facts))?;
    let grace = StopGrace::known(&loaded.settings, &Root::real(), &inherited);
    let mut context = enter::check_context(loaded, &plan, inherited.clone());
    // The main mode has logged everything that is well.
    preparation.console = Console::new(&context.settings, context.host_facts()).only_trouble();
    context.at_home(entered, &plan.env);
    context.add_secrets(&plan.env)?;
    preparation.hook(HookStage::BeforeChecks, &context.settings, &plan.command, &mut context.environment)?;
    check::forward_compat(&mut context);
    pipeline::enter(&context, &context.workdir)?;
    let run_dir = beside.run_dir.map(Path::new);
    // The main mode has logged missing dependencies.
    let installed = deps::settled(&request(&context, &plan)).ok().flatten();
    let mut environment = preview::found(&context, &plan, installed.as_ref(), beside.attempt, run_dir, grace.time)?;
    host::share_cpus(&context, &mut environment);
    preparation.hook(HookStage::BeforeStart, &context.settings, &plan.command, &mut environment)?;
    outputs::unset_named(&mut environment);
    preparation.console = Console::new(&context.settings, context.host_facts());
    let wanted = ServerWanted { plan: &plan, request: request(&context, &plan), run_dir, grace: grace.time };
    login::log_in(&plan, None, &mut environment);
    let command = preparation.set_up_server(&context, &wanted, plan.command.clone(), &mut environment)?;
    login_shells::keep_path(&context, &plan, run_dir, &mut environment);
    host::raise_limits(&context.settings);
    preparation.console.line(&format!("sidecar {}: {}", plan.mode, text::command(&command)));
    Ok(PreparedWorkload { command, environment })
}
