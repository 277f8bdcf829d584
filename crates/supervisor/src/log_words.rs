//! PID 1's lines as words.

use super::gpu_users::{self, GpuUser};
use super::log_event::LogEvent;
use super::stop_plan::{Reason, StopCircumstance, StopPlan};
use protocol::handover::SavedCheckpoint;
use protocol::units;
use std::time::Duration;
use sys::process::Ended;
use sys::{Pid, Root, Signal, proc, signal};

/// Most processes that are named in one line.
const NAMED: usize = 10;
/// Why Slurm is not asked to start a job again, and what makes a preemption clear.
const NOT_REQUEUED: &str = "requeue: not asked for, because in a step of several processes SIGTERM may mean that another one \
                            failed; --signal=USR1@120 and stop.on {USR1: stop} announce a preemption";

/// Returns an event in words.
pub(crate) fn words(line: &LogEvent) -> String {
    match line {
        LogEvent::Stopping { stop, grace_from, reason } => stopping(stop, grace_from, *reason),
        LogEvent::EndsSoon { reason, left } => ends_soon(*reason, *left),
        LogEvent::Again { signal, left } => {
            format!("{} again: already stopping, nothing is shortened{}", *signal, until_kill(*left))
        }
        LogEvent::EngineFollows { signal, left } => {
            format!("{signal} after the notice: stop.grace counts from now{}", until_kill(*left))
        }
        LogEvent::Noticed(kind) => format!("notice {}: already stopping", kind.word()),
        LogEvent::Stronger { signal, weaker } => {
            format!("{signal} after {weaker}: passed on to what has not acted on {weaker}")
        }
        LogEvent::Escalating { left } => format!("SIGTERM to every process{}", until_kill(*left)),
        LogEvent::Killing => "SIGKILL to every process".into(),
        LogEvent::GivenUp => {
            let left = proc::descendants(Pid::own());
            format!("these processes cannot be killed and are left behind: {}", named(&left))
        }
        LogEvent::PrepareTimeout(limit) => format!("preparing took longer than prepare.timeout ({})", seconds(*limit)),
        LogEvent::Asked { signal, stop, left } => asked(*signal, *stop, *left),
        LogEvent::NoHandler(signal) => {
            format!("{} was not sent: the workload has no handler for it (yet) and would die", *signal)
        }
        LogEvent::TermInstead(signal) => {
            format!("the workload has no handler for {} (yet): SIGTERM was sent instead", *signal)
        }
        LogEvent::NoWayToSave => {
            "a checkpoint was asked for, but neither checkpoint.signal nor checkpoint.request_file is set".into()
        }
        LogEvent::Saved(saved) => format!("checkpoint {} is complete", checkpoint(saved)),
        LogEvent::SavedSoStop { left } => format!("the checkpoint is there: stopping{}", until_kill(*left)),
        LogEvent::NotSaved(after) => format!("no new checkpoint {} after it was asked for", seconds(*after)),
        LogEvent::NothingSavedYet { after, left } => {
            format!("no new checkpoint {} after the stop{}; what it is doing:", seconds(*after), until_kill(*left))
        }
        LogEvent::Restarting { attempt, pause } => format!("start {attempt} follows in {}", seconds(*pause)),
        LogEvent::NoRestart(why) => format!("not started again: {why}"),
        LogEvent::NotRequeued => NOT_REQUEUED.into(),
        LogEvent::Holding { time, code } => {
            format!(
                "hold  kept open for {} so that you can look (on_failure), then it ends with {code}",
                seconds(*time)
            )
        }
        LogEvent::Held => "the time of on_failure is over: not kept open any longer".into(),
        LogEvent::Hangs { what, quiet } => format!("the workload hangs: {what} for {}", seconds(*quiet)),
        LogEvent::Aborting(left) => {
            format!("it is ended because it hangs: SIGABRT, or SIGTERM; {} until SIGKILL", seconds(*left))
        }
        LogEvent::SidecarEnded { mode, ended, again } => sidecar_ended(mode, *ended, *again),
        LogEvent::Ready { address, after } => format!("ready after {}: {address}", seconds(*after)),
        LogEvent::NotReady { why, after } => {
            format!("not ready after {}: {why}; `trainit health --ready` asks again", seconds(*after))
        }
        LogEvent::Note(text) => text.clone(),
    }
}

fn until_kill(left: Option<Duration>) -> String {
    left.map_or(String::new(), |left| format!(", {} until SIGKILL", seconds(left)))
}

fn sidecar_ended(mode: &str, ended: Ended, again: Option<Duration>) -> String {
    let then = match again {
        Some(pause) => format!("it starts again in {}", seconds(pause)),
        None if ended == Ended::Exited(0) => "it is not started again".into(),
        None => "given up".into(),
    };
    format!("sidecar {}: {}; {then}", mode.escape_debug(), how(ended))
}

/// Returns a line about the processes that a stop still waits for.
pub(crate) fn waiting_for(pids: &[Pid], left: Option<Duration>) -> String {
    format!("the workload has ended; waiting for what it left: {}{}", named(pids), until_kill(left))
}

/// Returns a line about a suspension of the container.
pub(crate) fn suspended(time: Duration) -> String {
    format!("the container was suspended for {}: that time does not count", seconds(time))
}

/// Returns a line about the processes that the workload has left, and that get SIGKILL.
pub(crate) fn killed(pids: &[Pid]) -> String {
    format!("SIGKILL to what the workload left: {}", named(pids))
}

