//! Modes: decides from the words, the settings and a few facts which mode runs which command, and what the command needs.
//!
//! The module depends on `cli`, `config` and `engine`, and reads nothing but PATH.

mod builtin;
mod custom;
mod foreseen;
mod jupyter;
mod reach;
mod server_setup;
mod shell;
pub mod ssh;
mod words;

pub use server_setup::{KeptFile, MadeFile, PrivateFile, ServerContext, ServerSetup, SharedFile, ToldFiles};
pub use shell::{is_plain, started_shell};

use crate::cli::StartRequest;
use crate::command::table;
use crate::config::{ModeSpec, Settings};
use crate::error::{Error, Result};
use builtin::{BUILTIN, Builtin, CommandMeaning};
use protocol::handover::{Service, WorkloadKind};
use server_setup::ServerMode;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use sys::environment::Environment;

/// The decision on what starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The mode's name.
    pub mode: String,
    /// The kind of workload.
    pub kind: WorkloadKind,
    /// The command line.
    pub command: Vec<OsString>,
    /// The user named the mode; otherwise it was guessed from a COMMAND.
    pub by_name: bool,
    /// The command is the mode's own server, which `server_setup` sets up.
    pub setup: bool,
    /// An installation may still decide which program the server is.
    pub is_open: bool,
    /// The service, as far as it is known.
    pub service: Option<Service>,
    /// Names of the modes that run as sidecars.
    pub sidecars: Vec<String>,
    /// TCP ports of the sidecars.
    pub other_ports: Vec<u16>,
    /// Variables of the mode.
    pub env: BTreeMap<String, crate::config::EnvValue>,
    /// A line that says what was guessed.
    pub note: Option<String>,
}

impl Plan {
    /// Sets the workload's user, on which a port may depend.
    pub fn set_user(&mut self, uid: u32) {
        if self.mode == "ssh" && self.setup && self.service.is_none() {
            self.service = Some(Service::on(ssh::port(uid)));
        }
    }
}

/// The facts about the surroundings that the decision needs.
#[derive(Clone, Copy)]
pub struct ModeFacts<'a> {
    /// A person is at the terminal.
    pub attended: bool,
    /// A shell has become this first process of a container, without a terminal, as an editor's tool starts it; asked only when it matters.
    pub editor: &'a dyn Fn() -> bool,
    /// The environment, for PATH.
    pub environment: &'a Environment,
    /// The user's own shell; looked up only when it matters.
    pub shell: &'a dyn Fn() -> Option<OsString>,
    /// The directory that relative commands are looked up from.
    pub workdir: &'a Path,
}

impl ModeFacts<'_> {
    /// Returns the path of a program, as the workload's own PATH has it.
    pub fn program(&self, name: impl AsRef<OsStr>) -> Option<PathBuf> {
        which::which_in(name, self.environment.get("PATH"), self.workdir).ok()
    }
}

/// A mode, built in or of the configuration.
enum Mode<'a> {
    Builtin(&'static Builtin),
    Custom(&'a str, &'a ModeSpec),
}

impl Mode<'_> {
    fn name(&self) -> &str {
        match self {
            Mode::Builtin(mode) => mode.name,
            Mode::Custom(name, _) => name,
        }
    }

    fn kind(&self) -> WorkloadKind {
        match self {
            Mode::Builtin(mode) => mode.kind,
            Mode::Custom(_, mode) => mode.kind,
        }
    }

    /// Returns whether these words mean the mode without being only its name; `None` if the mode cannot tell.
    fn means(&self, words: &[OsString]) -> Option<bool> {
        match self {
            Mode::Builtin(Builtin { meant_by: CommandMeaning::By(is_meant), .. }) => Some(is_meant(words)),
            _ => None,
        }
    }

    fn serves(&self) -> bool {
        match self {
            Mode::Builtin(mode) => mode.server.is_some(),
            Mode::Custom(_, spec) => spec.port.is_some() || spec.secret.is_some() || !spec.needs.is_empty(),
        }
    }

    /// Returns whether typed options are added to the mode's own command.
    fn takes_options(&self) -> bool {
        matches!(self, Mode::Builtin(Builtin { server: Some(_), .. }))
    }

    fn service(&self, settings: &Settings, environment: &Environment, words: &[OsString]) -> Result<Option<Service>> {
        match self {
            Mode::Builtin(Builtin { server: Some(server), .. }) => (server.service)(settings, environment, words),
            Mode::Builtin(_) => Ok(None),
            Mode::Custom(_, spec) => Ok(custom::service(spec)),
        }
    }
}

