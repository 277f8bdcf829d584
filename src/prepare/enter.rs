//! From the words to the settings, the mode and the user.
//!
//! The user comes first: this process becomes that user before it reads any file of a mount. Work that only root can do for another user
//! is done right before that.

use super::login;
use super::policy;
use super::preparation::{OfRoot, Preparation};
use super::previous_run;
use super::run_dir::{self, RunDirOwner};
use crate::check::{self, CheckContext};
use crate::cli::{self, StartRequest};
use crate::config::{ConfigOptions, ConfigSources, EnvValue, Loaded, Settings, TrustedLayers, UnusableConfig};
use crate::engine::Platform;
use crate::error::Result;
use crate::identity::Entered;
use crate::mode::{self, ModeFacts, Plan};
use crate::report::trace;
use protocol::handover::TargetUser;
use protocol::state_file::StateRecord;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use supervisor::state_dir;
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Pid, Root, terminal};
use tracing::debug;

impl Preparation {
    /// Decides on settings, mode and user, and becomes that user, so that no other user ever runs code that is found in a mount.
    pub(super) fn settle(&mut self, words: &[OsString], inherited: &Environment) -> Result<(Loaded, Plan, Entered)> {
        let (root, here) = (Root::real(), here());
        let request = request(words).map_err(|error| {
            // An invalid command line gives no options, but the image may still say how failures are logged.
            let options = &ConfigOptions::default();
            let sources = ConfigSources { root: &root, environment: inherited, options, workdir: &here };
            let settings = TrustedLayers::read(&sources).settings();
            self.fail_early(None, words, inherited, UnusableConfig { error, settings })
        })?;
        trace::begin(inherited, &request.options.set);
        let sources = ConfigSources { root: &root, environment: inherited, options: &request.options, workdir: &here };
        let (loaded, entered) = self
            .load(&request, &sources)
            .map_err(|failed| self.fail_early(Some(&request), words, inherited, *failed))?;
        let planned = check::validate(&loaded.settings)
            .and_then(|()| decide(&loaded, &entered, inherited, |facts| mode::plan(&request, &loaded.settings, facts)));
        match planned {
            Ok(plan) => {
                told(&request, &plan);
                Ok((loaded, plan, entered))
            }
            Err(error) => {
                let failed = self.code_first(Box::new(UnusableConfig { error, settings: loaded.settings }));
                Err(self.fail_early(Some(&request), words, inherited, *failed))
            }
        }
    }

    /// Reads all layers as the workload's user, behind the code that one of them may name.
    ///
    /// Code that cannot be brought ends the start only after the other nodes and the report know of it, so as long as the rest is valid
    /// without it, the error is kept.
    fn load(
        &mut self,
        request: &StartRequest,
        sources: &ConfigSources<'_>,
    ) -> Result<(Loaded, Entered), Box<UnusableConfig>> {
        let settled = check::settle(sources)?;
        if let Some(user) = policy::user(&settled.identity) {
            let run_dir = self.run_dir(&settled.settings, sources.environment, Some(&user), true);
            let own = run_dir.as_ref().map(|(run_dir, _)| run_dir.as_path());
            let previous = self.previous_run(&settled.settings, sources.environment, own);
            self.of_root = Some(OfRoot { run_dir, previous });
        }
        let loaded =
            settled.load_after(|trusted, settings, entered| self.bring_code(request, trusted, settings, entered));
        loaded.map_err(|failed| self.code_first(failed))
    }

    fn code_first(&mut self, failed: Box<UnusableConfig>) -> Box<UnusableConfig> {
        match self.code.take() {
            Some(Err(error)) => Box::new(UnusableConfig { error, ..*failed }),
            code => {
                self.code = code;
                failed
            }
        }
    }

