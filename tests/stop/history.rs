//! The history of a job with real processes: every attempt is there with its reason, and the times add up.

use crate::job::{Job, kill, python};
use crate::support::{Place, TRAINIT, can_unshare, has, skip};
use crate::world::Memory;
use nix::sys::signal::Signal;
use serde_json::Value as Json;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// A short training that saves often.
const SAVES: &str = "saves=0.1";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn file(job: &Job) -> PathBuf {
    job.path().join(".trainit/history.jsonl")
}

/// What `trainit history --json` prints of a directory or file.
#[track_caller]
fn read(place: &Path) -> Json {
    let output = Command::new(TRAINIT).args(["history", "--json"]).arg(place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn reasons(told: &Json) -> Vec<&str> {
    let attempts = told["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["reason"].as_str().unwrap_or("runs")).collect()
}

fn number(of: &Json) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("{of} is no number"))
}

/// Fails unless the parts of all attempts, and the gaps between them, are the time from the first start to the last end.
#[track_caller]
fn assert_adds_up(told: &Json, since: f64, until: f64) {
    let sum = &told["sum"];
    let parts: f64 = sum["parts"].as_object().unwrap().values().map(number).sum();
    let wall = number(&sum["until"]) - number(&sum["since"]);
    assert!((parts - wall).abs() < 1.0 && (parts - number(&sum["total_s"])).abs() < 0.01, "{parts} of {wall}: {sum:#}");
    // The clock of the state counts in steps of 10 ms.
    assert!(
        number(&sum["since"]) >= since - 0.02 && number(&sum["until"]) <= until + 0.02,
        "{since} to {until}: {sum:#}"
    );
    assert_eq!(told["skipped"], 0);
}

#[test]
fn every_attempt_has_its_reason_and_the_times_add_up() {
    if python().is_none() || !can_unshare() {
        return;
    }
    let (job, since, place) = (Job::new().watched().with("CHECKPOINT_RESUME", "env"), now(), Place::First);
    let saves = |running: &crate::support::Running| drop(running.error_with("is complete"));
    // Its own fault.
    assert_eq!(job.start(place, &[SAVES, "ends=0.5:3"]).code(), 3);
    // A stop, after which it saves.
    let running = job.start(place, &["on=TERM:save+exit0"]);
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
    // Somebody else's SIGKILL, for the workload and then for PID 1, which takes all with it.
    let running = job.start(place, &["saves=0.3"]);
    saves(&running);
    kill(nix::unistd::Pid::from_raw(running.workload()).as_raw(), Signal::SIGKILL);
    assert_eq!(running.code(), 137);
    let running = job.start(place, &["saves=0.3"]);
    saves(&running);
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));
    // A start that a check refuses, and the end of the training.
    let refused = job.launch(place, &job.trainer(&[])).env("TRAINIT_DATA", "/no/such/data").finish();
    assert_eq!(refused.code, Some(111), "{}", refused.err);
    let done = job.launch(place, &job.trainer(&[SAVES, "ends=0.4:0"])).finish();
    assert_eq!(done.code, Some(0));
    assert!(done.err.contains("trainit: history: 6 attempts in "), "{}", done.err);

    let told = read(job.path());
    assert_eq!(reasons(&told), ["failed", "stopped", "killed", "silent", "refused", "done"]);
    assert_adds_up(&told, since, now());
    let attempts = told["attempts"].as_array().unwrap();
    let silent = &attempts[3];
    assert_eq!(silent["end"]["by"], "next-start");
    let (saved, resumed) = (&silent["end"]["saved"]["step"], &attempts[5]["ready"]["resumed"]["step"]);
    assert!(saved.as_u64() >= Some(1) && saved == resumed, "{told:#}");
    assert!(attempts[1]["end"]["asked_by"].as_str().unwrap().starts_with("SIGTERM from outside"), "{:#}", attempts[1]);
    assert!(number(&attempts[1]["parts"]["progress"]) > 0.0 && number(&attempts[1]["parts"]["lost"]) < 0.001);
    assert!(number(&attempts[2]["parts"]["progress"]) >= 0.2, "{:#}", attempts[2]);
    assert!(attempts[4]["ready"].is_null() && attempts[5]["ready"]["phases"]["checking"].is_number());
    assert!(told["sum"]["goodput"].as_f64().is_some_and(|share| (0.05..1.0).contains(&share)), "{:#}", told["sum"]);
}

