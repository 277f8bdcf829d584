//! The workload's environment: inherited variables, and trainit's additions.

use super::resume::Resumed;
use crate::check::Provenance;
use crate::git;
use crate::mode::Plan;
use protocol::state_file::RUN_DIR_VARIABLE;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use supervisor::saving_time;
use sys::environment::Environment;

/// torchrun's variable: without it torchrun kills its ranks 30 s after a stop, whatever the grace is (pytorch#119856).
const TORCHRUN_TIMEOUT: &str = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT";

/// The sources of the additions.
pub(super) struct Outputs<'a> {
    /// The mode and the command.
    pub plan: &'a Plan,
    /// The number of this start.
    pub attempt: u32,
    /// The state directory.
    pub run_dir: Option<&'a Path>,
    /// The variables that the dependencies need.
    pub changes: Vec<(OsString, OsString)>,
    /// The checkpoint to resume from.
    pub resumed: &'a Resumed,
    /// The commit and the owner of the code.
    pub provenance: Provenance,
    /// The budget of a stop.
    pub grace: Option<Duration>,
}

impl Outputs<'_> {
    /// Adds all variables; inherited and configured values have priority, except over variables about this start.
    pub(super) fn add_to(self, mut environment: Environment) -> Environment {
        environment.set("TRAINIT", "1");
        environment.set("TRAINIT_ATTEMPT", self.attempt.to_string());
        environment.set("TRAINIT_RUN_MODE", &self.plan.mode);
        match self.run_dir {
            Some(run_dir) => environment.set(RUN_DIR_VARIABLE, run_dir),
            // The workload would take an outer trainit's directory for this one's.
            None => environment.remove(RUN_DIR_VARIABLE),
        }
        ["TRAINIT_RESUME_PATH", "TRAINIT_RESUME_STEP"].iter().for_each(|name| environment.remove(name));
        self.resumed.variables.iter().for_each(|(name, value)| environment.set(name, value));
        if let Some(commit) = self.provenance.commit {
            environment.set("TRAINIT_CODE_COMMIT", commit);
        }
        if let Some(repository) = self.provenance.foreign {
            git::trust(&mut environment, &repository);
        }
        if let Some(grace) = self.grace {
            environment.set_default(TORCHRUN_TIMEOUT, saving_time(grace).as_secs().max(1).to_string());
        }
        self.changes.into_iter().for_each(|(name, value)| environment.set_over_pin(name, value));
        environment
    }
}

/// docker-stacks' list of variables that the workload does not get.
const TO_UNSET: &str = "JUPYTER_ENV_VARS_TO_UNSET";

/// Removes the variables that docker-stacks' list names, and the list; hooks still have them, and the lock of an image's author wins.
pub(super) fn unset_named(environment: &mut Environment) {
    let named = environment.get(TO_UNSET).map(|named| named.to_string_lossy().into_owned());
    let Some(named) = named.filter(|_| !environment.is_pinned(TO_UNSET)) else { return };
    let names = named.split([',', ' ']).filter(|name| !name.is_empty());
    names.chain([TO_UNSET]).for_each(|name| environment.remove(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_docker_stacks_list_names_are_removed_unless_they_are_locked() {
        let given = [(TO_UNSET, "SECRET, OTHER,,LOCKED"), ("SECRET", "1"), ("OTHER", "2"), ("KEPT", "3")];
        let mut environment: Environment = given.into_iter().collect();
        environment.pin("LOCKED", "4");
        unset_named(&mut environment);
        assert_eq!(environment, {
            let mut left: Environment = [("KEPT", "3")].into_iter().collect();
            left.pin("LOCKED", "4");
            left
        });
    }

    #[test]
    fn what_is_given_wins_unless_ours_says_something_about_this_start() {
        let plan = Plan { mode: "train".into(), ..Plan::default() };
        let outputs = Outputs {
            plan: &plan,
            attempt: 2,
            run_dir: None,
            changes: vec![("PATH".into(), "/layer/bin:/bin".into())],
            resumed: &Resumed::default(),
            provenance: Provenance { commit: Some("0123".into()), foreign: Some("/code".into()) },
            grace: Some(Duration::from_secs(100)),
        };
        let given =
            [("PATH", "/bin"), (TORCHRUN_TIMEOUT, "7"), ("TRAINIT_RUN_DIR", "/outer"), ("TRAINIT_ATTEMPT", "9")];
        let environment = outputs.add_to(given.into_iter().collect());
        let got = ["PATH", TORCHRUN_TIMEOUT, "TRAINIT", "TRAINIT_ATTEMPT", "TRAINIT_RUN_MODE", "TRAINIT_RUN_DIR"]
            .map(|name| environment.text(name).unwrap_or("-").to_owned());
        assert_eq!(got, ["/layer/bin:/bin", "7", "1", "2", "train", "-"]);
        let code = ["TRAINIT_CODE_COMMIT", "GIT_CONFIG_VALUE_0"].map(|name| environment.text(name));
        assert_eq!(code, [Some("0123"), Some("/code")]);
    }
}
