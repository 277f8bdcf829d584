//! Chooses the program that installs, and builds its command line and variables.

use super::build_plan::BuildPlan;
use super::pip::PipSetting;
use super::protect::{self, ProtectedVersions};
use super::python::Python;
use super::translate::{ForUv, for_uv};
use super::{cache_dirs, certificates, run, site_packages};
use crate::config::{self, Installer};
use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::support;

/// The oldest uv with the index variables that pip's settings are translated to.
const UV_MIN: (u32, u32, u32) = (0, 4, 23);

/// The longest wait for a program to print its version.
const ANSWER: Duration = Duration::from_secs(30);

/// The script that runs pip.
const RUN_PIP: &str = include_str!("run_pip.py");

/// A program that installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// uv, by its path.
    Uv {
        /// The program.
        path: PathBuf,
        /// Its version.
        version: String,
        /// pip's settings in its terms.
        settings: ForUv,
    },
    /// The pip of the interpreter.
    Pip {
        /// Its version.
        version: String,
        /// uv's variables for certificates in its terms.
        variables: Vec<(&'static str, OsString)>,
    },
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tool::Uv { version, .. } => write!(f, "uv {version}"),
            Tool::Pip { version, .. } => write!(f, "pip {version}"),
        }
    }
}

/// The facts that decide which installer is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct InstallerChoice<'a> {
    /// The key `deps.installer`.
    pub wanted: &'a config::OriginValue<Installer>,
    /// The interpreter.
    pub python: &'a Python,
    /// pip's settings.
    pub settings: &'a [PipSetting],
    /// The parts of the requirement files that only pip reads.
    pub for_pip: &'a [String],
    /// Whether a requirement has a hash.
    pub hashed: bool,
    /// The workload's environment.
    pub environment: &'a Environment,
    /// Whether the target is an overlay over the interpreter.
    pub layered: bool,
    /// The protected versions.
    pub kept: &'a ProtectedVersions,
}

/// Chooses uv if it is there and can do the job, else pip; `tell` gets the reason against uv.
///
/// # Errors
/// Fails if neither can be used, or if a setting allows virtual environments only (116).
pub(super) fn choose(choice: InstallerChoice<'_>, tell: &mut dyn FnMut(&str)) -> Result<Tool> {
    needs_no_environment(choice)?;
    let (mut uv, mut pip) = (None, None);
    if choice.wanted.value != Installer::Pip {
        uv = find_uv(choice);
    }
    if choice.wanted.value != Installer::Uv {
        let variables = || certificates::for_pip(choice.settings, choice.environment);
        pip = choice.python.pip.clone().map(|version| Tool::Pip { version, variables: variables() });
    }
    let Some(uv) = uv else { return pip.ok_or_else(|| missing(none_of(choice.wanted.value), choice)) };
    if cannot_start_threads(&uv, choice.environment) {
        return without_threads(pip, choice, tell);
    }
    match (obstacle(&uv, choice), pip) {
        (None, _) => Ok(uv),
        (Some(obstacle), Some(pip)) => {
            tell(&format!("pip installs, because uv {obstacle}"));
            Ok(pip)
        }
        (Some(_), None) if is_blind(choice) => {
            tell(
                "uv does not see the image's packages below, and there is no pip that would: what is not protected may be installed a second time",
            );
            Ok(uv)
        }
        (Some(obstacle), None) => {
            tell(&format!("uv {obstacle}: what that says does not hold here"));
            Ok(uv)
        }
    }
}

/// Keeps pip's setting that it installs into virtual environments only. An overlay is one.
fn needs_no_environment(choice: InstallerChoice<'_>) -> Result<()> {
    let setting = choice.settings.iter().find(|setting| setting.name == "require-virtualenv" && setting.is_on());
    let Some(setting) = setting.filter(|_| !choice.layered && !choice.python.is_virtual()) else { return Ok(()) };
    let executable = choice.python.executable.display();
    let what = format!(
        "requirements cannot be installed: {executable} is no virtual environment, which pip's setting require-virtualenv asks for"
    );
    Err(Error::new(ErrorKind::Permanent(FailureFamily::Deps), what)
        .because(format!("set by {}", setting.origin))
        .hint("install into an overlay, which is one: TRAINIT_DEPS_TARGET=layer")
        .hint("or take the setting back for this job: PIP_REQUIRE_VIRTUALENV=0"))
}

fn none_of(wanted: Installer) -> &'static str {
    match wanted {
        Installer::Auto => "there is neither uv nor pip",
        Installer::Uv => "there is no uv",
        Installer::Pip => "there is no pip",
    }
}

/// Checks whether uv would panic because it cannot start threads. It tries only in a sandbox that forbids clone3, with a uv command that
/// starts the threads and nothing else. A uv without the GNU C library starts threads by another call.
fn cannot_start_threads(uv: &Tool, environment: &Environment) -> bool {
    let Tool::Uv { path, .. } = uv else { return false };
    if !support::clone3_is_forbidden() {
        return false;
    }
    let mut command = Command::new(path);
    command.args(["--no-config", "cache", "dir"]);
    run::with_environment(&mut command, environment);
    !run::capture(command, Some(Instant::now() + ANSWER)).is_ok_and(|answer| answer.succeeded())
}

