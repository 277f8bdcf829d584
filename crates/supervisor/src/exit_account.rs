//! The exit code of the container, decided here and nowhere else. Pure.

use super::killed_preparation::KilledPreparation;
use super::stop_plan::{StopCircumstance, StopPlan};
use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::{ExitPolicy, WorkloadKind};
use sys::Signal;
use sys::process::Ended;

/// The facts that decide the exit code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExitAccount {
    /// The kind of workload.
    pub kind: WorkloadKind,
    /// How the main process ended; `None` if it was given up or lost.
    pub ended: Option<Ended>,
    /// The stop that was asked for.
    pub stop: Option<StopPlan>,
    /// trainit sent SIGKILL.
    pub killed: bool,
    /// prepare was killed, and no stop explains it.
    pub prepare_killed: Option<KilledPreparation>,
    /// `prepare.timeout` was exceeded.
    pub timed_out: bool,
    /// `stop.done_file` says that training was complete.
    pub complete: bool,
    /// A plain init, which only passes the workload's code on.
    pub plain: bool,
    /// The workload was ended because it hung.
    pub aborted: bool,
    /// A checkpoint is missing in the mirror, and that matters; `true` if another writer is at work there.
    pub unmirrored: Option<bool>,
}

/// Returns the exit code of the container.
pub(crate) fn code(account: &ExitAccount, policy: &ExitPolicy) -> u8 {
    let lost = if account.killed { Exit::Signal(Signal::KILL.number()) } else { Exit::Internal };
    let own = account.ended.map_or(lost.code(), Ended::code);
    let own = account.prepare_killed.map_or(own, |killed| killed.exit().code());
    let code = match account.stop {
        _ if account.timed_out => Exit::PrepareTimeout.code(),
        Some(stop) if !account.plain => stopped(account, policy, stop, own),
        // Training was complete, and only the end of the process was missing.
        _ if account.aborted && account.complete => 0,
        // A workload that hung is not complete, even if it ended with 0 after the abort.
        _ if account.aborted && own == 0 => Exit::Signal(Signal::ABRT.number()).code(),
        _ => own,
    };
    let code = if code == 0 { artefact(account) } else { code };
    policy.map.iter().find(|(from, _)| *from == code).map_or(code, |(_, to)| *to)
}

/// Returns the code of a success, which is none without its artefact.
fn artefact(account: &ExitAccount) -> u8 {
    match account.unmirrored.filter(|_| account.kind == WorkloadKind::Train) {
        None => 0,
        Some(false) => Exit::Transient(FailureFamily::Output).code(),
        Some(true) => Exit::Permanent(FailureFamily::Output).code(),
    }
}

fn stopped(account: &ExitAccount, policy: &ExitPolicy, stop: StopPlan, own: u8) -> u8 {
    let stop_code = policy.stop_code.filter(|_| account.kind == WorkloadKind::Train);
    let by_signal = Exit::Signal(stop.arrived.signal.number()).code();
    match (stop.met, account.ended) {
        (_, None) => Exit::Signal(Signal::KILL.number()).code(),
        // This holds also if prepare failed at the moment of the stop: the engine waits for the stop.
        (StopCircumstance::Preparing, _) => stop_code.unwrap_or(by_signal),
        // Another run was planned, and the stop prevented it.
        (StopCircumstance::BetweenRuns, _) => stop_code.unwrap_or(own),
        (StopCircumstance::Over | StopCircumstance::Held, _) => own,
        // Training was complete, and only the end of the process was missing.
        (StopCircumstance::Running, Some(Ended::Killed(_))) if account.complete => 0,
        // The shell may have ended in good order, but the processes below it were killed.
        (StopCircumstance::Running, Some(Ended::Killed(_))) if account.killed => {
            Exit::Signal(Signal::KILL.number()).code()
        }
        (StopCircumstance::Running, Some(_)) if account.complete => own,
        (StopCircumstance::Running, Some(ended)) if in_good_order(ended, stop.signal, policy) => {
            stop_code.unwrap_or(own)
        }
        _ => own,
    }
}

/// Returns whether a training was stopped in good order and is not complete, so that its engine may start it again.
///
/// Ctrl-C is a person's wish to end it.
pub(crate) fn stopped_in_good_order(account: &ExitAccount, policy: &ExitPolicy) -> bool {
    let Some(stop) = account.stop.filter(|stop| stop.arrived.signal != Signal::INT) else { return false };
    let unfit = account.kind != WorkloadKind::Train || account.timed_out || account.complete || account.plain;
    match (stop.met, account.ended) {
        _ if unfit => false,
        (StopCircumstance::Preparing | StopCircumstance::BetweenRuns, Some(_)) => true,
        (StopCircumstance::Running, Some(Ended::Killed(_))) if account.killed => false,
        (StopCircumstance::Running, Some(ended)) => in_good_order(ended, stop.signal, policy),
        _ => false,
    }
}

