//! The lines about resuming: what is resumed, what was passed over and why, and what cannot be judged. They say no more than the
//! search has seen: only a directory without anything that may be a checkpoint is called a fresh start.

use checkpoint::{Checkpoint, PassedOver, Rival, Survey};
use protocol::units;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most incomplete checkpoints that are logged; a directory may be full of them.
const PASSED_OVER: usize = 3;

/// Most files of a list that are named.
const NAMED: usize = 3;

/// Returns the lines about a search.
pub(super) fn lines(survey: &Survey, dir: &Path, now: SystemTime) -> Vec<String> {
    let mut lines = main(survey, dir, now);
    lines.extend(survey.newest.as_ref().and_then(|found| earlier(found, survey.earlier.as_ref()?, now)));
    let passed =
        |over: &PassedOver| format!("resume: passed over {}: {}", text::path(&over.path), text::line(&over.why));
    lines.extend(survey.passed_over.iter().take(PASSED_OVER).map(passed));
    let rest = survey.passed_over.len().saturating_sub(PASSED_OVER);
    lines.extend((rest > 0).then(|| format!("resume: and {rest} more that are not complete")));
    lines.extend((survey.unjudged > 0).then(|| format!("resume: {} older ones were not looked at", survey.unjudged)));
    lines.extend(survey.cut.then(|| format!("resume: not all of {} was read: there may be others", text::path(dir))));
    lines
}

/// Returns the line with the result, and what helps where there is none.
fn main(survey: &Survey, dir: &Path, now: SystemTime) -> Vec<String> {
    let place = text::path(dir);
    match &survey.newest {
        Some(found) if found.stands => from(found, now),
        Some(found) => {
            let files = listed(std::iter::once(&found.path).chain(&found.others));
            vec![
                format!(
                    "resume: {files} are one checkpoint ({}), and which file stands for it cannot be judged: the job is given none",
                    facts(found, now)
                ),
                pattern(&found.path, "names the file that the job is given; the others are judged with it"),
            ]
        }
        None if !survey.doubt.is_empty() => {
            let rivals = survey.doubt.iter().take(NAMED).map(|rival| rival_words(rival, now)).collect::<Vec<_>>();
            vec![
                format!("resume: which run goes on cannot be told: {}; the job is given none", rivals.join(", or ")),
                "        → move the other run away, or name the file: checkpoint.pattern (TRAINIT_CHECKPOINT_PATTERN)"
                    .into(),
            ]
        }
        None if !survey.passed_over.is_empty() => {
            vec![format!("resume: no complete checkpoint in {place}; the job is given none")]
        }
        None if !survey.foreign.is_empty() => vec![
            format!("resume: cannot judge what is in {place}: {}; the job is given none", listed(&survey.foreign)),
            "        → checkpoint.family and checkpoint.pattern say how a complete one looks".into(),
        ],
        None if !survey.is_empty() => vec![format!("resume: found no complete checkpoint in {place}")],
        None => vec!["resume: no complete checkpoint yet, a fresh start".into()],
    }
}

fn from(found: &Checkpoint, now: SystemTime) -> Vec<String> {
    let mut lines = vec![format!("resume: from {} ({})", text::path(&found.path), facts(found, now))];
    if !found.others.is_empty() {
        lines.push(format!("resume: it is one of a set, with {}", listed(&found.others)));
    }
    if found.unread > 0 {
        lines.push(format!("resume: {} of its files were not looked into", found.unread));
    }
    if seconds(now, found.modified) < -60.0 {
        lines.push("resume: its time is ahead of this machine's clock: one of the clocks is wrong".into());
    }
    lines
}

/// Returns step, size and age.
fn facts(found: &Checkpoint, now: SystemTime) -> String {
    let step = found.step.map_or(String::new(), |step| format!("step {step}, "));
    format!("{step}{}, {}", text::size(found.size), units::age(seconds(now, found.modified)))
}

fn earlier(found: &Checkpoint, earlier: &Rival, now: SystemTime) -> Option<String> {
    let higher = earlier.step?;
    (found.step < Some(higher)).then(|| {
        format!(
            "resume: not from {}: it is of an earlier run, which this one did not go on from",
            rival_words(earlier, now)
        )
    })
}

fn rival_words(rival: &Rival, now: SystemTime) -> String {
    let step = rival.step.map_or(String::new(), |step| format!("step {step}, "));
    format!("{} ({step}{})", text::path(&rival.path), units::age(seconds(now, rival.modified)))
}

fn pattern(path: &Path, why: &str) -> String {
    let name = path.file_name().map_or(Vec::new(), |name| name.as_encoded_bytes().to_vec());
    format!("        → TRAINIT_CHECKPOINT_PATTERN='{}' {why}", text::line(&checkpoint::pattern_for(&name)))
}

