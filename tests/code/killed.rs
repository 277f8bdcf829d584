//! A start that is killed at any moment leaves nothing that keeps the next one.

use crate::bench::{Bench, git, run};
use std::fs;
use std::path::Path;
use std::time::Duration;

const TRAIN: [&str; 3] = ["--", "python3", "train.py"];

/// Everything in a directory but `.git`, as a digest.
fn content(directory: &Path) -> String {
    let script = "find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum";
    run(directory, "sh", &["-c", script])
}

/// A repository of some hundred files, one of them large.
fn many_files(bench: &Bench, word: &str) -> String {
    for number in 0..300 {
        let path = bench.path("train").join(format!("d{}/f{number}", number % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{word} {number}\n").repeat(40)).unwrap();
    }
    let noise: String =
        (0..60_000_u64).map(|n| format!("{:x} {word}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    bench.publish("large", &noise)
}

/// Kills starts after growing times, and lets one go on after each; returns how many were killed.
fn kill_and_go_on(bench: &Bench, commits: &[String], step: Duration, times: u32) -> u32 {
    let mut killed = 0;
    for time in 0..times {
        let commit = &commits[time as usize % commits.len()];
        let running = bench.start_here(&format!("@{commit}"), &TRAIN).spawn();
        std::thread::sleep(step * time);
        running.signal(libc::SIGKILL);
        killed += u32::from(running.finish().signal.is_some());
        let commit = &commits[(time as usize + 1) % commits.len()];
        let ended = bench.start_here(&format!("@{commit}"), &TRAIN).finish();
        assert_eq!((ended.code, &bench.head()), (Some(0), commit), "killed after {:?}: {}", step * time, ended.err);
        let whole = bench.path("whole");
        git(&bench.path("train"), &format!("worktree add -q --force --detach {} {commit}", whole.display()));
        assert_eq!(content(&bench.code()), content(&whole), "killed after {:?}", step * time);
        git(&bench.path("train"), &format!("worktree remove --force {}", whole.display()));
        if time % 3 == 0 {
            fs::remove_dir_all(bench.code()).unwrap();
        }
    }
    killed
}

#[test]
fn case_21_the_next_start_goes_on_after_a_kill_at_any_moment() {
    let Some(bench) = Bench::new() else { return };
    let commits = ["one", "two"].map(|word| many_files(&bench, word));
    let killed = kill_and_go_on(&bench, &commits, Duration::from_millis(43), 7);
    assert!(killed > 2, "only {killed} starts were killed");
}

#[test]
#[ignore = "takes minutes: scripts/nightly code"]
fn case_21_at_many_more_moments() {
    let Some(bench) = Bench::new() else { return };
    let commits = ["one", "two", "three"].map(|word| many_files(&bench, word));
    assert!(kill_and_go_on(&bench, &commits, Duration::from_millis(2), 250) > 50);
}

#[test]
fn case_21_locks_of_a_killed_git_go() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(bench.start_here("", &TRAIN).finish().code, Some(0));
    bench.publish("train.py", "print('two')\n");
    let locks =
        ["index.lock", "shallow.lock", "HEAD.lock", "config.lock"].map(|name| bench.code().join(".git").join(name));
    for lock in &locks {
        fs::write(lock, "").unwrap();
        run(Path::new("/"), "touch", &["-d", "1 hour ago", lock.to_str().unwrap()]);
    }
    let ended = bench.start_here("", &TRAIN).finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "two\n"), "{}", ended.err);
    assert!(locks.iter().all(|lock| !lock.exists()));
}

#[test]
fn what_somebody_wrote_beside_a_torn_checkout_is_found() {
    let Some(bench) = Bench::new() else { return };
    let old = many_files(&bench, "one");
    let new = many_files(&bench, "two");
    assert_eq!(bench.start_here(&format!("@{old}"), &TRAIN).finish().code, Some(0));
    // As a kill in the checkout of the new commit leaves it: one file new, one half written, and one changed by a person.
    let stamp = bench.code().join(".git/trainit.json");
    git(&bench.code(), &format!("fetch -q origin {new}"));
    let text = fs::read_to_string(&stamp).unwrap();
    fs::write(
        &stamp,
        text.replace(r#""target": null"#, &format!(r#""target": "{new}""#))
            .replace(r#""busy": false"#, r#""busy": true"#),
    )
    .unwrap();
    let copy = |name: &str| fs::copy(bench.path("train").join(name), bench.code().join(name)).unwrap();
    copy("d1/f1");
    let half = fs::read(bench.path("train/d2/f2")).unwrap();
    fs::write(bench.code().join("d2/f2"), &half[..half.len() / 2]).unwrap();
    fs::write(bench.code().join("d3/f3"), "mine\n").unwrap();
    let refused = bench.start_here(&format!("@{new}"), &TRAIN).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("1 file changed (d3/f3)"), "{}", refused.err);
    assert_eq!(fs::read_to_string(bench.code().join("d3/f3")).unwrap(), "mine\n");
    fs::remove_file(bench.code().join("d3/f3")).unwrap();
    let ended = bench.start_here(&format!("@{new}"), &TRAIN).finish();
    assert_eq!((ended.code, bench.head()), (Some(0), new), "{}", ended.err);
    assert_eq!(content(&bench.code()), content(&bench.path("train")));
}
