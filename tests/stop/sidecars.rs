//! Modes that run beside the main one: what they are given, when they begin and end, and that they never count.

use crate::job::{Job, LATE, places, python, said};
use crate::support::look::{self, until, until_true};
use crate::support::{Place, Running, TRAINIT, skip};
use serde_json::json;
use std::time::{Duration, Instant};

/// A job with a mode `beside`, a trainer.py of its own with these words, beside mode `train`.
struct Two {
    job: Job,
    config: String,
}

impl Two {
    fn new(words: &[&str]) -> Self {
        let job = Job::new();
        let command = job.trainer(&[&["as=beside"], words].concat());
        Two::with(job, &json!(command))
    }

    fn with(job: Job, command: &serde_json::Value) -> Self {
        let config = job.path().join("config.yaml");
        let modes = json!({"modes": {"beside": {"command": command, "kind": "build", "env": {"OWN": "yes"}}}});
        std::fs::write(&config, modes.to_string()).unwrap();
        Two { config: config.to_str().unwrap().to_owned(), job }
    }

    /// Both of them, where the main one is up.
    #[track_caller]
    fn start(&self, place: Place, words: &[&str]) -> Running {
        let main = self.job.trainer(words);
        let mut all = vec!["--config", &self.config, "--mode", "train,beside", "--"];
        all.extend(main.iter().map(String::as_str));
        let running = self.job.launch_words(place, &all).spawn();
        assert!(running.line().starts_with("up attempt 1"));
        running
    }

    /// What the state file says of the one beside, once it says this.
    #[track_caller]
    fn beside(&self, phase: &str, starts: u64) -> serde_json::Value {
        let file = self.job.run_dir().join("state.json");
        let now = || {
            let state: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            let sidecar = state["companions"].get(0)?.clone();
            (sidecar["phase"] == phase && sidecar["starts"] == starts).then_some(sidecar)
        };
        until(&format!("{phase}, start {starts}"), now)
    }
}

#[test]
fn a_sidecar_runs_beside_the_workload_and_ends_after_it() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let two = Two::new(&["on=TERM:exit0"]);
        let running = two.start(place, &["on=TERM:exit0", "takes=0.3"]);
        running.error_with("sidecar beside: ");
        // Its stdout is no part of the workload's.
        running.error_with("up attempt 1");
        let sidecar = two.beside("running", 1);
        assert!(sidecar["mode"] == "beside" && sidecar["pid"].as_i64().unwrap() > 0, "{sidecar}");
        running.signal(libc::SIGTERM);
        assert_eq!(running.line(), "TERM");
        running.error_with("TERM");
        assert_eq!(running.code(), 143);
        two.job.assert_nobody_left();
    }
}

