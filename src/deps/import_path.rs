//! Lists the directories in which the workload's Python is going to look for packages, in its order (site.py): the first one that has a
//! name wins. The standard library is left out.

use super::overlay::Overlay;
use super::path_files;
use super::python::Python;
use super::python_start::PythonStart;
use requirements::installed::{Distribution, Folders, Installed};
use std::path::{Path, PathBuf};

/// The reason why a directory is on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathOrigin {
    /// PYTHONPATH names it.
    Variable,
    /// It is the user's own, or a `.pth` file there names it.
    User,
    /// It is the interpreter's, an overlay's, or a `.pth` file there names it.
    Site,
}

/// The directories of one Python.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ImportPath(Vec<(PathBuf, PathOrigin)>);

impl ImportPath {
    /// Lists the directories for a start, with those of an overlay.
    pub(super) fn of(python: &Python, start: &PythonStart, layer: Option<&Overlay<'_>>, folders: &Folders) -> Self {
        let has_site = !start.options.iter().any(|option| option == "-S");
        let mut found = ImportPath(start.python_path.iter().map(|path| (path.clone(), PathOrigin::Variable)).collect());
        let layer = layer.map(|layer| with_added(layer.packages(), folders)).unwrap_or_default();
        let own = python.sites.split_at_checked(python.sites_before_user).unwrap_or((&python.sites, &[]));
        if !layer.is_empty() && start.by_name {
            // The overlay's own interpreter runs: its packages come first, as those of a virtual environment do.
            found.add(&layer, PathOrigin::Site);
        }
        if has_site {
            found.add(own.0, PathOrigin::Site);
        }
        found.add(&user_directories(python, start, folders), PathOrigin::User);
        if has_site {
            if start.reads_variables {
                // The overlay is found through PYTHONPATH, and stands right before the interpreter's own directories.
                found.add(&layer, PathOrigin::Site);
            }
            found.add(own.1, PathOrigin::Site);
            found.add(&[python.purelib.clone(), python.platlib.clone()], PathOrigin::Site);
        }
        found
    }

    fn add(&mut self, directories: &[PathBuf], origin: PathOrigin) {
        for directory in directories {
            if !self.0.iter().any(|(known, _)| known == directory) {
                self.0.push((directory.clone(), origin));
            }
        }
    }

    /// Reads the packages that are found there.
    pub(super) fn installed(&self, folders: &Folders) -> Installed {
        Installed::of(folders, self.0.iter().map(|(path, _)| path))
    }

    /// Lists the directories that are not the interpreter's.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().filter(|(_, origin)| *origin != PathOrigin::Site).map(|(path, _)| path)
    }

    /// Lists the directories before another one.
    pub(super) fn before(&self, directory: &Path) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().map(|(path, _)| path).take_while(move |path| path.as_path() != directory)
    }

    /// Returns the reason why a distribution's directory is on the path.
    pub(super) fn origin(&self, found: &Distribution) -> PathOrigin {
        let directory = found.path.parent().unwrap_or(Path::new("/"));
        self.0.iter().find(|(path, _)| path == directory).map_or(PathOrigin::Site, |(_, origin)| *origin)
    }
}

/// Lists the directories of the user's own packages.
pub(super) fn user_directories(python: &Python, start: &PythonStart, folders: &Folders) -> Vec<PathBuf> {
    let base = start.user_base.as_ref().filter(|_| python.user_site);
    let directory = base.map(|base| base.join("lib").join(python.library_name()).join("site-packages"));
    directory.map(|directory| with_added(directory, folders)).unwrap_or_default()
}

/// Returns a directory with those that its `.pth` files name.
fn with_added(directory: PathBuf, folders: &Folders) -> Vec<PathBuf> {
    let added = path_files::added(&folders.get(&directory));
    std::iter::once(directory).chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::super::python::tests::example;
    use super::*;

    fn start() -> PythonStart {
        let python_path = vec!["/pp".into(), "/usr/lib/own".into()];
        PythonStart {
            python_path,
            user_base: Some("/h/.local".into()),
            reads_variables: true,
            ..PythonStart::default()
        }
    }

    fn system() -> Python {
        let sites = ["/usr/local/lib/own", "/usr/lib/own"].map(PathBuf::from).to_vec();
        let purelib = PathBuf::from("/usr/local/lib/own");
        Python { sites, sites_before_user: 0, user_site: true, platlib: purelib.clone(), purelib, ..example() }
    }

    fn names(python: &Python, start: &PythonStart, layer: bool) -> Vec<String> {
        let layer = layer.then(|| Overlay { root: "/l".into(), python });
        let found = ImportPath::of(python, start, layer.as_ref(), &Folders::default());
        found.0.into_iter().map(|(path, _)| path.display().to_string()).collect()
    }

    const USER: &str = "/h/.local/lib/python3.12/site-packages";
    const LAYER: &str = "/l/lib/python3.12/site-packages";

    #[test]
    fn the_users_own_packages_come_before_the_systems_and_behind_a_virtual_environments() {
        assert_eq!(names(&system(), &start(), false), ["/pp", "/usr/lib/own", USER, "/usr/local/lib/own"]);
        let above = Python {
            sites: ["/venv/own", "/named/by/pth", "/usr/lib/own"].map(PathBuf::from).to_vec(),
            sites_before_user: 2,
            purelib: "/venv/own".into(),
            platlib: "/venv/own".into(),
            ..system()
        };
        let without = PythonStart { python_path: Vec::new(), ..start() };
        assert_eq!(names(&above, &without, false), ["/venv/own", "/named/by/pth", USER, "/usr/lib/own"]);
        let closed = Python { user_site: false, ..above };
        assert_eq!(names(&closed, &without, false), ["/venv/own", "/named/by/pth", "/usr/lib/own"]);
    }

    #[test]
    fn an_overlay_comes_first_for_its_own_interpreter_and_behind_the_user_for_the_one_below() {
        let without = PythonStart { python_path: Vec::new(), ..start() };
        assert_eq!(names(&system(), &without, true)[..2], [USER, LAYER]);
        let by_name = PythonStart { by_name: true, ..without.clone() };
        assert_eq!(names(&system(), &by_name, true)[..2], [LAYER, USER]);
        let isolated = PythonStart { reads_variables: false, user_base: None, ..without };
        assert_eq!(names(&system(), &isolated, true), ["/usr/local/lib/own", "/usr/lib/own"]);
    }
}
