//! A suspended container (`docker pause`, a frozen control group) cannot save, so that time is not taken from a grace.

use crate::job::{Job, kill, python};
use crate::support::Place;
use crate::support::look::{state, until_true};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

#[test]
fn a_suspension_in_the_middle_of_a_stop_does_not_use_up_the_grace() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("STOP_GRACE", "6s");
    let running = job.start(Place::First, &["on=TERM:save+exit0", "takes=2"]);
    let (supervisor, trainer) = (running.supervisor(), running.workload());
    running.signal(libc::SIGTERM);
    assert_eq!(running.line(), "TERM");
    for pid in [trainer, supervisor] {
        kill(pid, Signal::SIGSTOP);
        until_true("the process to stop", || state(pid) == Some('T'));
    }
    // Longer than the whole grace.
    let begun = Instant::now();
    until_true("the grace to pass", || begun.elapsed() > Duration::from_secs(8));
    kill(supervisor, Signal::SIGCONT);
    running.error_with("the container was suspended for ");
    kill(trainer, Signal::SIGCONT);
    let finished = running.finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(143), "saved 1\n"), "{finished:?}");
}
