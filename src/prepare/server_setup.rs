//! Carries out the set-up of a mode's server: writes its files, has keys and certificates made, and prints where to connect.

use super::preparation::Preparation;
use crate::check::CheckContext;
use crate::config::{Requirements, secret};
use crate::deps;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::{self, KeptFile, MadeFile, Plan, PrivateFile, ServerContext, ServerSetup, SharedFile};
use crate::program;
use std::ffi::OsString;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use supervisor::state_dir;
use sys::environment::Environment;
use sys::{ip, process, random};

/// Longest time for making a key or a certificate on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

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
            private: &private,
            secret: &random::secret().map_err(|error| internal("no random numbers", error))?,
            program: &|name| deps::program(&request, interpreter.as_deref(), name),
            module: &|name| has_module(interpreter.as_deref(), name, environment),
            holder: &ip::holder,
            read: &secret::read,
        };
        let Some(setup) = mode::server_setup(plan, &surroundings)? else { return Ok(command) };
        setup.files.iter().try_for_each(write)?;
        setup.made.iter().try_for_each(|made| make(made, environment))?;
        for directory in &setup.directories {
            let _ = DirBuilder::new().mode(0o755).recursive(true).create(directory);
        }
        let shared = setup.shared.iter().filter_map(|file| cannot_write(&file.path, share(file)));
        let kept = setup.kept.iter().filter_map(|kept| cannot_write(&kept.to, keep(kept)));
        shared.chain(kept).for_each(|line| self.console.line(&line));
        setup.lines.iter().for_each(|line| self.console.line_as_it_is(line));
        Ok(apply(setup, environment))
    }
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

/// Asks the interpreter whether it would find a module, without importing it.
fn has_module(interpreter: Option<&Path>, name: &str, environment: &Environment) -> bool {
    const QUESTION: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
    let Some(interpreter) = interpreter else { return false };
    let mut command = Command::new(interpreter);
    command.args(["-c", QUESTION, name]);
    program::with_environment(&mut command, environment);
    program::capture(command, Some(Instant::now() + PATIENCE)).is_ok_and(|answer| answer.succeeded())
}

/// Applies the variables to the environment; returns the command line.
fn apply(setup: ServerSetup, environment: &mut Environment) -> Vec<OsString> {
    setup.unset.iter().for_each(|name| environment.remove(name));
    setup.set.into_iter().for_each(|(name, value)| environment.set(name, value));
    setup.command
}

/// Writes a file in one step, so that no reader sees a part of it or more than its mode allows.
fn write(file: &PrivateFile) -> Result<()> {
    if file.keep && file.path.exists() {
        return Ok(());
    }
    let write = || {
        let directory = directory_of(&file.path)?;
        let mut new = temporary::make(directory, ".trainit-")?;
        new.write_all(&file.content)?;
        temporary::publish(new, &file.path, 0o600, false)
    };
    write().map_err(|error: io::Error| internal(&format!("cannot write {}", text::path(&file.path)), error))
}

/// Returns the directory of a private file, made if it is missing.
fn directory_of(path: &Path) -> io::Result<&Path> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
    Ok(directory)
}

fn make(made: &MadeFile, environment: &Environment) -> Result<()> {
    let Some((program, words)) = made.command.split_first().filter(|_| !made.path.exists()) else { return Ok(()) };
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = Command::new(program);
    command.args(words);
    program::with_environment(&mut command, environment);
    let failed = || {
        let what = format!("{name} could not make {}", text::path(&made.path));
        Error::new(ErrorKind::NotFound, what).hint(made.hint.clone())
    };
    // The directory makes the new file private from its first byte on. If it cannot be made, the program reports that.
    let _ = directory_of(&made.path);
    let answer = process::with_umask(0o077, || program::capture(command, Some(Instant::now() + PATIENCE)));
    match answer {
        Ok(answer) if answer.succeeded() && made.path.exists() => {
            std::fs::set_permissions(&made.path, Permissions::from_mode(0o600))
                .map_err(|error| internal(&format!("cannot close {}", text::path(&made.path)), error))
        }
        Ok(answer) => Err(failed().because(answer.output.lines().last().unwrap_or("it said nothing"))),
        Err(error) => Err(failed().caused_by(error)),
    }
}

fn share(file: &SharedFile) -> io::Result<()> {
    let (mode, group) = match std::fs::metadata(&file.path) {
        Ok(found) => (found.mode() & 0o777, Some(found.gid())),
        Err(_) => (0o644, None),
    };
    let mut new = temporary::make(file.path.parent().unwrap_or(Path::new("/")), ".trainit-")?;
    new.write_all(&file.content)?;
    std::os::unix::fs::fchown(new.as_file(), None, group)?;
    temporary::publish(new, &file.path, mode, false)
}

/// Copies a file to keep; a copy that another start has made first stays.
fn keep(kept: &KeptFile) -> io::Result<()> {
    let directory = kept.to.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
    let mut new = temporary::make(directory, ".trainit-")?;
    new.write_all(&std::fs::read(&kept.from)?)?;
    match kept.to.exists() {
        true => Ok(()),
        false => temporary::publish(new, &kept.to, 0o600, true),
    }
}

fn cannot_write(path: &Path, written: io::Result<()>) -> Option<String> {
    written.err().map(|error| format!("cannot write {}: {}", text::path(path), protocol::errno::words_of(&error)))
}

fn internal(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Internal, what).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_those_that_are_to_be_kept_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/token");
        let file = |content: &str, keep| PrivateFile { path: path.clone(), content: content.into(), keep };
        write(&file("one", true)).unwrap();
        write(&file("two", true)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&file("two", false)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        // What others could read is replaced and not written into: a reader who has it open sees nothing new.
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut reader = std::fs::File::open(&path).unwrap();
        process::with_umask(0, || write(&file("three", false))).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut seen = String::new();
        std::io::Read::read_to_string(&mut reader, &mut seen).unwrap();
        assert_eq!(seen, "two");
    }

    #[test]
    fn what_a_program_makes_is_closed_and_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let command = ["/bin/sh", "-c", "umask 0; echo made >>\"$0\""].map(OsString::from).to_vec();
        let command = [command, vec![path.clone().into()]].concat();
        let made = MadeFile { path: path.clone(), command, hint: String::new() };
        (0..2).for_each(|_| make(&made, &Environment::default()).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"made\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_last_words() {
        let command = ["/bin/sh", "-c", "echo first; echo no room >&2; exit 3"].map(OsString::from).to_vec();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = MadeFile { path: path.clone(), command, hint: "install it".into() };
        let error = make(&made, &Environment::default()).unwrap_err();
        assert_eq!(error.what, format!("sh could not make {}", path.display()));
        assert_eq!((error.because.as_deref(), error.kind), (Some("no room"), ErrorKind::NotFound));
    }
}
