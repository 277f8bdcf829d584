//! `preempt` and `requeue`: what PID 1 does about an interruption from outside, and what of that cannot work here.

use crate::config::{PreemptChoice, Requeue, Settings};
use crate::engine;
use crate::preempt;
use protocol::handover::{Cloud, Preempt, RequeuePolicy};
use sys::Root;
use sys::environment::Environment;

/// What PID 1 is told, and lines for the log about what was asked for and cannot be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interruption {
    /// Where notices come from.
    pub preempt: Option<Preempt>,
    /// The Slurm job that starts again.
    pub requeue: Option<RequeuePolicy>,
    /// Lines for the log.
    pub notes: Vec<String>,
}

impl Interruption {
    /// Decides by the settings and the surroundings; `finds` says whether a program is on PATH.
    pub(super) fn of(
        settings: &Settings,
        root: &Root,
        environment: &Environment,
        finds: impl Fn(&str) -> bool,
    ) -> Interruption {
        let (cloud, no_cloud) = split(cloud(settings.preempt.value, root));
        let (requeue, no_requeue) = split(job(settings.requeue.value, environment, finds));
        let address = settings.preempt_url.value.map(|address| address.0.to_string());
        Interruption {
            preempt: cloud.map(|cloud| Preempt { cloud, address }),
            requeue,
            notes: no_cloud.into_iter().chain(no_requeue).collect(),
        }
    }
}

fn split<T>(found: Result<Option<T>, String>) -> (Option<T>, Option<String>) {
    found.map_or_else(|note| (None, Some(note)), |found| (found, None))
}

fn cloud(choice: PreemptChoice, root: &Root) -> Result<Option<Cloud>, String> {
    match choice {
        PreemptChoice::Off => Ok(None),
        PreemptChoice::Aws => Ok(Some(Cloud::Aws)),
        PreemptChoice::Gcp => Ok(Some(Cloud::Gcp)),
        PreemptChoice::Azure => Ok(Some(Cloud::Azure)),
        PreemptChoice::Auto => preempt::recognised(root).map(Some).ok_or_else(|| {
            "preempt: the firmware of this machine names no cloud that gives notices, so none is asked; where it is one: \
             TRAINIT_PREEMPT=aws, gcp or azure"
                .to_owned()
        }),
    }
}

/// Returns the job that this process speaks for: of a step with several processes only the first does.
fn job(
    choice: Requeue,
    environment: &Environment,
    finds: impl Fn(&str) -> bool,
) -> Result<Option<RequeuePolicy>, String> {
    if choice == Requeue::Off {
        return Ok(None);
    }
    let Some(found) = engine::requeueable(environment) else {
        return Err("requeue: this is no job of Slurm (SLURM_JOB_ID is not set), so nothing starts it again".to_owned());
    };
    match found.asks {
        false => Ok(None),
        true if finds("scontrol") => Ok(Some(RequeuePolicy { job: found.job.to_string(), alone: found.alone })),
        true => Err("requeue: scontrol is not on PATH here, so the batch script has to do it after the training: \
                     [ $? -ne 143 ] || scontrol requeue $SLURM_JOB_ID"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &Settings, variables: &[(&str, &str)], finds: bool) -> Interruption {
        let machine = tempfile::tempdir().unwrap();
        let environment = variables.iter().copied().collect();
        Interruption::of(settings, &Root::at(machine.path()), &environment, |_| finds)
    }

    #[test]
    fn nothing_is_asked_by_default() {
        assert_eq!(of(&Settings::default(), &[("SLURM_JOB_ID", "7")], true), Interruption::default());
    }

    #[test]
    fn only_the_first_process_of_a_step_speaks_for_its_job() {
        let mut settings = Settings::default();
        settings.requeue.value = Requeue::Scontrol;
        let step = |rank, tasks| {
            let names = ["SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"];
            let variables: Vec<(&str, &str)> = names.into_iter().zip(["7", "n[1-3]", rank, tasks]).collect();
            of(&settings, &variables, true)
        };
        let requeue = |alone| Some(RequeuePolicy { job: "7".into(), alone });
        assert_eq!((step("0", "1").requeue, step("0", "3").requeue), (requeue(true), requeue(false)));
        assert_eq!(step("1", "3"), Interruption::default());
        assert!(of(&settings, &[], true).notes[0].contains("SLURM_JOB_ID is not set"));
        let unable = of(&settings, &[("SLURM_JOB_ID", "7")], false);
        assert!(unable.requeue.is_none() && unable.notes[0].contains("scontrol requeue $SLURM_JOB_ID"), "{unable:?}");
    }

    #[test]
    fn a_cloud_that_is_not_recognised_is_told() {
        let mut settings = Settings::default();
        settings.preempt.value = PreemptChoice::Auto;
        assert!(of(&settings, &[], false).notes[0].contains("TRAINIT_PREEMPT=aws"));
        settings.preempt.value = PreemptChoice::Gcp;
        assert_eq!(of(&settings, &[], false).preempt, Some(Preempt { cloud: Cloud::Gcp, address: None }));
    }
}
