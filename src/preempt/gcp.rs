//! Google Compute Engine: two values of the metadata server that change before a machine ends, each asked by a long poll. Pure.
//!
//! Source: "Spot VMs", "Monitor and plan for a host maintenance event" and "About VM metadata" (waiting for changes) in the Compute
//! Engine documentation.

use super::dialog::{Dialog, DialogStep, Patience, Reply, words};
use super::http::Answer;
use super::question::Question;
use protocol::handover::{Notice, NoticeKind};
use std::time::{Duration, SystemTime};

const CLOUD: &str = "Google";
/// The time between the notice and the end of a spot machine.
const PROMISE: Duration = Duration::from_secs(30);
/// How long the server holds a question open when nothing changes.
const WAIT: Duration = Duration::from_secs(60);
/// Time beyond that for the answer.
const MARGIN: Duration = Duration::from_secs(10);
/// A long poll that is answered sooner has not waited.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Longest mark of a version that is sent back.
const ETAG_MAX: usize = 128;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GcpValue {
    /// Whether a spot machine is taken back.
    Preempted,
    /// Whether the host is going to be maintained.
    Maintenance,
}

/// The dialog about one value.
#[derive(Debug)]
pub struct Gcp {
    value: GcpValue,
    /// The version of the last answer: the server waits until there is another.
    etag: Option<String>,
    patience: Patience,
}

impl Gcp {
    /// Begins to ask for a value.
    pub fn of(value: GcpValue) -> Self {
        Gcp { value, etag: None, patience: Patience::default() }
    }

    fn ask(&self) -> Question {
        let path = match self.value {
            GcpValue::Preempted => "/computeMetadata/v1/instance/preempted",
            GcpValue::Maintenance => "/computeMetadata/v1/instance/maintenance-event",
        };
        let flavor = ("Metadata-Flavor", "Google".to_owned());
        match &self.etag {
            None => Question::get(path, flavor),
            Some(etag) => {
                let wait = WAIT.as_secs();
                let path = format!("{path}?wait_for_change=true&last_etag={etag}&timeout_sec={wait}");
                Question { limit: WAIT + MARGIN, ..Question::get(path, flavor) }
            }
        }
    }

    fn hear(&mut self, answer: &Answer, took: Duration) -> DialogStep {
        if answer.status != 200 || answer.header("metadata-flavor") != Some("Google") {
            return self.failed(&format!("answers with status {}", answer.status));
        }
        let is_first = !self.patience.has_answered();
        let waited = self.etag.is_some() && took >= AT_ONCE;
        let is_etag = |etag: &&str| etag.len() <= ETAG_MAX && etag.bytes().all(|byte| byte.is_ascii_alphanumeric());
        self.etag = answer.header("etag").filter(is_etag).map(str::to_owned);
        match (self.value, answer.text()) {
            (GcpValue::Preempted, Some("TRUE")) => notice(NoticeKind::GcpSpot, Some(PROMISE)),
            // Announced up to an hour before: a start after that would be stopped at once, again and again.
            (GcpValue::Maintenance, Some("TERMINATE_ON_HOST_MAINTENANCE")) if is_first => DialogStep::GiveUp(
                "preempt: a maintenance that ends this machine was announced before this start, which is not stopped for it".to_owned(),
            ),
            (GcpValue::Maintenance, Some("TERMINATE_ON_HOST_MAINTENANCE")) => notice(NoticeKind::GcpMaintenance, None),
            (GcpValue::Preempted, Some("FALSE")) | (GcpValue::Maintenance, Some(_)) => {
                let pause = self.patience.answered();
                if is_first && self.etag.is_some() || waited { DialogStep::Ask(self.ask()) } else { pause }
            }
            _ => self.failed("answers what is no notice"),
        }
    }

    fn failed(&mut self, why: &str) -> DialogStep {
        self.etag = None;
        self.patience.failed(CLOUD, why, "")
    }
}

impl Dialog for Gcp {
    fn next(&mut self, reply: Reply<'_>, _now: SystemTime) -> DialogStep {
        match reply {
            Reply::Begin => DialogStep::Ask(self.ask()),
            Reply::Answer(answer, took) => self.hear(answer, took),
            Reply::Failed(failure) => self.failed(&words(failure)),
        }
    }
}

