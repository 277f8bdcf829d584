//! `trainit health`: one line and an exit code, for HEALTHCHECK and Kubernetes probes. Reads the state file and nothing else, so
//! that it answers in a few milliseconds whatever the configuration is.

use super::Answer;
use crate::exit::Exit;
use crate::handover::Phase;
use crate::state::{Found, Record, unix_now};
use std::path::Path;

/// Looks at the instance and judges.
pub fn run(instance: Option<&Path>, live: bool) -> Answer {
    match super::find(instance) {
        Found::One(_, record) => judge(&record, record.supervisor.is_alive(), live),
        Found::None | Found::Begins => unhealthy("no trainit supervises here".into()),
        Found::Several(all) => {
            let names: Vec<_> = all.iter().map(|path| path.display().to_string()).collect();
            unhealthy(format!("several instances; name one with --instance: {}", names.join(" ")))
        }
    }
}

fn judge(record: &Record, supervised: bool, live: bool) -> Answer {
    let ready = matches!(record.phase, Phase::Running | Phase::Checkpointing);
    // What hung has been ended before it is held.
    let hangs = record.hung && record.phase != Phase::Holding;
    let healthy = supervised && !hangs && (live || ready);
    let phase = if supervised { record.phase.word() } else { "the supervisor is gone" };
    let since = (unix_now() - record.since).max(0.0);
    let text =
        format!("{phase} for {since:.0} s{}", record.command.as_ref().map_or(String::new(), |c| format!(": {c}")));
    Answer { text, exit: if healthy { Exit::Success } else { Exit::Failure } }
}

fn unhealthy(text: String) -> Answer {
    Answer { text, exit: Exit::Failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(phase: Phase, supervised: bool, live: bool) -> u8 {
        judge(&Record { phase, ..Record::default() }, supervised, live).exit.code()
    }

    #[test]
    fn ready_means_that_the_workload_runs() {
        for phase in
            [Phase::Checking, Phase::Installing, Phase::Starting, Phase::Stopping, Phase::Holding, Phase::Ended]
        {
            assert_eq!(code(phase, true, false), 1, "{phase:?}");
        }
        assert_eq!((code(Phase::Running, true, false), code(Phase::Checkpointing, true, false)), (0, 0));
    }

    #[test]
    fn live_is_every_phase_while_the_supervisor_is_there() {
        for phase in [Phase::Checking, Phase::Installing, Phase::Stopping, Phase::Holding] {
            assert_eq!(code(phase, true, true), 0, "{phase:?}");
        }
        assert_eq!(code(Phase::Running, false, true), 1);
        let hung = |phase| Record { phase, hung: true, ..Record::default() };
        assert_eq!(judge(&hung(Phase::Running), true, true).exit.code(), 1);
        assert_eq!(judge(&hung(Phase::Holding), true, true).exit.code(), 0);
    }
}