/// Returns whether a start without a plan was to be a training: its command line cannot be understood, or names nothing to start.
///
/// A mode that is named decides, and without one whether a person is at the terminal.
pub fn was_to_train(words: &[OsString], settings: &Settings, attended: bool) -> bool {
    let named = &settings.mode.value;
    let trains = |name: &str| find(name, settings).is_some_and(|mode| mode.kind() == WorkloadKind::Train);
    let builds = |name: &str| find(name, settings).is_some_and(|mode| mode.kind() == WorkloadKind::Build);
    let of_word = |word: &OsString| word.to_str().is_some_and(|word| word.split([',', '=']).any(builds));
    let before_command = words.iter().take_while(|word| *word != "--");
    (if named == "auto" { !attended } else { names(named).all(trains) }) && !before_command.into_iter().any(of_word)
}

/// Decides what starts.
///
/// # Errors
/// An unknown mode (78), nothing to start (64), no shell (127).
pub fn plan(request: &StartRequest, settings: &Settings, facts: ModeFacts<'_>) -> Result<Plan> {
    if let Some(listed) = listed(request, settings) {
        return plan_listed(listed, request, settings, facts);
    }
    match word_mode(request, settings, facts) {
        Some(ModeWord::Mode(mode, command)) => plan_named(&mode, command, settings, facts),
        Some(ModeWord::Program(mode)) => Ok(plan_program(&mode, request)),
        None if request.words.is_empty() => plan_without_words(settings, facts),
        None => Ok(plan_command(request, facts)),
    }
}

enum ModeWord<'a> {
    Mode(Mode<'a>, &'a [OsString]),
    /// A program with the mode's name, which is run in that mode.
    Program(Mode<'a>),
}

/// Returns the mode that the first word names, and the meaning of the words after it.
fn word_mode<'a>(request: &'a StartRequest, settings: &'a Settings, facts: ModeFacts<'_>) -> Option<ModeWord<'a>> {
    let (first, rest) = request.words.split_first()?;
    let mode = find(first.to_str()?, settings).filter(|_| !request.literal)?;
    if let Mode::Custom(name, spec) = &mode {
        // A mode must not silently take over a word that trainit itself understands.
        let taken = table::find(name.as_bytes()).is_some() || facts.program(name).is_some();
        if taken && !spec.r#override {
            return None;
        }
    }
    let nothing_to_train = mode.name() == "train" && settings.command.is_empty();
    match rest.split_first() {
        Some((dashes, command)) if dashes == "--" => Some(ModeWord::Mode(mode, command)),
        None if !nothing_to_train => Some(ModeWord::Mode(mode, rest)),
        _ if mode.means(&request.words) == Some(true) => Some(ModeWord::Program(mode)),
        // The program of that name does something else here: `jupyter nbconvert`.
        _ if mode.means(&request.words) == Some(false) && facts.program(first).is_some() => None,
        _ if facts.program(first).is_some() => Some(ModeWord::Program(mode)),
        _ => Some(ModeWord::Mode(mode, rest)),
    }
}

/// Returns the modes that are named outright: by `mode`, or by a first word such as `jupyter,ssh`.
fn listed<'a>(request: &'a StartRequest, settings: &'a Settings) -> Option<&'a str> {
    if settings.mode.value != "auto" {
        return Some(&settings.mode.value);
    }
    let word = request.words.first().filter(|_| !request.literal)?.to_str()?;
    let all_are_modes = || names(word).all(|name| find(name, settings).is_some());
    (word.contains(',') && all_are_modes()).then_some(word)
}

/// Splits a list of modes: `jupyter,ssh`.
fn names(listed: &str) -> impl Iterator<Item = &str> {
    listed.split(',').map(str::trim)
}

