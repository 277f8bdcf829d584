//! The judgement of the second start: whether the job went on from what it was given. Pure: records and steps become an answer. It
//! says no more than was seen, so that most of what is not certain is *cannot tell*.

use super::named_steps::NamedSteps;
use super::trial::{RehearsedCheckpoint, Trial};
use std::path::PathBuf;
use std::time::Duration;

/// The share of the first start's time, in percent, in which a job that begins anew does not get as far as in the first start.
const SHORT: u32 = 75;

/// A step that a first start names as well, so that naming it again says nothing.
const FIRST: u64 = 1;

/// What the second start was given, and what was seen of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SecondStart {
    /// The checkpoint that it was given.
    pub path: PathBuf,
    /// The step of that checkpoint.
    pub step: Option<u64>,
    /// Its record.
    pub trial: Trial,
    /// The checkpoints that it saved.
    pub saved: Vec<RehearsedCheckpoint>,
    /// The exit code of a job that was killed.
    pub killed_code: u8,
}

/// Whether a job went on. Each answer has the words that fit after `it`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WentOn {
    /// The job went on.
    Yes(String),
    /// The job began anew, or did not get so far.
    No(String),
    /// The job has shown neither.
    Unknown(String),
}

use WentOn::{No, Unknown, Yes};

/// Judges the second start. What a job saves counts more than what it writes.
pub(super) fn judge(first: &Trial, second: &SecondStart) -> WentOn {
    if let Some(failed) = failed(first, second) {
        return No(failed);
    }
    let by_marker = second.trial.named.marked.and_then(|marked| by_marker(second, marked));
    let by_output = by_output(&first.named, second);
    match by_checkpoints(first, second, by_output.as_ref()) {
        Some(answer) => answer,
        None => by_marker.or(by_output).unwrap_or_else(|| unknown(second)),
    }
}

/// Returns how the second start failed by itself.
fn failed(first: &Trial, second: &SecondStart) -> Option<String> {
    let trial = &second.trial;
    let ran = text::seconds(trial.ran);
    match (&trial.stop, trial.prepared) {
        (Some(_), None) => Some("was not seen to run in time: its preparation hangs".into()),
        (None, None) if trial.refusal().is_some() => Some(format!("was refused with exit code {}", trial.code)),
        // Between two looks at the state. A code that no refusal has is the workload's.
        (None, None) => Some(format!("ended by itself at once, with exit code {}", trial.code)),
        (None, Some(_)) if trial.code != 0 => {
            Some(format!("ended by itself after {ran}, with exit code {}", trial.code))
        }
        (Some(stop), _) if trial.code == second.killed_code => {
            Some(format!("was killed: still there {} after SIGTERM", text::seconds(stop.took)))
        }
        (Some(stop), _) if stop.handled && trial.code != first.code => {
            Some(format!("ended with {} after SIGTERM, and the first start with {}", trial.code, first.code))
        }
        _ => None,
    }
}

/// Judges by what the job says of itself, with `trainit_resumed_step=`.
fn by_marker(second: &SecondStart, marked: u64) -> Option<WentOn> {
    let step = second.step?;
    let told = format!("wrote trainit_resumed_step={marked}");
    Some(if marked >= step {
        Yes(format!("went on: it {told}"))
    } else {
        No(format!("began anew: it {told}, below {step}"))
    })
}

/// Judges by the checkpoints that were saved; `None` where they say nothing.
fn by_checkpoints(first: &Trial, second: &SecondStart, by_output: Option<&WentOn>) -> Option<WentOn> {
    let step = second.step?;
    let steps = || second.saved.iter().filter(|saved| saved.step.is_some());
    let below = steps().find(|saved| saved.step < Some(step));
    let above = steps().find(|saved| saved.step > Some(step));
    match (below, above, by_output) {
        (Some(low), None, _) => {
            Some(No(format!("began anew: it saved {}, below the step {step} that it was given", low.words())))
        }
        (Some(low), Some(high), _) => Some(Unknown(format!("saved {} and {}", low.words(), high.words()))),
        (None, Some(high), Some(No(words))) => Some(Unknown(format!("saved {}, and yet {words}", high.words()))),
        (None, Some(high), by_output) => {
            let short = second.trial.ran <= first.ran * SHORT / 100 || high.step > Some(step + step / 2);
            let certain = short || matches!(by_output, Some(Yes(_)));
            let told = format!("saved {}", high.words());
            Some(if certain {
                Yes(format!("went on: it {told}"))
            } else {
                Unknown(format!("{told} after {}, and may have begun anew", text::seconds(second.trial.ran)))
            })
        }
        (None, None, _) => None,
    }
}

