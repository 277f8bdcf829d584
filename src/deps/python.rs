//! Describes an interpreter: where it installs, where it looks for packages, and whether it belongs to the system. The interpreter is
//! asked once; the answer is kept beside the packages, so that a later start needs no process for it.

use super::interpreter::Interpreter;
use super::refusal::not_run;
use super::stamp::replace;
use super::{cache_dirs, path_files, run};
use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use requirements::installed::Folders;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use store::digest::Digest;
use sys::environment::Environment;

/// The file in which an answer is kept.
const FILE: &str = "python.json";

/// trainit's own directory inside a directory of packages.
pub const OWN: &str = ".trainit";

/// The mark before the answer, so that the output of a sitecustomize is not taken for it.
const MARK: &str = "trainit-python:";

/// The Python program that answers. It runs from Python 2.7 on, so that an old interpreter is recognized. It removes the working directory
/// from the path first: the code there may contain a module of any name. Python is started without `site`, whose work is done here, so that
/// the place of the user's own directory is known whether that directory exists or not.
const QUESTION: &str = r#"
import sys
sys.path[:] = [p for p in sys.path if p]
import site
at = []
def pass_over(known, *rest):
    at.append(len(sys.path))
    return known
site.addusersitepackages = pass_over
site.main()
sys.path[:] = [p for p in sys.path if p]
import json, os, sysconfig
paths = sysconfig.get_paths()
stdlib = [paths["stdlib"], paths["platstdlib"]]
try:
    import pip
    pip = str(pip.__version__)
except Exception:
    pip = None
base = getattr(sys, "base_prefix", sys.prefix)
def markers():
    one, system = sys.implementation, os.uname()
    version = "%d.%d.%d" % one.version[:3]
    if one.version[3] != "final":
        version += one.version[3][0] + str(one.version[4])
    names = dict(cpython="CPython", pypy="PyPy")
    if one.name not in names:
        import platform
        names[one.name] = platform.python_implementation()
    return dict(os_name=os.name, sys_platform=sys.platform, platform_machine=system[4], platform_system=system[0],
        platform_python_implementation=names[one.name], implementation_name=one.name, implementation_version=version,
        python_version="%d.%d" % sys.version_info[:2], python_full_version=sys.version.split()[0])
def has_packages(p):
    return os.path.isdir(p) and p not in stdlib and os.path.basename(p) != "lib-dynload"
home = os.path.join(base, "bin", os.path.basename(paths["stdlib"]))
print("\ntrainit-python:" + json.dumps(dict(
    version="%d.%d.%d" % sys.version_info[:3],
    executable=sys.executable,
    base_executable=getattr(sys, "_base_executable", None) or home,
    prefix=sys.prefix,
    base_prefix=base,
    purelib=paths["purelib"],
    platlib=paths["platlib"],
    scripts=paths["scripts"],
    stdlib=paths["stdlib"],
    sites=[p for p in sys.path if has_packages(p)],
    sites_before_user=len([p for p in sys.path[:at[0] if at else 0] if has_packages(p)]),
    user_site=bool(site.ENABLE_USER_SITE),
    pip=pip,
    markers=markers() if sys.version_info[0] > 2 else {},
    managed=sys.prefix == base and os.path.exists(os.path.join(paths["stdlib"], "EXTERNALLY-MANAGED")),
    conda=os.path.isdir(os.path.join(sys.prefix, "conda-meta")))))
"#;

/// An interpreter's answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The identity of the interpreter, filled in by trainit.
    #[serde(default)]
    pub identity: String,
    /// A digest that changes when the interpreter may look for packages elsewhere than in `sites`, filled in by trainit.
    #[serde(default)]
    pub paths: String,
    /// `3.12.1`.
    pub version: String,
    /// `sys.executable`.
    pub executable: PathBuf,
    /// The interpreter that a virtual environment was made from; the interpreter itself outside of one.
    pub base_executable: PathBuf,
    /// `sys.prefix`.
    pub prefix: PathBuf,
    /// `sys.base_prefix`.
    pub base_prefix: PathBuf,
    /// The directory of pure packages.
    pub purelib: PathBuf,
    /// The directory of packages with compiled parts.
    pub platlib: PathBuf,
    /// The directory of programs.
    pub scripts: PathBuf,
    /// The standard library.
    pub stdlib: PathBuf,
    /// The directories in which it looks for packages, without the user's own directory and PYTHONPATH.
    pub sites: Vec<PathBuf>,
    /// The number of those directories that come before the user's own.
    pub sites_before_user: usize,
    /// Whether it looks in the user's own directory as well.
    pub user_site: bool,
    /// The version of its pip, if it has one.
    pub pip: Option<String>,
    /// The values that requirements' markers are compared with.
    pub markers: requirements::packaging::MarkerEnvironment,
    /// Whether its distribution marks it as externally managed (PEP 668).
    pub managed: bool,
    /// Whether it is in a conda environment.
    pub conda: bool,
}

