//! Storms: thousands of signals and of ended children, and a workload that forks without end. PID 1 lives, keeps its size and its
//! descriptors, and leaves no zombie.

use crate::support::group::Group;
use crate::support::look::{children, descriptors, field, has_pipe, kilobytes, state, until_true};
use crate::support::{Launch, Place, Role, Running, TRAINIT, can_unshare, has, skip};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What may not grow.
#[derive(Debug, PartialEq, Eq)]
struct Size {
    descriptors: usize,
    threads: Option<String>,
}

fn size(running: &Running) -> Size {
    let pid = running.supervisor();
    Size { descriptors: descriptors(pid).len(), threads: field(pid, "Threads") }
}

/// Memory that is its own: heap and stack. A few pages come and go.
fn own_memory(running: &Running) -> u64 {
    kilobytes(running.supervisor(), "RssAnon")
}

#[track_caller]
fn grew_by_at_most(running: &Running, before: (Size, u64), limit: u64) {
    assert_eq!(size(running), before.0);
    let now = own_memory(running);
    assert!(now <= before.1 + limit, "own memory grew from {} to {now} kB", before.1);
}

/// A fixed sequence of numbers that looks like chance (Knuth's MMIX generator).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }
}

fn ten_thousand_signals(role: Role, place: Place) {
    if !has("python3") || (place == Place::First && !can_unshare()) {
        return;
    }
    let _alone = alone();
    // USR2 ends it. `run` would take some for a stop, which would be the end as well.
    let numbers: Vec<i32> = match role {
        Role::Init => (1..=64).filter(|n| ![9, 12, 17, 19, 32, 33].contains(n)).collect(),
        Role::Run => (1..=64).filter(|n| ![1, 2, 3, 9, 12, 15, 17, 19, 30, 32, 33, 37].contains(n)).collect(),
    };
    let script = "import signal, sys, time
seen = set()
for number in [12] + [int(n) for n in sys.argv[1].split(',')]: signal.signal(number, lambda number, frame: seen.add(number))
print('up', flush=True)
while 12 not in seen: time.sleep(0.01)
time.sleep(0.2)
print(*sorted({int(n) for n in sys.argv[1].split(',')} - seen), flush=True)";
    let list = numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let running = Launch::of(role, place, &["--", "python3", "-c", script, &list]).spawn();
    assert_eq!(running.line(), "up");
    numbers.iter().for_each(|number| running.signal(*number)); // whatever grows with the first of a kind has grown
    until_true("quiet", || is_quiet(&running) && (matches!(role, Role::Init) || is_settled(&running)));
    let before = (size(&running), own_memory(&running));
    let mut chance = Chance(7);
    for _ in 0..10_000 {
        running.signal(numbers[chance.below(numbers.len())]);
    }
    until_true("quiet", || is_quiet(&running));
    grew_by_at_most(&running, before, 16);
    // The kernel drops a SIGCONT that waits when TSTP, TTIN or TTOU comes: in a storm that may be all of them.
    running.signal(libc::SIGCONT);
    until_true("quiet", || is_quiet(&running));
    running.signal(12);
    assert_eq!(running.line(), "", "every kind arrived");
    assert_eq!(running.code(), 0, "{role:?} {place:?}");
}

fn is_quiet(running: &Running) -> bool {
    let quiet = |pid| state(pid) == Some('S') && field(pid, "ShdPnd").as_deref() == Some("0000000000000000");
    quiet(running.pid) && quiet(running.supervisor())
}

/// A supervisor writes its state, and listens to requests from then on, a moment after its start; the handover is closed by then.
fn is_settled(running: &Running) -> bool {
    let own = descriptors(running.supervisor()).into_iter().filter(|(fd, _)| *fd > 2).map(|(_, target)| target);
    let own: Vec<String> = own.collect();
    own.iter().any(|target| target.contains("inotify")) && !has_pipe(running.supervisor())
}

/// One storm at a time: they are heavy enough to make each other late.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn ten_thousand_signals_at_an_init() {
    ten_thousand_signals(Role::Init, Place::First);
}

#[test]
fn ten_thousand_signals_at_a_supervisor() {
    ten_thousand_signals(Role::Run, Place::Aside);
}

/// Orphans that all wait for the same pipe, and then a main process that waits for them.
const CROWD: &str = "exec 3<&0
sh -c 'i=0; while [ $i -lt $COUNT ]; do (read line <&3) & i=$((i + 1)); done'
echo up
exec sleep 60 <&- 3<&-";