/// Judges by the steps that the output names, else by the epochs.
fn by_output(first: &NamedSteps, second: &SecondStart) -> Option<WentOn> {
    let named = &second.trial.named;
    let name = second.path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let of_epochs = name.contains("epoch");
    let steps = second.step.filter(|_| !of_epochs);
    let epochs = second.step.filter(|_| of_epochs);
    by_numbers("step", &first.steps, &named.steps, steps)
        .or_else(|| by_numbers("epoch", &first.epochs, &named.epochs, epochs))
}

/// Compares the numbers that both starts named with the one that was saved. Where that is not known, it is the number that the first
/// start named last. One stray number before the others is passed over: many jobs name step 0 before they read anything.
fn by_numbers(word: &str, first: &[u64], second: &[u64], saved: Option<u64>) -> Option<WentOn> {
    let saved = saved.or_else(|| first.last().copied().filter(|_| is_counter(first)))?;
    let (last, highest) = (*second.last()?, *second.iter().max()?);
    let low = second.iter().filter(|step| **step < saved).count();
    let from = second.iter().find(|step| **step >= saved);
    let ahead = from > first.first() && (saved > FIRST || from > Some(&saved));
    if last >= saved && low <= 1 && ahead {
        return Some(Yes(format!("went on: its output names {word} {last}")));
    }
    // The last step that was done may be named as the one before the step that was saved.
    let is_below = highest.saturating_add(1) < saved;
    // A counter that begins anew in each epoch, or counts something else, ends elsewhere than at what was saved.
    let comparable = is_counter(first) && first.last().is_some_and(|ended| *ended >= saved / 2);
    (is_below && comparable).then(|| No(format!("began anew: its output names {word} {highest}, below {saved}")))
}

/// Returns whether numbers rise, but for one.
fn is_counter(numbers: &[u64]) -> bool {
    numbers.windows(2).filter(|pair| matches!(pair, [before, after] if after < before)).count() <= 1
}

fn unknown(second: &SecondStart) -> WentOn {
    let ran = text::seconds(second.trial.ran);
    let step = second.step.map_or("that it was given".into(), |step| format!("{step}"));
    let again = second.saved.iter().find(|saved| saved.step.is_some() && saved.step == second.step);
    let numbers = second.trial.named.steps.last().or(second.trial.named.epochs.last());
    Unknown(match (again, numbers) {
        (Some(again), _) => format!("saved {}, a step that was saved already", again.words()),
        (None, Some(number)) => {
            format!("ran for {ran}; its output names {number}, which cannot be compared with the step {step}")
        }
        (None, None) => format!("ran for {ran}, and neither its output nor a new checkpoint names a step"),
    })
}

/// Returns how long the second start runs before its stop, when the first one handled the stop: about half of the first one's time, in
/// which a job that begins anew saves a lower step.
pub(super) fn least(first: &Trial) -> Duration {
    let handled = first.stop.as_ref().is_some_and(|stop| stop.handled);
    if handled { first.ran / 2 } else { first.ran }
}

#[cfg(test)]
mod tests {
    use super::super::trial::TrialStop;
    use super::*;

    fn named(steps: &[u64]) -> NamedSteps {
        NamedSteps { steps: steps.to_vec(), ..NamedSteps::default() }
    }

    fn trial(seconds: u64, steps: &[u64]) -> Trial {
        let stop = Some(TrialStop { at: 0.0, took: Duration::from_secs(30), handled: true, saved: None });
        let ran = Duration::from_secs(seconds);
        Trial { prepared: Some(Duration::ZERO), ran, stop, code: 143, named: named(steps), ..Trial::default() }
    }

    fn saved(step: u64) -> RehearsedCheckpoint {
        RehearsedCheckpoint { path: format!("/ck/{step}").into(), others: 0, step: Some(step), size: 9, modified: 1.0 }
    }

    fn second(steps: &[u64], of: &[u64]) -> SecondStart {
        let saved = of.iter().map(|step| saved(*step)).collect();
        SecondStart { path: "/ck/60".into(), step: Some(60), trial: trial(10, steps), saved, killed_code: 137 }
    }

    /// Returns the kind of the answer: `y`, `n`, or `?`.
    fn kind(first: &[u64], second: &SecondStart) -> char {
        match judge(&trial(20, first), second) {
            Yes(_) => 'y',
            No(_) => 'n',
            Unknown(_) => '?',
        }
    }

    #[test]
    fn a_checkpoint_tells_by_its_step() {
        let cases = [(&[61][..], 'y'), (&[30], 'n'), (&[1, 2], 'n'), (&[30, 61], '?'), (&[60], '?'), (&[], '?')];
        cases.iter().for_each(|(of, told)| assert_eq!(kind(&[], &second(&[], of)), *told, "{of:?}"));
    }