/// Returns whether a process ended as asked: by the stop signal, with 0, or with a code that this trainer uses for a stop.
fn in_good_order(ended: Ended, by: Signal, policy: &ExitPolicy) -> bool {
    match ended {
        Ended::Killed(signal) => signal == by || signal == Signal::TERM,
        Ended::Exited(code) => code == 0 || code == Ended::Killed(by).code() || policy.trainer_codes.contains(&code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sys::signal::Arrived;

    fn stop(signal: Signal) -> Option<StopPlan> {
        let arrived = Arrived { signal, pid: None, uid: 0, kernel: false };
        Some(StopPlan { arrived, signal, grace: None, at: Duration::ZERO, met: StopCircumstance::Running })
    }

    fn ran(ended: Ended, stop: Option<StopPlan>) -> ExitAccount {
        ExitAccount {
            kind: WorkloadKind::Train,
            ended: Some(ended),
            stop,
            killed: false,
            prepare_killed: None,
            timed_out: false,
            complete: false,
            plain: false,
            aborted: false,
            unmirrored: None,
        }
    }

    fn train() -> ExitPolicy {
        ExitPolicy { stop_code: Some(143), ..ExitPolicy::default() }
    }

    #[test]
    fn without_a_stop_the_workloads_code_passes_unchanged() {
        for code in 0..=255 {
            assert_eq!(super::code(&ran(Ended::Exited(code), None), &train()), code);
        }
        assert_eq!(code(&ran(Ended::Killed(Signal::SEGV), None), &train()), 139);
    }

    #[test]
    fn a_training_that_stopped_in_good_order_has_the_stop_code() {
        let policy = ExitPolicy { stop_code: Some(85), trainer_codes: vec![1], ..train() };
        for ended in [Ended::Exited(0), Ended::Killed(Signal::TERM), Ended::Exited(143), Ended::Exited(1)] {
            assert_eq!(code(&ran(ended, stop(Signal::TERM)), &policy), 85, "{ended:?}");
        }
        assert_eq!(code(&ran(Ended::Exited(2), stop(Signal::TERM)), &policy), 2);
    }

    #[test]
    fn a_build_mode_keeps_its_own_code() {
        let account = ExitAccount { kind: WorkloadKind::Build, ..ran(Ended::Exited(0), stop(Signal::TERM)) };
        assert_eq!(code(&account, &train()), 0);
    }

    #[test]
    fn killed_by_trainit_is_137() {
        let account = ExitAccount { killed: true, ..ran(Ended::Killed(Signal::KILL), stop(Signal::TERM)) };
        assert_eq!(code(&account, &train()), 137);
    }

    #[test]
    fn a_trainer_behind_a_shell_that_had_to_be_killed_is_137() {
        let account = ExitAccount { killed: true, ..ran(Ended::Killed(Signal::TERM), stop(Signal::TERM)) };
        assert_eq!(code(&account, &train()), 137);
        let leftover = ExitAccount { killed: true, ..ran(Ended::Exited(0), stop(Signal::TERM)) };
        assert_eq!(code(&leftover, &train()), 143);
    }

    #[test]
    fn a_stop_before_the_next_run_has_the_stop_code_and_one_after_the_last_changes_nothing() {
        let met = |met| stop(Signal::TERM).map(|stop| StopPlan { met, ..stop });
        assert_eq!(code(&ran(Ended::Exited(7), met(StopCircumstance::BetweenRuns)), &train()), 143);
        for own in [0, 7] {
            assert_eq!(code(&ran(Ended::Exited(own), met(StopCircumstance::Over)), &train()), own);
        }
    }

    #[test]
    fn given_up_after_killing_is_137_and_lost_without_a_reason_is_our_fault() {
        let gone = ExitAccount { ended: None, ..ran(Ended::Exited(0), None) };
        for plain in [true, false] {
            assert_eq!(code(&ExitAccount { killed: true, plain, stop: stop(Signal::TERM), ..gone }, &train()), 137);
            assert_eq!(code(&ExitAccount { plain, ..gone }, &train()), 70);
        }
    }

    #[test]
    fn a_training_that_was_ended_because_it_hung_never_looks_complete() {
        let account = ExitAccount { aborted: true, ..ran(Ended::Exited(0), None) };
        assert_eq!(code(&account, &train()), 134);
        assert_eq!(code(&ExitAccount { aborted: true, ..ran(Ended::Killed(Signal::KILL), None) }, &train()), 137);
    }

    #[test]
    fn a_stop_before_the_policy_is_known_is_128_and_the_signal() {
        let met = stop(Signal::INT).map(|stop| StopPlan { met: StopCircumstance::Preparing, ..stop });
        let account = ran(Ended::Killed(Signal::TERM), met);
        assert_eq!(code(&account, &ExitPolicy::default()), 130);
    }

    #[test]
    fn a_training_without_its_artefact_in_the_mirror_is_no_success() {
        let lost = |own, refused| ExitAccount { unmirrored: Some(refused), ..ran(Ended::Exited(own), None) };
        let codes = [lost(0, false), lost(0, true), lost(7, false)].map(|account| code(&account, &train()));
        assert_eq!(codes, [213, 113, 7]);
        let stopped = ExitAccount { stop: stop(Signal::TERM), ..lost(0, false) };
        assert_eq!(code(&stopped, &train()), 143);
        assert_eq!(code(&lost(0, false), &ExitPolicy { map: vec![(213, 0)], ..train() }), 0);
    }

    #[test]
    fn the_map_is_applied_last() {
        let policy = ExitPolicy { map: vec![(143, 0), (3, 4)], ..train() };
        assert_eq!(code(&ran(Ended::Exited(0), stop(Signal::TERM)), &policy), 0);
        assert_eq!(code(&ran(Ended::Exited(3), None), &policy), 4);
    }
}
