//! Protects the image's own builds, and the packages that are built against them, from being replaced. Both installers get these versions
//! as facts, whatever requires the packages: uv as overrides, pip through run_pip.py and as constraints. Both resolve everything before
//! they touch a file, so nothing is changed if these versions cannot stay.

use super::pip::PipSetting;
use super::refusal::permanent;
use super::requirement_file;
use super::stamp::VersionsByName;
use crate::error::{Error, Result};
use requirements::installed::{Distribution, Installed};
use requirements::packaging::{Name, ProjectSource, Requirement, Version};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sys::environment::Environment;

/// Frameworks, and packages that are compiled against them or against CUDA. A star at the end stands for any text.
const FAMILIES: [&str; 31] = [
    "torch",
    "torchvision",
    "torchaudio",
    "torchtext",
    "torch-xla",
    "torch-tensorrt",
    "triton",
    "pytorch-triton*",
    "xformers",
    "flash-attn*",
    "apex",
    "transformer-engine*",
    "deepspeed",
    "vllm",
    "sgl-kernel",
    "causal-conv1d",
    "mamba-ssm",
    "bitsandbytes",
    "jax",
    "jaxlib",
    "jax-cuda*",
    "jax-rocm*",
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-rocm",
    "nvidia-*",
    "cuda-*",
    "cupy*",
    "tensorrt*",
    "pycuda",
    "onnxruntime-gpu",
];

/// Frameworks that are built against one version of numpy.
const FRAMEWORKS: [&str; 4] = ["torch", "jaxlib", "tensorflow*", "cupy*"];

/// The word for what is protected by default.
const AUTO: &str = "auto";

/// The protected versions.
#[derive(Clone, Debug, Default)]
pub(super) struct ProtectedVersions {
    versions: BTreeMap<Name, Version>,
    /// The paths of their metadata.
    paths: BTreeMap<Name, PathBuf>,
    /// The protected packages that uv does not see, because they lie outside the directories that uv looks into.
    below: Vec<Name>,
}

/// The facts that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProtectChoice<'a> {
    /// The key `deps.protect`: `auto`, names, and names to leave out (`-numpy`).
    pub words: &'a [String],
    /// The installed packages.
    pub installed: &'a Installed,
    /// The packages that earlier starts installed, which are therefore not the image's own.
    pub ours: &'a VersionsByName,
    /// The names that constraints of the image pin to one version.
    pub pinned: &'a [Name],
    /// The directories that uv looks into.
    pub seen: &'a [&'a Path],
}