/// Plans a list of modes: the first one is the main mode and gets the words, the others run as sidecars.
fn plan_listed(listed: &str, request: &StartRequest, settings: &Settings, facts: ModeFacts<'_>) -> Result<Plan> {
    let mut all = names(listed);
    let main = mode_named(all.next().unwrap_or_default(), settings)?;
    let (mut sidecars, mut other_ports) = (Vec::new(), Vec::new());
    for name in all {
        let mode = mode_named(name, settings)?;
        may_accompany(&mode)?;
        if name == main.name() || sidecars.iter().any(|other| other == name) {
            return Err(Error::config(format!("mode {name} is named twice ({listed})")));
        }
        sidecars.push(name.to_owned());
        other_ports.extend(mode.service(settings, facts.environment, &[])?.map(|service| service.port));
    }
    let words = words_of(request, &[main.name(), listed]);
    Ok(Plan { sidecars, other_ports, ..plan_named(&main, &words, settings, facts)? })
}

fn mode_named<'a>(name: &'a str, settings: &'a Settings) -> Result<Mode<'a>> {
    find(name, settings).ok_or_else(|| unknown_mode(name, settings))
}

fn may_accompany(mode: &Mode<'_>) -> Result<()> {
    match mode {
        Mode::Builtin(builtin) if matches!(builtin.meant_by, CommandMeaning::ByAPerson(_)) => {
            Err(Error::config(format!("mode {} needs the terminal, which only the first mode has", builtin.name))
                .hint(format!("name it first: mode: {},…", builtin.name)))
        }
        _ => Ok(()),
    }
}

/// Plans a sidecar, which starts its mode's own command.
///
/// # Errors
/// The errors of `plan`.
pub fn sidecar(name: &str, settings: &Settings, facts: ModeFacts<'_>) -> Result<Plan> {
    plan_named(&mode_named(name, settings)?, &[], settings, facts)
}

/// Returns the words of the command: all words if the mode is set elsewhere, unless they only repeat the mode.
fn words_of(request: &StartRequest, set: &[&str]) -> Vec<OsString> {
    match request.words.split_first() {
        Some((first, rest)) if !request.literal && set.iter().any(|set| first == set) => match rest.split_first() {
            None => Vec::new(),
            Some((dashes, command)) if dashes == "--" => command.to_vec(),
            Some(_) => request.words.clone(),
        },
        _ => request.words.clone(),
    }
}

fn find<'a>(name: &str, settings: &'a Settings) -> Option<Mode<'a>> {
    let custom = settings.modes.get_key_value(name).map(|(name, spec)| Mode::Custom(name, spec));
    custom.or_else(|| BUILTIN.iter().find(|mode| mode.name == name).map(Mode::Builtin))
}

fn plan_named(mode: &Mode<'_>, words: &[OsString], settings: &Settings, facts: ModeFacts<'_>) -> Result<Plan> {
    let setup = mode.serves() && (words.is_empty() || mode.takes_options() && are_options(words));
    let command = match setup || words.is_empty() {
        true => [&own_command(mode, settings, facts)?, words].concat(),
        false => words.to_vec(),
    };
    let service = if setup { mode.service(settings, facts.environment, words)? } else { None };
    let env = match mode {
        Mode::Custom(_, spec) => spec.env.clone(),
        Mode::Builtin(_) => BTreeMap::new(),
    };
    let is_open = matches!(mode, Mode::Builtin(builtin) if setup && foreseen::is_open(builtin, settings, facts));
    Ok(Plan {
        mode: mode.name().into(),
        kind: mode.kind(),
        command,
        by_name: true,
        setup,
        is_open,
        service,
        env,
        ..Plan::default()
    })
}

/// Returns whether words are options, which a server adds to its command; other words replace a mode's own command.
fn are_options(words: &[OsString]) -> bool {
    words.first().is_none_or(|first| first.as_encoded_bytes().starts_with(b"-"))
}

fn plan_program(mode: &Mode<'_>, request: &StartRequest) -> Plan {
    let name = mode.name();
    Plan {
        mode: name.into(),
        kind: mode.kind(),
        command: request.words.clone(),
        by_name: true,
        note: Some(format!(
            "`{name}` is a program of this image and runs as it was typed (`trainit {name} -- …` for the mode)"
        )),
        ..Plan::default()
    }
}

