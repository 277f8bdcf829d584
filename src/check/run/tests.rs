use super::super::step::{CheckResult as Held, Failure, Step, Target};
use super::super::task::PathClass;
use super::super::{Check, FindingFacts, Status, Transient};
use super::*;
use crate::config::{Settings, Severity};
use protocol::exit_code::FailureFamily;

/// A target whose check does something to its own process.
struct Act {
    name: &'static str,
    act: fn() -> Held,
}

const STEPS: &[Step<Act>] = &[Step {
    check: Check {
        id: "data.responds",
        family: FailureFamily::Data,
        severity: Severity::Fail,
        passing: Transient::Always,
        about: "",
        remedy: "",
    },
    base: true,
    ask: |act| (act.act)(),
}];

impl Target for Act {
    const MAIN: &'static str = "data.responds";
    fn name(&self) -> Option<String> {
        Some(self.name.to_owned())
    }
    fn summary(&mut self) -> Option<String> {
        Some("fine".to_owned())
    }
    fn facts(&self) -> FindingFacts {
        FindingFacts::new()
    }
}

/// The findings (subject, text), their order in the output, and the time it took.
type Watched = (Vec<(String, String)>, Vec<String>, Duration);

/// The name of a target, and its action.
type Actor = (&'static str, fn() -> Held);

/// Runs each target in its own process, as for another machine.
fn watched(acts: &[Actor]) -> Watched {
    watch(acts, true)
}

/// Runs all targets in one process, as for this machine.
fn together(acts: &[Actor]) -> Watched {
    watch(acts, false)
}

fn watch(acts: &[Actor], far: bool) -> Watched {
    let settings = Settings::default();
    let rules = Rules::new(&settings.checks, None);
    // Only an intentional hang may reach its deadline, however busy the machine is.
    let hangs = acts.iter().any(|(name, _)| name.starts_with("hung"));
    let patience = Duration::from_millis(if hangs { 700 } else { 60_000 });
    let way = PathClass { patience, location: None, far };
    let task = |&(name, act): &Actor| CheckTask::of_path(STEPS, &rules, Act { name, act }, way.clone(), None).unwrap();
    let begun = Instant::now();
    let mut told = Vec::new();
    let findings = RunningChecks(DeadlineWatch::start(acts.iter().map(task).collect(), false)).finish(&mut |said| {
        if let CheckEvent::Finding(finding) = said {
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

/// Reports the pid of the process that ran the task, as a failure.
fn process() -> Held {
    Failure::new(std::process::id().to_string()).found()
}

#[test]
fn what_another_machine_answers_has_a_process_of_its_own_and_the_rest_share_one() {
    let distinct = |(findings, ..): Watched| {
        let processes: std::collections::BTreeSet<String> = findings.into_iter().map(|(_, what)| what).collect();
        (processes.len(), processes.contains(&std::process::id().to_string()))
    };
    let acts: [Actor; 3] = [("a", process), ("b", process), ("c", process)];
    assert_eq!((distinct(watched(&acts)), distinct(together(&acts))), ((3, false), (1, false)));
}

#[test]
fn every_task_answers_in_the_order_of_the_table() {
    let acts: [Actor; 3] = [("a", || Ok(())), ("b", || Failure::new("broken").found()), ("c", || Ok(()))];
    let expected = [("a", "fine"), ("b", "broken"), ("c", "fine")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    for (findings, told, _) in [watched(&acts), together(&acts)] {
        assert_eq!(findings, expected);
        assert_eq!(told, ["a", "b", "c"]);
    }
}

#[test]
fn a_process_that_dies_is_a_finding_of_the_task_that_it_was_busy_with() {
    let died = |name: &str| (name.to_owned(), format!("the check of {name} ended without an answer"));
    let acts: [Actor; 3] =
        [("exits", || sys::process::exit_now(0)), ("panics", || panic!("on purpose")), ("fine", || Ok(()))];
    for (findings, ..) in [watched(&acts), together(&acts)] {
        assert_eq!(findings, [died("exits"), died("panics"), ("fine".to_owned(), "fine".to_owned())]);
    }
}

#[test]
fn an_answer_that_is_too_long_is_none() {
    let (findings, ..) = watched(&[("loud", || Failure::new("x".repeat(killable_call::BODY_MAX)).found())]);
    assert_eq!(findings[0].1, "the check of loud ended without an answer");
}

#[test]
fn who_hangs_is_killed_at_the_deadline_and_holds_up_nobody() {
    let acts: [Actor; 3] = [("hung", hang), ("quick", || Ok(())), ("hung too", hang)];
    for (findings, told, took) in [watched(&acts), together(&acts)] {
        let what: Vec<String> = findings.into_iter().map(|(_, what)| what).collect();
        assert_eq!(what, ["hung did not answer in 0.7 s", "fine", "hung too did not answer in 0.7 s"]);
        assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(5), "{took:?}");
        // Half a second later the order is given up, so that users see the known findings.
        assert_eq!(told, ["quick", "hung", "hung too"]);
    }
}

#[test]
fn who_is_slow_in_a_shared_process_is_waited_for_beside_the_others() {
    let slow = || {
        std::thread::sleep(Duration::from_millis(600));
        Ok(())
    };
    let (findings, _, took) = together(&[("a", slow), ("b", slow), ("c", slow), ("d", slow)]);
    assert!(findings.iter().all(|(_, what)| what == "fine"), "{findings:?}");
    assert!(took < Duration::from_millis(2400), "one after the other: {took:?}");
}

#[test]
fn what_goes_on_beside_keeps_nobody_waiting_and_is_told_at_the_end() {
    let settings = Settings::default();
    let rules = Rules::new(&settings.checks, None);
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let finding = |what: &str| Failure::new(what).finding(&STEPS[0].check, &rules).unwrap();
    let wait = move |_: TaskProgress| {
        let mut byte = [0];
        let _ = nix::unistd::read(&read, &mut byte);
        vec![finding("driver")]
    };
    let beside = CheckTask::beside(&STEPS[0].check, &rules, Duration::from_secs(60), Box::new(wait));
    let way = PathClass { patience: Duration::from_secs(60), location: None, far: true };
    let quick = CheckTask::of_path(STEPS, &rules, Act { name: "quick", act: || Ok(()) }, way, None).unwrap();
    let told = std::cell::RefCell::new(Vec::new());
    let mut tell = |said: CheckEvent<'_>| {
        if let CheckEvent::Finding(finding) = said {
            told.borrow_mut().push(finding.what.clone());
        }
    };
    let mut watch = DeadlineWatch::start(vec![beside, quick], false);
    watch.wait_for(&mut tell, |about| !about.beside);
    let running = RunningChecks(watch);
    assert_eq!((running.findings().len(), told.borrow().as_slice()), (1, &["fine".to_owned()][..]));
    nix::unistd::write(&write, b"x").unwrap();
    let all: Vec<String> = running.finish(&mut tell).into_iter().map(|finding| finding.what).collect();
    assert_eq!(all, ["driver", "fine"]);
    assert_eq!(told.into_inner(), ["fine", "driver"]);
}

#[test]
fn what_goes_on_beside_is_given_up_with_the_start() {
    let settings = Settings::default();
    let rules = Rules::new(&settings.checks, None);
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let hangs = move |_: TaskProgress| {
        let _ = &write;
        std::thread::sleep(Duration::from_secs(600));
        Vec::new()
    };
    let task = CheckTask::beside(&STEPS[0].check, &rules, Duration::from_secs(600), Box::new(hangs));
    drop(RunningChecks(DeadlineWatch::start(vec![task], false)));
    assert_eq!(nix::unistd::read(&read, &mut [0]), Ok(0), "its end of the pipe is closed");
}