fn notice(kind: NoticeKind, left: Option<Duration>) -> DialogStep {
    DialogStep::Notice(Notice { kind, left })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preempt::NoAnswer;
    use crate::preempt::dialog::PAUSE;

    const LONG: Duration = Duration::from_secs(60);

    fn answer(body: &str, etag: &str) -> Answer {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![header("metadata-flavor", "Google"), header("etag", etag)];
        Answer { status: 200, headers, body: body.as_bytes().to_vec() }
    }

    fn hear(gcp: &mut Gcp, body: &str, etag: &str, took: Duration) -> DialogStep {
        gcp.next(Reply::Answer(&answer(body, etag), took), SystemTime::UNIX_EPOCH)
    }

    #[track_caller]
    fn path(step: &DialogStep) -> &str {
        let DialogStep::Ask(question) = step else { panic!("{step:?}") };
        &question.path
    }

    #[test]
    fn the_server_is_asked_to_wait_for_another_version() {
        let mut gcp = Gcp::of(GcpValue::Preempted);
        let first = gcp.next(Reply::Begin, SystemTime::UNIX_EPOCH);
        assert_eq!(path(&first), "/computeMetadata/v1/instance/preempted");
        let second = hear(&mut gcp, "FALSE\n", "abc1", Duration::ZERO);
        assert!(path(&second).ends_with("?wait_for_change=true&last_etag=abc1&timeout_sec=60"), "{second:?}");
        assert!(path(&hear(&mut gcp, "FALSE", "abc1", LONG)).contains("last_etag=abc1"));
        let notice = Notice { kind: NoticeKind::GcpSpot, left: Some(PROMISE) };
        assert_eq!(hear(&mut gcp, "TRUE", "abc2", Duration::from_secs(7)), DialogStep::Notice(notice));
    }

    #[test]
    fn a_server_that_does_not_wait_is_not_asked_without_a_pause() {
        let mut gcp = Gcp::of(GcpValue::Preempted);
        hear(&mut gcp, "FALSE", "a", Duration::ZERO);
        assert_eq!(hear(&mut gcp, "FALSE", "a", Duration::ZERO), DialogStep::Pause(PAUSE, None));
        let mut gcp = Gcp::of(GcpValue::Preempted);
        assert_eq!(
            hear(&mut gcp, "FALSE", "a&b=c", Duration::ZERO),
            DialogStep::Pause(PAUSE, None),
            "no version of a server"
        );
    }

    #[test]
    fn a_maintenance_stops_where_it_is_announced_while_the_job_runs() {
        let mut gcp = Gcp::of(GcpValue::Maintenance);
        for value in ["NONE", "MIGRATE_ON_HOST_MAINTENANCE", "NONE"] {
            assert!(matches!(hear(&mut gcp, value, "a", LONG), DialogStep::Ask(_)), "{value}");
        }
        let notice = Notice { kind: NoticeKind::GcpMaintenance, left: None };
        assert_eq!(hear(&mut gcp, "TERMINATE_ON_HOST_MAINTENANCE", "b", LONG), DialogStep::Notice(notice));
        let before = hear(&mut Gcp::of(GcpValue::Maintenance), "TERMINATE_ON_HOST_MAINTENANCE", "b", Duration::ZERO);
        assert!(matches!(before, DialogStep::GiveUp(_)), "{before:?}");
    }

    #[test]
    fn another_server_at_the_address_is_not_believed() {
        let mut gcp = Gcp::of(GcpValue::Preempted);
        let foreign = Answer { headers: Vec::new(), ..answer("TRUE", "a") };
        for _ in 0..2 {
            let step = gcp.next(Reply::Answer(&foreign, LONG), SystemTime::UNIX_EPOCH);
            assert!(matches!(step, DialogStep::Pause(..)), "{step:?}");
        }
        let step = gcp.next(Reply::Failed(&NoAnswer::Broken("refused".into())), SystemTime::UNIX_EPOCH);
        assert!(matches!(step, DialogStep::GiveUp(_)), "{step:?}");
        assert!(matches!(hear(&mut Gcp::of(GcpValue::Preempted), "garbage", "a", LONG), DialogStep::Pause(..)));
    }
}
