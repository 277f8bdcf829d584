//! `preempt`: the notice of a cloud, from a metadata service on this machine, is a stop with its own time.

use crate::job::{Job, places, python};
use crate::support::look::until_true;
use crate::support::{Place, Running};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A metadata service, which ends with the test.
struct Service {
    process: Child,
    url: String,
    directory: tempfile::TempDir,
}

impl Service {
    fn start(kind: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stop/metadata.py");
        let mut command = Command::new(python()?);
        command
            .args([script, kind])
            .arg(directory.path())
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        Some(Service { process, url: format!("http://127.0.0.1:{}", port.trim()), directory })
    }

    fn gives_notice(&self) {
        std::fs::write(self.directory.path().join("notice"), "").unwrap();
    }

    /// The requests so far.
    fn asked(&self) -> Vec<String> {
        let asked = std::fs::read_to_string(self.directory.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    fn was_asked(&self, what: &str) -> usize {
        self.asked().iter().filter(|line| line.contains(what)).count()
    }

    /// A training of a container whose engine would wait for a shorter time.
    fn job(&self, cloud: &str) -> Job {
        Job::new().watched().with("STOP_GRACE", "5s").with("PREEMPT", cloud).with("PREEMPT_URL", &self.url)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The training saves with the notice's own time, and can be started again.
#[track_caller]
fn assert_saves(running: Running, notice: &str, seconds: std::ops::Range<u64>) {
    let told = running.error_with(&format!("notice {notice}: stopping, "));
    assert!(told.ends_with("until SIGKILL (the notice's own time)"), "{told}");
    let left = told.split("stopping, ").nth(1).unwrap();
    let number = |text: &str| text.split(' ').next().unwrap().parse::<u64>().unwrap();
    let left = left.split_once(" min ").map_or_else(|| number(left), |(min, rest)| number(min) * 60 + number(rest));
    assert!(seconds.contains(&left), "{told}");
    let end = running.error_with("end   ");
    assert!(end.contains(&format!("stopped by notice {notice}")) && end.contains("ckpt-1.npz"), "{end}");
    assert_eq!(running.code(), 143);
}

#[test]
fn a_spot_notice_of_aws_makes_a_training_save_and_an_expired_token_is_renewed() {
    let Some(service) = Service::start("aws") else { return };
    let job = service.job("aws");
    let running = job.start(Place::Aside, &["on=TERM:save+exit0"]);
    until_true("a token that has expired", || service.was_asked("PUT /latest/api/token") >= 2);
    service.gives_notice();
    assert_saves(running, "aws-spot", 100..119);
    assert_eq!(service.was_asked("rebalance"), 0, "it promises no end");
}

#[test]
fn a_spot_notice_of_google_is_heard_at_once_by_a_question_that_waits() {
    let Some(service) = Service::start("gcp") else { return };
    for place in places() {
        let _ = std::fs::remove_file(service.directory.path().join("notice"));
        let before = service.was_asked("preempted?wait_for_change=true&last_etag=a1");
        let job = service.job("gcp");
        let running = job.start(place, &["on=TERM:save+exit0"]);
        until_true("a question that waits", || {
            service.was_asked("preempted?wait_for_change=true&last_etag=a1") > before
        });
        until_true("the other one", || service.was_asked("maintenance-event?wait_for_change=true&last_etag=a1") > 0);
        service.gives_notice();
        assert_saves(running, "gcp-spot", 29..31);
    }
}

#[test]
fn a_notice_of_azure_counts_if_it_names_this_machine() {
    let Some(service) = Service::start("azure") else { return };
    let job = service.job("azure");
    let running = job.start(Place::Aside, &["on=TERM:save+exit0"]);
    until_true("an event of another machine", || service.was_asked("/metadata/scheduledevents") >= 2);
    service.gives_notice();
    assert_saves(running, "azure-spot", 25..41);
    assert_eq!(service.was_asked("POST"), 0, "an event is never approved");
}

#[test]
fn a_service_that_is_silent_or_none_costs_a_line_and_delays_no_end() {
    for (kind, cloud) in [("silent", "gcp"), ("garbage", "azure"), ("gcp", "aws")] {
        let Some(service) = Service::start(kind) else { return };
        let job = service.job(cloud);
        let running = job.start(Place::Aside, &["on=TERM:save+exit0"]);
        let told = running.error_with("notices are not watched for");
        assert!(told.contains("preempt: the metadata service of "), "{kind}: {told}");
        running.signal(libc::SIGTERM);
        let end = running.error_with("end   ");
        assert!(end.contains("stopped by SIGTERM") && end.contains("ckpt-1.npz"), "{kind}: {end}");
        assert_eq!(running.code(), 143, "{kind}");
    }
}

#[test]
fn an_end_does_not_wait_for_a_question_that_is_open() {
    let Some(service) = Service::start("gcp") else { return };
    let begun = std::time::Instant::now();
    let job = service.job("gcp");
    let running = job.start(Place::Aside, &["ends=0.5:3"]);
    until_true("a question that waits", || service.was_asked("wait_for_change=true") > 0);
    assert_eq!(running.code(), 3);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn nothing_is_asked_unless_preempt_is_set() {
    let Some(service) = Service::start("aws") else { return };
    let job = Job::new().watched().with("PREEMPT_URL", &service.url);
    let running = job.start(Place::Aside, &["ends=6:0"]);
    assert_eq!(running.code(), 0);
    assert_eq!(service.asked(), Vec::<String>::new());
}
