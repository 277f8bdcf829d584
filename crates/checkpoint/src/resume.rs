//! The words for a trainer's command line, and the variables, that make the trainer go on from a checkpoint.

use super::Checkpoint;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Returns the words to add to the command: the template with `{path}` and `{step}` filled in. Without a checkpoint there are no
/// words, and neither are there any where a word needs a step that is not known: half an option is worse than none. One file of a set
/// is never passed on as the checkpoint.
pub fn resume_arguments(template: &[String], found: Option<&Checkpoint>) -> Vec<OsString> {
    let words = found
        .filter(|found| found.stands)
        .map(|found| template.iter().map(|word| fill(word, found)).collect::<Option<Vec<_>>>());
    words.flatten().unwrap_or_default()
}

/// Returns `TRAINIT_RESUME_PATH` and, where the step is known, `TRAINIT_RESUME_STEP`. One file of a set is not passed on.
pub fn resume_environment(found: Option<&Checkpoint>) -> Vec<(&'static str, OsString)> {
    let found = found.filter(|found| found.stands);
    let path = found.map(|found| ("TRAINIT_RESUME_PATH", found.path.clone().into_os_string()));
    let step = found.and_then(|found| found.step).map(|step| ("TRAINIT_RESUME_STEP", step.to_string().into()));
    path.into_iter().chain(step).collect()
}

/// Fills in the placeholders of a template's word; other text in braces stays as it is. Filled-in text is not read again, so a path
/// with `{step}` in its name stays itself.
fn fill(word: &str, found: &Checkpoint) -> Option<OsString> {
    let mut filled = Vec::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.extend(before.as_bytes());
        if let Some(after) = from.strip_prefix("{path}") {
            filled.extend(OsStr::as_bytes(found.path.as_os_str()));
            rest = after;
        } else if let Some(after) = from.strip_prefix("{step}") {
            filled.extend(found.step?.to_string().into_bytes());
            rest = after;
        } else {
            filled.push(b'{');
            rest = from.strip_prefix('{').unwrap_or_default();
        }
    }
    filled.extend(rest.as_bytes());
    Some(OsString::from_vec(filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::SystemTime;

    fn checkpoint(path: impl Into<OsString>, step: Option<u64>) -> Checkpoint {
        let path = std::path::PathBuf::from(path.into());
        Checkpoint {
            path,
            step,
            size: 1,
            modified: SystemTime::UNIX_EPOCH,
            family: "torch",
            others: Vec::new(),
            stands: true,
            unread: 0,
        }
    }

    fn arguments(template: &[&str], found: Option<&Checkpoint>) -> Vec<OsString> {
        resume_arguments(&template.iter().map(ToString::to_string).collect::<Vec<_>>(), found)
    }

    #[test]
    fn placeholders_are_filled_and_other_braces_stay() {
        let found = checkpoint("/c/{step}.pt", Some(7));
        assert_eq!(
            arguments(&["--resume={path}", "--from", "{step}"], Some(&found)),
            ["--resume=/c/{step}.pt", "--from", "7"]
        );
        assert_eq!(arguments(&["{\"a\": {step}}", "{x}", "{"], Some(&found)), ["{\"a\": 7}", "{x}", "{"]);
        assert_eq!(arguments(&[], Some(&found)), [""; 0]);
    }

    #[test]
    fn the_template_vanishes_as_a_whole() {
        assert_eq!(arguments(&["--resume", "{path}"], None), [""; 0]);
        assert_eq!(arguments(&["--load", "/c"], None), [""; 0]);
        assert_eq!(arguments(&["--resume", "{path}", "--from={step}"], Some(&checkpoint("/c", None))), [""; 0]);
    }

    #[test]
    fn a_path_that_is_not_text_comes_through() {
        use std::slice::from_ref;
        let name = OsString::from_vec(b"/c/\xff.pt".into());
        assert_eq!(arguments(&["{path}"], Some(&checkpoint(name.clone(), None))), from_ref(&name));
        assert_eq!(resume_environment(Some(&checkpoint(name.clone(), None))), [("TRAINIT_RESUME_PATH", name)]);
    }

    #[test]
    fn variables_tell_what_is_known() {
        assert_eq!(resume_environment(None), []);
        let found = resume_environment(Some(&checkpoint("/c", Some(7))));
        assert_eq!(found, [("TRAINIT_RESUME_PATH", "/c".into()), ("TRAINIT_RESUME_STEP", "7".into())]);
    }

    proptest! {
        #[test]
        fn any_template_ends_in_as_many_words_or_none(template: Vec<String>, step: Option<u64>) {
            let words = resume_arguments(&template, Some(&checkpoint("/c", step)));
            prop_assert!(words.is_empty() || words.len() == template.len());
        }
    }
}
