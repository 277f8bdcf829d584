//! Amazon EC2: the notice of a spot instance, through version 2 of the instance metadata service. Pure.
//!
//! Source: "Spot Instance interruption notices" and "Use the Instance Metadata Service to access instance metadata" in the EC2 user
//! guide. A rebalance recommendation is no notice: it promises no end, and is not asked for.

use super::dialog::{Dialog, DialogStep, NoAnswer, Patience, Reply, words};
use super::http::Answer;
use super::question::{LIMIT, Question};
use super::when;
use protocol::handover::{Notice, NoticeKind};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const CLOUD: &str = "AWS";
const ACTION: &str = "/latest/meta-data/spot/instance-action";
/// The time between the notice and the end of the instance.
const PROMISE: Duration = Duration::from_secs(120);
/// How long a token is good for; the longest that is allowed.
const TOKEN_SECONDS: &str = "21600";
/// Longest token that is believed; real ones have 56 bytes.
const TOKEN_MAX: usize = 1024;

/// Ends a line about a service that gives no token: its answer to the request for one travels only as many hops as the instance allows.
const HOP_LIMIT: &str = "; in a container the instance has to allow two hops (HttpPutResponseHopLimit=2)";

/// The dialog with EC2.
#[derive(Debug, Default)]
pub struct Aws {
    token: Option<String>,
    /// The token has opened something.
    is_proven: bool,
    patience: Patience,
}

/// What the service announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The instance ends at this time, if it can be read.
    Ends(Option<SystemTime>),
    /// The instance hibernates: its memory is kept.
    Hibernates,
}

impl Dialog for Aws {
    fn next(&mut self, reply: Reply<'_>, now: SystemTime) -> DialogStep {
        match (reply, self.token.is_some()) {
            (Reply::Begin, _) => self.ask(),
            (Reply::Failed(failure), has_token) => {
                let hint = if *failure == NoAnswer::Silent && !has_token { HOP_LIMIT } else { "" };
                self.patience.failed(CLOUD, &words(failure), hint)
            }
            (Reply::Answer(answer, _), false) => self.hear_token(answer),
            (Reply::Answer(answer, _), true) => self.hear_action(answer, now),
        }
    }
}

