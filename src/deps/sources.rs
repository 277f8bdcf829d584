//! Enforces an index that the image's author has locked. Variables, installers' own files and options in requirement files that contradict
//! the lock are ignored or end the start.

use super::inputs::{self, Inputs};
use super::source_mention::{SourceMention, SourceWord, of_setting, said};
use super::{DepsRequest, interpreter, pip, translate};
use crate::config::Settings;
use crate::error::{Error, Result};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::{Root, stat};

/// uv's variables about sources.
const UV: [(&str, SourceWord); 9] = [
    ("UV_DEFAULT_INDEX", SourceWord::Index),
    ("UV_INDEX_URL", SourceWord::Index),
    ("UV_NO_INDEX", SourceWord::Index),
    ("UV_TORCH_BACKEND", SourceWord::Index),
    ("UV_INDEX", SourceWord::Extra),
    ("UV_EXTRA_INDEX_URL", SourceWord::Extra),
    ("UV_FIND_LINKS", SourceWord::Links),
    ("UV_INSECURE_HOST", SourceWord::Other),
    ("UV_CONFIG_FILE", SourceWord::Other),
];

/// The SHA-256 digest of the URL of the index that pip and uv use by default, without a slash at its end. No file of trainit names a
/// registry. A test compares the digest with the URL in pip.
const DEFAULT_INDEX: [u8; 32] = [
    0x5a, 0x06, 0x74, 0x9b, 0x22, 0x97, 0xbe, 0x54, 0xac, 0x56, 0x99, 0xf6, 0xf2, 0x76, 0x17, 0x16, 0xad, 0xc5, 0x00,
    0x1a, 0x2d, 0x5f, 0x8b, 0x91, 0x5a, 0xb2, 0x17, 0x29, 0x22, 0xdd, 0x57, 0x06,
];

/// The variable that names a file of pip's settings.
const PIP_FILE: &str = "PIP_CONFIG_FILE";

/// Variables that name files of constraints and overrides, in which pip also reads options.
const FILES: [&str; 5] =
    ["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE"];

/// Returns the key for a kind of source, and the origin of its lock, if it is locked.
fn lock(settings: &Settings, source: SourceWord) -> Option<(&'static str, String)> {
    let of = |path: &'static str| Some((path, settings.lock_of(path)?.to_string()));
    let index = || {
        let variables = ["env.PIP_INDEX_URL", "env.UV_DEFAULT_INDEX", "env.UV_INDEX_URL"];
        let is_set = |path: &&&str| settings.env.contains_key(path.trim_start_matches("env."));
        of("deps.index").or_else(|| variables.iter().filter(is_set).find_map(|path| of(path)))
    };
    let (extra, links) = (|| of("deps.extra_index"), || of("deps.find_links"));
    match source {
        SourceWord::Index => index(),
        SourceWord::Extra => index().or_else(extra),
        SourceWord::Links => index().or_else(links),
        SourceWord::Other => index().or_else(extra).or_else(links),
    }
}

/// Returns the kind of source that a variable is about.
fn of_variable(name: &str) -> Option<SourceWord> {
    let uv = UV.iter().find(|(known, _)| *known == name).map(|(_, source)| *source);
    uv.or_else(|| of_setting(&pip::normalized(name.strip_prefix("PIP_")?)))
}

/// Removes variables that contradict a lock; returns a line for each ignored one. Of pip's files only the image's count: their settings
/// become variables, and pip itself reads no file.
pub(super) fn keep_locked(request: &DepsRequest<'_>, environment: &mut Environment) -> Vec<String> {
    keep_constraints(environment);
    let settings = request.settings;
    if lock(settings, SourceWord::Other).is_none() {
        return Vec::new();
    }
    let locked = |source| lock(settings, source);
    let names: Vec<String> = environment.iter().filter_map(|(name, _)| name.to_str().map(str::to_owned)).collect();
    let said = names.iter().filter_map(|name| Some((name, locked(of_variable(name)?)?)));
    let said: Vec<_> = said.filter(|(name, _)| !environment.is_pinned(name)).collect();
    let line =
        |(name, (key, lock)): &(&String, (&str, String))| format!("{name} is not read: {key} is locked by {lock}");
    let lines = said.iter().map(line).collect();
    said.iter().for_each(|(name, _)| environment.remove(name));
    settle_files(request, environment);
    lines
}

