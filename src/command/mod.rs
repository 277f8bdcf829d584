//! The sub-commands that start nothing, one file each. Here is their command line and who is called: they return what belongs on
//! stdout, and an error says what went wrong on stderr.

mod check;
mod checkpoint;
pub mod config;
mod deps;
mod env;
mod gpu;
mod health;
mod install;
mod probe;
mod rehearse;
mod status;

use crate::check::{SettledUser, settle};
use crate::cli;
use crate::config::{ConfigOptions, ConfigSources, Loaded};
use crate::error::{Error, Result};
use crate::identity::Entered;
use crate::report;
use clap::{Parser, Subcommand};
use protocol::exit_code::Exit;
use protocol::state_file::ProcessIdentity;
use std::ffi::{OsString, c_int};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use supervisor::state_dir::{self, FoundState};
use sys::environment::Environment;
use sys::{Args, Root, credentials};

/// What `--help` prints: all of it fits a screen.
const HELP: &str = "\
trainit: the entrypoint for machine-learning containers

    trainit [OPTIONS] [--] COMMAND [ARG]...   check, prepare, start and supervise COMMAND (also: trainit run …)
    trainit train|shell|jupyter|MODE [-- COMMAND…]    the same in a mode
    trainit exec [--] COMMAND…                prepare, then become COMMAND; nothing supervises
    trainit init [-g] [-r A:B] [--] COMMAND…  PID 1 only, as tini

    trainit check [--json] [--only IDS]       all checks, nothing started
    trainit deps install|status               the dependency step alone
    trainit gpu [--json]                      what GPUs are visible
    trainit config show|check|schema|template the configuration: values and where they come from
    trainit env [--json]                      what a workload would get, for eval in a shell
    trainit status [--json]                   what the running container is doing
    trainit health [--live|--ready]           for HEALTHCHECK and probes
    trainit checkpoint [--wait TIME]          ask the running job to save now (a preStop hook, too)
    trainit rehearse [--after TIME] [--] COMMAND…   try an unattended start and a stop, and say if it is ready

Options of a start:
    --mode MODE         train, shell, jupyter, or a mode of the configuration
    --config FILE       a configuration file more
    --set KEY=VALUE     one setting, such as gpu.count=2 (repeatable)

Every setting is also a variable: gpu.count is TRAINIT_GPU_COUNT. `trainit config template` lists them all.";