/// Chooses the protected versions.
pub(super) fn choose(choice: ProtectChoice<'_>) -> ProtectedVersions {
    let mut kept = ProtectedVersions::default();
    for (name, version, path) in versions(choice.installed) {
        if choice.ours.get(name.as_str()).is_some_and(|ours| *ours == version.to_string())
            || !is_wanted(name, version, choice)
        {
            continue;
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        kept.versions.insert(name.clone(), version.clone());
        kept.paths.insert(name.clone(), path.to_owned());
        kept.below.extend((!choice.seen.contains(&directory)).then(|| name.clone()));
    }
    kept
}

/// Returns the distributions whose versions are known.
fn versions(installed: &Installed) -> impl Iterator<Item = (&Name, &Version, &Path)> {
    installed.iter().filter_map(|found| Some((&found.name, found.version.as_ref()?, found.path.as_path())))
}

/// Returns all versions that are known, by name.
pub(super) fn names(installed: &Installed) -> VersionsByName {
    versions(installed).map(|(name, version, _)| (name.to_string(), version.to_string())).collect()
}

fn is_wanted(name: &Name, version: &Version, choice: ProtectChoice<'_>) -> bool {
    let matches = |word: &str| match word {
        AUTO => is_the_images(name, version, choice),
        word => is_like(name, word),
    };
    let words = || choice.words.iter().map(String::as_str);
    words().filter_map(|word| word.strip_prefix('-')).all(|word| !matches(word))
        && words().filter(|word| !word.starts_with('-')).any(matches)
}

/// Checks whether `auto` protects this version. A local version (`2.6.0+cu126`) is a custom build, so it is protected as well.
fn is_the_images(name: &Name, version: &Version, choice: ProtectChoice<'_>) -> bool {
    let is_any = |name: &Name, patterns: &[&str]| patterns.iter().any(|pattern| is_like(name, pattern));
    version.is_local()
        || is_any(name, &FAMILIES)
        || choice.pinned.contains(name)
        || (name.as_str() == "numpy" && choice.installed.iter().any(|found| is_any(&found.name, &FRAMEWORKS)))
}

/// Checks whether a name matches a pattern, without allocation: hundreds of names are compared with each pattern.
fn is_like(name: &Name, pattern: &str) -> bool {
    let normal = |byte: u8| if matches!(byte, b'_' | b'.') { b'-' } else { byte.to_ascii_lowercase() };
    let (mut letters, mut pattern) = (name.as_str().bytes(), pattern.bytes());
    while let Some(byte) = pattern.next() {
        if byte == b'*' && pattern.len() == 0 {
            return true;
        }
        if letters.next() != Some(normal(byte)) {
            return false;
        }
    }
    letters.next().is_none()
}

/// Lists the names that the constraint files of pip's settings and of uv's variables pin to exactly one version.
pub(super) fn pinned(settings: &[PipSetting], environment: &Environment, beside: &Path) -> Vec<Name> {
    let pip = settings.iter().filter(|setting| setting.name == "constraint").map(|setting| setting.value.as_str());
    let files = pip.chain(environment.text("UV_CONSTRAINT")).flat_map(str::split_whitespace);
    let lines = files.flat_map(|file| lines(&beside.join(file)));
    lines.filter_map(|line| Name::parse(line.split_once("==")?.0.trim())).collect()
}

/// Reads the lines of a requirement file; none if it cannot be read, which the installer reports.
fn lines(file: &Path) -> Vec<String> {
    let bytes = requirement_file::read(file).unwrap_or_default();
    requirements::file::read(&bytes, &|_| None).into_iter().map(|line| line.text).collect()
}

impl ProtectedVersions {
    /// Checks whether uv sees every protected package.
    pub(super) fn is_seen_by_uv(&self) -> bool {
        self.below.is_empty()
    }

    /// Returns the versions in the form for run_pip.py.
    pub(super) fn for_pip(&self) -> String {
        let all = self.versions.iter().map(|(name, version)| (name.to_string(), version.to_string()));
        serde_json::json!(all.collect::<BTreeMap<_, _>>()).to_string()
    }

    /// Checks whether a distribution is a protected one, and not another one of the same name.
    pub(super) fn is_own(&self, found: &Distribution) -> bool {
        let real = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
        let is_same = |own: &PathBuf| *own == found.path || real(own).is_some_and(|own| Some(own) == real(&found.path));
        self.paths.get(&found.name).is_some_and(is_same)
    }

    /// Lists the protected names.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.versions.keys()
    }

    /// Returns the protected version of this name.
    pub(super) fn version(&self, name: &Name) -> Option<&Version> {
        self.versions.get(name)
    }

    /// Lists the distributions that are imported in place of protected ones.
    pub(super) fn hidden_by<'a>(&self, imported: &'a Installed) -> Vec<&'a Distribution> {
        let found = self.versions.keys().filter_map(|name| imported.get(name));
        found.filter(|found| !self.is_own(found)).collect()
    }

    /// Returns the versions with those of distributions that are imported in place of protected ones: pip sees these.
    pub(super) fn as_imported(&self, imported: &Installed) -> Self {
        let mut seen = self.clone();
        for found in self.hidden_by(imported) {
            match &found.version {
                Some(version) => _ = seen.versions.insert(found.name.clone(), version.clone()),
                None => _ = seen.versions.remove(&found.name),
            }
        }
        seen
    }

    /// Returns the versions that no other distribution hides.
    pub(super) fn without_hidden(&self, imported: &Installed) -> Self {
        let mut seen = self.clone();
        self.hidden_by(imported).iter().for_each(|found| _ = seen.versions.remove(&found.name));
        seen
    }

    /// Checks whether nothing is protected.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Returns the versions as lines of a requirement file: overrides for uv, constraints for pip.
    pub(super) fn text(&self, for_uv: bool) -> String {
        let line = |(name, version): (&Name, &Version)| match for_uv && self.below.contains(name) {
            // uv would install a second copy of a package that it does not see, so the override removes it from the resolution.
            true => left_out(name.as_str()),
            false => format!("{name}=={version}\n"),
        };
        self.versions.iter().map(line).collect()
    }

    /// Returns the request of a requirement that differs from the protected version, such as `torch==2.7.0`, and that version.
    fn refused(&self, requirement: &str) -> Option<(String, &Version)> {
        let asked = Requirement::parse(requirement)?;
        let version = self.versions.get(&asked.name)?;
        let fits = match &asked.source {
            ProjectSource::Versions(specifiers) => specifiers.contains(version)?,
            ProjectSource::Url(_) => false,
        };
        let unconditional = asked.marker.is_none();
        let words = requirement.split(';').next().unwrap_or(requirement).trim().to_owned();
        (!fits && unconditional).then_some((words, version))
    }

    /// Returns a line for each requirement that a protected version does not satisfy, with the origin of the requirement.
    pub(super) fn refusals(&self, asked: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
        let line = |(who, requirement): (String, String)| {
            let (wanted, version) = self.refused(&requirement)?;
            Some(format!("{who} asks for {wanted}: the image's {version} stays; TRAINIT_DEPS_PROTECT=off lets it go"))
        };
        asked.into_iter().filter_map(line).collect()
    }

    /// Checks that every protected package is still installed in its version.
    ///
    /// # Errors
    /// Fails if a protected package was replaced all the same (116).
    pub(super) fn verify(&self, now: &Installed) -> Result<()> {
        let found = |name: &Name| now.get(name).and_then(|found| found.version.as_ref());
        let changed = self.versions.iter().filter(|(name, version)| found(name) != Some(version));
        let told = |name| found(name).map_or("gone".to_owned(), Version::to_string);
        let changed: Vec<_> =
            changed.map(|(name, version)| format!("{name} was {version} and is {}", told(name))).collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(permanent("the installer replaced what is protected".to_owned())
            .because(changed.join(", "))
            .hint("take a fresh container: in this one the image's own packages are damaged")
            .hint("if they may be replaced: TRAINIT_DEPS_PROTECT=off"))
    }

    /// Adds the hint for lifting the protection, if these lines are about a protected package.
    pub(super) fn explain(&self, error: Error, lines: &[String]) -> Error {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let text = lines.join("\n");
        let words: Vec<_> = text.split(|c| !is_part(c)).filter_map(Name::parse).collect();
        let about = self.versions.iter().filter(|(name, _)| words.contains(name));
        let about: Vec<_> = about.map(|(name, version)| format!("{name} {version}")).collect();
        if about.is_empty() {
            return error;
        }
        let about = about.join(", ");
        error
            .hint(format!("the image's own {about} stays (deps.protect); TRAINIT_DEPS_PROTECT=off lets it be replaced"))
    }
}