/// Returns pip as the installer without threads: pip needs none as long as it draws no progress bar.
fn without_threads(pip: Option<Tool>, choice: InstallerChoice<'_>, tell: &mut dyn FnMut(&str)) -> Result<Tool> {
    let why = "this container's seccomp profile answers clone3 with EPERM, as Docker before 20.10.10 does";
    if let Some(pip) = pip {
        tell(&format!("pip installs, because uv cannot start threads: {why}"));
        return Ok(pip);
    }
    let (what, hint) = match choice.wanted.value {
        Installer::Uv => ("deps.installer is uv", "or let pip install: TRAINIT_DEPS_INSTALLER=pip".to_owned()),
        _ => {
            let python = choice.python.executable.display();
            ("there is no pip", format!("or put pip into the image: {python} -m ensurepip"))
        }
    };
    let what = format!("requirements cannot be installed: {what}, and uv cannot start threads");
    Err(Error::new(ErrorKind::Permanent(FailureFamily::Deps), what)
        .because(why)
        .hint("use a newer engine, or start the container without a profile of seccomp")
        .hint(hint))
}

/// Checks whether uv would install again packages that the image has elsewhere: uv sees only the directory that it installs into.
fn is_blind(choice: InstallerChoice<'_>) -> bool {
    match choice.layered {
        true => !site_packages::is_bare(choice.python),
        false => !choice.kept.is_seen_by_uv(),
    }
}

/// Returns the reason why uv cannot be used.
fn obstacle(uv: &Tool, choice: InstallerChoice<'_>) -> Option<String> {
    let Tool::Uv { settings, .. } = uv else { return None };
    if is_blind(choice) {
        return Some("does not see the image's packages below".to_owned());
    }
    let mut unknown = [settings.unknown.as_slice(), choice.for_pip].concat();
    // With hashes uv wants one for each override, too, and the protected versions have none.
    let both = choice.hashed && !choice.kept.is_empty();
    unknown.extend(both.then(|| "hashes beside protected versions".to_owned()));
    (!unknown.is_empty()).then(|| format!("has no word for {}", unknown.join(", ")))
}

/// Finds uv beside the interpreter, else on PATH, with its version. It is run for that, since a shim may stand for a missing program.
pub(super) fn uv(python: &Python, environment: &Environment) -> Option<(String, PathBuf)> {
    let beside = python.executable.with_file_name("uv");
    let on_path = which::which_in("uv", environment.get("PATH"), "/").ok();
    let both = [Some(beside), on_path].into_iter().flatten();
    both.into_iter().find_map(|path| Some((uv_version(&path, environment)?, path)))
}

fn find_uv(choice: InstallerChoice<'_>) -> Option<Tool> {
    let (version, path) = uv(choice.python, choice.environment)?;
    Some(Tool::Uv { path, version, settings: for_uv(choice.settings, choice.environment) })
}

fn uv_version(path: &Path, environment: &Environment) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let mut command = Command::new(path);
    command.arg("--version");
    run::with_environment(&mut command, environment);
    let answer = run::capture(command, Some(Instant::now() + ANSWER)).ok().filter(run::ProgramOutput::succeeded)?;
    let version = answer.output.strip_prefix("uv ")?.split_whitespace().next()?.to_owned();
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    ((next(), next(), next()) >= UV_MIN).then_some(version)
}

fn missing(what: &str, choice: InstallerChoice<'_>) -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::Deps), format!("requirements cannot be installed: {what}"))
        .because(format!("for {}; deps.installer is from {}", choice.python.executable.display(), choice.wanted.origin))
        .hint(format!("put uv into the image, or pip: {} -m ensurepip", choice.python.executable.display()))
        .hint("or install nothing: TRAINIT_DEPS_REQUIREMENTS=off")
}

/// One run of an installer.
#[derive(Clone, Debug)]
pub(super) struct InstallerJob<'a> {
    /// The program that installs.
    pub tool: &'a Tool,
    /// The interpreter to install for: the overlay's own, where there is an overlay.
    pub executable: &'a Path,
    /// The directory of packages.
    pub packages: &'a Path,
    /// Whether the target is marked as externally managed (PEP 668).
    pub managed: bool,
    /// The requirement files.
    pub files: &'a [PathBuf],
    /// The directory of the user's own requirement files.
    pub beside: &'a Path,
    /// The workload's environment.
    pub environment: &'a Environment,
    /// The options with which the workload starts Python, as far as they change where it looks.
    pub options: &'a [OsString],
    /// The file for pip's log.
    pub log: Option<&'a Path>,
    /// Whether newer versions than the installed ones are wanted.
    pub upgrade: bool,
    /// Whether caches are skipped.
    pub fresh: bool,
    /// Whether a requirement has a hash. pip wants one for every requirement then; uv has to be told.
    pub hashed: bool,
    /// Whether byte code is compiled. An environment for the store is compiled once here and not on each machine.
    pub compile: bool,
    /// The protected versions.
    pub kept: &'a ProtectedVersions,
    /// The protected versions in a file for this tool.
    pub kept_file: Option<&'a Path>,
    /// The way in which packages are built.
    pub builds: &'a BuildPlan,
}

