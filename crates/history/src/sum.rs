//! What the time of each attempt, and of the whole job, went into.
//!
//! Work is progress when a checkpoint holds it, or when the training was complete at its end. A checkpoint that is completed after a stop
//! signal holds all work before the signal. Where a later attempt goes on from an earlier step than the last one saved, the work beyond
//! that step is lost after all, in the share of its steps.

use crate::attempt::{Attempt, Attempts};
use crate::entry::{ClosedBy, EndEntry, ReadyEntry, Reason, ResumedFrom};
use crate::parts::{GapKind, Parts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of phases that are no preparing: bringing data, and waiting for other nodes.
const STAGING: &str = "staging";
const WAITING: &str = "waiting";

/// An attempt and its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccountedAttempt {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// Why the attempt ended; `None` if it has no end, and no attempt follows.
    pub reason: Option<Reason>,
    /// When the attempt ended; for one without an end, now.
    pub until: f64,
    /// What was before it.
    pub gap: GapKind,
    /// Seconds since the end of the attempt before it.
    pub gap_s: f64,
    /// The time of the attempt itself.
    pub parts: Parts,
}

/// The time of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// The number of attempts.
    pub attempts: u64,
    /// When the first attempt began, in seconds since 1970.
    pub since: f64,
    /// When the last attempt ended; now, where it has no end.
    pub until: f64,
    /// All time, in seconds: the sum of the parts.
    pub total_s: f64,
    /// The share of the time that became saved progress, from 0 to 1, without the time of an attempt that has no end yet. `None` where
    /// there is no such time.
    pub goodput: Option<f64>,
    /// What the time went into, in seconds.
    pub parts: Parts,
    /// How often each reason ended an attempt.
    pub reasons: BTreeMap<Reason, u64>,
    /// How many attempts began before the one before them had ended.
    pub overlapping: u64,
}

/// The attempts with their time, and the sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Accounts {
    /// The attempts.
    pub attempts: Vec<AccountedAttempt>,
    /// The sum.
    pub sum: Sum,
    /// The number of attempts of which only the sum is left.
    pub summed: u64,
    /// The number of lines that could not be read.
    pub skipped: u64,
}

/// Accounts for the time of all attempts; `now` is in seconds since 1970.
pub fn accounts(attempts: &Attempts, now: f64) -> Accounts {
    let mut accounted: Vec<AccountedAttempt> = Vec::with_capacity(attempts.all.len());
    let (mut before, mut life) = (attempts.summed.as_ref().map(|sum| sum.until), "");
    let mut overlapping = 0;
    for (n, attempt) in attempts.all.iter().enumerate() {
        let next = attempts.all.get(n + 1).map(|next| next.start.at);
        let one = account(attempt, next, now.max(attempt.start.at));
        let gap = before.map(|before| attempt.start.at - before);
        // Clocks of two machines differ a little.
        overlapping += u64::from(gap.is_some_and(|gap| gap < -1.0));
        let same = !life.is_empty() && life == attempt.start.life;
        let kind = if same { GapKind::Backoff } else { GapKind::Between };
        before = Some(before.unwrap_or_default().max(one.until));
        life = &attempt.start.life;
        accounted.push(AccountedAttempt {
            gap: gap.map_or(GapKind::None, |_| kind),
            gap_s: gap.unwrap_or_default().max(0.0),
            ..one
        });
    }
    take_back(&mut accounted);
    let sum = Sum { overlapping, ..sum(attempts, &accounted) };
    let summed = attempts.summed.as_ref().map_or(0, |sum| sum.attempts);
    Accounts { attempts: accounted, sum, summed, skipped: attempts.skipped }
}

/// Accounts for one attempt; `next` is the start of the next one.
fn account(attempt: &Attempt, next: Option<f64>, now: f64) -> AccountedAttempt {
    let silent =
        EndEntry { at: next.unwrap_or(now), reason: Reason::Silent, by: ClosedBy::NextStart, ..EndEntry::default() };
    let end = attempt.end.clone().or_else(|| next.map(|_| silent));
    let start = attempt.start.at;
    let until = end.as_ref().map_or(now, |end| end.at).max(start);
    let ready = attempt.ready.as_ref();
    let ready_at = ready.map_or(until, |ready| ready.at.clamp(start, until));
    let mut parts = preparing(ready, ready_at - start);
    match &end {
        None if ready.is_none() => parts = Parts { running: until - start, ..Parts::default() },
        None => parts.running = until - ready_at,
        Some(end) if end.by == ClosedBy::NextStart => {
            // Of an attempt that never ran only its start is known.
            let began = if ready.is_some() { ready_at } else { start };
            parts = if ready.is_some() { parts } else { Parts::default() };
            silent_work(&mut parts, end, began, until);
        }
        Some(end) => work(&mut parts, end, ready_at, until),
    }
    let reason = end.map(|end| end.reason);
    AccountedAttempt { attempt: attempt.clone(), reason, until, gap: GapKind::None, gap_s: 0.0, parts }
}

