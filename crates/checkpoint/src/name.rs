//! Facts from a file's name: the step at which the file was written, and whether the name is temporary. The functions take bytes,
//! since names need not be UTF-8, and read no file.

/// Words before a number that make the number a step.
const STEP_WORDS: &[&[u8]] =
    &[b"step", b"steps", b"iter", b"iters", b"iteration", b"it", b"ba", b"batch", b"update", b"updates"];

/// Words before a number that count the epochs. They order no checkpoints, and still tell which files belong together.
const EPOCH_WORDS: &[&[u8]] = &[b"epoch", b"epochs", b"ep", b"e"];

/// Words before a number that name one of several processes, or one of several files.
const RANK_WORDS: &[&[u8]] =
    &[b"rank", b"shard", b"part", b"gpu", b"proc", b"process", b"worker", b"tp", b"pp", b"dp", b"mp"];

/// Words before a number that tell how many processes or files there are.
const COUNT_WORDS: &[&[u8]] = &[b"of", b"size"];

/// Words before a number that make the number something else, which gives no order.
const OTHER_WORDS: &[&[u8]] = &[b"fold", b"seed", b"v", b"version", b"run", b"trial", b"loss", b"acc"];

/// Words before the numbers of a version: `v1-5`.
const VERSION_WORDS: &[&[u8]] = &[b"v", b"version"];

/// Words that a number may follow without a separator and still be a number of its own: `ckpt100`.
const GLUE_WORDS: &[&[u8]] = &[
    b"ckpt",
    b"checkpoint",
    b"model",
    b"state",
    b"save",
    b"snapshot",
    b"opt",
    b"optim",
    b"optimizer",
    b"ema",
    b"sched",
    b"scheduler",
    b"scaler",
];

/// Ends of temporary names, under which a file is written before it is renamed.
const TEMPORARY_ENDINGS: &[&[u8]] = &[
    b".tmp",
    b"_tmp",
    b"-tmp",
    b".temp",
    b"_temp",
    b"-temp",
    b".part",
    b".partial",
    b".incomplete",
    b"-incomplete",
    b"-unfinished",
    b".unfinished",
    b".writing",
    b".lock",
    b".swp",
    b".bak",
    b"~",
];

/// Beginnings of temporary names.
const TEMPORARY_BEGINNINGS: &[&[u8]] = &[b".", b"tmp-", b"tmp_", b"tmp.", b"temp-", b"temp_", b"~"];

/// Middles of temporary names, before a random part.
const TEMPORARY_MIDDLES: &[&[u8]] = &[b".orbax-checkpoint-tmp", b".tmp.", b".tmp-", b".tmp_", b".partial."];

/// Tells whether a name is temporary, so that its file is not finished.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    let is = |part: Option<&[u8]>, word: &[u8]| part.is_some_and(|part| part.eq_ignore_ascii_case(word));
    TEMPORARY_ENDINGS.iter().any(|end| is(name.len().checked_sub(end.len()).and_then(|at| name.get(at..)), end))
        || TEMPORARY_BEGINNINGS.iter().any(|start| is(name.get(..start.len()), start))
        || TEMPORARY_MIDDLES.iter().any(|middle| name.windows(middle.len()).any(|part| is(Some(part), middle)))
}

/// Returns the step in a name: the number after `step` or `iter`, else the only number that stands for itself. A number after
/// `epoch`, `rank`, `fold` … is no step, and neither is one of several numbers: a wrong order is worse than the order by time.
pub(crate) fn step(name: &[u8]) -> Option<u64> {
    step_among(&numbers(name).collect::<Vec<_>>()).and_then(|at| number(name, at.start, at.end))
}

/// Returns the number of a name that is the step.
pub(crate) fn step_among(numbers: &[Number]) -> Option<&Number> {
    let of = |wanted: NumberRole| numbers.iter().filter(move |number| number.role == wanted);
    let mut alone = of(NumberRole::Alone);
    of(NumberRole::Step).next_back().or_else(|| alone.next().filter(|_| alone.next().is_none()))
}

/// A run of digits in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub start: usize,
    pub end: usize,
    pub role: NumberRole,
}

/// Tells whether a word before a number only explains the number.
pub(crate) fn explains(word: &[u8]) -> bool {
    let all = [STEP_WORDS, EPOCH_WORDS, RANK_WORDS, COUNT_WORDS, VERSION_WORDS];
    all.iter().any(|words| words.iter().any(|other| other.eq_ignore_ascii_case(word)))
}

/// Iterates over the numbers of a name with their roles, from the left.
pub(crate) fn numbers(name: &[u8]) -> impl Iterator<Item = Number> + '_ {
    digit_runs(name).map(|(start, end)| Number { start, end, role: role(name, start, end) })
}

/// Returns the number that makes up the rest of a name after a prefix: 100 for `checkpoint-100` after `checkpoint-`.
pub(crate) fn numbered(name: &[u8], prefix: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    number(digits, 0, digits.len())
}

