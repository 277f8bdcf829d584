//! Makes overlays: packages over an interpreter whose own directory cannot be written. An overlay is a virtual environment that sees
//! everything below it, so pip resolves against the image's packages. The image's own interpreter sees the overlay as well, because
//! launchers like torchrun name that interpreter in their first line.

use super::python::{OWN, Python};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;

/// The directory in PYTHONPATH through which the interpreter below finds the overlay.
pub(super) const HOOK: &str = "trainit-hook";

/// The file beside an overlay whose modification time is the time of the overlay's last use.
pub(super) const USED: &str = "used";

/// The shortest interval between two records of a use.
const TOUCH: Duration = Duration::from_secs(3600);

/// The module that the interpreter below runs at its start. PYTHONPATH itself would not do: Python reads no `.pth` files there, and other
/// versions of Python would find packages that are not theirs.
const SITECUSTOMIZE: &str = r#"
import sys


def add_layer():
    import site

    before = list(sys.path)
    site.addsitedir(LAYER)
    new = [p for p in sys.path if p not in before]
    below = [n for n, p in enumerate(before) if p in SITES]
    at = below[0] if below else len(before)
    sys.path[:] = before[:at] + new + before[at:]


def run_hidden():
    """Runs the sitecustomize that this one stands before."""
    import importlib.machinery
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    path = [p for p in sys.path if os.path.abspath(p or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec and spec.loader:
        import importlib.util

        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if sys.prefix == PREFIX and "%d.%d" % sys.version_info[:2] == VERSION:
    add_layer()
run_hidden()
"#;

/// An overlay's directory and the interpreter below it.
#[derive(Clone, Debug)]
pub(super) struct Overlay<'a> {
    /// The directory of the overlay. Its programs name this path, so the overlay cannot be moved.
    pub root: PathBuf,
    /// The interpreter below.
    pub python: &'a Python,
}

impl Overlay<'_> {
    /// Returns the overlay's own interpreter.
    pub(super) fn executable(&self) -> PathBuf {
        self.root.join("bin/python")
    }

    /// Returns the overlay's directory of packages.
    pub(super) fn packages(&self) -> PathBuf {
        self.root.join("lib").join(self.python.library_name()).join("site-packages")
    }

    /// Returns trainit's own directory in the overlay.
    pub(super) fn own_directory(&self) -> PathBuf {
        self.packages().join(OWN)
    }

    /// Records a use; returns false if another process has just removed the overlay.
    pub(super) fn is_used(&self) -> bool {
        let used = self.root.with_file_name(USED);
        let age = fs::metadata(&used).ok().and_then(|found| found.modified().ok()?.elapsed().ok());
        // The cache may be read-only.
        age.is_some_and(|age| age < TOUCH) || fs::write(used, "").is_ok() || self.root.is_dir()
    }

    /// Creates the overlay anew. An existing one is unfinished, so no process uses it.
    ///
    /// # Errors
    /// Returns the error of making a file or directory.
    pub(super) fn create(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(self.packages())?,
        }
        self.create_programs()?;
        self.create_hook()?;
        let home = self.python.base_executable.parent().unwrap_or(Path::new("/usr/bin")).display();
        let version = &self.python.version;
        fs::write(
            self.root.join("pyvenv.cfg"),
            format!("home = {home}\ninclude-system-site-packages = true\nversion = {version}\n"),
        )
    }

    fn create_programs(&self) -> io::Result<()> {
        fs::create_dir_all(self.root.join("bin"))?;
        symlink("lib", self.root.join("lib64"))?;
        symlink(&self.python.base_executable, self.executable())?;
        symlink("python", self.root.join("bin/python3"))?;
        symlink("python", self.root.join("bin").join(self.python.library_name()))
    }

    fn create_hook(&self) -> io::Result<()> {
        fs::create_dir(self.root.join(HOOK))?;
        let version = self.python.version.rsplit_once('.').map_or("", |(minor, _)| minor);
        // Every string of JSON is a string of Python as well.
        let head = format!(
            "# Written by trainit: shows the packages of this layer to the Python below it, and to no other.\n\
             LAYER = {}\nPREFIX = {}\nVERSION = {}\nSITES = {}\n",
            json!(self.packages()),
            json!(self.python.prefix),
            json!(version),
            json!(self.python.sites)
        );
        fs::write(self.root.join(HOOK).join("sitecustomize.py"), head + SITECUSTOMIZE)?;
        if !self.python.is_virtual() {
            return Ok(());
        }
        // A virtual environment over another one would see only the packages below both.
        let lines: String =
            self.python.sites.iter().map(|dir| format!("import site; site.addsitedir({})\n", json!(dir))).collect();
        fs::write(self.packages().join("_trainit_below.pth"), lines)
    }

    /// Returns the variables that make a process use the overlay.
    pub(super) fn environment(&self, environment: &Environment) -> Vec<(OsString, OsString)> {
        let with =
            |name: &str, first: PathBuf| (OsString::from(name), before(first.as_os_str(), environment.get(name)));
        vec![
            ("VIRTUAL_ENV".into(), self.root.clone().into()),
            with("PATH", self.root.join("bin")),
            with("PYTHONPATH", self.root.join(HOOK)),
        ]
    }
}

/// Returns a list of paths with one path first, which the list contains only once.
fn before(first: &OsStr, list: Option<&OsStr>) -> OsString {
    let rest = list.map(std::env::split_paths).into_iter().flatten().filter(|path| path != Path::new(first));
    let all = std::iter::once(PathBuf::from(first)).chain(rest);
    std::env::join_paths(all).unwrap_or_else(|_| list.unwrap_or_default().to_owned())
}

/// Checks whether a directory contains shared libraries, which cannot be loaded from a file system mounted `noexec`.
pub(super) fn has_libraries(directory: &Path) -> bool {
    let mut entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => has_libraries(&entry.path()),
        _ => entry.path().extension().is_some_and(|end| end == "so"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::python::tests::example;
    use super::*;

    #[test]
    fn a_path_is_put_first_only_once() {
        assert_eq!(before(OsStr::new("/l"), None), "/l");
        assert_eq!(before(OsStr::new("/l"), Some(OsStr::new("/a:/l:/b"))), "/l:/a:/b");
    }

    #[test]
    fn a_layer_over_a_virtual_environment_sees_its_packages() {
        let dir = tempfile::tempdir().unwrap();
        let python = example();
        let layer = Overlay { root: dir.path().join("layer"), python: &python };
        fs::create_dir_all(layer.root.join("rest of a killed start")).unwrap();
        layer.create().unwrap();
        let below = fs::read_to_string(layer.packages().join("_trainit_below.pth")).unwrap();
        assert_eq!(below, "import site; site.addsitedir(\"/venv/lib/python3.12/site-packages\")\n");
        assert_eq!(fs::read_link(layer.executable()).unwrap(), Path::new("/usr/bin/python3.12"));
        assert!(!layer.root.join("rest of a killed start").exists());
    }

    #[test]
    fn libraries_are_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        assert!(!has_libraries(dir.path()));
        fs::write(dir.path().join("a/b/_c.so"), "").unwrap();
        assert!(has_libraries(dir.path()));
    }
}