impl Python {
    /// Checks whether it is in a virtual environment.
    pub fn is_virtual(&self) -> bool {
        self.prefix != self.base_prefix
    }

    /// Checks that nothing was added to its path since it was asked.
    pub fn holds(&self, folders: &Folders) -> bool {
        self.path_digest(folders) == self.paths
    }

    fn path_digest(&self, folders: &Folders) -> String {
        path_files::digest(self.package_directories(), folders)
    }

    /// Returns trainit's directory beside the packages that it installs.
    pub fn own_directory(&self) -> PathBuf {
        self.purelib.join(OWN)
    }

    /// Lists the directories of packages in the interpreter's order, without the user's own and PYTHONPATH.
    pub fn package_directories(&self) -> impl Iterator<Item = &PathBuf> {
        // Its own directories may not have existed when it was asked.
        self.sites.iter().chain([&self.purelib, &self.platlib])
    }

    /// Returns `python3.12`, the name of its directories.
    pub fn library_name(&self) -> &Path {
        Path::new(self.stdlib.file_name().unwrap_or_default())
    }
}

/// Returns a digest that changes when another interpreter stands at the path. It leaves device and inode out: they differ between
/// containers of one image.
pub fn identity(path: &Path, environment: &Environment) -> String {
    let mut digest = Digest::default();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    digest.add("directory", path.parent().unwrap_or(path).as_os_str().as_encoded_bytes());
    digest.add("file", real.as_os_str().as_encoded_bytes());
    if let Ok(found) = fs::metadata(&real) {
        digest.add("stat", format!("{} {}.{}", found.len(), found.mtime(), found.mtime_nsec()));
    }
    if let Some((_, text)) = virtual_environment(path) {
        digest.add("pyvenv.cfg", text);
    }
    digest.add("PYTHONHOME", environment.get("PYTHONHOME").unwrap_or_default().as_encoded_bytes());
    digest.hex()
}

/// Returns the virtual environment that a path leads into, by its configuration file (PEP 405).
fn virtual_environment(path: &Path) -> Option<(PathBuf, String)> {
    path.ancestors()
        .skip(1)
        .take(2)
        .find_map(|dir| Some((dir.to_owned(), fs::read_to_string(dir.join("pyvenv.cfg")).ok()?)))
}

/// Returns an earlier start's answer if it still holds, without starting a process.
pub fn remembered(interpreter: &Interpreter, environment: &Environment) -> Option<Python> {
    let identity = identity(&interpreter.path, environment);
    let kept = |dir: PathBuf| read(&super::stamp::kept(&dir.join(FILE))?).filter(|python| python.identity == identity);
    let own = cache_dirs::candidates(environment)
        .into_iter()
        .filter(|place| cache_dirs::is_ours(place))
        .map(|place| place.join(name_in_cache(&identity)));
    guesses(&interpreter.path).into_iter().chain(own).find_map(kept)
}

/// Parses a kept answer; anything invalid counts as missing.
pub fn read(bytes: &[u8]) -> Option<Python> {
    serde_json::from_slice(bytes).ok()
}

/// Guesses where an answer may lie beside the packages. A wrong guess only costs another question.
fn guesses(path: &Path) -> Vec<PathBuf> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let prefix =
        virtual_environment(path).map(|(prefix, _)| prefix).or_else(|| Some(real.parent()?.parent()?.to_owned()));
    let Some(prefix) = prefix else { return Vec::new() };
    let libraries = ["lib", "local/lib"].map(|lib| prefix.join(lib));
    let versions = libraries.iter().filter_map(|lib| fs::read_dir(lib).ok()).flat_map(|entries| entries.flatten());
    let pythons =
        versions.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"python")).map(|entry| entry.path());
    pythons.flat_map(|dir| ["site-packages", "dist-packages"].map(|name| dir.join(name).join(OWN))).collect()
}

fn name_in_cache(identity: &str) -> String {
    format!("python-{}", store::digest::short(identity))
}

