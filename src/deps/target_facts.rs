//! Describes the target of one start, and prepares it.

use super::install_root::InstallRoot;
use super::overlay::{self, Overlay};
use super::protect;
use super::python::Python;
use super::refusal::permanent;
use super::stamp::{PackageSetDir, VersionsByName};
use super::target::{self, InstallTarget};
use super::wanted::WantedPackages;
use super::{cache_dirs, site_packages};
use crate::error::{Error, Result};
use requirements::installed::{Folders, Installed};
use std::io;
use std::path::{Path, PathBuf};

/// The target of this start.
pub(super) struct TargetFacts<'a> {
    /// The interpreter.
    pub python: &'a Python,
    /// trainit's own directory in the target.
    pub home: PackageSetDir,
    /// The interpreter to install with.
    pub executable: PathBuf,
    /// The directory of packages.
    pub packages: PathBuf,
    /// Whether the target is marked as externally managed (PEP 668).
    pub managed: bool,
    /// The overlay over the interpreter, with the cache directory that it is in.
    pub layer: Option<(Overlay<'a>, PathBuf)>,
}

/// Chooses the target.
///
/// # Errors
/// Fails if there is no usable target (116).
pub(super) fn target_facts<'a>(
    wanted: &WantedPackages<'_>,
    python: &'a Python,
    tell: &mut dyn FnMut(&str),
) -> Result<TargetFacts<'a>> {
    let request = wanted.request;
    match target::choose(&request.settings.deps_target, python, request.root, request.environment)? {
        InstallTarget::Here { managed } => {
            if managed {
                tell(
                    "the Python of this image is marked as the system's (EXTERNALLY-MANAGED); in a container it is installed into all the same",
                );
            }
            let (executable, packages) = (python.executable.clone(), python.purelib.clone());
            Ok(TargetFacts {
                python,
                home: PackageSetDir(python.own_directory()),
                executable,
                packages,
                managed,
                layer: None,
            })
        }
        InstallTarget::Layer(why) => {
            let place = cache_dirs::writable(wanted.request.environment).ok_or_else(|| nowhere(python, why))?;
            let layer = wanted.layer(python, &place, &Folders::default());
            tell(&format!("{}: {why}, so packages go to {}", python.executable.display(), layer.root.display()));
            let (executable, packages) = (layer.executable(), layer.packages());
            Ok(TargetFacts {
                python,
                home: PackageSetDir(layer.own_directory()),
                executable,
                packages,
                managed: false,
                layer: Some((layer, place)),
            })
        }
    }
}

/// Returns the error of an overlay without a place.
pub(super) fn nowhere(python: &Python, why: &str) -> Error {
    permanent(format!("there is no place to install into for {}", python.executable.display()))
        .because(format!("{why}, and neither the home directory nor /var/tmp nor /tmp can be"))
        .hint("give the container a writable /tmp that allows programs (a tmpfs with exec; in a pod an emptyDir)")
        .hint("or bake the packages into the image, or make a virtual environment on a volume")
}

impl TargetFacts<'_> {
    /// Returns the directory of the lock. It lies beside an overlay and not in it, because an unfinished overlay is removed.
    pub(super) fn lock_directory(&self) -> PathBuf {
        let beside = self.layer.as_ref().and_then(|(layer, _)| layer.root.parent());
        beside.unwrap_or(&self.home.0).to_owned()
    }

    /// Returns the digest of the packages that an installation begins from; after an unfinished one, of the packages before that.
    pub(super) fn below(&self, wanted: &WantedPackages<'_>) -> String {
        let begun = self.home.unfinished().and_then(|_| self.home.below());
        begun.unwrap_or_else(|| site_packages::state(self.python, &[], &wanted.start, &Folders::default()))
    }

    /// Returns the directories of packages and programs, for a store.
    pub(super) fn install_root(&self) -> InstallRoot {
        let python = self.python;
        let (root, sites) = match &self.layer {
            Some((layer, _)) => (layer.root.as_path(), vec![layer.packages()]),
            None => (
                python.scripts.parent().unwrap_or(&python.prefix),
                vec![python.purelib.clone(), python.platlib.clone()],
            ),
        };
        let machine = python.markers.platform_machine.clone();
        InstallRoot { root: root.to_owned(), sites, executable: self.executable.clone(), machine }
    }

    /// Reads the installed packages, an overlay's first.
    pub(super) fn installed(&self) -> Installed {
        let above = self.layer.as_ref().map(|_| &self.packages);
        Installed::read(above.into_iter().chain(self.python.package_directories()))
    }

    /// Repairs what an earlier installer left unfinished, and records that an installation begins. Returns the packages before the first
    /// unfinished installation.
    ///
    /// # Errors
    /// Fails if the directory cannot be written (116).
    pub(super) fn make_ready(&self, wanted: &WantedPackages<'_>, tell: &mut dyn FnMut(&str)) -> Result<VersionsByName> {
        let (python, below) = (self.python, self.below(wanted));
        let begun = self.home.unfinished();
        let before = self.home.before().unwrap_or_else(|| protect::names(&self.installed()));
        match (&self.layer, begun) {
            (Some((layer, _)), begun) if begun.is_some() || !layer.executable().exists() => {
                layer.create().map_err(|e| unwritable(&layer.root, e))?
            }
            (None, Some(begun)) => {
                for name in site_packages::repair(&[&python.purelib, &python.platlib], begun) {
                    tell(&format!("{name} was left half installed by an earlier start: it is installed again"));
                }
            }
            _ => {}
        }
        self.home.begin(&before, &below).map_err(|error| unwritable(&self.home.0, error))?;
        Ok(before)
    }

    /// Removes the metadata that a failed installer left of packages that are not whole, so that no other program takes them for installed.
    pub(super) fn take_back(&self) {
        if let (None, Some(begun)) = (&self.layer, self.home.unfinished()) {
            site_packages::repair(&[&self.python.purelib, &self.python.platlib], begun);
        }
    }

    /// Checks that libraries can be loaded from the target: from a `noexec` file system they cannot, whatever the installer reports.
    ///
    /// # Errors
    /// Fails for such a file system (116).
    pub(super) fn can_be_loaded(&self) -> Result<()> {
        let Some((layer, _)) = &self.layer else { return Ok(()) };
        if !cache_dirs::is_noexec(&layer.root) || !overlay::has_libraries(&layer.packages()) {
            return Ok(());
        }
        Err(permanent(format!("packages in {} cannot be loaded", layer.root.display()))
            .because("some have compiled parts, and the file system is mounted noexec")
            .hint("mount it without noexec, or give the container a writable /tmp that allows programs (a tmpfs with exec)"))
    }
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    permanent(format!("{} cannot be written", path.display())).caused_by(error)
}