    #[test]
    fn a_start_as_long_as_the_first_may_get_as_far_anew() {
        let long = SecondStart { trial: trial(20, &[]), ..second(&[], &[62]) };
        assert_eq!(kind(&[], &long), '?');
        let long = SecondStart { trial: trial(20, &[61, 62]), ..second(&[], &[62]) };
        assert_eq!(kind(&[1, 2, 60], &long), 'y');
    }

    #[test]
    fn the_output_tells_by_its_steps() {
        let first = [0, 20, 40, 59];
        let cases =
            [(&[60, 61][..], 'y'), (&[0, 61], 'y'), (&[0, 1, 30], 'n'), (&[0], 'n'), (&[], '?'), (&[1, 20, 62], '?')];
        cases.iter().for_each(|(steps, told)| assert_eq!(kind(&first, &second(steps, &[])), *told, "{steps:?}"));
    }

    #[test]
    fn a_counter_that_is_not_the_checkpoints_tells_nothing() {
        // Batches of an epoch, batches of which several are one step, and an announcement that each start makes.
        for first in [&[0, 20, 39, 0, 20, 39, 0, 20][..], &[100, 200, 300], &[0]] {
            assert_eq!(kind(first, &second(first.get(..1).unwrap(), &[])), '?', "{first:?}");
        }
    }

    #[test]
    fn what_is_saved_counts_more_than_what_is_written() {
        assert_eq!(kind(&[1, 59], &second(&[60], &[30])), 'n', "it repeats what it was given");
        assert_eq!(kind(&[1, 59], &second(&[1, 30], &[61])), '?');
        assert_eq!(kind(&[0, 20, 39, 0, 20], &second(&[20], &[61])), 'y');
    }

    #[test]
    fn the_first_steps_tell_nothing_when_they_were_saved() {
        let one = |steps: &[u64]| SecondStart { step: Some(1), ..second(steps, &[]) };
        assert_eq!((kind(&[0, 1], &one(&[1])), kind(&[0, 1], &one(&[2]))), ('?', 'y'));
    }

    #[test]
    fn a_name_without_a_step_is_compared_with_what_the_first_start_named_last() {
        let none = |steps: &[u64]| SecondStart { step: None, path: "/ck/last.pt".into(), ..second(steps, &[]) };
        assert_eq!((kind(&[0, 30, 60], &none(&[61])), kind(&[0, 30, 60], &none(&[0, 10]))), ('y', 'n'));
        assert_eq!(kind(&[], &none(&[61])), '?');
    }

    #[test]
    fn an_epoch_is_compared_with_a_checkpoint_of_an_epoch_only() {
        let with = |path: &str, step, epochs: &[u64]| {
            let named = NamedSteps { epochs: epochs.to_vec(), ..NamedSteps::default() };
            SecondStart { path: path.into(), step, trial: Trial { named, ..trial(10, &[]) }, ..second(&[], &[]) }
        };
        let first = Trial { named: NamedSteps { epochs: vec![1, 2, 3], ..NamedSteps::default() }, ..trial(20, &[]) };
        assert!(matches!(judge(&first, &with("/ck/epoch_3.pt", Some(3), &[4])), Yes(_)));
        assert!(matches!(judge(&first, &with("/ck/epoch_3.pt", Some(3), &[1])), No(_)));
        assert!(matches!(judge(&first, &with("/ck/ckpt-1200.pt", Some(1200), &[3])), Yes(_)), "as far as the first");
    }

    #[test]
    fn a_job_may_say_where_it_goes_on() {
        let marked = |marked| {
            let named = NamedSteps { marked: Some(marked), ..NamedSteps::default() };
            SecondStart { trial: Trial { named, ..trial(10, &[]) }, ..second(&[], &[]) }
        };
        assert_eq!((kind(&[], &marked(60)), kind(&[], &marked(0))), ('y', 'n'));
    }

    #[test]
    fn a_second_start_that_fails_has_not_gone_on() {
        let with = |trial| SecondStart { trial, ..second(&[61], &[61]) };
        let ended = |code| Trial { stop: None, code, ..trial(3, &[61]) };
        assert_eq!(kind(&[], &with(ended(1))), 'n');
        assert_eq!(kind(&[], &with(ended(0))), 'y', "it was complete");
        assert_eq!(kind(&[], &with(Trial { code: 137, ..trial(10, &[61]) })), 'n');
        assert_eq!(kind(&[], &with(Trial { code: 3, ..trial(10, &[61]) })), 'n');
        assert_eq!(kind(&[], &with(Trial { prepared: None, ..trial(0, &[]) })), 'n');
        let unseen = |code| failed(&trial(20, &[]), &with(Trial { prepared: None, ..ended(code) })).unwrap();
        assert_eq!(unseen(111), "was refused with exit code 111");
        assert_eq!(unseen(9), "ended by itself at once, with exit code 9");
    }
}