/// Divides the time of a preparation.
fn preparing(ready: Option<&ReadyEntry>, time: f64) -> Parts {
    let phase = |name: &str| ready.and_then(|ready| ready.phases.get(name)).copied().unwrap_or_default();
    let staging = phase(STAGING).min(time);
    let waiting = phase(WAITING).min(time - staging);
    Parts { preparing: time - staging - waiting, staging, waiting, ..Parts::default() }
}

/// Divides the time from the workload's begin to the end of an attempt that wrote its end itself.
fn work(parts: &mut Parts, end: &EndEntry, began: f64, until: f64) {
    let Some(worked) = end.worked_until.map(|worked| worked.clamp(began, until)) else {
        parts.preparing += until - began;
        return;
    };
    let held = match &end.saved {
        _ if end.reason == Reason::Done => worked,
        Some(saved) => saved.at.clamp(began, worked),
        None => began,
    };
    parts.progress = held - began;
    parts.lost = worked - held;
    parts.saving = until - worked;
}

/// Divides the time from the workload's begin to the next start, for an attempt without an end of its own.
fn silent_work(parts: &mut Parts, end: &EndEntry, began: f64, until: f64) {
    let held = end.saved.as_ref().map_or(began, |saved| saved.at.clamp(began, until));
    let seen = end.seen.unwrap_or(held).clamp(held, until);
    parts.progress = held - began;
    parts.lost = seen - held;
    parts.unknown = until - seen;
}

/// Takes back the progress that a later attempt did not go on from.
fn take_back(attempts: &mut [AccountedAttempt]) {
    let mut held: Vec<HeldSteps> = attempts.iter().map(HeldSteps::of).collect();
    for n in 1..attempts.len() {
        let resumed = attempts.get(n).and_then(|attempt| attempt.attempt.ready.as_ref()?.resumed.clone());
        let Some(from) = resumed else { continue };
        let earlier = attempts.iter_mut().zip(&mut held).take(n).rev();
        // What follows a complete training is another one.
        let same = earlier.take_while(|(attempt, _)| attempt.reason != Some(Reason::Done));
        same.for_each(|(attempt, held)| held.take_back(&from, &mut attempt.parts));
    }
}

/// The steps whose work an attempt's progress is.
struct HeldSteps {
    /// The step that the attempt went on from.
    from: u64,
    /// The last step that is saved; `None` if it is not known.
    to: Option<u64>,
}

impl HeldSteps {
    fn of(attempt: &AccountedAttempt) -> Self {
        let from = attempt.attempt.ready.as_ref().and_then(|ready| ready.resumed.as_ref()?.step);
        let to = attempt.attempt.end.as_ref().and_then(|end| end.saved.as_ref()?.step);
        HeldSteps { from: from.unwrap_or_default(), to }
    }

    /// Takes back the progress beyond the step that a later attempt went on from.
    fn take_back(&mut self, resumed: &ResumedFrom, parts: &mut Parts) {
        let share = match (resumed, self.to) {
            (ResumedFrom { path: None, .. }, _) => 0.0,
            (ResumedFrom { step: Some(step), .. }, Some(to)) if *step < to => {
                let left = (*step).max(self.from);
                self.to = Some(left);
                (left - self.from) as f64 / to.saturating_sub(self.from).max(1) as f64
            }
            _ => return,
        };
        let kept = parts.progress * share;
        parts.lost += parts.progress - kept;
        parts.progress = kept;
    }
}

fn sum(attempts: &Attempts, accounted: &[AccountedAttempt]) -> Sum {
    let old = attempts.summed.clone().unwrap_or_default();
    let (mut parts, mut reasons) = (old.parts, old.reasons);
    for one in accounted {
        parts.add(&one.parts);
        match one.gap {
            GapKind::Backoff => parts.backoff += one.gap_s,
            GapKind::Between => parts.between += one.gap_s,
            GapKind::None => {}
        }
        if let Some(reason) = one.reason {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let first = accounted.first().map(|one| one.attempt.start.at);
    let last = accounted.iter().map(|one| one.until).fold(old.until, f64::max);
    let judged = parts.total() - parts.running;
    Sum {
        attempts: old.attempts + accounted.len() as u64,
        since: if old.attempts > 0 { old.since } else { first.unwrap_or_default() },
        until: last,
        total_s: parts.total(),
        goodput: (judged > 0.0).then(|| (parts.progress / judged).clamp(0.0, 1.0)),
        parts,
        reasons,
        overlapping: 0,
    }
}

#[cfg(test)]
mod tests;
