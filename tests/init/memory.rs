//! A PID 1 to which the kernel gives no more memory.

use crate::support::look::{descendants, until_true};
use crate::support::{Launch, skip, ways};

/// Groups that make /proc/PID/status too long for what the C library's heap has at hand, but not for PID 1's reserve.
const GROUPS: u32 = 25_000;

#[test]
fn a_pid_1_that_gets_no_more_memory_still_stops_everything_and_tells_the_code() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can be in many groups");
    }
    const LEFT: usize = 100;
    for (role, place) in ways() {
        let script = format!(
            "for n in $(seq {LEFT}); do sleep 600 & done; trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
        );
        let launch = Launch::of(role, place, &["--", "sh", "-c", &script]);
        let groups: Vec<nix::unistd::Gid> = (1_000_000..1_000_000 + GROUPS).map(nix::unistd::Gid::from_raw).collect();
        let running = launch.before_exec(move || Ok(nix::unistd::setgroups(&groups)?)).spawn();
        assert_eq!(running.line(), "up");
        until_true("all of them", || descendants(running.pid).len() > LEFT);
        running.gets_no_more_memory();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(7), "{role:?} {place:?}: {finished:?}");
        assert!(!finished.err.contains("internal error"), "{role:?} {place:?}: {}", finished.err);
    }
}
