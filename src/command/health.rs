//! `trainit health`: one line and an exit code for HEALTHCHECK and Kubernetes probes. It reads the state file and no configuration, so
//! that it answers in a few milliseconds. If the workload serves a port, it is asked too.

use super::CommandOutput;
use crate::service_probe;
use protocol::exit_code::Exit;
use protocol::handover::Phase;
use protocol::state_file::StateRecord;
use std::path::Path;
use supervisor::state_dir::{self, FoundState, unix_now};

/// Reads the state and judges it.
pub(super) fn run(instance: Option<&Path>, live: bool) -> CommandOutput {
    match found(instance) {
        FoundState::One(_, record) => {
            let asked = record.service.as_ref().filter(|_| !live && record.phase.is_up());
            judge(
                &record,
                state_dir::is_alive(record.supervisor),
                live,
                asked.and_then(|service| service_probe::ask(service).err().map(|error| error.to_string())),
            )
        }
        // A supervisor that has just started, or that keeps no state, counts as alive, but not as ready.
        FoundState::Silent(supervisor) => {
            let text = super::beginning(supervisor).unwrap_or_else(|| super::STATELESS.to_owned());
            CommandOutput { text, exit: if live { Exit::Success } else { Exit::Failure } }
        }
        FoundState::None => unhealthy("no trainit supervises here".into()),
        FoundState::Several(all) => {
            let names: Vec<_> = all.iter().map(|path| text::path(path)).collect();
            unhealthy(format!("several instances; name one with --instance: {}", names.join(" ")))
        }
    }
}

/// Finds the container's own supervisor; one that was started in a session says nothing about the container.
fn found(instance: Option<&Path>) -> FoundState {
    match super::find(instance) {
        FoundState::Several(all) => {
            let first = all.iter().find(|path| state_dir::supervisor_of(path).is_some_and(|of| of.pid == 1));
            let read = first.and_then(|path| Some((path.clone(), Box::new(state_dir::read(path).ok()?))));
            read.map_or(FoundState::Several(all), |(path, record)| FoundState::One(path, record))
        }
        found => found,
    }
}

/// Judges a state; `silent` is the reason why the workload's service does not answer.
fn judge(record: &StateRecord, supervised: bool, live: bool, silent: Option<String>) -> CommandOutput {
    let ready = record.phase.is_up() && silent.is_none();
    // A workload that hung was ended before the hold.
    let hangs = record.hung && record.phase != Phase::Holding;
    let healthy = supervised && !hangs && (live || ready);
    let phase = if supervised { record.phase.word() } else { "the supervisor is gone" };
    let since = (unix_now() - record.since).max(0.0);
    let command = record.command.as_ref().map_or(String::new(), |command| format!(": {}", text::line(command)));
    let service = match (&record.service, silent) {
        (_, Some(why)) => format!(" ({})", text::line(&why)),
        (Some(service), None) if ready && !live => format!(" (port {} answers)", service.port),
        _ => String::new(),
    };
    let text = format!("{phase} for {since:.0} s{command}{service}");
    CommandOutput { text, exit: if healthy { Exit::Success } else { Exit::Failure } }
}

fn unhealthy(text: String) -> CommandOutput {
    CommandOutput { text, exit: Exit::Failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(phase: Phase, supervised: bool, live: bool) -> u8 {
        judge(&StateRecord { phase, ..StateRecord::default() }, supervised, live, None).exit.code()
    }

    /// Every phase in which the workload does not run.
    const NOT_RUNNING: [Phase; 12] = [
        Phase::Configuring,
        Phase::Staging,
        Phase::Hooks,
        Phase::Checking,
        Phase::Installing,
        Phase::Restoring,
        Phase::Starting,
        Phase::Waiting,
        Phase::Stopping,
        Phase::Mirroring,
        Phase::Holding,
        Phase::Ended,
    ];

    #[test]
    fn ready_means_that_the_workload_runs() {
        for phase in NOT_RUNNING {
            assert_eq!(code(phase, true, false), 1, "{phase:?}");
        }
        assert_eq!((code(Phase::Running, true, false), code(Phase::Checkpointing, true, false)), (0, 0));
    }

    #[test]
    fn what_serves_is_ready_only_when_it_answers() {
        let service = Some(protocol::handover::Service::on(8888));
        let record =
            StateRecord { phase: Phase::Running, service, command: Some("x".into()), ..StateRecord::default() };
        let told = |silent: Option<&str>| judge(&record, true, false, silent.map(str::to_owned));
        assert_eq!(told(None).exit, Exit::Success);
        assert!(told(None).text.ends_with(": x (port 8888 answers)"), "{}", told(None).text);
        assert_eq!(told(Some("nobody")).exit, Exit::Failure);
        assert_eq!(judge(&record, true, true, None).exit, Exit::Success);
    }

    #[test]
    fn live_is_every_phase_while_the_supervisor_is_there() {
        for phase in NOT_RUNNING {
            assert_eq!(code(phase, true, true), 0, "{phase:?}");
        }
        assert_eq!(code(Phase::Running, false, true), 1);
        let hung = |phase| StateRecord { phase, hung: true, ..StateRecord::default() };
        assert_eq!(judge(&hung(Phase::Running), true, true, None).exit.code(), 1);
        assert_eq!(judge(&hung(Phase::Holding), true, true, None).exit.code(), 0);
    }
}
