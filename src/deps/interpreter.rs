//! Finds the Python that the requirements are for: the interpreter that will run the workload.

use super::DepsRequest;
use super::run;
use super::starts::{self, Lookup, Starts};
use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest wait for a shim to name its interpreter.
const ANSWER: Duration = Duration::from_secs(60);

/// What named an interpreter that was found on PATH.
pub(super) const BY_PATH: &str = "PATH";

/// An interpreter, and the reason for its choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The absolute path, with links unresolved: a virtual environment is found by the location of its link.
    pub path: PathBuf,
    /// The origin of the choice.
    pub named_by: &'static str,
}

/// Finds the interpreter.
///
/// # Errors
/// Fails if no interpreter is found, or if `deps.python` does not name one (116).
pub(super) fn find(request: &DepsRequest<'_>) -> Result<Interpreter> {
    let lookup = lookup(request);
    if let Some(wanted) = &request.settings.deps_python.value {
        let path = lookup.program(wanted).and_then(|path| behind(request, path));
        let found = path.map(|path| Interpreter { path, named_by: "deps.python" });
        return found.ok_or_else(|| not_there(wanted, &request.settings.deps_python.origin.to_string()));
    }
    candidates(request)
        .into_iter()
        .find_map(|(named_by, path)| Some(Interpreter { path: behind(request, path)?, named_by }))
        .ok_or_else(none)
}

/// Returns where the workload's programs are looked up.
pub(super) fn lookup<'a>(request: &'a DepsRequest<'_>) -> Lookup<'a> {
    Lookup { path: request.environment.get("PATH"), workdir: &request.workdir }
}

fn candidates(request: &DepsRequest<'_>) -> Vec<(&'static str, PathBuf)> {
    let lookup = lookup(request);
    let own = match starts::look(request.command, lookup) {
        Starts::Python(path) => path,
        Starts::Other => None,
    };
    let inside = |name| request.environment.get(name).map(|prefix| Path::new(prefix).join("bin/python"));
    let all = [
        ("the command", own),
        ("VIRTUAL_ENV", inside("VIRTUAL_ENV")),
        ("CONDA_PREFIX", inside("CONDA_PREFIX")),
        (BY_PATH, lookup.program("python3")),
        (BY_PATH, lookup.program("python")),
    ];
    all.into_iter().filter_map(|(named_by, path)| Some((named_by, lookup.program(path?)?))).collect()
}

/// Returns the interpreter behind a shim. A shim is a shell script that picks a version by directory and variables, so it is run.
fn behind(request: &DepsRequest<'_>, path: PathBuf) -> Option<PathBuf> {
    if !starts::is_script(&path) {
        return Some(path);
    }
    let mut command = Command::new(&path);
    command.args(["-E", "-c", "import sys; print('\\n' + sys.executable)"]).current_dir(&request.workdir);
    run::with_environment(&mut command, request.environment);
    let answer = run::capture(command, Some(Instant::now() + ANSWER)).ok().filter(|answer| answer.succeeded())?;
    answer.output.lines().rev().map(PathBuf::from).find(|line| line.is_absolute())
}

fn not_there(wanted: &Path, origin: &str) -> Error {
    Error::new(
        ErrorKind::Permanent(FailureFamily::Deps),
        format!("deps.python names {}, which is no program here", wanted.display()),
    )
    .because(format!("set by {origin}"))
    .hint("name the interpreter that runs the workload, or leave deps.python away")
}

fn none() -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::Deps), "there are requirements to install, but no Python")
        .because("neither the command, VIRTUAL_ENV, CONDA_PREFIX nor PATH leads to an interpreter")
        .hint("name it: TRAINIT_DEPS_PYTHON=/path/to/python")
        .hint("or install nothing: TRAINIT_DEPS_REQUIREMENTS=off")
}
