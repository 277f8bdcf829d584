//! Describes the packages that one start requires, and whether they are installed already. It starts no process and writes nothing.

use super::inputs::Inputs;
use super::interpreter::Interpreter;
use super::overlay::Overlay;
use super::pip::PipSetting;
use super::protect::{self, ProtectChoice, ProtectedVersions};
use super::python::Python;
use super::python_start::PythonStart;
use super::redact::Redactor;
use super::select::FileSelection;
use super::stamp::{PackageSetDir, Stamp, StateDigests};
use super::{DepsRequest, cache_dirs, pip, requirement_file, site_packages, translate};
use crate::config::Refresh;
use requirements::installed::{Folders, Installed};
use std::path::{Path, PathBuf};
use store::digest::{Digest, short};
use text::is_secret;

/// uv's variables that do not affect the installed packages.
const IDLE: [&str; 9] = [
    "UV_CACHE_DIR",
    "UV_NO_CACHE",
    "UV_LINK_MODE",
    "UV_NO_PROGRESS",
    "UV_HTTP_",
    "UV_CONCURRENT_",
    "UV_LOCK_",
    "UV_COMPILE_",
    "UV_LOG_",
];

/// The name of the part for the installed packages.
pub(super) const PACKAGES: &str = "installed packages";

/// Settings that name files.
const FILES: [&str; 5] = ["constraint", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE"];

/// The requirements of one start.
pub(super) struct WantedPackages<'a> {
    /// The facts about the start.
    pub request: &'a DepsRequest<'a>,
    /// The selected files.
    pub selection: FileSelection,
    /// Everything that the files reach.
    pub inputs: Inputs,
    /// The interpreter.
    pub interpreter: Interpreter,
    /// The way in which the workload starts Python.
    pub start: PythonStart,
}

/// The state of a set of packages, compared with the requirements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PackageSetState {
    /// Nothing changed since this installation.
    Current(Stamp),
    /// These parts changed.
    Changed(Vec<String>),
    /// Nothing changed, but the configuration asks for newer versions.
    Old,
    /// An installation was begun and not finished.
    Unfinished,
    /// There is no stamp.
    Unknown,
}

/// The packages that a start would use.
pub(super) struct FoundPackages<'p> {
    /// The state of the packages.
    pub state: PackageSetState,
    /// The overlay that contains them; `None` for the interpreter's own directory.
    pub layer: Option<Overlay<'p>>,
}