#[test]
fn want_of_memory_is_told_as_such() {
    let Some(python) = python().filter(|_| can_unshare()) else { return };
    let Some(memory) = Memory::limited_to(64 << 20) else { return };
    let job = Job::new().watched();
    std::fs::write(job.path().join("ckpt-1.npz"), "x").unwrap();
    let eats = "import sys, time; time.sleep(0.5); all = [bytearray(1 << 20) for _ in range(1000)]";
    let launch = job.launch(Place::First, &[python, "-S", "-c", eats, job.word()]);
    assert_eq!(memory.holds(launch).finish().code, Some(137));
    let told = read(job.path());
    assert_eq!(reasons(&told), ["memory"], "{told:#}");
}

#[test]
fn restarts_are_attempts_with_a_back_off_between_and_the_sum_is_told_when_they_are_used_up() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("RESTART_MAX", "2").with("RESTART_BACKOFF", "200ms..200ms");
    let ended = job.launch(Place::Aside, &job.trainer(&[SAVES, "ends=0.3:3/4/5"])).finish();
    assert_eq!(ended.code, Some(5));
    let lines: Vec<&str> = ended.err.lines().filter(|line| line.contains("history: ")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("trainit: history: 3 attempts in "), "{}", ended.err);
    let told = read(job.path());
    let attempts = told["attempts"].as_array().unwrap();
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt["end"]["code"].as_u64().unwrap()).collect();
    let gaps: Vec<_> = attempts.iter().map(|attempt| attempt["gap"].as_str().unwrap()).collect();
    assert_eq!((codes, gaps), (vec![3, 4, 5], vec!["none", "backoff", "backoff"]));
    assert!(number(&told["sum"]["parts"]["backoff"]) >= 0.4 && told["sum"]["parts"]["between"] == 0.0, "{told:#}");
}

#[test]
fn four_containers_write_at_once_and_every_line_is_whole() {
    if python().is_none() {
        return;
    }
    let jobs: Vec<Job> =
        (0..4).map(|_| Job::new().with("RESTART_MAX", "4").with("RESTART_BACKOFF", "0s..0s")).collect();
    let shared = tempfile::tempdir().unwrap();
    let history = shared.path().join("deep/history.jsonl");
    let start = |job: &Job| {
        let trainer = job.trainer(&["ends=0:3"]);
        job.launch(Place::Aside, &trainer).env("TRAINIT_HISTORY_FILE", history.to_str().unwrap()).spawn()
    };
    let running: Vec<_> = jobs.iter().map(start).collect();
    assert!(running.into_iter().all(|running| running.code() == 3));
    let told = read(&history);
    assert_eq!((reasons(&told), &told["skipped"]), (vec!["failed"; 20], &0.into()));
    // 4 writers of 5 attempts of 3 lines.
    assert_eq!(std::fs::read_to_string(&history).unwrap().lines().count(), 60);
}

#[test]
fn nothing_is_put_into_an_empty_directory_before_the_trainer_has() {
    let job = Job::new().with("CHECKPOINT_PATTERN", "ckpt-{step}.npz");
    let dir = job.path().join("ckpt");
    let job = job.with("CHECKPOINT_DIR", dir.to_str().unwrap());
    let run = |script: &str| job.launch(Place::Aside, &["sh", "-c", script, "sh", dir.to_str().unwrap()]).finish();
    let refuses = "test ! -e \"$1\" || test -z \"$(ls -A \"$1\")\" || exit 9; ";
    // As the example scripts of transformers do with an output directory that is not empty.
    assert_eq!(run(&format!("{refuses} exit 3")).code, Some(3));
    assert!(!dir.exists());
    std::fs::create_dir(&dir).unwrap();
    assert_eq!(run(&format!("{refuses} exit 4")).code, Some(4));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    let saves = format!("{refuses} sleep 0.2; echo x >\"$1/ckpt-1.npz\"; exit 0");
    assert_eq!(run(&saves).code, Some(0));
    assert_eq!(reasons(&read(&dir)), ["done"], "those before it had nothing to be beside");
}

#[test]
fn the_history_is_the_workloads_users_and_is_written_through_no_link() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can start as another user");
    }
    let job = Job::new().watched().with("USER", "12345:12345");
    chown(job.path(), Some(12345), Some(12345)).unwrap();
    let job = job.with("STATE_DIR", "/run");
    let run = |script: &str| job.launch(Place::Aside, &["sh", "-c", script, "sh", job.word()]).finish();
    assert_eq!(run("echo x >\"$1/ckpt-1.npz\"; exit 3").code, Some(3));
    let found = std::fs::metadata(file(&job)).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o777), (12345, 0o644));
    assert_eq!(reasons(&read(job.path())), ["failed"]);
    // A trap for whoever writes there: one warning, nothing written, and the training as ever.
    let trap = tempfile::tempdir().unwrap();
    std::fs::write(trap.path().join("history.jsonl"), "precious").unwrap();
    std::fs::remove_dir_all(job.path().join(".trainit")).unwrap();
    symlink(trap.path(), job.path().join(".trainit")).unwrap();
    let ended = run("exit 0");
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.err.matches("the history is not written").count(), 1, "{}", ended.err);
    assert!(ended.err.contains(".trainit is no directory"), "{}", ended.err);
    assert_eq!(std::fs::read_to_string(trap.path().join("history.jsonl")).unwrap(), "precious");
}

