//! The sub-commands that start nothing, one file each. This file reads their command line and calls them. They return their text for
//! stdout; errors go to stderr.

mod askpass;
mod check;
mod checkpoint;
pub mod config;
mod deps;
mod env;
mod generate;
mod generated_words;
mod gpu;
pub mod grammar;
mod health;
mod help;
mod history;
mod inject;
mod install;
mod program_file;
pub mod recipes;
mod rehearse;
mod stage;
mod status;
pub mod table;

pub use askpass::answer_git;

use crate::check::{SettledUser, settle};
use crate::cli;
use crate::code::{self, BroughtCode, CodeQuestion};
use crate::config::{ConfigOptions, ConfigSources, Loaded, Settings, TrustedLayers, no_place_elsewhere};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Entered;
use crate::report;
use grammar::GivenValues;
use history::HistoryView;
use protocol::exit_code::Exit;
use protocol::state_file::ProcessIdentity;
use status::StatusForm;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use supervisor::state_dir::{self, FoundState};
use sys::environment::Environment;
use sys::{Args, Root, credentials};
use table::Task;
use tracing::debug;

/// The input of a sub-command.
pub struct CommandInput {
    /// The environment of the process.
    pub environment: Environment,
    /// The options that choose the configuration.
    pub options: ConfigOptions,
}

impl CommandInput {
    fn new(given: GivenValues<'_>) -> Self {
        let options = ConfigOptions { config: given.path("config"), mode: None, set: given.texts("set") };
        CommandInput { environment: Environment::inherited(), options }
    }

    /// Reads the configuration as the workload's user: from here on this process is that user.
    fn load(&self) -> Result<(Loaded, Entered)> {
        let (loaded, entered) = self.settled(|settled| Ok(settled.load()?))?;
        report::trace::follow(&loaded.settings);
        Ok((loaded, entered))
    }

    /// Does the same, but first brings the code that `code.from` names, as a start does.
    fn load_with_code(&self, tell: &mut dyn FnMut(&str)) -> Result<(Loaded, Entered, Option<BroughtCode>)> {
        let mut code = None;
        let loaded = self.settled(|settled| {
            let bring = |trusted: &TrustedLayers<'_>, settings: &Settings, entered: &Entered| {
                code = code::bring(&CodeQuestion::of(trusted, settings), entered, &mut |_| (), tell);
            };
            Ok(settled.load_after(bring)?)
        });
        let code = code.transpose()?;
        let (loaded, entered) = loaded?;
        report::trace::follow(&loaded.settings);
        Ok((loaded, entered, code))
    }

    /// Becomes the workload's user, without reading files that may come from a mount.
    fn enter(&self) -> Result<()> {
        self.settled(|settled| settled.enter().map(|_| ()))
    }

    fn settled<T>(&self, then: impl FnOnce(SettledUser<'_>) -> Result<T>) -> Result<T> {
        let workdir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let (root, environment, options) = (Root::real(), &self.environment, &self.options);
        then(settle(&ConfigSources { root: &root, environment, options, workdir: &workdir })?)
    }
}

/// The output of a sub-command: text for stdout, and the exit code.
pub struct CommandOutput {
    /// The text.
    pub text: String,
    /// The exit code.
    pub exit: Exit,
}

impl CommandOutput {
    /// Makes the output of a success.
    pub fn well(text: impl Into<String>) -> Self {
        CommandOutput { text: text.into(), exit: Exit::Success }
    }
}

/// Runs the sub-command that these words (without the program's name) name.
pub fn main(args: Args) -> u8 {
    match run(&args.to_vec()) {
        Ok(answer) => {
            report::print(&answer.text);
            answer.exit.code()
        }
        Err(error) => failed(&error),
    }
}

/// Writes an error and returns its exit code.
fn failed(error: &Error) -> u8 {
    report::Console::early().error(error);
    error.exit().code()
}

/// Refuses to run set-uid, because root's rights must not reach every caller: trainit would run hooks and installers as root.
pub fn refuse_set_uid() -> u8 {
    let what = "trainit does not run set-uid, set-gid or with file capabilities";
    let kind = ErrorKind::Permanent(protocol::exit_code::FailureFamily::User);
    failed(&Error::new(kind, what).hint("chmod ug-s on the file; setcap -r on it"))
}

fn run(words: &[OsString]) -> Result<CommandOutput> {
    match words.first().and_then(|word| word.to_str()) {
        Some("--version" | "-V") => return Ok(CommandOutput::well(concat!("trainit ", env!("CARGO_PKG_VERSION")))),
        Some("--help" | "-h" | "help") => return Ok(CommandOutput::well(help::text())),
        _ => {}
    }
    let words = std::iter::once(OsString::from("trainit")).chain(words.iter().cloned());
    match grammar::whole_line().try_get_matches_from(words) {
        Ok(matches) => match (GivenValues(&matches).text(grammar::GENERATE), grammar::chosen(&matches)) {
            (Some(what), _) => generate::text(&what).map(CommandOutput::well),
            (None, Some((row, given))) => dispatch(row.task, given),
            (None, None) => Err(elsewhere()),
        },
        Err(error) => match cli::usage(error) {
            help if help.kind == ErrorKind::Answer => Ok(CommandOutput::well(help.what)),
            error => Err(error),
        },
    }
}