/// Iterates over the start and end of every run of digits, from the left.
pub(super) fn digit_runs(name: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let digit = |at: usize| name.get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..name.len()).filter(move |&at| digit(at) && !(at > 0 && digit(at - 1)));
    starts.map(move |start| (start, (start..).find(|&at| !digit(at)).unwrap_or(start)))
}

/// Parses a run of digits; `None` if the number is larger than any step.
pub(super) fn number(name: &[u8], start: usize, end: usize) -> Option<u64> {
    let digits = name.get(start..end).filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The role of a number in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberRole {
    /// The step, by the word before it.
    Step,
    /// The epoch, by the word before it.
    Epoch,
    /// One of several processes or files.
    Rank,
    /// How many processes or files there are.
    Count,
    /// A number that stands for itself.
    Alone,
    /// Anything else: a metric, a version, a part of a word.
    Other,
}

/// Returns the role of the run of digits from `start` to `end`, by the word before it and the byte after it.
fn role(name: &[u8], start: usize, end: usize) -> NumberRole {
    let before = name.get(..start).unwrap_or_default();
    let separator = before.split_last().filter(|(last, _)| b"-_=. ".contains(last));
    let (separated, stem) = (separator.is_some(), separator.map_or(before, |(_, stem)| stem));
    let letters = stem.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = stem.get(stem.len() - letters..).unwrap_or_default();
    // Two letters between digits are no word: `0676ba61` is a hash.
    let in_a_hash =
        letters <= 2 && stem.len() > letters && stem.get(stem.len() - letters - 1).is_some_and(u8::is_ascii_digit);
    let is = |words: &[&[u8]]| !in_a_hash && words.iter().any(|other| other.eq_ignore_ascii_case(word));
    let glued_after = name.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let fraction = before.ends_with(b".") && before.iter().rev().nth(1).is_some_and(u8::is_ascii_digit);
    let whole_part = name.get(end) == Some(&b'.') && name.get(end + 1).is_some_and(u8::is_ascii_digit);
    let versioned = separated && follows_version(stem);
    let of_several = matches!(name.get(end..), Some([b'-' | b'_', b'o', b'f', b'-' | b'_', ..]));
    if is(STEP_WORDS) && !glued_after {
        NumberRole::Step
    } else if is(EPOCH_WORDS) && !fraction && !whole_part && !glued_after {
        NumberRole::Epoch
    } else if of_several || (is(RANK_WORDS) && !glued_after) {
        NumberRole::Rank
    } else if is(COUNT_WORDS) && !glued_after {
        NumberRole::Count
    } else if is(EPOCH_WORDS)
        || is(RANK_WORDS)
        || is(COUNT_WORDS)
        || is(OTHER_WORDS)
        || versioned
        || fraction
        || whole_part
        || glued_after
    {
        NumberRole::Other
    } else if separated || before.is_empty() || is(GLUE_WORDS) {
        NumberRole::Alone
    } else {
        NumberRole::Other
    }
}

/// Tells whether a name so far ends with the first number of a version, so that the next one is a part of it.
fn follows_version(before: &[u8]) -> bool {
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = before.get(..before.len() - digits).unwrap_or_default();
    let letters = stem.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = stem.get(stem.len() - letters..).unwrap_or_default();
    digits > 0 && VERSION_WORDS.iter().any(|other| other.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_after_step_or_the_only_number_is_the_step() {
        for (name, expected) in [
            ("ckpt-100.pt", Some(100)),
            ("ckpt100.pt", Some(100)),
            ("100", Some(100)),
            ("model_step_0000200.pth", Some(200)),
            ("epoch=3-step=120.ckpt", Some(120)),
            ("epoch=3-step=120-v1.ckpt", Some(120)),
            ("epoch=3-val_loss=0.25-step=7.ckpt", Some(7)),
            ("global_step12", Some(12)),
            ("iter_0000500", Some(500)),
            ("llama3-8b-900.pt", Some(900)),
            ("epoch_3.pt", None),
            ("epoch=3-val_loss=0.25.ckpt", None),
            ("resnet50.pt", None),
            ("best.pt", None),
            ("2024-01-05.pt", None),
            ("model_rank_0.pt", None),
            ("model-v2.pt", None),
            ("v1-5-pruned.ckpt", None),
            ("resnet50-0676ba61.pth", None),
            ("ckpt_v2_300.pt", None),
            ("99999999999999999999999.pt", None),
            ("", None),
        ] {
            assert_eq!(step(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn names_to_write_under_are_known() {
        for name in
            ["a.pt.tmp", ".a.pt", "a.ckpt.part", "tmp-checkpoint-5", "10.orbax-checkpoint-tmp-123", "a.pt.TMP", "x~"]
        {
            assert!(is_temporary(name.as_bytes()), "{name}");
        }
        for name in ["a.pt", "checkpoint-5", "temperature.pt", "template_5.pt", "10"] {
            assert!(!is_temporary(name.as_bytes()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_name(name: Vec<u8>) {
            let _ = (step(&name), is_temporary(&name), numbered(&name, b"checkpoint-"));
        }
    }
}
