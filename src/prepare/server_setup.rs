//! Carries out the set-up of a mode's server: writes its files, has keys and certificates made, and prints where to connect.

use super::preparation::Preparation;
use super::server_files::{cannot_write, internal, keep, make, share, write};
use super::{kept_secrets, login_shells};
use crate::check::CheckContext;
use crate::config::{Requirements, secret};
use crate::deps;
use crate::error::Result;
use crate::mode::{self, Plan, PrivateFile, ServerContext, ServerSetup, ToldFiles};
use crate::program;
use protocol::handover::Message;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use supervisor::state_dir;
use sys::environment::Environment;
use sys::{ip, random};

/// Longest time for a question to the interpreter.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that is only named: nothing is written into it.
const NOWHERE: &str = "/run/trainit";

/// What the set-up of a server needs beside the check context.
pub(super) struct ServerWanted<'a> {
    /// The mode.
    pub plan: &'a Plan,
    /// The request for the workload's dependencies.
    pub request: deps::DepsRequest<'a>,
    /// The state directory.
    pub run_dir: Option<&'a Path>,
    /// The budget of a stop.
    pub grace: Option<Duration>,
}

impl Preparation {
    /// Carries out the set-up, and returns the command line to start.
    ///
    /// # Errors
    /// A requirement is missing or cannot be made.
    pub(super) fn set_up_server(
        &mut self,
        context: &CheckContext,
        wanted: &ServerWanted<'_>,
        command: Vec<OsString>,
        environment: &mut Environment,
    ) -> Result<Vec<OsString>> {
        let plan = wanted.plan;
        if !plan.setup {
            return Ok(command);
        }
        let cannot = |error: io::Error| internal(&format!("no private directory for mode {}", plan.mode), error);
        let private = state_dir::private(wanted.run_dir, &plan.mode).map_err(cannot)?;
        self.install_for_mode(&private, context, wanted, environment)?;
        let kept_secret = || kept_secret(&plan.mode, context, environment);
        let setup = setup(context, wanted, environment, &private, &kept_secret)?;
        let Some(setup) = setup else { return Ok(command) };
        setup.files.iter().try_for_each(write)?;
        setup.made.iter().try_for_each(|made| make(made, environment))?;
        for directory in &setup.directories {
            let _ = DirBuilder::new().mode(0o755).recursive(true).create(directory);
        }
        let shared = setup.shared.iter().filter_map(|file| cannot_write(&file.path, share(file)));
        shared.for_each(|line| self.console.line(&line));
        setup.lines.iter().for_each(|line| self.console.line_as_it_is(line));
        if let Some(address) = &setup.address {
            self.handover.keep(&Message::ServesAt(text::line(address).into_owned()));
        }
        setup.told.iter().filter_map(told).for_each(|line| self.console.line_as_it_is(&line));
        // The next start does not tell a kept secret again, so the secret is kept only after it was told.
        let kept = setup.kept.iter().filter_map(|kept| cannot_write(&kept.to, keep(kept)));
        kept.for_each(|line| self.console.line(&line));
        Ok(apply(setup, environment))
    }
}

/// Decides what the set-up of a server is, without carrying it out.
fn setup(
    context: &CheckContext,
    wanted: &ServerWanted<'_>,
    environment: &Environment,
    private: &Path,
    kept_secret: &dyn Fn() -> Option<PathBuf>,
) -> Result<Option<ServerSetup>> {
    let request = deps::DepsRequest { environment, ..wanted.request.clone() };
    let interpreter = deps::interpreter(&request);
    let surroundings = ServerContext {
        settings: &context.settings,
        environment,
        place: context.platform(),
        workdir: &context.workdir,
        code: &context.code,
        interpreter: interpreter.as_deref(),
        uid: nix::unistd::geteuid().as_raw(),
        grace: wanted.grace,
        private,
        login_shells_lose_path: login_shells::lose_path(context),
        kept_secret,
        secret: &random::secret().map_err(|error| internal("no random numbers", error))?,
        program: &|name| deps::program(&request, interpreter.as_deref(), name),
        module: &|name| has_module(interpreter.as_deref(), name, environment),
        holder: &ip::holder,
        read: &secret::read,
    };
    mode::server_setup(wanted.plan, &surroundings)
}

/// Looks whether a server could be set up, and writes nothing.
///
/// # Errors
/// A requirement is missing.
pub(super) fn without_writing(
    context: &CheckContext,
    wanted: &ServerWanted<'_>,
    environment: &Environment,
) -> Result<()> {
    setup(context, wanted, environment, Path::new(NOWHERE), &|| None).map(|_| ())
}

impl Preparation {
    /// Installs the mode's packages, in the same way as the requirements.
    fn install_for_mode(
        &mut self,
        private: &Path,
        context: &CheckContext,
        wanted: &ServerWanted<'_>,
        environment: &mut Environment,
    ) -> Result<()> {
        let packages = mode::packages(wanted.plan, &context.settings);
        if packages.is_empty() {
            return Ok(());
        }
        let path = private.join(format!("{}.txt", wanted.plan.mode));
        write(&PrivateFile { path: path.clone(), content: (packages.join("\n") + "\n").into(), keep: false })?;
        let mut settings = context.settings.clone();
        settings.deps_requirements.value = Requirements::Files(vec![path]);
        let request = deps::DepsRequest { settings: &settings, environment, ..wanted.request.clone() };
        let changes = self.install(&request)?;
        changes.into_iter().for_each(|(name, value)| environment.set_over_pin(name, value));
        Ok(())
    }
}

/// Returns the file for a mode's secret that outlives a stop; on a machine each start is on its own.
fn kept_secret(mode: &str, context: &CheckContext, environment: &Environment) -> Option<PathBuf> {
    let place = || kept_secrets::place(mode, &context.mounts, environment);
    context.platform().is_container().then(place).flatten()
}

/// Asks the interpreter whether it would find a module, without importing it.
fn has_module(interpreter: Option<&Path>, name: &str, environment: &Environment) -> bool {
    const QUESTION: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
    let Some(interpreter) = interpreter else { return false };
    let mut command = Command::new(interpreter);
    command.args(["-c", QUESTION, name]);
    program::with_environment(&mut command, environment);
    program::capture(command, Some(Instant::now() + PATIENCE)).is_ok_and(|answer| answer.succeeded())
}

/// Returns a line about files of this start; one that cannot be read is left out, and the server itself reports it.
fn told(about: &ToldFiles) -> Option<String> {
    let contents: Vec<Vec<u8>> = about.paths.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    (about.words)(&contents)
}

/// Applies the variables to the environment; returns the command line.
fn apply(setup: ServerSetup, environment: &mut Environment) -> Vec<OsString> {
    setup.unset.iter().for_each(|name| environment.remove(name));
    setup.set.into_iter().for_each(|(name, value)| environment.set(name, value));
    setup.command
}
