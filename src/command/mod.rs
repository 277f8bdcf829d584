//! The sub-commands that start nothing, one file each. Here is their command line and who is called: they return what belongs on
//! stdout, and an error says what went wrong on stderr.

pub mod config;
mod health;
mod status;

use crate::cli;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::sys::Args;
use clap::{Parser, Subcommand};
use std::ffi::{OsString, c_int};
use std::path::PathBuf;

/// What `--help` prints: all of it fits a screen.
const HELP: &str = "\
trainit: the entrypoint for machine-learning containers

    trainit [OPTIONS] [--] COMMAND [ARG]...   check, prepare, start and supervise COMMAND (also: trainit run …)
    trainit train|shell|MODE [-- COMMAND…]    the same in a mode
    trainit exec [--] COMMAND…                prepare, then become COMMAND; nothing supervises
    trainit init [-g] [-r A:B] [--] COMMAND…  PID 1 only, as tini

    trainit check [--json] [--only IDS]       all checks, nothing started
    trainit deps install|status               the dependency step alone
    trainit gpu [--json]                      what GPUs are visible
    trainit config show|check|schema|template the configuration: values and where they come from
    trainit status [--json]                   what the running container is doing
    trainit health [--live|--ready]           for HEALTHCHECK and probes

Options of a start:
    --mode MODE         train, shell, or a mode of the configuration
    --config FILE       a configuration file more
    --set KEY=VALUE     one setting, such as gpu.count=2 (repeatable)

Every setting is also a variable: gpu.count is TRAINIT_GPU_COUNT. `trainit config template` lists them all.";

#[derive(Parser)]
#[command(name = "trainit", disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the running container is doing
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// The state directory, when there are several
        #[arg(long, value_name = "DIR")]
        instance: Option<PathBuf>,
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

/// What a sub-command leaves: text for stdout, and the code to end with.
pub struct Answer {
    /// What was asked for.
    pub text: String,
    /// How the process ends.
    pub exit: Exit,
}

impl Answer {
    /// All is well.
    pub fn well(text: impl Into<String>) -> Self {
        Answer { text: text.into(), exit: Exit::Success }
    }
}

/// Runs the sub-command that these words (without the program's name) name.
pub fn main(args: Args) -> c_int {
    match run(&args.to_vec()) {
        Ok(answer) => {
            print(&answer.text);
            c_int::from(answer.exit.code())
        }
        Err(error) => {
            complain(&error);
            c_int::from(error.exit.code())
        }
    }
}

/// Root's rights must not reach whoever may execute the file: a set-uid trainit would run hooks and installers as root.
pub fn refuse_set_uid() -> c_int {
    let exit = Exit::Permanent(crate::exit::Family::User);
    let what = "trainit does not run set-uid, set-gid or with file capabilities";
    complain(&Error::new(exit, what).hint("chmod ug-s on the file; setcap -r on it"));
    c_int::from(exit.code())
}

fn run(words: &[OsString]) -> Result<Answer> {
    match words.first().and_then(|word| word.to_str()) {
        Some("--version" | "-V") => return Ok(Answer::well(concat!("trainit ", env!("CARGO_PKG_VERSION")))),
        Some("--help" | "-h" | "help") => return Ok(Answer::well(HELP)),
        _ => {}
    }
    let words = std::iter::once(OsString::from("trainit")).chain(words.iter().cloned());
    match Line::try_parse_from(words) {
        Ok(line) => dispatch(line.command),
        Err(error) => match cli::usage(error) {
            help if help.exit == Exit::Success => Ok(Answer::well(help.what)),
            error => Err(error),
        },
    }
}

fn dispatch(command: Command) -> Result<Answer> {
    match command {
        Command::Status { json, instance } => status::run(instance.as_deref(), json),
        Command::Health { live, ready: _, instance } => Ok(health::run(instance.as_deref(), live)),
    }
}

fn print(text: &str) {
    if !text.is_empty() {
        let line = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        let _ = std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes());
    }
}

fn complain(error: &Error) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("trainit: {error}\n").as_bytes());
}

/// Where readers look for state directories.
fn bases() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut bases = crate::state::bases(None, variable("XDG_RUNTIME_DIR").as_deref());
    bases.extend(variable("TRAINIT_STATE_DIR"));
    bases
}

/// The instance that a reader was told to use: by an option, else by the environment of the workload.
fn named(instance: Option<&std::path::Path>) -> Option<PathBuf> {
    let variable = std::env::var_os(crate::state::RUN_DIR_VARIABLE).filter(|value| !value.is_empty());
    instance.map(PathBuf::from).or_else(|| variable.map(PathBuf::from))
}
