//! Plain Python, and the shells that people put around it: they do not pass a signal on.

use crate::job::{Job, script};
use crate::support::{Place, can_unshare, has};

/// Both places: PID 1 of a namespace, where the kernel would clean up, and a subreaper, where only trainit does.
fn places() -> Vec<Place> {
    if can_unshare() { vec![Place::First, Place::Aside] } else { vec![Place::Aside] }
}

#[track_caller]
fn saves(command: impl Fn(&Job) -> Vec<String>) {
    if !has("python3") {
        return;
    }
    for place in places() {
        let job = Job::new();
        let words = command(&job);
        let mut running = job.under_trainit(place, &words.iter().map(String::as_str).collect::<Vec<_>>()).spawn();
        job.wait_for_steps(1, &mut running);
        running.signal(libc::SIGTERM);
        job.assert_saved(1, &running.finish());
    }
}

fn in_shell(job: &Job, shell: &str, line: &str) -> Vec<String> {
    let line = line.replace("TRAIN", &format!("python3 {} {}", script("plain.py"), job.word()));
    [shell, "-c", &line].map(str::to_owned).into()
}

#[test]
fn plain_python_saves() {
    saves(|job| vec!["python3".into(), script("plain.py"), job.word().into()]);
}

#[test]
fn a_trainer_behind_a_shell_saves() {
    saves(|job| in_shell(job, "sh", "cd .; TRAIN"));
}

#[test]
fn a_trainer_that_a_shell_would_go_on_after_saves_and_nothing_follows() {
    saves(|job| in_shell(job, "sh", &format!("true; TRAIN; touch {}/after", job.word())));
    let job = Job::new();
    let words = in_shell(&job, "bash", &format!("for run in 1 2; do TRAIN; touch {}/after; done", job.word()));
    let mut running = job.under_trainit(Place::Aside, &words.iter().map(String::as_str).collect::<Vec<_>>()).spawn();
    job.wait_for_steps(1, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_saved(1, &running.finish());
    assert!(!job.path().join("after").exists(), "the loop went on");
}

#[test]
fn a_trainer_that_writes_into_a_pipeline_saves_and_its_last_line_arrives() {
    saves(|job| in_shell(job, "sh", "TRAIN 2>&1 | tee /dev/null | cat"));
    let job = Job::new();
    let log = job.path().join("log");
    let words = in_shell(&job, "bash", &format!("TRAIN | tee {}", log.display()));
    let mut running = job.under_trainit(Place::Aside, &words.iter().map(String::as_str).collect::<Vec<_>>()).spawn();
    job.wait_for_steps(1, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_saved(1, &running.finish());
    assert!(std::fs::read_to_string(log).unwrap().contains("leaves at step"));
}

#[test]
fn without_looking_through_the_shell_it_would_be_lost() {
    if !has("python3") || !has("tini") || !can_unshare() {
        return;
    }
    let job = Job::new();
    let words = in_shell(&job, "sh", "cd .; TRAIN");
    let mut running = job.under(&["tini", "--"], &words.iter().map(String::as_str).collect::<Vec<_>>()).spawn();
    job.wait_for_steps(1, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_lost(&running.finish());
}

#[test]
fn a_signal_for_all_of_it_takes_the_loader_away_and_loses_it() {
    if !has("python3") || !can_unshare() {
        return;
    }
    for scope in ["group", "tree"] {
        let job = Job::new();
        let train = script("plain.py");
        let launch = job.under_trainit(Place::First, &["python3", &train, job.word()]);
        let mut running = launch.env("TRAINIT_STOP_SCOPE", scope).spawn();
        job.wait_for_steps(1, &mut running);
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        job.assert_lost(&finished);
        assert!(finished.err.contains("NO checkpoint was saved"), "{finished:#?}");
        assert_eq!(finished.code, Some(1), "{finished:#?}");
    }
}
