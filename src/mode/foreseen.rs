//! Which program of a built-in mode is going to start, as far as that is known before dependencies are installed.

use super::builtin::Builtin;
use super::{ModeFacts, is_plain};
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Returns the first program of a mode that is there: on PATH, or a server's beside the interpreter.
///
/// # Errors
/// None is there, and no installation can bring one (127).
pub(super) fn first_program(mode: &Builtin, settings: &Settings, facts: ModeFacts<'_>) -> Result<OsString> {
    let candidate = |name: &&str| match *name {
        "$SHELL" => (facts.shell)().filter(|shell| !is_plain(shell)),
        name => Some(OsString::from(name)),
    };
    let found = mode.commands.iter().filter_map(candidate).find(|name| match mode.server {
        Some(_) => is_there(Path::new(name), settings, facts),
        None => facts.program(name).is_some(),
    });
    // The dependencies may bring the server's program, so its absence shows only when the server is set up.
    let later = mode.server.and(mode.commands.first()).map(OsString::from);
    found.or(later).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("mode {} has nothing to start: no {} in this image", mode.name, mode.commands[1..].join(", no ")),
        )
        .hint("name a command, such as bash")
    })
}

/// Returns whether an installation may still decide which program a mode's server is: none is there, or one that comes later in the
/// mode's list while packages for the server are installed.
pub(super) fn is_open(mode: &Builtin, settings: &Settings, facts: ModeFacts<'_>) -> bool {
    let Some(server) = mode.server.filter(|server| (server.program)(settings, facts.environment).is_none()) else {
        return false;
    };
    match mode.commands.iter().position(|name| is_there(Path::new(name), settings, facts)) {
        Some(0) => false,
        Some(_) => !(server.packages)(settings).is_empty(),
        None => true,
    }
}

fn is_there(name: &Path, settings: &Settings, facts: ModeFacts<'_>) -> bool {
    let beside = || facts.program(interpreter_dir(settings, facts)?.join(name));
    facts.program(name).or_else(beside).is_some()
}

/// Returns the directory of an interpreter that is named by a setting or a variable; that of one on PATH is on PATH.
fn interpreter_dir(settings: &Settings, facts: ModeFacts<'_>) -> Option<PathBuf> {
    if let Some(python) = &settings.deps_python.value {
        return facts.program(python)?.parent().map(Path::to_owned);
    }
    let inside = |name: &str| Some(Path::new(facts.environment.get(name)?).join("bin"));
    let found = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(inside);
    found.into_iter().find(|bin| facts.program(bin.join("python")).is_some())
}