/// Turns the settings of pip's files into variables; settings about sources count only in the image's files.
fn settle_files(request: &DepsRequest<'_>, environment: &mut Environment) {
    let prefix = interpreter::find(request).ok().and_then(|found| Some(found.path.parent()?.parent()?.to_owned()));
    let prefix = prefix.unwrap_or_else(|| PathBuf::from("/usr"));
    let paths = pip::paths(request.root, environment, &prefix);
    let named = environment.get(PIP_FILE).map(PathBuf::from).filter(|_| environment.is_pinned(PIP_FILE));
    let believed =
        [request.root.path("/etc/xdg/pip/pip.conf"), request.root.path("/etc/pip.conf"), prefix.join("pip.conf")];
    let of_image: Vec<_> = believed.into_iter().filter(|path| !is_mounted(request.root, path)).chain(named).collect();
    let is_locked = |name: &str| of_setting(name).is_some_and(|source| lock(request.settings, source).is_some());
    let all = pip::merged(&paths, &Environment::default()).into_iter().filter(|setting| !is_locked(&setting.name));
    let ours = pip::merged(&of_image, &Environment::default()).into_iter().filter(|setting| is_locked(&setting.name));
    for setting in all.chain(ours) {
        environment.set_default(format!("PIP_{}", setting.name.to_ascii_uppercase().replace('-', "_")), setting.value);
    }
    environment.set_over_pin(PIP_FILE, "/dev/null");
}

/// Checks whether a file is on another mount than the root directory, so that it need not be the image's. An unknown mount counts as
/// another one.
fn is_mounted(root: &Root, path: &Path) -> bool {
    let mount = |path: &Path| stat::mount_of(path).ok().and_then(|on| on.id);
    path.exists() && mount(path).is_none_or(|id| Some(id) != mount(&root.path("/")))
}

/// Removes uv's counterparts of pip's locked variables, which would win over those.
fn keep_constraints(environment: &mut Environment) {
    let names: Vec<String> = environment.pinned().filter_map(|(name, _)| name.to_str().map(str::to_owned)).collect();
    for name in names {
        let Some(pip) = name.strip_prefix("PIP_").map(pip::normalized) else { continue };
        translate::counterparts(&pip).iter().for_each(|uv| environment.remove(uv));
        if pip == "constraint" {
            ["UV_BUILD_CONSTRAINT", "UV_OVERRIDE"].iter().for_each(|uv| environment.remove(uv));
        }
    }
}

/// Checks that requirement files, and the files that variables name, do not contradict a lock.
///
/// # Errors
/// Returns the contradiction (78), with the lock.
pub(super) fn check(request: &DepsRequest<'_>, inputs: &Inputs, beside: &Path) -> Result<()> {
    if lock(request.settings, SourceWord::Other).is_none() {
        return Ok(());
    }
    let names = FILES.iter().filter(|name| !request.environment.is_pinned(name));
    let files = names.filter_map(|name| request.environment.text(name)).flat_map(str::split_whitespace);
    let files: Vec<PathBuf> = files.map(|name| beside.join(name)).collect();
    // The installer reports a file that cannot be read.
    let more =
        files.iter().filter_map(|file| inputs::constraints(std::slice::from_ref(file), request.environment).ok());
    let more: Vec<SourceMention> = more.flat_map(|found| found.sources).collect();
    inputs.sources.iter().chain(&more).try_for_each(|said| allowed(request, said))
}

/// Checks generated requirement lines in the same way.
///
/// # Errors
/// Returns the same errors as `check`.
pub(super) fn check_lines(request: &DepsRequest<'_>, asked: &[(String, String)]) -> Result<()> {
    asked.iter().try_for_each(|(place, text)| {
        let lines = requirements::file::read(text.as_bytes(), &|_| None);
        lines.iter().flat_map(|line| said(&line.items, place)).try_for_each(|said| allowed(request, &said))
    })
}