#[test]
fn what_a_nested_trainit_a_build_session_and_another_rank_do_is_no_attempt() {
    let job = Job::new().watched();
    std::fs::write(job.path().join("ckpt-1.npz"), "x").unwrap();
    let launch = |words: &[&str]| job.launch_words(Place::Aside, words);
    for launch in [
        launch(&["--mode", "train", "--", "true"]).env("TRAINIT", "1"),
        launch(&["--mode", "train", "--", "true"]).env("RANK", "3"),
        launch(&["--mode", "train", "--", "true"]).env("TRAINIT_HISTORY_FILE", "off"),
        launch(&["--mode", "shell", "--", "true"]),
    ] {
        assert_eq!(launch.finish().code, Some(0));
        assert!(!file(&job).exists());
    }
    let output = Command::new(TRAINIT).args(["history", job.word()]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("no history in "), "{told}");
    assert_eq!(launch(&["--mode", "train", "--", "true"]).finish().code, Some(0));
    assert_eq!(reasons(&read(job.path())), ["done"]);
}

/// Code in a repository, with one requirement that is met by a package on PYTHONPATH.
struct Code {
    dir: tempfile::TempDir,
}

impl Code {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        ["code", "packages", "home"].iter().for_each(|name| std::fs::create_dir(dir.path().join(name)).unwrap());
        let code = Code { dir };
        code.git(&["init", "-q"]);
        code
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn git(&self, words: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path("code")).args(["-c", "user.name=me", "-c", "user.email=me@example.com"]);
        let output = git.args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits another state; returns the commit.
    fn comes_to(&self, version: &str) -> String {
        let _ = std::fs::remove_dir_all(self.path("packages"));
        let info = self.path("packages").join(format!("tiny-{version}.dist-info"));
        std::fs::create_dir_all(&info).unwrap();
        std::fs::write(info.join("METADATA"), format!("Name: tiny\nVersion: {version}\n")).unwrap();
        std::fs::write(self.path("code/requirements.txt"), format!("tiny=={version}\n")).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", version]);
        self.git(&["rev-parse", "HEAD"])
    }
}

#[test]
fn a_start_that_resumes_says_what_changed_and_the_packages_are_kept_once_for_each_list() {
    let Some(python) = python().filter(|_| has("git")) else { return skip("there is no git or no python3") };
    let (job, code) =
        (Job::new().with("CHECKPOINT_PATTERN", "ckpt-{step}.npz").with("CHECKPOINT_RESUME", "env"), Code::new());
    let dir = code.path("checkpoints");
    let saves = "import os, sys\nhere = sys.argv[1]\nos.makedirs(here, exist_ok=True)\n\
                 open(f'{here}/ckpt-{len(os.listdir(here)) + 1}.npz', 'w').write('x')\nsys.exit(3)";
    let run = |image: &str| {
        let launch = job.launch(Place::Aside, &[python, "-S", "-c", saves, dir.to_str().unwrap()]);
        let at = |name: &str| code.path(name).to_str().unwrap().to_owned();
        let launch = launch.env("TRAINIT_CHECKPOINT_DIR", &at("checkpoints")).env("TRAINIT_CODE_PATH", &at("code"));
        let launch = launch.env("TRAINIT_DEPS_REQUIREMENTS", "requirements.txt").env("TRAINIT_HISTORY_IMAGE", image);
        let ended = launch
            .env("PYTHONPATH", &at("packages"))
            .env("HOME", &at("home"))
            .env("XDG_CACHE_HOME", &at("home"))
            .finish();
        assert_eq!(ended.code, Some(3), "{}", ended.err);
        ended.err
    };
    let one = code.comes_to("1.0");
    let first = run("team/train:1");
    assert!(!first.contains("since the last attempt"), "{first}");
    let lists = || {
        let names = std::fs::read_dir(dir.join(".trainit")).unwrap().flatten().map(|entry| entry.path());
        let is_list = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "txt");
        names.filter(is_list).collect::<Vec<_>>()
    };
    // Nothing was there before the first checkpoint, so the list has waited with the lines.
    assert_eq!(lists().len(), 1, "{first}");
    assert!(std::fs::read_to_string(&lists()[0]).unwrap().contains("tiny==1.0\n"));
    let same = run("team/train:1");
    assert!(!same.contains("since the last attempt") && lists().len() == 1, "{same}");
    let other = code.comes_to("2.0");
    let changed = run("team/train:2");
    let told = changed.lines().find_map(|line| line.split_once("since the last attempt: ")).map(|(_, told)| told);
    let told: Vec<&str> = told.unwrap_or_else(|| panic!("{changed}")).split("; ").collect();
    assert_eq!(told[0], format!("commit {} → {}", &one[..12], &other[..12]));
    assert!(told[1].starts_with("requirements ") && told[2].starts_with("environment "), "{changed}");
    assert_eq!((told[3], told.len()), ("image team/train:1 → team/train:2", 4));
    assert_eq!(lists().len(), 2);
    let attempts = read(&dir)["attempts"].clone();
    let hashes: Vec<&str> =
        (0..3).map(|at| attempts[at]["ready"]["versions"]["environment"].as_str().unwrap()).collect();
    assert!(hashes[0] == hashes[1] && hashes[1] != hashes[2], "{hashes:?}");
    let named = |hash: &str| {
        changed.contains(&format!("; environment {hash}"))
            && dir.join(format!(".trainit/packages-{hash}.txt")).is_file()
    };
    assert!(named(hashes[2]), "{changed}");
}

