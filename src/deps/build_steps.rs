//! Carries out what a missing module of a build asks for: shows the installed packages to the build, or says what to add. The image's own
//! torch is what such a build is for, so that nothing is said of installing or replacing it.

use super::build_plan::{BuildPlan, BuildStep, MissingModule};
use super::failure::InstallFailure;
use super::installation::Installation;
use super::refusal::permanent;
use super::{names, run};
use crate::error::{Error, Result};
use requirements::packaging::{Name, Requirement};
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest wait for Python to look for a module.
const ANSWER: Duration = Duration::from_secs(60);

/// The exit code for a module that is there.
const THERE: &str = "import sys; sys.path[:] = [p for p in sys.path if p]; import importlib.util; \
    sys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 1)";

/// Chooses the next step after a build did not find a module, and says it.
///
/// # Errors
/// Fails if no step can help (116).
pub(super) fn next(
    job: &Installation<'_>,
    builds: &mut BuildPlan,
    missing: &MissingModule,
    failure: &InstallFailure,
    asked: &[(String, String)],
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let (who, module, project) = (missing.who(), &missing.module, project_of(&missing.module));
    let named = |text: &str| Requirement::parse(text).is_some_and(|asks| Some(asks.name) == Name::parse(&project));
    let own = job.wanted.inputs.asked.iter().map(|ask| ask.text.as_str());
    let is_asked = own.chain(asked.iter().map(|(_, text)| text.as_str())).any(named);
    let is_there = is_installed(job, module);
    match builds.next(missing, is_there, is_asked) {
        BuildStep::Share => {
            tell(&format!(
                "the build of {who} needs {module}: it is built again without isolation, with what is installed"
            ));
            Ok(())
        }
        BuildStep::Postpone => {
            tell(&format!(
                "the build of {who} needs {module}, which the requirements bring: all others are installed first"
            ));
            Ok(())
        }
        BuildStep::GiveUp => Err(given_up(job, missing, failure, is_there, is_asked)),
    }
}

/// Checks whether the interpreter that is installed for finds a module.
fn is_installed(job: &Installation<'_>, module: &str) -> bool {
    let mut command = Command::new(&job.target.executable);
    command.args(["-c", THERE, module]);
    run::with_environment(&mut command, job.wanted.request.environment);
    run::capture(command, Some(Instant::now() + ANSWER)).is_ok_and(|answer| answer.succeeded())
}

/// Returns the project that brings a module, where the two have different names.
fn project_of(module: &str) -> String {
    match module {
        "pkg_resources" => "setuptools",
        "Crypto" => "pycryptodome",
        "yaml" => "pyyaml",
        "skbuild" => "scikit-build",
        "mesonpy" => "meson-python",
        "flit_core" => "flit-core",
        "poetry" => "poetry-core",
        module => module,
    }
    .to_owned()
}

fn given_up(
    job: &Installation<'_>,
    missing: &MissingModule,
    failure: &InstallFailure,
    is_there: bool,
    is_asked: bool,
) -> Error {
    let (who, module, project) = (missing.who(), &missing.module, project_of(&missing.module));
    let files = names(&job.wanted.selection.files);
    let python = job.target.executable.display();
    let state = match is_there {
        true => format!("does not find it, although {python} does"),
        false => format!("{python} does not have it either"),
    };
    let what = format!("{files} cannot be installed: the build of {who} needs the module {module}");
    let error = permanent(what).because(format!("{state}; {}", failure.lines.join("; ")));
    let error = match (missing.package.is_some(), is_there || is_asked) {
        (true, false) => {
            error.hint(format!("add {project} to the requirements: then it is installed before {who} is built"))
        }
        _ => error.hint(format!(
            "put {project} into the image, or into build-system.requires of the package's pyproject.toml"
        )),
    };
    error.hint("or take a version that has a wheel for this Python")
}