fn ten_thousand_orphans_at_once(role: Role, place: Place) {
    if place == Place::First && !can_unshare() || !room_for(10_000) {
        return;
    }
    let _alone = alone();
    let mut launch = Launch::of(role, place, &["--", "sh", "-c", CROWD]).env("COUNT", "10000");
    launch.command.stdin(Stdio::piped());
    let mut running = launch.spawn();
    assert_eq!(running.line(), "up");
    assert_eq!(children(running.supervisor()).len(), 10_001);
    let before = (size(&running), own_memory(&running));
    drop(running.stdin());
    until_true("all are reaped", || children(running.supervisor()).len() == 1);
    grew_by_at_most(&running, before, 16);
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143, "{role:?} {place:?}");
}

#[test]
fn ten_thousand_orphans_at_once_below_an_init() {
    ten_thousand_orphans_at_once(Role::Init, Place::First);
}

#[test]
fn ten_thousand_orphans_at_once_below_a_supervisor() {
    ten_thousand_orphans_at_once(Role::Run, Place::Aside);
}

/// Each of them gets TERM and ends by it; what that costs must not grow with the square of their number.
#[test]
fn a_stop_with_thousands_of_orphans_ends_soon() {
    if !can_unshare() || !room_for(3_000) {
        return;
    }
    let _alone = alone();
    let mut launch = Launch::of(Role::Run, Place::First, &["--", "sh", "-c", CROWD]).env("COUNT", "3000");
    launch.command.stdin(Stdio::piped());
    let mut running = launch.spawn();
    let _stdin = running.stdin();
    assert_eq!(running.line(), "up");
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.code, Some(143), "{}", finished.err);
    assert!(finished.took < std::time::Duration::from_secs(20), "{:?}", finished.took);
}

#[test]
fn ten_thousand_orphans_in_a_stream() {
    let _alone = alone();
    for (role, place, count) in [(Role::Init, Place::First, "10000"), (Role::Run, Place::Aside, "1000")] {
        if place == Place::First && !can_unshare() {
            continue;
        }
        let script = "(true &); echo up; i=0; while [ $i -lt $COUNT ]; do (true &); i=$((i + 1)); done; echo done; exec sleep 60";
        let running = Launch::of(role, place, &["--", "sh", "-c", script]).env("COUNT", count).spawn();
        assert_eq!(running.line(), "up");
        match role {
            Role::Run => until_true("its state is written, and requests are listened to", || is_settled(&running)),
            _ => until_true("it has heard of its child's exec", || !has_pipe(running.pid)),
        }
        let before = (size(&running), own_memory(&running));
        assert_eq!(running.line(), "done");
        until_true("all are reaped", || children(running.supervisor()).len() == 1);
        grew_by_at_most(&running, before, 16);
        running.signal(libc::SIGTERM);
        assert_eq!(running.code(), 143, "{role:?} {place:?}");
    }
}

/// Whether so many processes may be made here.
fn room_for(count: u64) -> bool {
    let limit = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let rlimit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NPROC).unwrap().0;
    let limits =
        [limit("/proc/sys/kernel/pid_max"), limit("/sys/fs/cgroup/pids.max"), limit("/sys/fs/cgroup/pids/pids.max")];
    let room = rlimit.min(limits.into_iter().flatten().min().unwrap_or(u64::MAX)) > count + 1000;
    if !room {
        skip(&format!("fewer than {count} processes may be made here"));
    }
    room
}

/// A control group that allows 200 processes.
fn few_processes(name: &str) -> Option<Group> {
    let made = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].iter().find_map(|base| {
        let group = Group::below(Path::new(base), name).ok()?;
        group.set("pids.max", "200").ok()?;
        Some(group)
    });
    if made.is_none() {
        skip("no control group with a limit of processes can be made here");
    }
    made
}

#[test]
fn a_fork_bomb_against_its_limit_is_stopped_and_leaves_nothing() {
    let _alone = alone();
    for (word, place) in
        [("init --grace 1", Place::First), ("init --grace 1", Place::Aside), ("run --set stop.grace=1s", Place::First)]
    {
        if place == Place::First && !can_unshare() {
            continue;
        }
        let Some(group) = few_processes(&format!("{}-{place:?}", word.len())) else { return };
        let script = format!(
            "echo $$ > {}/cgroup.procs; cd /; exec {TRAINIT} {word} -- sh -c \"trap '' TERM; b() {{ b & b & }}; echo up; (b) & exec sleep 60\" 2>/dev/null",
            group.0.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let running = Launch::with(command, place).spawn();
        assert_eq!(running.line(), "up");
        let reached = || {
            let count = std::fs::read_to_string(group.0.join("pids.events")).unwrap();
            count.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 0)
        };
        until_true("the limit is hit", reached);
        let before = (size(&running), own_memory(&running));
        grew_by_at_most(&running, before, 64);
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(137), "{word} {place:?} {}", finished.err);
    }
}