fn dispatch(task: Task, given: GivenValues<'_>) -> Result<CommandOutput> {
    // Engines call `health` every few seconds, and show only its one line.
    if task != Task::Health {
        report::trace::begin(&Environment::inherited(), &given.texts("set"));
    }
    debug!(target: "command", "{task:?}");
    let (json, instance) = (given.flag("json"), given.path("instance"));
    let input = || CommandInput::new(given);
    match task {
        Task::Check => check::run(&input(), json, &given.texts("only"), given.text("as").as_deref()),
        Task::Gpu => gpu::run(&input(), json),
        Task::GpuInstallProbe => gpu::install::run(given.path("path").as_deref()),
        Task::DepsInstall => deps::install(&input()),
        Task::DepsStatus => deps::status(&input()),
        Task::DepsFreeze => deps::freeze(&input()),
        Task::DepsPrune => deps::prune(&input(), given.time("unused"), given.flag("dry-run")),
        Task::ConfigShow => Ok(CommandOutput::well(config::show(&input().load()?.0, json))),
        Task::ConfigCheck => check_file(&given.path("FILE").unwrap_or_default(), &input()).map(CommandOutput::well),
        Task::ConfigSchema => Ok(CommandOutput::well(config::schema())),
        Task::ConfigTemplate => match given.text("for") {
            Some(engine) => recipes::recipe(&engine).map(CommandOutput::well),
            None => Ok(CommandOutput::well(config::template())),
        },
        Task::Env if given.flag("install") => install::run(std::env::var_os("PATH").as_deref()),
        Task::Env => env::run(&input(), json),
        Task::Status => status::run(&input(), instance.as_deref(), StatusForm::of(json, given.flag("metrics"))),
        Task::Checkpoint => checkpoint::run(instance.as_deref(), given.time("wait"), given.flag("mirrored")),
        Task::History => {
            let view = HistoryView { json, follow: given.flag("follow") };
            let directory = given.path("DIR");
            directory.iter().try_for_each(|directory| local("history", directory))?;
            history::run(&input(), directory, view)
        }
        Task::Rehearse => rehearse::run(input(), given.time("after").unwrap_or_default(), given.command()),
        Task::Stage => stage::run(&input(), &given.paths("PATH"), given.flag("dry-run")),
        Task::StageStatus => stage::status(&input()),
        Task::StagePrune => stage::prune(&input(), given.time("unused"), given.flag("dry-run")),
        Task::Inject => {
            let directory = given.path("DIR").unwrap_or_default();
            local("inject", &directory)?;
            inject::run(&directory)
        }
        Task::Health => Ok(health::run(instance.as_deref(), given.flag("live"))),
        Task::Elsewhere => Err(elsewhere()),
    }
}

/// Makes the error for a mistake in the table.
fn elsewhere() -> Error {
    Error::usage("no sub-command that is read here").hint("`trainit --help` lists what there is")
}

/// Rejects an operand that is a URL, or a place on another machine: as a path it would become a directory here.
fn local(command: &str, path: &Path) -> Result<()> {
    match path.to_str().map(no_place_elsewhere) {
        Some(Err(error)) => Err(Error::config(format!("{command}: {error}")).hint(error.hint())),
        _ => Ok(()),
    }
}

fn check_file(file: &Path, input: &CommandInput) -> Result<String> {
    local("config check", file)?;
    if credentials::own_uid() == 0 && !config::is_trusted(file) {
        input.enter()?;
    }
    config::check(file)
}

/// Time that a supervisor needs to write its first state. A supervisor without a state counts as new for this long, and a command that
/// needs the state waits for it.
const FIRST_WORDS: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Finds the instance in its current state.
fn find(instance: Option<&Path>) -> FoundState {
    let (named, bases) = (named(instance), bases());
    let found = state_dir::find(named.as_deref(), &bases);
    debug!(target: "state", ?named, ?bases, "instance: {}", said(&found));
    found
}

fn said(found: &FoundState) -> String {
    match found {
        FoundState::One(directory, _) => text::path(directory),
        FoundState::Silent(supervisor) => format!("supervisor {} has written no state", supervisor.pid),
        FoundState::None => "none".to_owned(),
        FoundState::Several(all) => format!("{} of them", all.len()),
    }
}

/// Finds the instance, and waits for its first state.
fn find_state(instance: Option<&Path>) -> FoundState {
    let until = Instant::now() + FIRST_WORDS;
    loop {
        match find(instance) {
            FoundState::Silent(_) if Instant::now() < until => std::thread::sleep(LOOK),
            found => return found,
        }
    }
}

/// Describes a supervisor that will write its first state soon; `None` if it keeps none.
fn beginning(supervisor: ProcessIdentity) -> Option<String> {
    let age = state_dir::age(supervisor).filter(|age| *age < FIRST_WORDS)?;
    Some(format!("begun {:.2} s ago, no phase is known yet", age.as_secs_f64()))
}

/// The text for a supervisor that keeps no state.
const STATELESS: &str = "a supervisor runs here, and keeps no state";

/// Returns the parent directories of state directories.
fn bases() -> Vec<PathBuf> {
    supervisor::state_dir::usual_bases()
}

/// Returns the instance that an option, or else the workload's environment, names.
fn named(instance: Option<&Path>) -> Option<PathBuf> {
    let variable = std::env::var_os(protocol::state_file::RUN_DIR_VARIABLE).filter(|value| !value.is_empty());
    instance.map(PathBuf::from).or_else(|| variable.map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_as_an_operand_is_refused_as_a_start_refuses_it() {
        let error = local("config check", Path::new("s3://me:t0psecret@bucket/trainit.yaml")).unwrap_err();
        let told = format!("{error:#}");
        assert!(told.contains("config check: ") && told.contains("a URL is not a path in the container"), "{told}");
        assert!(!told.contains("t0psecret") && error.exit().code() == 78, "{told}");
        assert!(local("inject", Path::new("/opt/trainit")).is_ok());
    }
}