#[test]
fn a_history_is_followed_until_the_training_is_complete() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched();
    assert_eq!(job.launch(Place::Aside, &job.trainer(&[SAVES, "ends=0.3:3"])).finish().code, Some(3));
    let follows =
        Command::new(TRAINIT).args(["history", "--follow", job.word()]).stdout(std::process::Stdio::piped()).spawn();
    assert_eq!(job.launch(Place::Aside, &job.trainer(&["ends=0.3:0"])).finish().code, Some(0));
    let output = follows.unwrap().wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 attempt in ") && text.contains("2 attempts in "), "{text}");
}

#[test]
fn the_page_shows_what_is_printed_and_the_picture_is_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/history.md")).unwrap();
    let typed = "$ trainit history docs/history/example.jsonl\n";
    let shown = page.split(typed).nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let words = typed.trim().split(' ').skip(2);
    let output = Command::new(TRAINIT).args(words).current_dir(root).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), shown);
    // The numbers of the worked example.
    let told = read(&root.join("docs/history/example.jsonl"));
    let parts = |n: usize, part: &str| number(&told["attempts"][n]["parts"][part]);
    let progress: Vec<f64> = (0..4).map(|n| parts(n, "progress")).collect();
    assert_eq!(progress, [7200.0, 2880.0, 4350.0, 7200.0]);
    assert_eq!((parts(1, "lost"), parts(2, "unknown"), parts(0, "saving")), (760.0, 2600.0, 45.0));
    assert_eq!((number(&told["sum"]["total_s"]), number(&told["sum"]["parts"]["progress"])), (27260.0, 21630.0));
    let mut drawn = Command::new("python3");
    drawn.arg(root.join("scripts/history-picture")).arg("--check").env("TRAINIT", TRAINIT);
    assert!(python().is_none() || drawn.status().unwrap().success(), "scripts/history-picture draws another picture");
}

#[test]
fn the_json_is_as_its_schema_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check = "import sys, json, jsonschema\n\
                 schema, document = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))\n\
                 jsonschema.Draft202012Validator.check_schema(schema)\n\
                 jsonschema.validate(document, schema)\n\
                 document['attempts'][0]['parts']['lost'] = -1\n\
                 assert not jsonschema.Draft202012Validator(schema).is_valid(document)\n";
    if !Command::new("python3").args(["-c", "import jsonschema"]).output().is_ok_and(|output| output.status.success()) {
        return skip("python3 has no jsonschema");
    }
    let dir = tempfile::tempdir().unwrap();
    let (schema, document) = (dir.path().join("schema"), dir.path().join("document"));
    std::fs::write(&schema, Command::new(TRAINIT).args(["--generate", "schema-history"]).output().unwrap().stdout)
        .unwrap();
    let told = read(&root.join("docs/history/example.jsonl"));
    std::fs::write(&document, serde_json::to_vec(&told).unwrap()).unwrap();
    let output = Command::new("python3").arg("-c").arg(check).args([schema, document]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
