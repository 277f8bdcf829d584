//! `lifetime`: a container ends by itself when it has lived long enough, as if it had been asked to, and says so before.

use crate::job::{Job, assert_about, places, python};
use crate::support::{Place, pty};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// A session of its own at a terminal of its own, as SSH gives one.
pub fn session_at(terminal: &OwnedFd) -> [String; 5] {
    let path = nix::unistd::ttyname(terminal).unwrap().display().to_string();
    let shell = format!("exec <{path} >{path} 2>&1; cat");
    ["setsid".into(), "--wait".into(), "sh".into(), "-c".into(), shell]
}

#[test]
fn a_training_that_has_lived_long_enough_saves_and_can_be_started_again() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().watched().with("LIFETIME", "2s");
        let begun = Instant::now();
        let running = job.start(place, &["on=TERM:save+exit0"]);
        running.error_with("lifetime (2.0 s): stopping, 10 min 00 s until SIGKILL (no engine ends it)");
        let end = running.error_with("end   ");
        assert!(end.contains("stopped by lifetime (2.0 s)") && end.contains("ckpt-1.npz"), "{end}");
        assert_eq!(running.code(), 143);
        assert_about(begun.elapsed(), 2.0);
    }
}

#[test]
fn it_is_told_before_also_at_the_terminals_of_the_container() {
    let job = Job::new().with("LIFETIME", "12s");
    let (person, terminal) = pty::open();
    let running = job.launch(Place::Aside, &session_at(&terminal)).spawn();
    running.error_with("this container ends in 10 s: it may live 12 s (lifetime)");
    person.shows("trainit: this container ends in 10 s: it may live 12 s (lifetime)");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn it_counts_from_the_containers_start_and_so_also_while_it_prepares() {
    let job = Job::new().with("LIFETIME", "1s");
    let hooks = job.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    std::fs::write(hooks.join("slow.sh"), "sleep 100\n").unwrap();
    let config = job.path().join("config.yaml");
    std::fs::write(&config, format!("hooks: {{before_checks: [{}]}}\n", hooks.display())).unwrap();
    let words = ["--config", config.to_str().unwrap(), "--mode", "train", "--", "true"];
    let running = job.launch_words(Place::Aside, &words).spawn();
    running.error_with("lifetime (1.0 s): stopping before the workload runs");
    assert_eq!(running.code(), 143);
}
