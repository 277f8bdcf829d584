//! Whom a stop signal goes to. What real trainers make of it is in tests/trainers; here is who hears it, and who does not.

use crate::job::{Job, places, python};
use crate::support::has;

/// Lines of the trainer and its two children after a stop: one child is in its group, the other in a session of its own.
#[track_caller]
fn heard(scope: &str) -> Vec<String> {
    let job = Job::new().with("STOP_SCOPE", scope).with("STOP_GRACE", "2s");
    // Nobody ends before TERM for all comes, a second later; both children ignore it so that the first account is whole.
    let running = job.start_aside(&["on=USR1:quiet,INT:quiet,TERM:quiet", "child=i,si"]);
    running.signal(libc::SIGINT);
    running.error_with("SIGTERM to every process");
    let finished = running.finish();
    let mut lines: Vec<String> = finished.out.lines().filter(|line| line.ends_with("INT")).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_scope_is_the_trainer_its_group_or_all_of_its_tree() {
    if python().is_none() {
        return;
    }
    assert_eq!(heard("auto"), ["INT"]);
    assert_eq!(heard("main"), ["INT"]);
    assert_eq!(heard("group"), ["INT", "child INT"]);
    assert_eq!(heard("tree"), ["INT", "child INT", "child INT"]);
}

#[test]
fn behind_a_shell_the_trainer_hears_what_arrived_and_nothing_follows_it() {
    if python().is_none() || !has("bash") {
        return;
    }
    for (shell, number, heard) in
        [("sh", libc::SIGINT, "INT"), ("bash", libc::SIGINT, "INT"), ("sh", libc::SIGTERM, "TERM")]
    {
        let job = Job::new();
        let trainer = job.trainer_line(&["on=INT:save+exit0,TERM:save+exit0", "takes=0.5"]);
        let running = job.start_in_shell(shell, &format!("for run in 1 2; do {trainer}; echo after; done"));
        running.signal(number);
        assert_eq!((running.line(), running.line()), (heard.into(), "saved 1".into()), "{shell}");
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), ""), "{shell} {number} {finished:?}");
        job.assert_nobody_left();
    }
}

#[test]
fn a_shell_with_a_trap_gets_it_alone_and_does_as_its_author_wants() {
    if python().is_none() || !has("bash") {
        return;
    }
    for place in places() {
        let job = Job::new();
        let trainer = job.trainer_line(&["on=USR1:save+exit0,TERM:exit1"]);
        let line = format!("trap 'kill -USR1 $p; wait $p; exit 5' TERM; {trainer} & p=$!; wait $p; exit 9");
        let running = job.launch(place, &["bash", "-c", &line]).spawn();
        assert!(running.line().starts_with("up"));
        running.signal(libc::SIGTERM);
        assert_eq!((running.line(), running.line()), ("USR1".into(), "saved 1".into()));
        assert_eq!(running.code(), 5);
    }
}

#[test]
fn of_a_pipeline_the_reader_survives_until_the_trainer_has_ended() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new();
        let log = job.path().join("log");
        let trainer = job.trainer_line(&["on=TERM:save+exit0", "takes=1"]);
        let running = job.launch(place, &["sh", "-c", &format!("{trainer} | tee {}", log.display())]).spawn();
        assert!(running.line().starts_with("up"));
        running.signal(libc::SIGTERM);
        assert_eq!((running.line(), running.line()), ("TERM".into(), "saved 1".into()));
        // The shell ended by the signal, in good order.
        assert_eq!(running.code(), 143);
        assert!(std::fs::read_to_string(log).unwrap().ends_with("TERM\nsaved 1\n"));
    }
}