impl WantedPackages<'_> {
    /// Returns the packages if nothing changed since they were installed.
    pub(super) fn current<'p>(&self, python: &'p Python, folders: &Folders) -> Option<FoundPackages<'p>> {
        let found = self.find(python, folders);
        let is_there = || found.layer.as_ref().is_none_or(Overlay::is_used);
        (matches!(found.state, PackageSetState::Current(_)) && is_there()).then_some(found)
    }

    /// Finds the packages: beside the interpreter, else in the overlays that were made for exactly these requirements.
    pub(super) fn find<'p>(&self, python: &'p Python, folders: &Folders) -> FoundPackages<'p> {
        let own = FoundPackages {
            state: self.state(python, &PackageSetDir(python.own_directory()), &[], folders),
            layer: None,
        };
        let is_current = |found: &FoundPackages<'_>| matches!(found.state, PackageSetState::Current(_));
        if is_current(&own) {
            return own;
        }
        let mut layers: Vec<_> = self.layers(python, folders).collect();
        let best = layers.iter().position(is_current).unwrap_or(0);
        if best < layers.len() { layers.swap_remove(best) } else { own }
    }

    fn layers<'p>(&self, python: &'p Python, folders: &Folders) -> impl Iterator<Item = FoundPackages<'p>> {
        let places = cache_dirs::candidates(self.request.environment).into_iter();
        let places = places.filter(|place| place.join(LAYERS).is_dir() && cache_dirs::is_ours(place));
        let layers = places.map(|place| self.layer(python, &place, folders)).filter(|layer| layer.root.is_dir());
        layers.map(|layer| {
            let state = self.state(python, &PackageSetDir(layer.own_directory()), &[layer.packages()], folders);
            FoundPackages { state, layer: Some(layer) }
        })
    }

    /// Returns the state of the packages beside a home. `more` are directories that precede the interpreter's.
    pub(super) fn state(
        &self,
        python: &Python,
        home: &PackageSetDir,
        more: &[PathBuf],
        folders: &Folders,
    ) -> PackageSetState {
        if home.unfinished().is_some() {
            return PackageSetState::Unfinished;
        }
        let Some(stamp) = home.stamp(&self.selection.files) else { return PackageSetState::Unknown };
        let changed = stamp.changed(&self.parts(python, more, folders));
        match &self.inputs.unknown {
            Some(unknown) => PackageSetState::Changed(vec![format!("perhaps what {unknown}")]),
            None if !changed.is_empty() => PackageSetState::Changed(changed),
            None if self.is_old(&stamp) => PackageSetState::Old,
            None => PackageSetState::Current(stamp),
        }
    }

    /// Checks whether the configuration asks for newer versions by now.
    fn is_old(&self, stamp: &Stamp) -> bool {
        match self.request.settings.deps_refresh.value {
            Refresh::Never => false,
            Refresh::Always => true,
            Refresh::After(time) => stamp.age() >= time,
        }
    }

    /// Returns the digests of the current state, as seen when the directories were read.
    pub(super) fn parts(&self, python: &Python, more: &[PathBuf], folders: &Folders) -> StateDigests {
        let parts = [
            ("requirements", self.inputs.digest.clone()),
            ("interpreter", python.identity.clone()),
            ("settings", self.settings(python)),
            (PACKAGES, site_packages::state(python, more, &self.start, folders)),
        ];
        parts.into_iter().map(|(name, digest)| (name.to_owned(), digest)).collect()
    }

    /// Returns the overlay for exactly these requirements. Its name covers the packages below it, since two images may share one cache.
    pub(super) fn layer<'p>(&self, python: &'p Python, place: &Path, folders: &Folders) -> Overlay<'p> {
        let mut digest = Digest::default();
        self.parts(python, &[], folders).iter().for_each(|(name, part)| digest.add(name, part));
        Overlay { root: place.join(LAYERS).join(short(&digest.hex())).join("env"), python }
    }

    /// Digests the settings that decide which packages an installer takes. It leaves out passwords, which may change daily.
    fn settings(&self, python: &Python) -> String {
        let environment = self.request.environment;
        let redactor = Redactor::for_environment(environment);
        let mut digest = Digest::default();
        digest.add("installer", format!("{:?}", self.request.settings.deps_installer.value));
        digest.add("protect", self.request.settings.deps_protect.join(" "));
        digest.add("target", self.request.settings.deps_target.name());
        let pip = pip::settings(self.request.root, environment, python)
            .into_iter()
            .map(|setting| (setting.name, setting.value));
        let pip = pip.filter(|(name, _)| !translate::is_ignored(name));
        let uv = environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_string_lossy().into_owned())));
        let uv = uv.filter(|(name, _)| {
            name.starts_with("UV_") && !is_secret(name) && !IDLE.iter().any(|idle| name.starts_with(idle))
        });
        for (name, value) in pip.chain(uv) {
            digest.add(&name, redactor.text(&value));
            if FILES.contains(&name.as_str()) {
                self.add_files(&mut digest, &value);
            }
        }
        digest.hex()
    }

    /// Returns the directory that names in settings are relative to, which is the installer's working directory.
    pub(super) fn beside(&self) -> &Path {
        self.selection.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"))
    }

    /// Returns each requirement, behind its origin.
    pub(super) fn asked(&self) -> impl Iterator<Item = (String, String)> {
        self.inputs.asked.iter().map(|ask| (ask.place.clone(), ask.text.clone()))
    }

    /// Returns the protected versions of the image.
    pub(super) fn kept(
        &self,
        python: &Python,
        settings: &[PipSetting],
        folders: &Folders,
        layered: bool,
    ) -> ProtectedVersions {
        let seen = [python.purelib.as_path(), python.platlib.as_path()];
        let installed = Installed::of(folders, python.package_directories());
        let home = PackageSetDir(python.own_directory());
        let ours_since = |before| home.ours_since(&before, protect::names(&installed));
        protect::choose(ProtectChoice {
            words: &self.request.settings.deps_protect,
            installed: &installed,
            ours: &home.before().map_or_else(|| home.ours(), ours_since),
            pinned: &protect::pinned(settings, self.request.environment, self.beside()),
            seen: if layered { &[] } else { &seen },
        })
    }

    /// Returns a line for each requirement that a protected version does not satisfy.
    pub(super) fn refusals(
        &self,
        kept: &ProtectedVersions,
        asked: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<String> {
        let redactor = Redactor::for_environment(self.request.environment);
        kept.refusals(asked).iter().map(|line| redactor.text(line)).collect()
    }

    fn add_files(&self, digest: &mut Digest, names: &str) {
        let beside = self.beside();
        for name in names.split_whitespace() {
            digest.add("file", requirement_file::read(&beside.join(name)).unwrap_or_default());
        }
    }
}

/// The directory for overlays in a cache directory.
pub(super) const LAYERS: &str = "layers";