    /// Returns the state directory of the supervisor, and whether it was made.
    pub(super) fn run_dir(
        &mut self,
        settings: &Settings,
        inherited: &Environment,
        user: Option<&TargetUser>,
        at_once: bool,
    ) -> Option<(PathBuf, bool)> {
        if let Some(of_root) = &self.of_root {
            return of_root.run_dir.clone();
        }
        let supervisor = Pid::parent().and_then(state_dir::identity_of).filter(|_| self.handover.supervised())?;
        let mounts = Mounts::of(&Root::real());
        let whose = RunDirOwner { user, supervisor, at_once, mounts: &mounts };
        let chosen = run_dir::run_dir(settings, inherited, &whose, &mut |why| self.state_trouble = Some(why));
        debug!(target: "state", configured = ?settings.state_dir.value, "{}", shown(chosen.as_ref()));
        chosen
    }

    /// Removes the state that earlier starts left, except `own`; returns that of the last of them.
    pub(super) fn previous_run(
        &self,
        settings: &Settings,
        environment: &Environment,
        own: Option<&Path>,
    ) -> Option<StateRecord> {
        let runtime = environment.get("XDG_RUNTIME_DIR").map(Path::new);
        self.is_first_start().then(|| previous_run::sweep(settings, runtime, own)).flatten()
    }
}

/// Reads the configuration as the workload's user, whom this process becomes.
///
/// Options may follow a mode word, and then count as well.
pub(super) fn load(words: &[OsString], inherited: &Environment) -> Result<(Loaded, Entered)> {
    let (request, root, here) = (request(words)?, Root::real(), here());
    trace::begin(inherited, &request.options.set);
    let sources = ConfigSources { root: &root, environment: inherited, options: &request.options, workdir: &here };
    Ok(check::settle(&sources)?.load()?)
}

fn request(words: &[OsString]) -> Result<StartRequest> {
    let request = cli::parse(words)?;
    Ok(cli::parse_after_mode(&request)?.unwrap_or(request))
}

/// Logs the decision, and the words that it was made from.
fn told(request: &StartRequest, plan: &Plan) {
    debug!(
        target: "mode",
        words = %text::command(&request.words),
        option = request.options.mode.as_deref().unwrap_or("none"),
        terminal = terminal::is_attended(),
        kind = ?plan.kind,
        by_name = plan.by_name,
        command = %text::command(&plan.command),
        beside = %plan.sidecars.join(" "),
        "{}",
        plan.mode
    );
}

fn shown(run_dir: Option<&(PathBuf, bool)>) -> String {
    match run_dir {
        Some((path, made)) => format!("{}, {}", text::path(path), if *made { "made" } else { "there already" }),
        None => "no directory can be written".to_owned(),
    }
}

fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

/// Makes a decision about modes from the words and the facts.
pub(super) fn decide<T>(
    loaded: &Loaded,
    entered: &Entered,
    inherited: &Environment,
    decision: impl FnOnce(ModeFacts<'_>) -> T,
) -> T {
    let mut environment = inherited.clone();
    loaded.settings.pin(&mut environment);
    let shell =
        || login::shell(&check_context(loaded.clone(), &Plan::default(), environment.clone()), entered.identity());
    let attended = terminal::is_attended();
    let editor = || is_an_editors(&check_context(loaded.clone(), &Plan::default(), inherited.clone()));
    decision(ModeFacts {
        attended,
        editor: &editor,
        environment: &environment,
        shell: &shell,
        workdir: &loaded.workdir,
    })
}

/// Returns whether this start looks like an editor's: a shell has become PID 1 of an engine's container that has no input.
///
/// Shells export PWD (POSIX, `cd`), and engines set none. In a pod no editor starts containers, and an error is better there.
fn is_an_editors(context: &CheckContext) -> bool {
    let here = std::env::current_dir().ok();
    context.platform() == Platform::Container
        && Pid::parent() == Some(Pid::FIRST)
        && terminal::has_no_input()
        && here.is_some_and(|here| context.environment.get("PWD") == Some(here.as_os_str()))
}

pub(super) fn check_context(loaded: Loaded, plan: &Plan, mut inherited: Environment) -> CheckContext {
    EnvValue::add_all(&plan.env, &mut inherited);
    CheckContext::of(loaded, inherited, plan.command.clone())
}