#[test]
fn a_sidecar_has_the_workloads_surroundings_and_a_session_of_its_own() {
    let script = "readlink /proc/self/fd/0; pwd; env; echo done; sleep 100";
    let two = Two::with(Job::new(), &json!(["sh", "-c", script]));
    let here = two.job.word().to_owned();
    let launch = two.job.launch_words(
        Place::Aside,
        &["--config", &two.config, "--set", &format!("workdir={here}"), "train,beside", "--", "sleep", "100"],
    );
    let running = launch.env("INHERITED", "yes").spawn();
    running.error_with("sidecar beside: ");
    let text: Vec<String> = std::iter::from_fn(|| Some(running.error_with("")).filter(|line| line != "done")).collect();
    assert_eq!(text[..2], ["/dev/null".to_owned(), here], "{text:#?}");
    let run_dir = format!("TRAINIT_RUN_DIR={}", two.job.run_dir().display());
    for variable in ["INHERITED=yes", "OWN=yes", "TRAINIT=1", "TRAINIT_RUN_MODE=beside", "TRAINIT_ATTEMPT=1", &run_dir]
    {
        assert!(text.iter().any(|line| line == variable), "no {variable} in {text:#?}");
    }
    let pid = two.beside("running", 1)["pid"].as_i64().unwrap() as i32;
    assert_eq!(nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))).unwrap().as_raw(), pid);
    assert_eq!((look::signals(pid, "SigBlk"), look::descriptors(pid).len()), (0, 3), "{:?}", look::descriptors(pid));
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
    until_true("it to be gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

/// What hooks export and secrets in files are a sidecar's as well; what hooks print is told once.
#[test]
fn hooks_and_secrets_reach_a_sidecar() {
    let job = Job::new();
    let directory = job.path().join("hooks");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("1.sh"), "export HOOKED=\"$TRAINIT_RUN_MODE\"; echo the hook speaks\n").unwrap();
    let secret = job.path().join("secret");
    std::fs::write(&secret, "abc").unwrap();
    let hooks = job.with("HOOKS_BEFORE_START", directory.to_str().unwrap());
    let two = Two::with(hooks, &json!(["sh", "-c", "echo \"$HOOKED ${#OF_A_FILE}\"; sleep 100"]));
    let modes = std::fs::read_to_string(&two.config).unwrap();
    let env = json!({"OF_A_FILE": {"file": secret}});
    std::fs::write(&two.config, format!("{},\"env\":{env}}}", modes.strip_suffix('}').unwrap())).unwrap();
    let words = ["--config", &two.config, "train,beside", "--", "sleep", "100"];
    let running = two.job.launch_words(Place::Aside, &words).spawn();
    running.error_with("the hook speaks");
    let said: Vec<String> =
        std::iter::from_fn(|| Some(running.error_with("")).filter(|line| line != "beside 3")).collect();
    assert!(!said.iter().any(|line| line.contains("the hook speaks")), "{said:#?}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_sidecar_that_fails_is_started_again_and_the_workload_does_not_notice() {
    if python().is_none() {
        return;
    }
    let two = Two::new(&["on=TERM:exit0", "ends=0:3/9"]);
    let running = two.start(Place::Aside, &["on=TERM:exit7"]);
    running.error_with("sidecar beside: exit code 3; it starts again in 1.0 s");
    running.error_with("sidecar beside: exit code 9; it starts again in 2.0 s");
    two.beside("waiting", 2);
    let status = String::from_utf8(two.job.ask(&["status"]).stdout).unwrap();
    assert!(status.contains("sidecar    beside waiting, start 2"), "{status}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 7);
}

#[test]
fn a_sidecar_that_cannot_start_is_given_up_and_never_counts() {
    if python().is_none() {
        return;
    }
    let two = Two::with(Job::new(), &json!(["no-such-program"]));
    let running = two.start(Place::Aside, &["ends=1.5:0"]);
    running.error_with("cannot run no-such-program");
    running.error_with("sidecar beside: exit code 127; given up");
    two.beside("ended", 1);
    assert_eq!(running.code(), 0);
}

#[test]
fn one_that_ignores_the_stop_is_killed_after_the_drain_although_there_is_no_grace() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let two = Two::new(&["on=TERM:quiet", "child=s", "child=is"]);
        let two = Two { job: two.job.with("STOP_DRAIN", "500ms"), ..two };
        let running = two.start(place, &["on=TERM:exit0"]);
        running.error_with("up attempt 1");
        two.beside("running", 1);
        let begun = Instant::now();
        running.signal(libc::SIGTERM);
        assert_eq!(running.code(), 143);
        assert!(begun.elapsed() > Duration::from_millis(450) && begun.elapsed() < LATE, "{:?}", begun.elapsed());
        two.job.assert_nobody_left();
    }
}

#[test]
fn each_run_of_the_workload_has_its_sidecars() {
    if python().is_none() {
        return;
    }
    let two = Two::new(&["on=TERM:exit0"]);
    let job = two.job.with("RESTART_MAX", "1").with("RESTART_BACKOFF", "100ms..100ms");
    let two = Two { job, ..two };
    let running = two.start(Place::Aside, &["ends=1:3/4"]);
    running.error_with("up attempt 1");
    running.error_with("TERM");
    running.error_with("start 2 follows");
    running.error_with("up attempt 1");
    assert_eq!(running.code(), 4);
    two.job.assert_nobody_left();
}

#[test]
fn what_a_sidecar_writes_is_no_sign_of_life_of_the_workload() {
    if python().is_none() {
        return;
    }
    let two = Two::new(&["on=TERM:exit0", "talks=0.1"]);
    let two = Two { job: two.job.with("WATCHDOG_OUTPUT", "1s"), ..two };
    let running = two.start(Place::Aside, &["on=TERM:exit0"]);
    running.error_with("up attempt 1");
    running.error_with("the workload hangs: no process has written anything");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_sidecar_is_the_workloads_user() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can become another user");
    }
    let two = Two::with(Job::new().with("USER", "65534:65534"), &json!(["sh", "-c", "id -u; sleep 100"]));
    let words = ["--config", &two.config, "train,beside", "--", "sleep", "100"];
    let running = two.job.launch_words(Place::Aside, &words).spawn();
    running.error_with("sidecar beside: ");
    assert_eq!(running.error_with(""), "65534");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn without_a_supervisor_nothing_runs_beside_it_and_a_line_says_so() {
    let two = Two::with(Job::new(), &json!(["touch", "/no/such/file"]));
    let words = ["exec", "--config", &two.config, "train,beside", "--", "echo", "alone"];
    let output = std::process::Command::new(TRAINIT).args(words).current_dir("/").output().unwrap();
    let (code, text) = said(&output);
    assert!(code == Some(0) && text.contains("alone") && text.contains("nothing runs beside it: beside"), "{text}");
}

#[test]
fn an_unknown_sidecar_is_a_mistake_of_the_configuration() {
    let two = Two::with(Job::new(), &json!(["true"]));
    for mode in ["train,besid", "train,beside,beside", "beside,shell"] {
        let running = two.job.launch_words(Place::Aside, &["--config", &two.config, "--mode", mode, "true"]);
        assert_eq!(running.finish().code, Some(78), "{mode}");
    }
}
