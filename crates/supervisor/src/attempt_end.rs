//! The end of an attempt as data for the history, with the times of PID 1's clock as times of day.

use crate::clock::Clock;
use crate::exit_summary;
use crate::memory_kills::MemoryKills;
use crate::state::State;
use crate::state_dir::unix_now;
use protocol::handover::AttemptEnd;
use sys::process::Ended;

/// Collects the end.
pub(crate) fn of(
    state: &State,
    code: u8,
    over: bool,
    now: Clock,
    stopped_by: Option<String>,
    memory: &MemoryKills,
) -> AttemptEnd {
    let (today, times) = (unix_now(), state.attempt_times());
    let at = |clock: Clock| today - now.saturating_sub(clock).as_secs_f64();
    let signal = match state.ended() {
        Some(Ended::Killed(signal)) => Some(signal.number().into()),
        _ => None,
    };
    let well = state.ended() == Some(Ended::Exited(0));
    AttemptEnd {
        at: today,
        worked_until: times.worked_until.map(at),
        how: state.refusal().map_or_else(|| exit_summary::how(state), str::to_owned),
        code,
        signal,
        stopped_by: stopped_by.filter(|_| state.stop().is_some()),
        complete: state.is_complete(),
        hung: state.verdict().aborting,
        memory_kills: if well { 0 } else { memory.since(state.ended()) },
        saved: state.checkpoints().newest.clone().zip(times.saved.map(at)),
        over,
    }
}
