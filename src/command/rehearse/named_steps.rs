//! The steps that a job names in its output. Pure: lines become numbers. The reader knows neither processes nor checkpoints.

/// Words before the number of a step, the longer before its own beginning.
const STEPS: [&str; 3] = ["iteration", "step", "iter"];

/// Words before the number of an epoch.
const EPOCHS: [&str; 1] = ["epoch"];

/// The words by which a job says exactly where it goes on.
const MARKER: &str = "trainit_resumed_step=";

/// Beginnings of a name that make its number something else than the current step: `max_step=1000`.
const OTHERS: [&str; 13] = [
    "max_", "max-", "total_", "num_", "per_", "save_", "eval_", "log_", "logging_", "warmup_", "resume_", "resume-",
    "every_",
];

/// Characters that may stand between a word and its number: `step=7`, `Step [7/100]`, `'step': 7`.
const BETWEEN: &str = " \t:=[(#'\"_-|";

/// Most numbers of one kind that are kept. After that, only the last one changes.
const MOST: usize = 10_000;

/// The longest beginning of a line that is read.
const LINE: usize = 4096;

/// The numbers that an output has named, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NamedSteps {
    /// The numbers after `step` or `iteration`.
    pub steps: Vec<u64>,
    /// The numbers after `epoch`.
    pub epochs: Vec<u64>,
    /// The number after `trainit_resumed_step=`.
    pub marked: Option<u64>,
}

impl NamedSteps {
    /// Reads one line of the output.
    pub(super) fn read(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line.get(..LINE).unwrap_or(line)).to_ascii_lowercase();
        if let Some((_, after)) = line.split_once(MARKER) {
            self.marked = number(after).or(self.marked);
            return;
        }
        keep(&mut self.steps, last(&line, &STEPS));
        keep(&mut self.epochs, last(&line, &EPOCHS));
    }

    /// Returns whether a step or an epoch was named.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.epochs.is_empty() && self.marked.is_none()
    }
}

fn keep(numbers: &mut Vec<u64>, named: Option<u64>) {
    numbers.truncate(MOST - 1);
    numbers.extend(named);
}

/// Returns the last number in a line that follows one of the words.
fn last(line: &str, words: &[&str]) -> Option<u64> {
    let found = words.iter().flat_map(|word| line.match_indices(word).map(|(at, word)| (at, at + word.len())));
    let named = found.filter_map(|(at, end)| Some((at, after(line.get(..at)?, line.get(end..)?)?)));
    named.max_by_key(|(at, _)| *at).map(|(_, number)| number)
}

/// Returns the number after a word, if the word is a whole one that counts up.
fn after(before: &str, rest: &str) -> Option<u64> {
    let whole = !before.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    let other = OTHERS.iter().any(|other| before.ends_with(other));
    (whole && !other).then(|| number(rest.trim_start_matches(|letter| BETWEEN.contains(letter)))).flatten()
}

/// Returns the whole number at the beginning of a text: not that of `0.5`, and not that of `20ms`.
fn number(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let mut rest = rest.chars();
    let goes_on = match rest.next() {
        Some('.' | ',') => rest.next().is_some_and(|letter| letter.is_ascii_digit()),
        next => next.is_some_and(char::is_alphabetic),
    };
    number.parse().ok().filter(|_| !goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(line: &str) -> Vec<u64> {
        let mut named = NamedSteps::default();
        named.read(line.as_bytes());
        named.steps
    }

    #[test]
    fn a_number_after_step_or_iteration_is_a_step() {
        let lines = [
            "step 7",
            "Step [7/100]",
            "{'loss': 0.3, 'step': 7}",
            "global_step=7 lr=1",
            " iteration  7/ 100 |",
            "epoch 3 step: 7, loss 2.1",
            "iter 7: loss 2.1, time 20ms",
            "step 6 -> step 7",
            "saved step_00007.pt, done",
        ];
        lines.iter().for_each(|line| assert_eq!(steps(line), [7], "{line}"));
    }

    #[test]
    fn other_numbers_are_no_steps() {
        let lines = [
            "max_step=7",
            "steps: 7",
            "7 steps",
            "step time 7",
            "step 0.7",
            "iter 7ms",
            "footstep 7",
            "step 1,200",
            "TRAINIT_RESUME_STEP=7",
            "stepping 7",
            "epoch 7",
            "step",
        ];
        lines.iter().for_each(|line| assert_eq!(steps(line), [0; 0], "{line}"));
    }

    #[test]
    fn epochs_and_the_marker_are_kept_apart() {
        let mut named = NamedSteps::default();
        [&b"Epoch 3/10"[..], b"trainit_resumed_step=60", b"\xff step 61"].iter().for_each(|line| named.read(line));
        assert_eq!(named, NamedSteps { steps: vec![61], epochs: vec![3], marked: Some(60) });
    }

    #[test]
    fn the_last_number_of_a_long_output_is_kept() {
        let mut named = NamedSteps::default();
        (0..=MOST as u64 + 5).for_each(|step| named.read(format!("step {step}").as_bytes()));
        assert_eq!((named.steps.len(), named.steps.last()), (MOST, Some(&(MOST as u64 + 5))));
    }
}