fn own_command(mode: &Mode<'_>, settings: &Settings, facts: ModeFacts<'_>) -> Result<Vec<OsString>> {
    match mode {
        Mode::Custom(_, spec) if !spec.command.is_empty() => Ok(custom::command(spec)),
        Mode::Builtin(builtin) if !builtin.commands.is_empty() => {
            let known = builtin.server.and_then(|server| (server.program)(settings, facts.environment));
            known.map_or_else(|| foreseen::first_program(builtin, settings, facts), Ok).map(|program| vec![program])
        }
        _ if settings.command.is_empty() => Err(nothing_to_start(mode.name())),
        _ => Ok(settings.command.iter().map(OsString::from).collect()),
    }
}

fn plan_without_words(settings: &Settings, facts: ModeFacts<'_>) -> Result<Plan> {
    let (name, note) = match (facts.attended, settings.command.is_empty()) {
        (true, true) => ("shell", None),
        (true, false) => ("shell", Some(format!("`trainit train` runs {}", settings.command.join(" ")))),
        (false, false) => ("train", None),
        // The Dev Containers' command line starts `sh -c 'trap …; exec "$@"' - ENTRYPOINT CMD`, and then looks for an open container.
        (false, true) if (facts.editor)() => ("shell", Some(FOR_EDITORS.to_owned())),
        (false, true) => return Err(nothing_to_start("train")),
    };
    let mode = mode_named(name, settings)?;
    Ok(Plan { note, ..plan_named(&mode, &[], settings, facts)? })
}

/// What is told where nothing was to be started, and a shell stays open instead of an error.
const FOR_EDITORS: &str = "no COMMAND has arrived, and a shell started this container, as an editor's tool does: nothing runs, and it stays \
     open. For a job name a command; behind an ENTRYPOINT in shell form none arrives: ENTRYPOINT [\"trainit\"]";

fn plan_command(request: &StartRequest, facts: ModeFacts<'_>) -> Plan {
    let meant = BUILTIN.iter().find(|mode| mode.meant_by.by(&request.words, facts.attended));
    let mode = meant.unwrap_or(&BUILTIN[0]);
    Plan { mode: mode.name.into(), kind: mode.kind, command: request.words.clone(), ..Plan::default() }
}

fn unknown_mode(name: &str, settings: &Settings) -> Error {
    let names: Vec<&str> =
        BUILTIN.iter().map(|mode| mode.name).chain(settings.modes.keys().map(String::as_str)).collect();
    let what = format!("there is no mode `{name}` ({})", settings.mode.origin);
    Error::config(what).hint(format!("modes here: auto, {}", names.join(", ")))
}

fn nothing_to_start(mode: &str) -> Error {
    Error::usage(format!("nothing to start: mode {mode} has no command"))
        .because("no COMMAND was given, `command` is not configured, and there is no terminal for a shell")
        .hint("name a command, such as python train.py")
        .hint("or start with a terminal for a shell")
        .hint("command: [python, train.py] in /etc/trainit.yaml, or TRAINIT_COMMAND=\"python train.py\"")
}

/// Returns the packages that a plan needs installed before its server is set up.
pub fn packages<'a>(plan: &Plan, settings: &'a Settings) -> &'a [String] {
    builtin_server(plan).map_or(&[], |server| (server.packages)(settings))
}

/// Returns the command line of a plan with everything that its server needs; `None` if it has no server.
///
/// # Errors
/// A requirement of the server is not there (127), or cannot be met (78).
pub fn server_setup(plan: &Plan, context: &ServerContext<'_>) -> Result<Option<ServerSetup>> {
    if let Some(spec) = context.settings.modes.get(&plan.mode).filter(|_| plan.setup) {
        return custom::set_up(&plan.mode, spec, context).map(Some);
    }
    let typed = plan.command.get(1..).unwrap_or_default();
    builtin_server(plan).map(|server| (server.set_up)(context, typed)).transpose()
}

fn builtin_server(plan: &Plan) -> Option<ServerMode> {
    BUILTIN.iter().find(|mode| plan.setup && mode.name == plan.mode).and_then(|mode| mode.server)
}

/// Returns all modes with their purpose; for help texts and `trainit config show`.
pub fn list(settings: &Settings) -> Vec<(String, String)> {
    let builtin = BUILTIN.iter().map(|mode| (mode.name.to_owned(), mode.about.to_owned()));
    let custom = settings.modes.iter().map(|(name, spec)| (name.clone(), spec.about.clone().unwrap_or_default()));
    builtin.chain(custom).collect()
}

#[cfg(test)]
mod tests;
