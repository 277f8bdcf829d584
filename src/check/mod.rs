//! Checks: conditions that must hold before the workload may start. A check is one `Step` in the file of its family; the families are the
//! rows of `table`. The runner gives every task that can hang a process that can be killed, and a deadline. This module uses `config`,
//! `engine`, `git`, `gpu`, `identity`, `stage` and `sys`, and nothing of modes, dependencies or PID 1.

mod code;
mod data;
mod dirty;
mod entry;
mod failures;
mod finding;
mod gpu;
mod host;
mod link_end;
mod links;
mod listing;
mod locale;
pub mod manifest;
mod near_name;
mod obstacle;
mod output;
mod owner;
mod path_facts;
mod progress;
mod provenance;
mod rules;
mod run;
mod settle;
mod space;
mod speed;
mod step;
mod table;
mod task;
mod unmarked;
mod unmet_user;
mod user;
mod validate;
mod verify;

pub use finding::{Change, Finding, FindingFacts, Remedy, Status, verdict};
pub use gpu::forward_compat;
pub use gpu::inventory::{DriverLibrary, Inventory, InventoryGpu, inventory};
pub use host::{threads, visible_gpus};
pub use obstacle::{Obstacle, obstacle_of};
pub use provenance::{Provenance, provenance};
pub use run::{CheckEvent, RunningChecks, run, start};
pub use settle::{SettledUser, settle};
pub use table::checks;
pub(crate) use validate::MIRROR;
pub use validate::{validate, validate_only};

use crate::config::{EnvValue, Loaded, Settings, Severity, secret};
use crate::engine::{self, HostFacts, Platform, TypedStart};
use crate::error::Result;
use crate::identity::{self, Assumed, Entered, LeftOutQuestion, UserDestination};
use crate::stage::{self, StageContext};
use ::stage::StageRequest;
use protocol::exit_code::FailureFamily;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use sys::Root;
use sys::environment::Environment;
use sys::mountinfo::Mounts;

/// The input of all checks.
#[derive(Clone, Debug)]
pub struct CheckContext {
    /// The root directory of /proc, /sys, /dev and /etc.
    pub root: Root,
    /// The merged configuration.
    pub settings: Box<Settings>,
    /// The workload's environment.
    pub environment: Environment,
    /// The working directory of the workload.
    pub workdir: PathBuf,
    /// The code directory.
    pub code: PathBuf,
    /// The command line of the workload, if it is known.
    pub command: Vec<OsString>,
    /// The mount table of this process.
    pub mounts: Mounts,
    /// The user of this process, once it is the workload's user.
    pub user: Option<Rc<Assumed>>,
    /// HOME, before the user's own replaced it.
    pub(crate) inherited_home: Option<PathBuf>,
    /// Facts that are looked up once and then shared.
    pub(crate) host_facts: OnceCell<Rc<HostFacts>>,
}

impl CheckContext {
    /// Combines the configuration with this machine. `environment` is the inherited one; the configured variables are added.
    pub fn of(loaded: Loaded, mut environment: Environment, command: Vec<OsString>) -> Self {
        loaded.settings.pin(&mut environment);
        EnvValue::add_all(&loaded.settings.env, &mut environment);
        CheckContext {
            root: Root::real(),
            settings: loaded.settings,
            environment,
            workdir: loaded.workdir,
            code: loaded.code,
            command,
            mounts: loaded.mounts,
            user: None,
            inherited_home: None,
            host_facts: OnceCell::new(),
        }
    }

    /// Returns the context of the checks that need not wait for data which is being brought.
    pub fn without_staged(&self) -> Self {
        let mut context = self.clone();
        context.settings.data.value.retain(|path| path.from.is_none());
        context
    }

    /// Returns the context of the checks of paths whose data was brought.
    pub fn only_staged(&self) -> Self {
        let mut context = self.clone();
        context.settings.data.value.retain(|path| path.from.is_some());
        context
    }

    /// Returns the platform, which decides how remedies are worded.
    pub fn platform(&self) -> Platform {
        self.host_facts().platform()
    }

