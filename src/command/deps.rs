//! `trainit deps install|status`: the dependency step alone.

use crate::deps::{self, Outcome, Request, Status};
use crate::error::Result;
use crate::exit::Exit;

/// Installs what the next start would, whatever the command would be. `tell` gets the lines.
///
/// # Errors
/// As `deps::ensure`.
pub fn install(request: &Request<'_>, tell: &mut dyn FnMut(&str)) -> Result<Exit> {
    let outcome = deps::ensure(&as_asked(request), tell)?;
    tell(&summary(&outcome));
    for (name, value) in outcome.environment() {
        tell(&format!("a start sets {}={}", name.display(), value.display()));
    }
    Ok(Exit::Success)
}

/// Says whether the next start would install: 0 if not, 1 if it would.
///
/// # Errors
/// As `deps::status`.
pub fn status(request: &Request<'_>, tell: &mut dyn FnMut(&str)) -> Result<Exit> {
    let Some(status) = deps::status(&as_asked(request))? else {
        tell("nothing to install");
        return Ok(Exit::Success);
    };
    lines(&status).iter().for_each(|line| tell(line));
    Ok(if status.current { Exit::Success } else { Exit::Failure })
}

/// Who asks for the step by name wants it, whether or not Python would start.
fn as_asked<'a>(request: &Request<'a>) -> Request<'a> {
    Request { by_mode: true, ..request.clone() }
}

fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Nothing => "nothing to install".to_owned(),
        Outcome::Unchanged { files, .. } => format!("unchanged: {}", names(files)),
        Outcome::Installed { files, installer, took, .. } => {
            format!("installed {} with {installer} in {:.1} s", names(files), took.as_secs_f32())
        }
    }
}

fn lines(status: &Status) -> Vec<String> {
    let mut lines = vec![
        format!("files      {}", names(&status.files)),
        format!("python     {} (named by {})", status.python.display(), status.named_by),
        format!("packages   {}", status.packages.display()),
    ];
    lines.extend(status.installer.iter().map(|installer| format!("installer  {installer}")));
    lines.push(format!("state      {}", status.why.as_deref().unwrap_or("up to date")));
    lines
}

fn names(files: &[std::path::PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
}