#[derive(Parser)]
#[command(name = "trainit", disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// The configuration that a sub-command looks at: the same layers as at a start.
#[derive(clap::Args, Default)]
struct CommandLayers {
    /// A configuration file more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as gpu.count=2 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// All checks, nothing started; the exit code tells
    Check {
        /// The report as JSON
        #[arg(long)]
        json: bool,
        /// Only these checks, separated by commas
        #[arg(long, value_name = "IDS", value_delimiter = ',')]
        only: Vec<String>,
        #[command(flatten)]
        layers: CommandLayers,
    },
    /// What GPUs are visible
    #[command(args_conflicts_with_subcommands = true)]
    Gpu {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        layers: CommandLayers,
        #[command(subcommand)]
        action: Option<GpuCommand>,
    },
    /// The dependency step alone
    #[command(subcommand)]
    Deps(DepsCommand),
    /// The configuration: values and where they come from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// What a workload would get, as lines for a shell
    Env {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Makes every shell read them; for a Dockerfile
        #[arg(long, conflicts_with = "json")]
        install: bool,
        #[command(flatten)]
        layers: CommandLayers,
    },
    /// What the running container is doing
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// The state directory, when there are several
        #[arg(long, value_name = "DIR")]
        instance: Option<PathBuf>,
    },
    /// Ask the running job to save now and go on
    Checkpoint {
        /// Wait so long for it to be complete
        #[arg(long, value_name = "TIME", value_parser = time)]
        wait: Option<Duration>,
        /// The state directory, when there are several
        #[arg(long, value_name = "DIR")]
        instance: Option<PathBuf>,
    },
    /// Try what an unattended start and a stop would do, and say whether it is ready to be sent off
    Rehearse {
        /// Stop so long after the workload runs
        #[arg(long, value_name = "TIME", value_parser = time, default_value = "20s")]
        after: Duration,
        #[command(flatten)]
        layers: CommandLayers,
        /// The command to run and its arguments; none: `command` of the configuration
        #[arg(trailing_var_arg = true, value_name = "COMMAND")]
        words: Vec<OsString>,
    },
    /// For HEALTHCHECK and probes: exit code 0 or 1, one line
    Health {
        /// Alive in every phase; not, once the supervisor is gone
        #[arg(long)]
        live: bool,
        /// The workload runs (the default)
        #[arg(long, conflicts_with = "live")]
        ready: bool,
        /// The state directory, when there are several
        #[arg(long, value_name = "DIR")]
        instance: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum GpuCommand {
    /// Put the program that asks the driver on disk (in a Dockerfile), for clusters that watch for programs in memory
    InstallProbe {
        /// Where, if not where starts look for it
        #[arg(long, value_name = "FILE")]
        path: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum DepsCommand {
    /// Install what the next start would
    Install {
        #[command(flatten)]
        layers: CommandLayers,
    },
    /// Whether the next start would install; the exit code tells
    Status {
        #[command(flatten)]
        layers: CommandLayers,
    },
    /// Remove from deps.store, and of the user's layers, what is beyond deps.store_size, and what killed starts left
    Prune {
        /// Also environments that were not used for so long
        #[arg(long, value_name = "TIME", value_parser = time)]
        unused: Option<Duration>,
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        layers: CommandLayers,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Every value and its origin
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        layers: CommandLayers,
    },
    /// Say every mistake in a file
    Check {
        /// The file
        file: PathBuf,
    },
    /// A JSON Schema for editors
    Schema,
    /// Every key with its documentation, as YAML
    Template,
}

/// A time as in the configuration.
fn time(text: &str) -> std::result::Result<Duration, String> {
    <Duration as crate::config::ConfigValue>::parse(text)
}

/// What a sub-command was asked with.
pub struct CommandInput {
    /// The environment that it was started with.
    pub environment: Environment,
    /// The options that choose the configuration.
    pub options: ConfigOptions,
}

impl CommandInput {
    fn new(layers: CommandLayers) -> Self {
        let options = ConfigOptions { config: layers.config, mode: None, set: layers.set };
        CommandInput { environment: Environment::inherited(), options }
    }

    /// Reads the configuration, as the workload's user: this process is that user from here on.
    fn load(&self) -> Result<(Loaded, Entered)> {
        self.settled(|settled| Ok(settled.load()?))
    }

    /// Becomes the workload's user, and reads nothing that may come from a mount.
    fn enter(&self) -> Result<()> {
        self.settled(|settled| settled.enter().map(|_| ()))
    }

    fn settled<T>(&self, then: impl FnOnce(SettledUser<'_>) -> Result<T>) -> Result<T> {
        let workdir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let (root, environment, options) = (Root::real(), &self.environment, &self.options);
        then(settle(&ConfigSources { root: &root, environment, options, workdir: &workdir })?)
    }
}

/// What a sub-command leaves: text for stdout, and the code to end with.
pub struct CommandOutput {
    /// What was asked for.
    pub text: String,
    /// How the process ends.
    pub exit: Exit,
}

impl CommandOutput {
    /// All is well.
    pub fn well(text: impl Into<String>) -> Self {
        CommandOutput { text: text.into(), exit: Exit::Success }
    }
}

/// Runs the sub-command that these words (without the program's name) name.
pub fn main(args: Args) -> c_int {
    match run(&args.to_vec()) {
        Ok(answer) => {
            report::print(&answer.text);
            c_int::from(answer.exit.code())
        }
        Err(error) => {
            report::Console::early().error(&error);
            c_int::from(error.exit.code())
        }
    }
}

/// Root's rights must not reach whoever may execute the file: a set-uid trainit would run hooks and installers as root.
pub fn refuse_set_uid() -> c_int {
    let exit = Exit::Permanent(protocol::exit_code::FailureFamily::User);
    let what = "trainit does not run set-uid, set-gid or with file capabilities";
    report::Console::early().error(&Error::new(exit, what).hint("chmod ug-s on the file; setcap -r on it"));
    c_int::from(exit.code())
}

fn run(words: &[OsString]) -> Result<CommandOutput> {
    match words.first().and_then(|word| word.to_str()) {
        Some("--version" | "-V") => return Ok(CommandOutput::well(concat!("trainit ", env!("CARGO_PKG_VERSION")))),
        Some("--help" | "-h" | "help") => return Ok(CommandOutput::well(HELP)),
        _ => {}
    }
    let words = std::iter::once(OsString::from("trainit")).chain(words.iter().cloned());
    match CommandLine::try_parse_from(words) {
        Ok(line) => dispatch(line.command),
        Err(error) => match cli::usage(error) {
            help if help.exit == Exit::Success => Ok(CommandOutput::well(help.what)),
            error => Err(error),
        },
    }
}

fn dispatch(command: Command) -> Result<CommandOutput> {
    match command {
        Command::Check { json, only, layers } => check::run(&CommandInput::new(layers), json, &only),
        Command::Gpu { action: Some(GpuCommand::InstallProbe { path }), .. } => gpu::install::run(path.as_deref()),
        Command::Gpu { json, layers, action: None } => gpu::run(&CommandInput::new(layers), json),
        Command::Deps(DepsCommand::Install { layers }) => deps::install(&CommandInput::new(layers)),
        Command::Deps(DepsCommand::Status { layers }) => deps::status(&CommandInput::new(layers)),
        Command::Deps(DepsCommand::Prune { unused, dry_run, layers }) => {
            deps::prune(&CommandInput::new(layers), unused, dry_run)
        }
        Command::Config(command) => configuration(command),
        Command::Env { install: true, .. } => install::run(std::env::var_os("PATH").as_deref()),
        Command::Env { json, layers, .. } => env::run(&CommandInput::new(layers), json),
        Command::Status { json, instance } => status::run(instance.as_deref(), json),
        Command::Checkpoint { wait, instance } => checkpoint::run(instance.as_deref(), wait),
        Command::Rehearse { after, layers, words } => rehearse::run(CommandInput::new(layers), after, words),
        Command::Health { live, ready: _, instance } => Ok(health::run(instance.as_deref(), live)),
    }
}

fn configuration(command: ConfigCommand) -> Result<CommandOutput> {
    Ok(CommandOutput::well(match command {
        ConfigCommand::Show { json, layers } => config::show(&CommandInput::new(layers).load()?.0, json),
        ConfigCommand::Check { file } => {
            if credentials::own_uid() == 0 && !config::is_trusted(&file) {
                CommandInput::new(CommandLayers::default()).enter()?;
            }
            config::check(&file)?
        }
        ConfigCommand::Schema => config::schema(),
        ConfigCommand::Template => config::template(),
    }))
}

/// A supervisor writes its state a moment after it began: so long one that has written none has just begun. Who must have a state waits
/// for it as long, and looks so often.
const FIRST_WORDS: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// The instance to read, as it is now.
fn find(instance: Option<&std::path::Path>) -> FoundState {
    state_dir::find(named(instance).as_deref(), &bases())
}

/// The same, once it has written its state.
fn find_state(instance: Option<&std::path::Path>) -> FoundState {
    let until = Instant::now() + FIRST_WORDS;
    loop {
        match find(instance) {
            FoundState::Silent(_) if Instant::now() < until => std::thread::sleep(LOOK),
            found => return found,
        }
    }
}

/// What is known of a supervisor that has written no state, but is about to; none: it keeps none.
fn beginning(supervisor: ProcessIdentity) -> Option<String> {
    let age = state_dir::age(supervisor).filter(|age| *age < FIRST_WORDS)?;
    Some(format!("begun {:.2} s ago, no phase is known yet", age.as_secs_f64()))
}

/// What is said of one that keeps none.
const STATELESS: &str = "a supervisor runs here, and keeps no state";

/// Where readers look for state directories.
fn bases() -> Vec<PathBuf> {
    supervisor::state_dir::usual_bases()
}

/// The instance that a reader was told to use: by an option, else by the environment of the workload.
fn named(instance: Option<&std::path::Path>) -> Option<PathBuf> {
    let variable = std::env::var_os(protocol::state_file::RUN_DIR_VARIABLE).filter(|value| !value.is_empty());
    instance.map(PathBuf::from).or_else(|| variable.map(PathBuf::from))
}
