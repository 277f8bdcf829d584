//! Compares what the workload's Python is going to import with the image's own packages: a package in the user's directory, in a directory
//! of PYTHONPATH or beside the script comes first, whatever was installed and judged elsewhere.

use super::import_path::{ImportPath, PathOrigin};
use super::interpreter_words::versions_in;
use super::overlay::Overlay;
use super::pip;
use super::protect::ProtectedVersions;
use super::python::Python;
use super::refusal::permanent;
use super::wanted::WantedPackages;
use crate::error::{Error, Result};
use requirements::Unmet;
use requirements::installed::{Distribution, Folders, Installed};
use requirements::packaging::{Name, Requirement};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What one Python is going to import.
pub(super) struct Imports<'a> {
    wanted: &'a WantedPackages<'a>,
    path: ImportPath,
    kept: ProtectedVersions,
    /// The distributions that an import finds.
    pub installed: Installed,
}

impl<'a> Imports<'a> {
    /// Reads the directories that Python looks into, those of an overlay included.
    pub(super) fn of(
        wanted: &'a WantedPackages<'a>,
        python: &Python,
        layer: Option<&Overlay<'_>>,
        kept: &ProtectedVersions,
        folders: &Folders,
    ) -> Self {
        let path = ImportPath::of(python, &wanted.start, layer, folders);
        Imports { wanted, installed: path.installed(folders), path, kept: kept.clone() }
    }

    /// Returns a line for each protected package that another one hides.
    pub(super) fn hidden(&self) -> Vec<String> {
        let line = |found: &Distribution| {
            let version = self.kept.version(&found.name)?;
            let place = directory(found).display().to_string();
            let remedy = self.remedy(found);
            Some(format!("{place} hides the image's {} {version} with {}: {remedy}", found.name, words(found)))
        };
        self.kept.hidden_by(&self.installed).into_iter().filter_map(line).collect()
    }

    /// Returns a line for each module without metadata that an import finds before the package that is asked for or protected.
    pub(super) fn shadowed(&self) -> Vec<String> {
        let asked = self.wanted.inputs.asked.iter().filter_map(|ask| Some(Requirement::parse(&ask.text)?.name));
        let names: BTreeSet<Name> = asked.chain(self.kept.names().cloned()).collect();
        let found = names.iter().filter_map(|name| self.installed.get(name));
        let shadow = |found: &Distribution| {
            let earlier = self.wanted.start.first.iter().chain(self.path.before(directory(found)));
            let modules = module_names(found);
            let file = earlier
                .flat_map(|directory| modules.iter().filter_map(|module| module_in(directory, module)))
                .next()?;
            Some(format!(
                "{} is imported in place of the {} {} that is installed: rename it, unless that is meant",
                file.display(),
                found.name,
                words(found)
            ))
        };
        found.filter_map(shadow).collect()
    }

    /// Returns the error for a requirement that is not met because of a package that trainit does not install over: it hides the image's own,
    /// or comes before the directory that is installed into.
    pub(super) fn refusal(&self, unmet: &Unmet) -> Option<Error> {
        let found = self.installed.get(&unmet.name).filter(|found| self.path.origin(found) != PathOrigin::Site)?;
        let (by, name) = (&unmet.by, &unmet.name);
        let why = match self.kept.version(name).filter(|_| !self.kept.is_own(found)) {
            Some(own) => format!("{} hides the image's {name} {own}", directory(found).display()),
            None => format!("{} comes before the directory that is installed into", directory(found).display()),
        };
        let what = format!("{by} needs another {name} than {}, which Python would import", words(found));
        Some(permanent(what).because(why).hint(self.remedy(found)))
    }

    /// Checks whether a protected package of this name is hidden.
    pub(super) fn hides(&self, name: &Name) -> bool {
        self.kept.hidden_by(&self.installed).iter().any(|found| found.name == *name)
    }

    /// Returns what lets the image's own package be imported.
    fn remedy(&self, found: &Distribution) -> String {
        let (name, place) = (&found.name, directory(found).display().to_string());
        match self.path.origin(found) {
            PathOrigin::User if self.wanted.start.reads_variables => {
                format!("PYTHONNOUSERSITE=1 leaves it out, or remove {name} there")
            }
            PathOrigin::User => format!("python -s leaves it out, or remove {name} there"),
            PathOrigin::Variable => format!("take {place} out of PYTHONPATH, or remove {name} there"),
            PathOrigin::Site => format!("remove {name} there"),
        }
    }
}

/// Returns the lines about hidden packages for a start that has nothing to install. Without directories of others it reads nothing more.
pub(super) fn hidden(
    wanted: &WantedPackages<'_>,
    python: &Python,
    layer: Option<&Overlay<'_>>,
    folders: &Folders,
) -> Vec<String> {
    let path = ImportPath::of(python, &wanted.start, layer, folders);
    if path.foreign().all(|directory| folders.get(directory).distributions().is_empty()) {
        return Vec::new();
    }
    let settings = pip::settings(wanted.request.root, wanted.request.environment, python);
    let kept = wanted.kept(python, &settings, folders, layer.is_some());
    Imports::of(wanted, python, layer, &kept, folders).hidden()
}

/// Refuses an installation that cannot help: it leaves the image's own package as it is, and another one hides that from imports.
///
/// # Errors
/// Fails for a requirement that such a package does not meet (116).
pub(super) fn refuse(wanted: &WantedPackages<'_>, python: &Python, unmet: &Unmet) -> Result<()> {
    let (folders, request) = (Folders::default(), wanted.request);
    let settings = pip::settings(request.root, request.environment, python);
    let kept = wanted.kept(python, &settings, &folders, false);
    let imports = Imports::of(wanted, python, None, &kept, &folders);
    let seen = || versions_in(wanted, None, &[unmet.name.as_str()]);
    let is_seen = || seen().is_none_or(|seen| seen.values().any(|seen| *seen == unmet.found));
    match imports.refusal(unmet).filter(|_| imports.hides(&unmet.name) && is_seen()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn directory(found: &Distribution) -> &Path {
    found.path.parent().unwrap_or(Path::new("/"))
}

fn words(found: &Distribution) -> String {
    found.version.as_ref().map_or_else(|| "an unknown version".to_owned(), ToString::to_string)
}

/// Returns the names under which a distribution is imported, as far as they are known without its list of files.
fn module_names(found: &Distribution) -> Vec<String> {
    let own = fs::read_to_string(found.path.join("top_level.txt")).unwrap_or_default();
    let own: Vec<_> = own.split_whitespace().filter(|name| !name.contains('/')).map(str::to_owned).collect();
    if own.is_empty() { vec![found.name.as_str().replace('-', "_")] } else { own }
}

/// Finds a module that is a file or a package with code. A directory without `__init__.py` is only part of a namespace and hides nothing.
fn module_in(directory: &Path, module: &str) -> Option<PathBuf> {
    let (package, file) = (directory.join(module), directory.join(format!("{module}.py")));
    if package.join("__init__.py").is_file() { Some(package) } else { Some(file).filter(|file| file.is_file()) }
}
