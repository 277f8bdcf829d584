use super::super::step::{Answer as Held, Step, Subject, Trouble};
use super::super::{Check, Facts, Passing, Status};
use super::*;
use crate::config::{Settings, Severity};
use crate::exit::Family;

/// A subject that does something to the process that looks at it.
struct Act {
    name: &'static str,
    act: fn() -> Held,
}

const STEPS: &[Step<Act>] = &[Step {
    check: Check {
        id: "data.responds",
        family: Family::Data,
        severity: Severity::Fail,
        passing: Passing::Always,
        about: "",
        remedy: "",
    },
    base: true,
    ask: |act| (act.act)(),
}];

impl Subject for Act {
    const MAIN: &'static str = "data.responds";
    fn name(&self) -> Option<String> {
        Some(self.name.to_owned())
    }
    fn summary(&mut self) -> Option<String> {
        Some("fine".to_owned())
    }
    fn facts(&self) -> Facts {
        Facts::new()
    }
}

/// What was found (who, what), in which order it was told, and how long it took.
type Watched = (Vec<(String, String)>, Vec<String>, Duration);

/// Who acts, and what it does in its process.
type Actor = (&'static str, fn() -> Held);

fn watched(acts: &[Actor]) -> Watched {
    let settings = Settings::default();
    let rules = Rules::new(&settings.checks, None);
    let timeout = Some(Duration::from_millis(700));
    let task = |&(name, act): &Actor| Task::of_path(STEPS, &rules, Act { name, act }, None, timeout).unwrap();
    let begun = Instant::now();
    let mut told = Vec::new();
    let findings = Watch::start(acts.iter().map(task).collect()).finish(&mut |said| {
        if let Told::Finding(finding) = said {
            told.push(finding.subject.clone().unwrap_or_default());
        }
    });
    let outcome = |finding: Finding| {
        assert!(finding.status == Status::Ok || finding.exit.code() == 211, "{finding:?}");
        (finding.subject.unwrap_or_default(), finding.what)
    };
    (findings.into_iter().map(outcome).collect(), told, begun.elapsed())
}

fn hang() -> Held {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[test]
fn every_task_answers_in_its_own_process() {
    let (findings, told, _) = watched(&[("a", || Ok(())), ("b", || Trouble::new("broken").found()), ("c", || Ok(()))]);
    let expected = [("a", "fine"), ("b", "broken"), ("c", "fine")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!((findings, told), (expected.to_vec(), vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
}

#[test]
fn a_process_that_dies_is_a_finding() {
    let died = |name: &str| (name.to_owned(), format!("the check of {name} ended without an answer"));
    let (findings, ..) = watched(&[
        ("exits", || crate::sys::process::exit_now(0)),
        ("panics", || panic!("on purpose")),
        ("fine", || Ok(())),
    ]);
    assert_eq!(findings, [died("exits"), died("panics"), ("fine".to_owned(), "fine".to_owned())]);
}

#[test]
fn an_answer_that_is_too_long_is_none() {
    let (findings, ..) = watched(&[("loud", || Trouble::new("x".repeat(away::BODY_MAX)).found())]);
    assert_eq!(findings[0].1, "the check of loud ended without an answer");
}

#[test]
fn who_hangs_is_killed_at_the_deadline_and_holds_up_nobody() {
    let (findings, told, took) = watched(&[("hung", hang), ("quick", || Ok(()))]);
    assert_eq!(findings[0].1, "hung did not answer in 0.7 s");
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(5), "{took:?}");
    // Half a second later the order is given up, so that a person sees what is known.
    assert_eq!(told, ["quick", "hung"]);
}