fn stopping(stop: &StopPlan, grace_from: &str, reason: Option<Reason>) -> String {
    let asked = asked_by(stop, reason);
    let left = stop.grace.map_or(String::new(), seconds);
    match (stop.met, stop.grace) {
        (StopCircumstance::Preparing, _) => format!("{asked}: stopping before the workload runs, {left} until SIGKILL"),
        (StopCircumstance::BetweenRuns, None) => format!("{asked}: stopping, the workload is not started again"),
        (StopCircumstance::BetweenRuns, _) => {
            format!("{asked}: not started again; {left} until SIGKILL for what is left")
        }
        (StopCircumstance::Held, _) => format!("{asked}: not kept open any longer"),
        (StopCircumstance::Over, _) => {
            format!("{asked}: the workload has ended; {left} until SIGKILL for what is left")
        }
        (StopCircumstance::Running, Some(_)) => format!("{asked}: stopping, {left} until SIGKILL ({grace_from})"),
        (StopCircumstance::Running, None) => {
            format!("{asked}: stopping; stop.grace is not set, so the engine decides when to kill")
        }
    }
}

/// Returns who asked for a stop: the signal and its sender, or PID 1 itself and why.
pub(crate) fn asked_by(stop: &StopPlan, reason: Option<Reason>) -> String {
    match reason {
        Some(Reason::Idle(after)) => format!("idle.after (not used for {})", time(after)),
        Some(Reason::Lifetime(limit)) => format!("lifetime ({})", time(limit)),
        Some(Reason::Notice(kind)) => format!("notice {}", kind.word()),
        None => format!("{}{}", stop.arrived.signal, sender(stop.arrived)),
    }
}

fn ends_soon(reason: Reason, left: Duration) -> String {
    let left = time(Duration::from_secs(left.as_secs_f64().round() as u64));
    match reason {
        Reason::Notice(kind) => format!("this machine ends in {left}: notice {}", kind.word()),
        Reason::Lifetime(limit) => format!("this container ends in {left}: it may live {} (lifetime)", time(limit)),
        Reason::Idle(after) => format!(
            "nobody uses this container: it ends in {left} (idle.after is {}); a key pressed, a connection or a kernel that runs \
             puts that off",
            time(after)
        ),
    }
}

/// Formats a limit as a person set it: `30 min`, `8 h`.
fn time(limit: Duration) -> String {
    match limit.as_secs() {
        whole if whole >= 3600 && whole % 3600 == 0 => format!("{} h", whole / 3600),
        whole if whole >= 60 && whole % 60 == 0 => format!("{} min", whole / 60),
        _ => seconds(limit),
    }
}

fn asked(signal: Option<Signal>, stop: bool, left: Option<Duration>) -> String {
    let how = signal.map_or("by checkpoint.request_file".into(), |signal| format!("by {signal}"));
    let then = match left {
        _ if !stop => String::new(),
        None => "; the stop follows when it is complete".into(),
        Some(left) => format!("; the stop follows when it is complete, or in {}", seconds(left)),
    };
    format!("asked for a checkpoint {how}{then}")
}

/// Describes a checkpoint in a few words: its path, step and size.
pub(crate) fn checkpoint(saved: &SavedCheckpoint) -> String {
    let step = saved.step.map_or(String::new(), |step| format!("step {step}, "));
    let others = match saved.others {
        0 => String::new(),
        others => format!(" and {}", units::count(others, "other file")),
    };
    format!("{}{others} ({step}{})", saved.path.escape_debug(), units::size(saved.size))
}

/// Names the sender of a signal, as far as it can be known: a sender outside of this pid namespace has no pid.
pub(crate) fn sender(arrived: signal::Arrived) -> String {
    match arrived.pid {
        _ if arrived.kernel => " from the kernel".into(),
        None => " from outside of the container".into(),
        Some(pid) => match proc::status(pid) {
            Some(status) => format!(" from pid {pid} ({}), uid {}", status.name.escape_debug(), arrived.uid),
            None => format!(" from pid {pid}, uid {}", arrived.uid),
        },
    }
}

/// Names processes that cannot be killed, with their state (`D` waits in the kernel) and the GPU that they occupy.
///
/// Command lines are not read: a process that hangs in the kernel may hold the lock that reading its command line needs.
fn named(pids: &[Pid]) -> String {
    let named = |pid: &Pid| {
        let status = proc::status(*pid).unwrap_or_default();
        let device =
            gpu_users::device_of(&Root::real(), *pid).map_or(String::new(), |device| format!(", holds {device}"));
        format!("{pid} ({}, state {}{device})", status.name.escape_debug(), status.state)
    };
    pids.iter().take(NAMED).map(named).collect::<Vec<_>>().join(", ")
}

/// Returns a line about the processes that still have a GPU open.
pub(crate) fn holding(gpu_users: &[GpuUser]) -> String {
    let named = |holder: &GpuUser| {
        let name =
            proc::status(holder.pid).map_or(String::new(), |status| format!(" ({})", status.name.escape_debug()));
        format!("{}{name} holds {}", holder.pid, holder.device)
    };
    let all: Vec<String> = gpu_users.iter().take(NAMED).map(named).collect();
    let more = gpu_users.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("still on a GPU: {}{more}", all.join(", "))
}

/// Describes how a process ended.
pub(crate) fn how(ended: Ended) -> String {
    match ended {
        Ended::Exited(code) => format!("exit code {code}"),
        Ended::Killed(signal) => format!("killed by {signal}"),
    }
}

/// Formats a duration as a person says it.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{} s", duration.as_secs()),
        more => format!("{} min {:02} s", more / 60, more % 60),
    }
}
