//! A failure before the settings are known: how it is logged and held, and how the other nodes of the job learn of it.
//!
//! This process may still be root here. It reads no file that others may have written.

use super::cluster;
use super::failure_hold;
use super::policy;
use super::preparation::Preparation;
use crate::cli::StartRequest;
use crate::config::{Agreement, Settings, UnusableConfig};
use crate::engine::{self, HostFacts};
use crate::error::{Error, ErrorKind};
use crate::mode::{self, ModeFacts};
use protocol::handover::{Message, WorkloadKind};
use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, terminal};

impl Preparation {
    /// Handles a failure before the settings are known, as far as the log and the hold of a failure are known.
    ///
    /// An answered question leaves nothing to look at, so no container is held for it. Returns the error that this process ends with.
    #[inline(never)]
    pub(super) fn fail_early(
        &mut self,
        request: Option<&StartRequest>,
        words: &[OsString],
        inherited: &Environment,
        failed: UnusableConfig,
    ) -> Error {
        let UnusableConfig { error, settings } = failed;
        if error.kind == ErrorKind::Answer {
            return error;
        }
        self.console.settle(&settings, Rc::new(HostFacts::of(&Root::real(), inherited)));
        let hold = failure_hold::hold(&settings, inherited, None).filter(|_| error.kind != ErrorKind::Usage);
        let run_dir = hold.as_ref().and_then(|_| self.run_dir(&settings, inherited, None, true));
        let policy = policy::of_failure(&settings, hold, run_dir.as_ref().map(|(run_dir, _)| run_dir.as_path()));
        self.handover.send(&Message::Policy(Box::new(policy)));
        match to_train(request, words, inherited, &settings) {
            Some(command) => self.tell_others(&command, inherited, &settings, error),
            None => error,
        }
    }

    /// Tells the other nodes of the job, if there are any. Returns the error that all of them end with.
    fn tell_others(
        &mut self,
        command: &[OsString],
        inherited: &Environment,
        settings: &Settings,
        error: Error,
    ) -> Error {
        self.world = engine::world_of_variables(&Root::real(), inherited, settings, command);
        let tells = settings.cluster_agree.contains(&Agreement::Checks);
        let Some(meeting) = self.meeting(settings).filter(|_| tells) else { return error };
        self.console.name_node(cluster::log_node(self.world.as_ref()));
        let own = self.presence(&meeting, Some(&error));
        self.come_together(settings, &Mounts::default(), &meeting, own, Some(&error)).err().unwrap_or(error)
    }
}

/// Returns the command of a start that is a training, or was to be one: empty where the command line names none that can be understood.
pub(super) fn to_train(
    request: Option<&StartRequest>,
    words: &[OsString],
    inherited: &Environment,
    settings: &Settings,
) -> Option<Vec<OsString>> {
    let facts = ModeFacts {
        attended: terminal::is_attended(),
        editor: &|| false,
        environment: inherited,
        shell: &|| Some("/bin/sh".into()),
        workdir: Path::new("/"),
    };
    match request.map(|request| mode::plan(request, settings, facts)) {
        Some(Ok(plan)) => (plan.kind == WorkloadKind::Train).then_some(plan.command),
        Some(Err(_)) | None => mode::was_to_train(words, settings, facts.attended).then(Vec::new),
    }
}
