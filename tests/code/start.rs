//! What a start does with the code that it brings.

use crate::bench::{Bench, git, run};
use crate::support::look::until_true;
use crate::support::{Launch, Place, TRAINIT};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The words of the repository's own program.
const TRAIN: [&str; 3] = ["--", "python3", "train.py"];

#[test]
fn the_code_the_configuration_and_the_commit_come_with_it() {
    let Some(bench) = Bench::new() else { return };
    bench.commit("train.py", "import os; print(os.environ['TRAINIT_CODE_COMMIT'], os.environ['LEVEL'])\n");
    let commit = bench.publish("trainit.yaml", "command: python3 train.py\nenv: {LEVEL: high}\n");
    let report = bench.text("report.json");
    let first = bench.start_here("", &[]).env("TRAINIT_REPORT_FILE", &report).finish();
    assert_eq!(first.out, format!("{commit} high\n"), "{}", first.err);
    let short = &commit[..12];
    assert!(first.err.contains(&format!("train.git main = {short}, fetched")), "{}", first.err);
    let told: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(told["commit"], commit.as_str());
    assert!(told["code"]["what"].as_str().unwrap().ends_with(&format!("main = {short}, fetched")), "{told}");
    let second = bench.start_here("", &[]).finish();
    assert!(second.err.contains(&format!("main = {short}, unchanged")), "{}", second.err);
    let newer = bench.publish("train.py", "print('newer')\n");
    let third = bench.start_here("", &[]).finish();
    assert_eq!((third.out.as_str(), bench.head()), ("newer\n", newer), "{}", third.err);
}

#[test]
fn a_project_must_not_say_where_code_comes_from() {
    let Some(bench) = Bench::new() else { return };
    bench.publish("trainit.yaml", "code: {from: https://elsewhere/x.git}\n");
    let refused = bench.start_here("", &TRAIN).finish();
    assert_eq!(refused.code, Some(78), "{}", refused.err);
    assert!(refused.err.contains("code.from"), "{}", refused.err);
}

#[test]
fn no_file_of_the_repository_runs_before_the_workload() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.text("ran");
    assert_eq!(bench.start_here("", &TRAIN).finish().code, Some(0));
    // What a workload left in its repository.
    for hook in ["post-checkout", "reference-transaction", "post-index-change"] {
        let path = bench.code().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\necho {hook} >>{ran}\n")).unwrap();
        run(Path::new("/"), "chmod", &["+x", path.to_str().unwrap()]);
    }
    git(&bench.code(), &format!("config core.fsmonitor {}", bench.code().join(".git/hooks/post-checkout").display()));
    let commit = bench.publish("train.py", "print('two')\n");
    assert_eq!((bench.start_here("", &TRAIN).finish().out, bench.head()), ("two\n".to_owned(), commit));
    assert!(!Path::new(&ran).exists(), "{}", fs::read_to_string(ran).unwrap_or_default());
}

#[test]
fn what_is_not_trainits_is_refused_and_untouched() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir(bench.code()).unwrap();
    fs::write(bench.code().join("mine"), "mine").unwrap();
    let refused = bench.start_here("", &TRAIN).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("it holds what trainit did not bring: mine"), "{}", refused.err);
    assert_eq!(fs::read_dir(bench.code()).unwrap().count(), 1);
}

/// A sub-command with the settings of a start.
fn sub_command(bench: &Bench, url: &str, words: &[&str]) -> Launch {
    let start = bench.start(url, &[]);
    let mut command = Command::new(TRAINIT);
    command.args(words).env_clear().envs(start.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Launch::with(command, Place::Aside)
}

#[test]
fn trainit_stage_brings_the_code_and_the_start_finds_it() {
    let Some(bench) = Bench::new() else { return };
    let url = bench.text("served/train.git");
    let dry = sub_command(&bench, &url, &["stage", "--dry-run"]).finish();
    assert_eq!((dry.code, bench.code().exists()), (Some(0), false), "{}", dry.err);
    assert!(dry.out.contains("a start would bring"), "{}", dry.out);
    let staged = sub_command(&bench, &url, &["stage"]).finish();
    assert_eq!(staged.code, Some(0), "{}", staged.err);
    assert!(staged.err.contains("main = ") && staged.err.contains(", fetched"), "{}", staged.err);
    let ended = bench.start_here("", &TRAIN).finish();
    assert!(ended.out == "one\n" && ended.err.contains(", unchanged"), "{}", ended.err);
}

#[test]
fn a_check_says_what_a_start_would_bring_and_asks_no_server() {
    let Some(bench) = Bench::new() else { return };
    let server = bench.http(&[]);
    let url = format!("http://127.0.0.1:{}/train.git@v1", server.port);
    let told = sub_command(&bench, &url, &["check"]).finish();
    assert!(told.err.contains(&format!("a start would bring {url} into {}", bench.text("code"))), "{}", told.err);
    assert_eq!((told.code, server.log().as_str(), bench.code().exists()), (Some(0), "", false), "{}", told.err);
}

#[test]
fn an_image_without_git_is_told_how_to_get_it() {
    let Some(bench) = Bench::new() else { return };
    let empty = bench.text("home");
    let refused = bench.start_here("", &["--", "/bin/true"]).env("PATH", &empty).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(
        refused.err.contains("there is no git in the image") && refused.err.contains("install -y"),
        "{}",
        refused.err
    );
}

#[test]
fn two_starts_in_one_directory_fetch_once() {
    let Some(bench) = Bench::new() else { return };
    let server = bench.http(&[]);
    let url = format!("http://127.0.0.1:{}/train.git@v1", server.port);
    let starts: Vec<_> = (0..4).map(|_| bench.start(&url, &TRAIN).spawn()).collect();
    for start in starts {
        let ended = start.finish();
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "one\n"), "{}", ended.err);
    }
    // A fetch asks twice: for the names, and for the objects.
    let fetches = server.count("POST /train.git/git-upload-pack");
    assert!(fetches <= 4 + 1, "4 times the names, and once the objects: {}", server.log());
}

#[test]
fn a_stop_ends_a_fetch_at_once_with_all_that_it_started() {
    let Some(bench) = Bench::new() else { return };
    let server = bench.http(&[]);
    let url = format!("http://127.0.0.1:{}/hangs/train.git", server.port);
    let running = bench.start(&url, &TRAIN).spawn();
    until_true("the server to be asked", || server.count("/hangs/") > 0);
    running.signal(libc::SIGTERM);
    let url = url.as_bytes().to_vec();
    assert_eq!(running.code(), 143);
    let asks = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(url.len()).any(|part| part == url))
    };
    until_true("git to be gone", || {
        crate::support::look::with_word("ls-remote").iter().filter(|pid| asks(pid)).count() == 0
    });
}
