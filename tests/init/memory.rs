//! A PID 1 to which the kernel gives no more memory.

use crate::support::look::{descendants, until_true};
use crate::support::{Launch, ways};

#[test]
fn a_pid_1_that_gets_no_more_memory_still_stops_everything_and_tells_the_code() {
    const LEFT: usize = 400;
    for (role, place) in ways() {
        // What it leaves behind is listed, signalled and named; the lists are longer than what PID 1 has at hand.
        let script = format!(
            "for n in $(seq {LEFT}); do sleep 600 & done; trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
        );
        let running = Launch::of(role, place, &["--", "sh", "-c", &script]).spawn();
        assert_eq!(running.line(), "up");
        until_true("all of them", || descendants(running.pid).len() > LEFT);
        running.gets_no_more_memory();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(7), "{role:?} {place:?}: {finished:?}");
        assert!(!finished.err.contains("internal error"), "{role:?} {place:?}: {}", finished.err);
    }
}