fn allowed(request: &DepsRequest<'_>, said: &SourceMention) -> Result<()> {
    let Some((key, lock)) = lock(request.settings, said.source).filter(|_| !says_the_same(request.environment, said))
    else {
        return Ok(());
    };
    // The value is left out because it may contain a password; file, line and option are enough to find it.
    let words = match said.option.as_str() {
        "" if said.value.contains("encoding ") => said.value.as_str(),
        "" => "a requirement by its URL",
        option => option,
    };
    let what = format!("{}: {words}: where packages come from is locked by {lock} ({key})", said.place);
    let hint = match said.option.as_str() {
        "" => "name the package and its version, and have it put into the locked index",
        _ => "take the option out of the file, or have the lock changed by whoever made the image",
    };
    Err(Error::config(what).hint(hint))
}

/// Checks whether an option only repeats the setting in force.
fn says_the_same(environment: &Environment, said: &SourceMention) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    let listed = |name: &str| -> Vec<String> {
        environment.text(name).unwrap_or_default().split([' ', ',', '\n']).map(plain).collect()
    };
    let index = || environment.text("PIP_INDEX_URL").or(environment.text("UV_DEFAULT_INDEX")).map(plain);
    let is_index = |value: &String| index().map_or_else(|| is_default(value), |index| index == *value);
    let is_on = |name: &str| matches!(environment.text(name), Some("1" | "true" | "on" | "yes"));
    let value = plain(&said.value);
    match said.option.as_str() {
        "--no-index" => is_on("PIP_NO_INDEX"),
        "--index-url" | "--pypi-url" => !is_on("PIP_NO_INDEX") && is_index(&value),
        "--extra-index-url" => {
            listed("PIP_EXTRA_INDEX_URL").contains(&value) || !is_on("PIP_NO_INDEX") && is_index(&value)
        }
        "--find-links" => listed("PIP_FIND_LINKS").contains(&value),
        "--trusted-host" => listed("PIP_TRUSTED_HOST").contains(&value),
        _ => false,
    }
}

/// Checks whether a URL, without a slash at its end, is the index that pip and uv use where none is configured.
fn is_default(url: &str) -> bool {
    Sha256::digest(url.as_bytes())[..] == DEFAULT_INDEX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns pip's own default index; `None` where there is no pip.
    fn default_of_pip() -> Option<String> {
        const SCRIPT: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";
        let output = std::process::Command::new("python3").args(["-c", SCRIPT]).output().ok()?;
        let url = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && url.starts_with("https://")).then_some(url)
    }

    #[test]
    fn the_installers_default_repeats_a_lock_without_a_value_and_nothing_else() {
        let Some(default) = default_of_pip() else {
            return println!("SKIPPED: python3 with pip is not there");
        };
        let said = |option: &str, value: &str| SourceMention {
            place: "r.txt:1".into(),
            source: SourceWord::Index,
            option: option.into(),
            value: value.into(),
        };
        let (none, other) =
            (Environment::default(), [("PIP_INDEX_URL", "https://mirror/simple")].into_iter().collect());
        for option in ["--index-url", "--extra-index-url", "--pypi-url"] {
            assert!(says_the_same(&none, &said(option, &default)), "{option}");
            assert!(says_the_same(&none, &said(option, default.trim_end_matches('/'))), "{option}");
            assert!(!says_the_same(&none, &said(option, "https://mirror/simple")), "{option}");
            assert!(!says_the_same(&other, &said(option, &default)), "{option}");
        }
        let off: Environment = [("PIP_NO_INDEX", "1")].into_iter().collect();
        assert!(!says_the_same(&off, &said("--index-url", &default)));
    }

    #[test]
    fn a_variable_is_known_however_it_is_written() {
        assert_eq!(of_variable("PIP_EXTRA_INDEX_URL"), Some(SourceWord::Extra));
        assert_eq!(of_variable("PIP_extra_Index-url"), Some(SourceWord::Extra));
        assert_eq!(of_variable("PIP___INDEX_URL"), Some(SourceWord::Index));
        assert_eq!(of_variable("PIP_RETRIES"), None);
    }
}