    /// Returns how this container was started, as far as that shows from inside.
    pub fn started(&self) -> TypedStart {
        let host_facts = self.host_facts();
        engine::started(&self.root, &self.environment, host_facts.mounts(), host_facts.platform(), &self.command)
    }

    /// Adds the variables that the workload's user needs, after this process has become that user. `mode_env` holds a mode's variables.
    pub fn at_home(&mut self, entered: Entered, mode_env: &BTreeMap<String, EnvValue>) {
        let surroundings = UserDestination { root: &self.root, environment: &self.environment, mounts: &self.mounts };
        let mut assumed = entered.at_home(&surroundings);
        assumed.notes.extend(identity::left_out(&LeftOutQuestion {
            settings: &self.settings,
            environment: &self.environment,
            root: &self.root,
            mounts: &self.mounts,
            identity: &assumed.identity,
            container: &|| self.platform().is_container(),
        }));
        let configured = [mode_env, &self.settings.env.value];
        let configured = |name: &str| Some(configured.iter().find_map(|env| env.get(name))?.value.clone().into());
        let is_switched = assumed.identity.switch.is_some();
        assumed
            .notes
            .extend(unmarked::note(&self.settings, is_switched, &|| self.host_facts().is_unmarked_namespace()));
        self.inherited_home = self.environment.get("HOME").map(PathBuf::from);
        assumed.add_to(&mut self.environment, &configured);
        assumed.notes.extend(locale::note(&self.root, &self.environment));
        // A shell shows the directory that it starts in by this name of the home.
        let moved = assumed.identity.home_link.as_ref().filter(|link| assumed.home.as_ref() == Some(&link.to));
        if let Some((link, rest)) = moved.and_then(|link| Some((link, self.workdir.strip_prefix(&link.from).ok()?))) {
            self.environment.set("PWD", link.to.join(rest));
        }
        self.user = Some(Rc::new(assumed));
    }

    /// Adds the variables whose values are in files, a mode's first. Returns a line for each file of linuxserver's variables that cannot
    /// be read.
    ///
    /// # Errors
    /// A file that cannot be read (78).
    pub fn add_secrets(&mut self, mode_env: &BTreeMap<String, EnvValue>) -> Result<Vec<String>> {
        secret::pin_all(&self.settings, &self.mounts, &mut self.environment)?;
        secret::add_all(mode_env, &self.mounts, &mut self.environment)?;
        secret::add_all(&self.settings.env.value, &self.mounts, &mut self.environment)?;
        Ok(secret::add_linuxservers(&self.mounts, &mut self.environment))
    }

    /// Returns a request for each path of `data` that is brought before the workload starts.
    pub(crate) fn stage_requests(&self) -> Vec<StageRequest> {
        let world = || engine::world(&self.root, &self.environment, &self.settings, &self.command, &|| 0);
        let needs_world = self.settings.data.iter().any(|path| path.part.is_some());
        let world = needs_world.then(world).flatten();
        stage::requests(StageContext {
            settings: &self.settings,
            environment: &self.environment,
            workdir: &self.workdir,
            host_facts: &self.host_facts(),
            world: world.as_ref(),
        })
    }

    /// Returns the facts that are looked up once.
    pub fn host_facts(&self) -> Rc<HostFacts> {
        let host_facts = || Rc::new(HostFacts::over(&self.root, &self.environment, self.mounts.clone()));
        self.host_facts.get_or_init(host_facts).clone()
    }
}

/// One check. A new check is one of these, with its function, in the steps of its family.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// `family.name`; users name it in `checks` and `--only`.
    pub id: &'static str,
    /// The family, which decides the exit code.
    pub family: FailureFamily,
    /// The severity of a failure, unless the configuration changes it.
    pub severity: Severity,
    /// Whether a retry can help.
    pub passing: Transient,
    /// The question that the check asks, in one line, for the documentation.
    pub about: &'static str,
    /// The fix in one line, for the documentation.
    pub remedy: &'static str,
}

/// Whether a failure may pass on a later start, here or on another node; it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transient {
    /// Something has to be changed first.
    Never,
    /// The problem may be gone at the next start.
    Always,
    /// Each finding says so itself.
    Depends,
}
