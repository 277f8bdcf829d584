//! `requeue: scontrol`: has Slurm start a job again that was stopped in good order. Its failure changes nothing but the log.

use crate::program::{self, ProgramOutput};
use protocol::handover::Message;
use std::process::Command;
use std::time::{Duration, Instant};
use supervisor::HelperArgs;

/// Time limit of one command.
const LIMIT: Duration = Duration::from_secs(12);

/// Asks what state the job is in, and then for its next start.
pub(super) fn run(task: &HelperArgs<'_>) {
    let Some(job) = task.policy.requeue.as_ref().map(|requeue| requeue.job.as_str()) else { return };
    let state = scontrol(&["--oneliner", "show", "job", job]).ok().filter(ProgramOutput::succeeded);
    let line = match state.as_ref().and_then(|shown| job_state(shown.output.as_bytes())).map(decide) {
        Some(Err(why)) => format!("requeue: job {job} {why}"),
        Some(Ok(())) | None => ask(job),
    };
    task.handover.send(&Message::Note(line));
}

fn ask(job: &str) -> String {
    match scontrol(&["requeue", job]) {
        Ok(asked) if asked.succeeded() => format!("requeue: Slurm starts job {job} again (scontrol requeue)"),
        Ok(asked) => {
            let said = text::line(asked.output.trim()).into_owned();
            format!("requeue: `scontrol requeue {job}` failed: {said}; the job is not started again{}", hint(&said))
        }
        Err(error) => format!(
            "requeue: `scontrol requeue {job}` cannot be run ({}); the job is not started again",
            protocol::errno::words_of(&error)
        ),
    }
}

/// Returns what helps, where Slurm says why it refused.
fn hint(said: &str) -> &'static str {
    if said.contains("requeue") || said.contains("disabled") {
        " (a job that may be is submitted with --requeue)"
    } else {
        ""
    }
}

fn scontrol(words: &[&str]) -> std::io::Result<ProgramOutput> {
    let mut command = Command::new("scontrol");
    command.args(words);
    program::output(command, Some(Instant::now() + LIMIT))
}

/// Returns the value of `JobState=` in what `scontrol show job` prints.
fn job_state(shown: &[u8]) -> Option<String> {
    let words = shown.split(|byte| byte.is_ascii_whitespace());
    let state = words.filter_map(|word| word.strip_prefix(b"JobState=")).next()?;
    Some(String::from_utf8_lossy(state).into_owned())
}

/// Returns whether a job in this state is to be started again, or why not.
fn decide(state: String) -> Result<(), &'static str> {
    match state.as_str() {
        // Slurm shows no other state while it ends a job, also one that a person cancelled and that has to stay ended.
        "COMPLETING" | "CANCELLED" | "TIMEOUT" => Err(
            "is being ended by Slurm (cancelled, or at its time limit): it is not started again; --signal=B:USR1@120 and \
             stop.on {USR1: stop} come before that",
        ),
        "PENDING" | "REQUEUED" | "REQUEUE_HOLD" => Err("is started again by Slurm itself"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_a_person_cancelled_stays_ended() {
        let state = |shown: &str| job_state(shown.as_bytes()).map(decide);
        assert_eq!(state("JobId=7 JobName=x JobState=RUNNING Reason=None"), Some(Ok(())));
        for ended in ["COMPLETING", "CANCELLED", "TIMEOUT"] {
            assert!(matches!(state(&format!("JobId=7 JobState={ended} Reason=None")), Some(Err(_))), "{ended}");
        }
        assert!(matches!(state("JobId=7 JobState=PENDING"), Some(Err(_))));
        assert_eq!((state(""), state("slurm_load_jobs error: Invalid job id specified")), (None, None));
    }
}