impl InstallerJob<'_> {
    /// Builds the command. Passwords go into variables only, because any user can read a command line.
    pub(super) fn command(&self) -> Command {
        let mut command = match self.tool {
            Tool::Uv { path, settings, .. } => self.uv(path, settings),
            Tool::Pip { variables, .. } => self.pip(variables),
        };
        command.args(self.upgrade.then_some("--upgrade"));
        for file in self.files {
            command.arg("-r").arg(file);
        }
        // Paths in a requirement file are relative to that file for uv and to the working directory for pip.
        command.current_dir(self.beside);
        command
    }

    fn start(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        run::with_environment(&mut command, self.environment);
        command.env("LC_ALL", "C.UTF-8");
        if self.environment.get("TMPDIR").is_none() && !cache_dirs::takes_files(Path::new("/tmp")) {
            command.envs(cache_dirs::writable(self.environment).map(|place| ("TMPDIR", place)));
        }
        command
    }

    fn uv(&self, path: &Path, settings: &ForUv) -> Command {
        let mut command = self.start(path);
        command.args(["pip", "install", "--no-config", "--no-python-downloads", "--python"]).arg(self.executable);
        command.args(self.managed.then_some("--break-system-packages")).args(&settings.options);
        command.args(self.builds.for_uv());
        command.args((self.hashed && self.kept_file.is_none()).then_some("--require-hashes"));
        if let Some(file) = self.kept_file {
            // The option replaces the variable, so the files of the variable are passed as well.
            let files = std::iter::once(file.to_owned()).chain(protect::overrides(self.environment));
            files.for_each(|file| _ = command.arg("--override").arg(file));
        }
        command.envs(settings.variables.iter().map(|(name, value)| (name, value)));
        command.envs(certificates::for_uv(self.environment));
        if self.compile && self.environment.get("UV_COMPILE_BYTECODE").is_none() {
            command.env("UV_COMPILE_BYTECODE", "1");
        }
        self.uv_cache(&mut command);
        command
    }

    /// Sets uv's cache and link mode: uv fails with a read-only cache, and prints three lines of warning if it cannot link from its cache.
    fn uv_cache(&self, command: &mut Command) {
        if self.environment.get("UV_NO_CACHE").is_some() {
            return;
        }
        let Some(cache) = self.cache("UV_CACHE_DIR", "uv") else {
            command.env("UV_NO_CACHE", "1");
            return;
        };
        if !cache_dirs::can_link(&cache, self.packages) && self.environment.get("UV_LINK_MODE").is_none() {
            command.env("UV_LINK_MODE", "copy");
        }
        command.env("UV_CACHE_DIR", cache);
    }

    fn pip(&self, variables: &[(&'static str, OsString)]) -> Command {
        let mut command = self.start(self.executable);
        let run_pip = format!("PINS = {}\n{}{RUN_PIP}", self.kept.for_pip(), self.builds.for_pip());
        // pip sees what the workload sees. Without `site` it would not even see itself.
        command.args(self.options.iter().filter(|option| *option != "-S"));
        command.args(["-c", &run_pip, "install", "--no-input", "--disable-pip-version-check"]);
        if let Some(file) = self.kept_file {
            command.arg("-c").arg(file);
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        if self.environment.get("PIP_ROOT_USER_ACTION").is_none() {
            command.env("PIP_ROOT_USER_ACTION", "ignore");
        }
        if let Some(log) = self.log {
            // A variable also holds for the nested pips that install the requirements of builds.
            command.env("PIP_LOG", log);
        }
        if support::clone3_is_forbidden() {
            // pip draws the bar in a thread.
            command.env("PIP_PROGRESS_BAR", "off");
        }
        if self.managed {
            // This is a variable because older versions of pip do not know the option.
            command.env("PIP_BREAK_SYSTEM_PACKAGES", "1");
        }
        match self.cache("PIP_CACHE_DIR", "pip") {
            Some(cache) => command.env("PIP_CACHE_DIR", cache),
            None => command.env("PIP_NO_CACHE_DIR", "1"),
        };
        command
    }

    /// Returns the cache directory: the user's setting, else the usual one, else one of `cache_dirs`; `None` if none is writable.
    fn cache(&self, variable: &str, name: &str) -> Option<PathBuf> {
        if self.fresh {
            return None;
        }
        let home = self.environment.get("HOME").map(|home| Path::new(home).join(".cache"));
        let usual = self.environment.get("XDG_CACHE_HOME").map(PathBuf::from).or(home).map(|cache| cache.join(name));
        let own = self.environment.get(variable).map(PathBuf::from).or(usual);
        let writable = |dir: &PathBuf| std::fs::create_dir_all(dir).is_ok() && cache_dirs::takes_files(dir);
        own.filter(writable).or_else(|| Some(cache_dirs::writable(self.environment)?.join(name)).filter(writable))
    }
}
