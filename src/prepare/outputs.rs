//! The workload's environment: what it inherits, and what trainit adds.

use super::resume::Resumed;
use crate::config::{EnvValue, Settings};
use crate::environment::Environment;
use crate::mode::Plan;
use crate::state::RUN_DIR_VARIABLE;
use crate::supervise::saving_time;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// torchrun kills its ranks 30 s after a stop, whatever the grace is, unless this says otherwise (pytorch#119856).
const TORCHRUN_TIMEOUT: &str = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT";

/// Where the additions come from.
pub struct Outputs<'a> {
    /// Mode and command.
    pub plan: &'a Plan,
    /// Which start this is.
    pub attempt: u32,
    /// The state directory.
    pub run_dir: Option<&'a Path>,
    /// What the dependencies need to be found.
    pub changes: Vec<(OsString, OsString)>,
    /// What to go on from.
    pub resumed: &'a Resumed,
    /// What a stop is going to leave.
    pub grace: Option<Duration>,
}

impl Outputs<'_> {
    /// Adds everything. An inherited variable wins over one of ours, unless it says something about this start.
    pub fn add_to(self, settings: &Settings, mut environment: Environment) -> Environment {
        environment.set("TRAINIT", "1");
        environment.set("TRAINIT_ATTEMPT", self.attempt.to_string());
        environment.set("TRAINIT_RUN_MODE", &self.plan.mode);
        match self.run_dir {
            Some(run_dir) => environment.set(RUN_DIR_VARIABLE, run_dir),
            // One of an outer trainit would be mistaken for ours.
            None => environment.remove(RUN_DIR_VARIABLE),
        }
        ["TRAINIT_RESUME_PATH", "TRAINIT_RESUME_STEP"].iter().for_each(|name| environment.remove(name));
        self.resumed.variables.iter().for_each(|(name, value)| environment.set(name, value));
        if let Some(grace) = self.grace {
            environment.set_default(TORCHRUN_TIMEOUT, saving_time(grace).as_secs().max(1).to_string());
        }
        self.changes.into_iter().for_each(|(name, value)| environment.set(name, value));
        configured(environment, self.plan, settings)
    }
}

/// What is configured as well; checks and installers see it, too.
pub fn configured(mut environment: Environment, plan: &Plan, settings: &Settings) -> Environment {
    add_configured(&mut environment, &plan.env);
    add_configured(&mut environment, &settings.env);
    environment
}

fn add_configured(environment: &mut Environment, values: &BTreeMap<String, EnvValue>) {
    for (name, EnvValue { value, force }) in values {
        match force {
            true => environment.set(name, value),
            false => environment.set_default(name, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_value_wins_unless_ours_is_forced() {
        let mut settings = Settings::default();
        for (name, force) in [("A", false), ("B", true)] {
            settings.env.value.insert(name.into(), EnvValue { value: "ours".into(), force });
        }
        let plan = Plan { mode: "train".into(), ..Plan::default() };
        let outputs = Outputs {
            plan: &plan,
            attempt: 2,
            run_dir: None,
            changes: Vec::new(),
            resumed: &Resumed::default(),
            grace: None,
        };
        let inherited = [("A", "theirs"), ("B", "theirs"), ("TRAINIT_RUN_DIR", "/outer")].into_iter().collect();
        let environment = outputs.add_to(&settings, inherited);
        let got = ["A", "B", "TRAINIT", "TRAINIT_ATTEMPT", "TRAINIT_RUN_MODE", "TRAINIT_RUN_DIR"]
            .map(|name| environment.text(name).unwrap_or("-").to_owned());
        assert_eq!(got, ["theirs", "ours", "1", "2", "train", "-"]);
    }
}