/// Names the first files of a list, and tells how many more there are.
fn listed<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> String {
    let all: Vec<&PathBuf> = paths.into_iter().collect();
    let first = all.iter().take(NAMED).map(|path| text::path(path)).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Returns how many seconds ago a time was; negative for a time to come.
fn seconds(now: SystemTime, time: SystemTime) -> f64 {
    now.duration_since(time).map_or_else(|ahead| -ahead.duration().as_secs_f64(), |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
    }

    fn told(survey: &Survey) -> Vec<String> {
        lines(survey, Path::new("/out"), now())
    }

    fn found(step: u64, age: u64) -> Checkpoint {
        Checkpoint {
            path: format!("/out/ckpt-{step}.pt").into(),
            step: Some(step),
            size: 3 << 20,
            modified: now() - Duration::from_secs(age),
            family: "torch",
            others: Vec::new(),
            stands: true,
            unread: 0,
        }
    }

    fn over(step: u64) -> PassedOver {
        PassedOver { path: format!("/out/ckpt-{step}.pt").into(), step: Some(step), why: "it was cut".into() }
    }

    #[test]
    fn what_is_gone_on_from_is_told_with_its_age_and_what_was_passed_over_with_the_reason() {
        let newest = Some(found(7, 3 * 3600 + 62));
        let lines = told(&Survey { newest, passed_over: (8..13).map(over).collect(), ..Survey::default() });
        assert_eq!(lines[0], "resume: from /out/ckpt-7.pt (step 7, 3 MiB, 3 h old)");
        assert_eq!(lines[1], "resume: passed over /out/ckpt-8.pt: it was cut");
        assert_eq!((lines.len(), lines[4].as_str()), (5, "resume: and 2 more that are not complete"));
    }

    #[test]
    fn only_a_directory_without_anything_is_a_fresh_start() {
        assert_eq!(told(&Survey::default()), ["resume: no complete checkpoint yet, a fresh start"]);
        let some = [
            Survey { passed_over: vec![over(8)], ..Survey::default() },
            Survey { foreign: vec!["/out/resnet50.pth".into()], ..Survey::default() },
            Survey { cut: true, ..Survey::default() },
            Survey { unjudged: 9, ..Survey::default() },
            Survey { doubt: vec![Rival::from(&found(7, 1)), Rival::from(&found(9, 99))], ..Survey::default() },
            Survey { newest: Some(Checkpoint { stands: false, ..found(7, 1) }), ..Survey::default() },
        ];
        for survey in some {
            assert!(!told(&survey).join("\n").contains("fresh"), "{survey:?}: {:?}", told(&survey));
        }
    }

    #[test]
    fn a_set_is_named_with_the_pattern_that_chooses_its_file() {
        let others = vec!["/out/ema-200.pt".into(), "/out/optim-200.pt".into(), "/out/rng-200.pt".into()];
        let lines =
            told(&Survey { newest: Some(Checkpoint { others, stands: false, ..found(200, 5) }), ..Survey::default() });
        assert_eq!(
            lines[0],
            "resume: /out/ckpt-200.pt, /out/ema-200.pt, /out/optim-200.pt and 1 more are one checkpoint (step 200, 3 MiB, 5 s old), and which file stands for it cannot be judged: the job is given none"
        );
        assert!(lines[1].contains("TRAINIT_CHECKPOINT_PATTERN='ckpt-{step}.pt'"), "{lines:?}");
    }

    #[test]
    fn the_higher_step_of_an_earlier_run_and_a_doubt_are_named() {
        let earlier = Some(Rival::from(&found(1000, 3 * 86_400)));
        let lines = told(&Survey { newest: Some(found(20, 10)), earlier, ..Survey::default() });
        assert!(lines[1].starts_with("resume: not from /out/ckpt-1000.pt (step 1000, 3 days old): "), "{lines:?}");
        let doubt = vec![Rival::from(&found(1000, 600)), Rival::from(&found(20, 10))];
        let lines = told(&Survey { doubt, ..Survey::default() });
        assert!(lines[0].contains("ckpt-1000.pt") && lines[0].contains("ckpt-20.pt"), "{lines:?}");
    }

    #[test]
    fn a_time_to_come_is_told() {
        let newest = Checkpoint { modified: now() + Duration::from_secs(7300), ..found(7, 0) };
        let lines = told(&Survey { newest: Some(newest), ..Survey::default() });
        assert!(lines[0].contains("2 h ahead of the clock") && lines[1].contains("clock"), "{lines:?}");
    }
}
