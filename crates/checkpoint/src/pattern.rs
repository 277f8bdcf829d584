//! `checkpoint.pattern`: the names of checkpoints in the directory, the place of the step in them, and, after a slash, the file
//! inside that is written last. `*`, `?` and `[…]` mean the same as in a shell; `{step}` is a whole run of digits.

use super::name::{digit_runs, number};

const STEP: &str = "{step}";

/// A pattern for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The pattern as it was written.
    text: String,
    /// The part before `{step}`, or the whole name where there is no `{step}`.
    before: glob::Pattern,
    /// The part after `{step}`.
    after: Option<glob::Pattern>,
    /// The path inside the directory of the file that is written last.
    proof: Option<String>,
}

/// The reason why a text is no pattern.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// There is no name before the slash.
    #[error("a pattern is for names in checkpoint.dir: it does not start with a slash and is not empty")]
    NoName,
    /// There is more than one `{step}`.
    #[error("{{step}} may be there once")]
    SecondStep,
    /// What follows the slash is not the path of one file.
    #[error("what follows the slash is the one file that is written last: a plain path without wildcards")]
    NoPlainPath,
    /// A wildcard is not complete.
    #[error("a wildcard in it is not complete")]
    Wildcard(#[from] glob::PatternError),
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The reason why the text is no pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (name, proof) = match text.split_once('/') {
            Some((name, proof)) => (name, Some(proof)),
            None => (text, None),
        };
        if name.is_empty() {
            return Err(PatternError::NoName);
        }
        let (before, after) = match name.split_once(STEP) {
            Some((before, after)) => (before, Some(after)),
            None => (name, None),
        };
        let proof = proof.map(plain_path).transpose()?;
        let after = after.map(part).transpose()?;
        Ok(Pattern { text: text.into(), before: part(before)?, after, proof })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Matches a name and returns the step in it: `Some(None)` where the name fits without a step, `None` where it does not fit. Of
    /// several numbers that could be the step, the last one counts.
    pub fn step_of(&self, name: &[u8]) -> Option<Option<u64>> {
        let Some(after) = &self.after else {
            return matches(&self.before, name).then_some(None);
        };
        let runs: Vec<_> = digit_runs(name).collect();
        let fits = |&(start, end): &(usize, usize)| {
            matches(&self.before, name.get(..start)?).then_some(())?;
            matches(after, name.get(end..)?).then_some(())?;
            number(name, start, end)
        };
        runs.iter().rev().find_map(fits).map(Some)
    }

    /// Returns the path inside a matching directory of the file that is written last.
    pub fn proof(&self) -> Option<&str> {
        self.proof.as_deref()
    }
}

/// Compiles a part of the pattern that holds no `{step}`.
fn part(text: &str) -> Result<glob::Pattern, PatternError> {
    if text.contains(STEP) {
        return Err(PatternError::SecondStep);
    }
    Ok(glob::Pattern::new(text)?)
}

/// Checks the path of the file that is written last: relative, and without wildcards, since it has to name one file.
fn plain_path(text: &str) -> Result<String, PatternError> {
    let plain = !text.contains(['*', '?', '[', '{']) && text.split('/').all(|word| !matches!(word, "" | "." | ".."));
    plain.then(|| text.to_string()).ok_or(PatternError::NoPlainPath)
}

/// Matches a name; only a wildcard matches bytes that are not UTF-8.
fn matches(pattern: &glob::Pattern, name: &[u8]) -> bool {
    pattern.matches(&String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step_of(pattern: &str, name: &[u8]) -> Option<Option<u64>> {
        Pattern::parse(pattern).unwrap().step_of(name)
    }

    #[test]
    fn the_step_is_a_whole_run_of_digits() {
        assert_eq!(step_of("ckpt-{step}.npz", b"ckpt-00120.npz"), Some(Some(120)));
        assert_eq!(step_of("ckpt-1{step}.npz", b"ckpt-120.npz"), None);
        assert_eq!(step_of("*{step}*", b"a1b22.npz"), Some(Some(22)));
        assert_eq!(step_of("*{step}.npz", b"a1b22.npz"), Some(Some(22)));
        assert_eq!(step_of("a{step}*", b"a1b22.npz"), Some(Some(1)));
        assert_eq!(step_of("ckpt-{step}.npz", b"ckpt-.npz"), None);
        assert_eq!(step_of("{step}", b"99999999999999999999999"), None);
    }

    #[test]
    fn without_a_step_only_the_name_fits() {
        assert_eq!(step_of("state-[ab].bin", b"state-a.bin"), Some(None));
        assert_eq!(step_of("state-[ab].bin", b"state-c.bin"), None);
        assert_eq!(step_of("*.bin", b"\xff\xfe.bin"), Some(None));
    }

    #[test]
    fn the_file_written_last_is_one_plain_path() {
        assert_eq!(Pattern::parse("step_{step}/DONE").unwrap().proof(), Some("DONE"));
        assert_eq!(Pattern::parse("step_{step}/a/b.pt").unwrap().proof(), Some("a/b.pt"));
        for wrong in ["", "/x", "x/", "x/../y", "x/*", "x//y", "{step}{step}", "[a", "{step}/{step}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_name_end_in_an_answer(text: String, name: Vec<u8>) {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.step_of(&name);
            }
        }

        #[test]
        fn what_is_put_in_comes_out(step: u64) {
            prop_assert_eq!(step_of("ckpt-{step}.x", format!("ckpt-{step}.x").as_bytes()), Some(Some(step)));
        }
    }
}