/// Returns the distributions that came or changed.
pub(super) fn new<'a>(before: &'a VersionsByName, now: &'a Installed) -> impl Iterator<Item = &'a Distribution> {
    now.iter()
        .filter(|found| before.get(found.name.as_str()) != found.version.as_ref().map(Version::to_string).as_ref())
}

/// Returns the requirements of the distributions that came or changed, each with the distribution's name.
pub(super) fn new_requirements(before: &VersionsByName, now: &Installed) -> Vec<(String, String)> {
    let asks = |found: &Distribution| {
        let who = found.version.as_ref().map_or(found.name.to_string(), |version| format!("{} {version}", found.name));
        let requires = found.metadata().map(|metadata| metadata.requires).unwrap_or_default();
        requires.into_iter().map(move |requirement| (who.clone(), requirement))
    };
    let mut all: Vec<_> = new(before, now).flat_map(asks).collect();
    all.sort();
    all
}

/// Returns a line of overrides that leaves a package out.
pub(super) fn left_out(name: &str) -> String {
    format!("{name} ; sys_platform == 'never'\n")
}

/// Lists the files with a user's own overrides, because trainit's option would replace the variable.
pub(super) fn overrides(environment: &Environment) -> Vec<PathBuf> {
    let files = environment.text("UV_OVERRIDE").unwrap_or_default();
    files.split_whitespace().map(PathBuf::from).collect()
}

#[cfg(test)]
#[path = "protect/tests.rs"]
mod tests;