impl Aws {
    fn ask(&self) -> DialogStep {
        DialogStep::Ask(match &self.token {
            Some(token) => Question::get(ACTION, ("X-aws-ec2-metadata-token", token.clone())),
            None => Question {
                method: "PUT",
                path: "/latest/api/token".to_owned(),
                headers: vec![("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS.to_owned())],
                limit: LIMIT,
            },
        })
    }

    fn hear_token(&mut self, answer: &Answer) -> DialogStep {
        let is_token = |text: &&str| {
            !text.is_empty() && text.len() <= TOKEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match answer.text().filter(is_token).filter(|_| answer.status == 200) {
            Some(token) => {
                (self.token, self.is_proven) = (Some(token.to_owned()), false);
                self.ask()
            }
            None => self.patience.failed(CLOUD, &format!("gives no token (status {})", answer.status), ""),
        }
    }

    fn hear_action(&mut self, answer: &Answer, now: SystemTime) -> DialogStep {
        self.is_proven |= answer.status == 404 || answer.status == 200;
        match answer.status {
            404 => self.patience.answered(),
            200 => match parse_action(&answer.body) {
                Some(Action::Ends(end)) => {
                    DialogStep::Notice(Notice { kind: NoticeKind::AwsSpot, left: Some(when::left(end, now, PROMISE)) })
                }
                Some(Action::Hibernates) => DialogStep::GiveUp(
                    "preempt: notice aws-spot: this instance hibernates; its memory is kept, so nothing is stopped"
                        .to_owned(),
                ),
                None => self.patience.failed(CLOUD, "answers what is no notice", ""),
            },
            // The token has expired; a new one that opens nothing is a failure.
            401 if std::mem::take(&mut self.is_proven) => {
                self.token = None;
                self.ask()
            }
            status => {
                self.token = None;
                self.patience.failed(CLOUD, &format!("answers with status {status}"), "")
            }
        }
    }
}

/// Reads `{"action": "terminate", "time": "2026-01-01T00:00:00Z"}`; `None` if it is none.
pub fn parse_action(body: &[u8]) -> Option<Action> {
    let notice: Value = serde_json::from_slice(body).ok()?;
    match notice.get("action")?.as_str()? {
        "terminate" | "stop" => Some(Action::Ends(notice.get("time").and_then(Value::as_str).and_then(when::rfc3339))),
        "hibernate" => Some(Action::Hibernates),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialog::PAUSE;
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    fn now() -> SystemTime {
        when::rfc3339("2026-01-01T00:00:00Z").unwrap()
    }

    fn hear(aws: &mut Aws, status: u16, body: &str) -> DialogStep {
        aws.next(Reply::Answer(&answer(status, body), Duration::ZERO), now())
    }

    #[track_caller]
    fn asks(step: DialogStep) -> (String, String) {
        let DialogStep::Ask(question) = step else { panic!("{step:?}") };
        (format!("{} {}", question.method, question.path), question.headers[0].1.clone())
    }

    fn with_token(token: &str) -> Aws {
        let mut aws = Aws::default();
        assert_eq!(asks(aws.next(Reply::Begin, now())).0, "PUT /latest/api/token");
        assert_eq!(asks(hear(&mut aws, 200, token)), (format!("GET {ACTION}"), token.to_owned()));
        aws
    }

    #[test]
    fn a_notice_is_a_stop_with_the_time_that_it_leaves() {
        let mut aws = with_token("t");
        assert_eq!(hear(&mut aws, 404, ""), DialogStep::Pause(PAUSE, None));
        assert_eq!(asks(aws.next(Reply::Begin, now())).1, "t");
        let step = hear(&mut aws, 200, r#"{"action": "terminate", "time": "2026-01-01T00:01:58Z"}"#);
        let left = Some(Duration::from_secs(118));
        assert_eq!(step, DialogStep::Notice(Notice { kind: NoticeKind::AwsSpot, left }));
    }

    #[test]
    fn an_expired_token_is_renewed_at_once_and_one_that_opens_nothing_is_a_failure() {
        let mut aws = with_token("old");
        hear(&mut aws, 404, "");
        aws.next(Reply::Begin, now());
        assert_eq!(asks(hear(&mut aws, 401, "")).0, "PUT /latest/api/token");
        assert_eq!(asks(hear(&mut aws, 200, "new")).1, "new");
        assert!(matches!(hear(&mut aws, 401, ""), DialogStep::Pause(..)));
    }

    #[test]
    fn a_silent_service_is_given_up_with_the_hop_limit_and_one_that_has_answered_is_not() {
        let mut aws = Aws::default();
        let silent = |aws: &mut Aws| aws.next(Reply::Failed(&NoAnswer::Silent), now());
        let steps = [silent(&mut aws), silent(&mut aws), silent(&mut aws)];
        assert!(matches!(&steps[2], DialogStep::GiveUp(why) if why.contains("HttpPutResponseHopLimit=2")), "{steps:?}");
        let mut aws = with_token("t");
        hear(&mut aws, 404, "");
        let steps: Vec<DialogStep> = (0..100).map(|_| silent(&mut aws)).collect();
        assert!(steps.iter().all(|step| matches!(step, DialogStep::Pause(..))));
        assert_eq!(steps.iter().filter(|step| matches!(step, DialogStep::Pause(_, Some(_)))).count(), 1, "told once");
    }

    #[test]
    fn a_hibernation_stops_nothing_and_what_is_no_notice_neither() {
        assert!(matches!(hear(&mut with_token("t"), 200, r#"{"action": "hibernate"}"#), DialogStep::GiveUp(_)));
        for body in ["", "<html>", "{}", r#"{"action": 7}"#, r#"{"action": "dance"}"#, "[]"] {
            assert!(matches!(hear(&mut with_token("t"), 200, body), DialogStep::Pause(..)), "{body}");
        }
        for token in ["", "a b", "a\r\nX: y"] {
            assert!(matches!(hear(&mut Aws::default(), 200, token), DialogStep::Pause(..)), "{token:?}");
        }
    }
}
