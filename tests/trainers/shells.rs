//! Plain Python, and the shells that people put around it: they do not pass a signal on.

use crate::job::{Job, script, words};
use crate::support::{Place, can_unshare, has};

/// Both places: PID 1 of a namespace, where the kernel would clean up, and a subreaper, where only trainit does.
fn places() -> Vec<Place> {
    if can_unshare() { vec![Place::First, Place::Aside] } else { vec![Place::Aside] }
}

/// Stops the job in each place, and has it checked that nothing was lost.
#[track_caller]
fn saves(command: impl Fn(&Job) -> Vec<String>) {
    if has("python3") {
        places().into_iter().for_each(|place| drop(saved(place, &command)));
    }
}

/// Stops the job once, which must lose nothing, and gives what is left of it.
#[track_caller]
fn saved(place: Place, command: impl Fn(&Job) -> Vec<String>) -> Job {
    let job = Job::new();
    let line = command(&job);
    let mut running = job.under_trainit(place, &words(&line)).spawn();
    job.wait_for_steps(1, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_saved(1, &running.finish());
    job
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
fn what_a_shell_would_run_after_the_trainer_is_not_begun() {
    if !has("python3") {
        return;
    }
    for line in ["true; TRAIN; touch DIRECTORY/after", "for run in 1 2; do TRAIN; touch DIRECTORY/after; done"] {
        let job = saved(Place::Aside, |job| in_shell(job, "bash", &line.replace("DIRECTORY", job.word())));
        assert!(!job.path().join("after").exists(), "{line} went on");
    }
}

#[test]
fn a_trainer_that_writes_into_a_pipeline_saves_and_its_last_line_arrives() {
    saves(|job| in_shell(job, "sh", "TRAIN 2>&1 | tee /dev/null | cat"));
    if has("python3") {
        let job = saved(Place::Aside, |job| in_shell(job, "bash", &format!("TRAIN | tee {}/log", job.word())));
        assert!(std::fs::read_to_string(job.path().join("log")).unwrap().contains("leaves at step"));
    }
}

#[test]
fn without_looking_through_the_shell_it_would_be_lost() {
    if !has("python3") || !has("tini") || !can_unshare() {
        return;
    }
    let job = Job::new();
    let line = in_shell(&job, "sh", "cd .; TRAIN");
    let mut running = job.under(&["tini", "--"], &words(&line)).spawn();
    job.wait_for_steps(1, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_lost(&running.finish().err);
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
        job.assert_lost(&finished.err);
        assert!(finished.err.contains("NO checkpoint was saved"), "{finished:#?}");
        assert_eq!(finished.code, Some(1), "{finished:#?}");
    }
}
