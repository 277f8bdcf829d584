//! `trainit deps install|status|freeze|prune`: the dependency step alone.

use super::{CommandInput, CommandOutput};
use crate::check::CheckContext;
use crate::deps::{self, DepsOutcome, DepsRequest, DepsStatus, names};
use crate::error::Result;
use crate::report::Console;
use protocol::exit_code::Exit;
use protocol::handover::WorkloadKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// Installs what the next start would install.
///
/// # Errors
/// An invalid configuration (78), or requirements that cannot be installed (116, 216).
pub(super) fn install(asked: &CommandInput) -> Result<CommandOutput> {
    let scene = context(asked)?;
    let mut console = Console::new(&scene.settings, scene.host_facts());
    let outcome = deps::ensure(&request(&scene), &mut |line| console.line(line))?;
    console.line(&summary(&outcome));
    for (name, value) in outcome.environment() {
        console.line(&format!("a start sets {}={}", name.display(), value.display()));
    }
    Ok(CommandOutput::well(""))
}

/// Reports whether the next start would install (exit code 1) or not (0).
///
/// # Errors
/// An invalid configuration (78), unreadable files, or a missing Python (116).
pub(super) fn status(asked: &CommandInput) -> Result<CommandOutput> {
    let scene = context(asked)?;
    let Some(status) = deps::status(&request(&scene))? else { return Ok(CommandOutput::well("nothing to install")) };
    let exit = if status.current { Exit::Success } else { Exit::Failure };
    Ok(CommandOutput { text: text(&status), exit })
}

/// Lists what the workload's Python can import, as a requirements file.
///
/// # Errors
/// An invalid configuration (78), or a missing Python (116).
pub(super) fn freeze(asked: &CommandInput) -> Result<CommandOutput> {
    let scene = context(asked)?;
    Ok(CommandOutput::well(deps::freeze(&request(&scene))?.text))
}

/// Removes unused entries of the store and unused overlays.
///
/// # Errors
/// An invalid configuration (78).
pub(super) fn prune(asked: &CommandInput, unused: Option<Duration>, dry: bool) -> Result<CommandOutput> {
    let scene = context(asked)?;
    let taken = deps::prune(&request(&scene), unused, dry);
    let bytes = text::size(taken.iter().map(|taken| taken.bytes).sum());
    let would = if dry { "would be " } else { "" };
    let mut lines: Vec<_> = taken.iter().map(|taken| format!("{would}{}", taken.words())).collect();
    lines.push(format!("{}, {bytes}", text::count(taken.len() as u64, "item")));
    Ok(CommandOutput::well(lines.join("\n")))
}

fn context(asked: &CommandInput) -> Result<CheckContext> {
    let mut scene = super::check::context(asked)?;
    scene.add_secrets(&BTreeMap::new())?;
    Ok(scene)
}

/// Requests the step whether or not the command is a Python program: the user asked for it by name.
fn request(scene: &CheckContext) -> DepsRequest<'_> {
    DepsRequest {
        root: &scene.root,
        settings: &scene.settings,
        environment: &scene.environment,
        workdir: scene.workdir.clone(),
        code: scene.code.clone(),
        command: &scene.command,
        by_mode: true,
        kind: WorkloadKind::default(),
    }
}

fn summary(outcome: &DepsOutcome) -> String {
    let words = outcome.words().unwrap_or_else(|| "nothing to install".to_owned());
    match outcome {
        DepsOutcome::Installed { took, .. } | DepsOutcome::Unpacked { took, .. } => {
            format!("{words} in {:.1} s", took.as_secs_f32())
        }
        _ => words,
    }
}

fn text(status: &DepsStatus) -> String {
    let mut lines = vec![
        format!("files      {}", names(&status.files)),
        format!("python     {} (named by {})", status.python.display(), status.named_by),
        format!("packages   {}", status.packages.display()),
    ];
    lines.extend(status.store.iter().map(|store| format!("store      {store}")));
    lines.extend(status.layers.iter().map(|layers| format!("layers     {layers}")));
    lines.extend(status.installer.iter().map(|installer| format!("installer  {installer}")));
    lines.push(format!("state      {}", status.why.as_deref().unwrap_or("up to date")));
    lines.join("\n")
}