/// Asks the interpreter to describe itself.
///
/// # Errors
/// Fails if it cannot be run, or is too old (116).
pub fn ask(interpreter: &Interpreter, environment: &Environment, deadline: Option<Instant>) -> Result<Python> {
    let mut command = Command::new(&interpreter.path);
    command.args(["-E", "-S", "-c", QUESTION]);
    run::with_environment(&mut command, environment);
    let answer =
        run::capture(command, deadline).map_err(|error| not_run(&interpreter.path, error, unusable(interpreter)))?;
    let line = answer.output.lines().rev().find_map(|line| line.strip_prefix(MARK));
    let mut python =
        line.and_then(|json| read(json.as_bytes())).ok_or_else(|| mute(interpreter, answer.output.trim()))?;
    if python.version.starts_with("2.") {
        return Err(mute(interpreter, &format!("it is Python {}", python.version)));
    }
    python.identity = identity(&interpreter.path, environment);
    python.paths = python.path_digest(&Folders::default());
    Ok(python)
}

impl Python {
    /// Keeps the answer in trainit's directory beside the packages.
    pub fn remember(&self) {
        self.keep(&self.own_directory());
    }

    /// Keeps the answer in a cache directory of the user, where the directory of packages is not writable.
    pub fn remember_in(&self, place: &Path) {
        self.keep(&place.join(name_in_cache(&self.identity)));
    }

    /// Writes the answer, and ignores errors: without it the next start asks again.
    fn keep(&self, directory: &Path) {
        if let Ok(json) = serde_json::to_vec(self) {
            let _ = replace(&directory.join(FILE), &json);
        }
    }
}

fn mute(interpreter: &Interpreter, output: &str) -> Error {
    let lines: Vec<_> = output.lines().rev().take(3).collect();
    let told = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
    let told = if told.is_empty() { "it gives no answer about itself".to_owned() } else { told };
    unusable(interpreter).because(told)
}

fn unusable(interpreter: &Interpreter) -> Error {
    Error::new(
        ErrorKind::Permanent(FailureFamily::Deps),
        format!("{} is not a Python that can be installed for", interpreter.path.display()),
    )
    .hint(format!("it was named by {}; name another one: TRAINIT_DEPS_PYTHON=/path/to/python", interpreter.named_by))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Makes a virtual environment at /venv.
    pub(crate) fn example() -> Python {
        let answer = br#"{"version":"3.12.1","executable":"/venv/bin/python","base_executable":"/usr/bin/python3.12","prefix":"/venv",
            "base_prefix":"/usr","purelib":"/venv/lib/python3.12/site-packages","platlib":"/venv/lib/python3.12/site-packages",
            "scripts":"/venv/bin","markers":{"os_name":"posix","sys_platform":"linux","platform_machine":"x86_64","platform_system":"Linux",
            "platform_python_implementation":"CPython","python_version":"3.12","python_full_version":"3.12.1",
            "implementation_name":"cpython","implementation_version":"3.12.1"},"stdlib":"/usr/lib/python3.12","sites":["/venv/lib/python3.12/site-packages"],"sites_before_user":1,"user_site":false,
            "pip":"24.0","managed":false,"conda":false}"#;
        read(answer).unwrap()
    }

    #[test]
    fn an_interpreter_that_the_machine_cannot_start_now_is_not_a_wrong_one() {
        let interpreter = Interpreter { path: "/usr/bin/python3".into(), named_by: "PATH" };
        let kind =
            |number| not_run(&interpreter.path, std::io::Error::from_raw_os_error(number), unusable(&interpreter)).kind;
        for number in [libc::ENOMEM, libc::EIO, libc::EAGAIN, libc::EINTR, libc::ESTALE] {
            assert_eq!(kind(number), ErrorKind::Transient(FailureFamily::Deps), "{number}");
        }
        assert_eq!(kind(libc::ENOEXEC), ErrorKind::Permanent(FailureFamily::Deps));
    }

    #[test]
    fn a_virtual_environment_is_told_from_its_base_and_from_its_twin() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base/bin/python3.12");
        fs::create_dir_all(base.parent().unwrap()).unwrap();
        fs::write(&base, "elf").unwrap();
        let make = |name: &str| {
            let bin = dir.path().join(name).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(dir.path().join(name).join("pyvenv.cfg"), "home = x").unwrap();
            std::os::unix::fs::symlink(&base, bin.join("python")).unwrap();
            std::os::unix::fs::symlink("python", bin.join("python3")).unwrap();
            bin
        };
        let (one, two, none) = (make("one"), make("two"), Environment::default());
        let of = |path: &Path| identity(path, &none);
        assert_ne!(of(&one.join("python")), of(&two.join("python")));
        assert_ne!(of(&one.join("python")), of(&base));
        assert_eq!(of(&one.join("python")), of(&one.join("python3")));
        let before = of(&one.join("python"));
        fs::write(&base, "another elf").unwrap();
        assert_ne!(of(&one.join("python")), before);
    }

    proptest! {
        #[test]
        fn no_bytes_in_a_kept_answer_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_none());
        }
    }
}
