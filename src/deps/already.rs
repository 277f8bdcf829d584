//! Checks whether all requirements are installed already, although no stamp says so. That is the case in the first start of an image with
//! the packages, after an equivalent change of the requirements, and after a manual `pip install`. The check takes milliseconds where an
//! installer takes a second.

use super::imports::{self, Imports};
use super::inputs;
use super::pip::{self, PipSetting};
use super::python::Python;
use super::stamp::{PackageSetDir, Stamp};
use super::target;
use super::wanted::WantedPackages;
use super::{DepsOutcome, cache_dirs, translate};
use crate::config::Refresh;
use requirements::installed::{Distribution, Folders};
use requirements::{Question, RequestedBy, Satisfaction};
use std::path::PathBuf;
use text::is_secret;

/// Prefixes of uv's variables that do not decide whether an installed package is good enough. Constraints are read in this module.
const NO_SAY: [&str; 28] = [
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_BUILD_CONSTRAINT",
    "UV_CACHE_DIR",
    "UV_COMPILE_",
    "UV_CONCURRENT_",
    "UV_CONSTRAINT",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_GIT_",
    "UV_HTTP_",
    "UV_INDEX",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_LINK_MODE",
    "UV_LOCK_",
    "UV_LOG_",
    "UV_NATIVE_TLS",
    "UV_NO_BUILD",
    "UV_NO_CACHE",
    "UV_NO_PROGRESS",
    "UV_OFFLINE",
    "UV_PRERELEASE",
    "UV_PYTHON",
    "UV_REQUIRE_HASHES",
    "UV_RUN_",
    "UV_SYSTEM_",
    "UV_TOOL_",
];

/// The installer's name in the stamp when nothing had to be installed.
const NOBODY: &str = "nobody: everything was there";

/// Returns the outcome if nothing changed since the last installation; `tell` gets a line for each hidden package.
pub(super) fn unchanged(
    wanted: &WantedPackages<'_>,
    python: &Python,
    folders: &Folders,
    tell: &mut dyn FnMut(&str),
) -> Option<DepsOutcome> {
    let layer = wanted.current(python, folders)?.layer;
    imports::hidden(wanted, python, layer.as_ref(), folders).iter().for_each(|line| tell(line));
    Some(DepsOutcome::Unchanged {
        files: wanted.selection.files.clone(),
        environment: layer.map(|layer| layer.environment(wanted.request.environment)).unwrap_or_default(),
    })
}

/// Checks the installed packages; `tell` gets a line for each protected package that differs from its requirement.
pub(super) fn look(
    wanted: &WantedPackages<'_>,
    python: &Python,
    folders: &Folders,
    tell: &mut dyn FnMut(&str),
) -> Satisfaction {
    let (request, home) = (wanted.request, PackageSetDir(python.own_directory()));
    if home.unfinished().is_some() {
        return Satisfaction::Unknown("an installation was not finished".to_owned());
    }
    if request.settings.deps_refresh.value != Refresh::Never {
        return Satisfaction::Unknown("deps.refresh asks for newer versions".to_owned());
    }
    let settings = pip::settings(request.root, request.environment, python);
    if let Some(setting) = with_a_say(wanted, &settings) {
        return Satisfaction::Unknown(format!("{setting} is set"));
    }
    let Ok(more) = inputs::constraints(&constraint_files(wanted, &settings), request.environment) else {
        return Satisfaction::Unknown("a file of constraints cannot be read".to_owned());
    };
    if let Some(doubt) = wanted.inputs.doubt.clone().or(more.doubt) {
        return Satisfaction::Unknown(doubt);
    }
    let kept = wanted.kept(python, &settings, folders, false);
    let imports = Imports::of(wanted, python, None, &kept, folders);
    let answer = requirements::answer(&Question {
        asked: &wanted.inputs.asked,
        constraints: &[wanted.inputs.constraints.as_slice(), more.constraints.as_slice()].concat(),
        installed: &imports.installed,
        environment: &python.markers,
        stays: &|found: &Distribution| kept.is_own(found),
    });
    if matches!(answer, Satisfaction::Yes(_)) {
        wanted.refusals(&kept.without_hidden(&imports.installed), wanted.asked()).iter().for_each(|line| tell(line));
        imports.hidden().iter().chain(&imports.shadowed()).for_each(|line| tell(line));
    }
    answer
}

/// Lists all constraints; those in a file that cannot be read are left out.
pub(super) fn constraints(wanted: &WantedPackages<'_>, settings: &[PipSetting]) -> Vec<RequestedBy> {
    let more = inputs::constraints(&constraint_files(wanted, settings), wanted.request.environment);
    [wanted.inputs.constraints.as_slice(), &more.map(|more| more.constraints).unwrap_or_default()].concat()
}

/// Returns the first setting that is unknown or may make an installer replace an installed package.
pub(super) fn with_a_say(wanted: &WantedPackages<'_>, settings: &[PipSetting]) -> Option<String> {
    let pip = settings.iter().find(|setting| !translate::is_known(&setting.name)).map(|setting| setting.name.clone());
    let names = wanted.request.environment.iter().filter_map(|(name, _)| name.to_str());
    let mut uv = names.filter(|name| name.starts_with("UV_") && !is_secret(name));
    pip.or_else(|| uv.find(|name| !NO_SAY.iter().any(|start| name.starts_with(start))).map(str::to_owned))
}

/// Lists the files of constraints that pip's settings and uv's variables name.
fn constraint_files(wanted: &WantedPackages<'_>, settings: &[PipSetting]) -> Vec<PathBuf> {
    let pip = settings.iter().filter(|setting| setting.name == "constraint").map(|setting| setting.value.as_str());
    let names = pip.chain(wanted.request.environment.text("UV_CONSTRAINT")).flat_map(str::split_whitespace);
    names.map(|name| wanted.beside().join(name)).collect()
}

/// Returns the outcome for satisfied requirements, and writes a stamp so that the next start need not check. With `asked` the interpreter
/// was asked in this start, so its answer is written down as well.
pub(super) fn settle(
    wanted: &WantedPackages<'_>,
    python: &Python,
    asked: bool,
    folders: &Folders,
    requirements: usize,
) -> DepsOutcome {
    let (request, files) = (wanted.request, wanted.selection.files.clone());
    let note = || {
        let stamp = Stamp::new(wanted.parts(python, &[], folders), files.clone(), NOBODY.to_owned());
        if asked {
            python.remember();
        }
        PackageSetDir(python.own_directory()).note(&stamp).is_ok()
    };
    let own = target::is_for_us(&request.settings.deps_target, python, request.root, request.environment);
    if !(own && note()) && asked {
        // The directory of packages belongs to another user. Checking again is cheap, asking the interpreter again is not.
        cache_dirs::writable(request.environment).iter().for_each(|place| python.remember_in(place));
    }
    DepsOutcome::Satisfied { files, requirements }
}
