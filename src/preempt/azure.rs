//! Microsoft Azure: Scheduled Events of the instance metadata service. Pure.
//!
//! Source: "Azure Metadata Service: Scheduled Events for Linux VMs". The events are those of a whole scale set or availability set, so only
//! those that name this machine count. No event is ever approved: that would begin it before its time.

use super::dialog::{Dialog, DialogStep, Patience, Reply, words};
use super::http::Answer;
use super::question::Question;
use super::when;
use protocol::handover::{Notice, NoticeKind};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const CLOUD: &str = "Azure";
const NAME: &str = "/metadata/instance/compute/name?api-version=2021-02-01&format=text";
const EVENTS: &str = "/metadata/scheduledevents?api-version=2020-07-01";
/// The shortest time between the notice and the end of a spot machine.
const PROMISE: Duration = Duration::from_secs(30);
/// Time limit of the first question for events, which switches the service on for the machine.
const FIRST_LIMIT: Duration = Duration::from_secs(130);
/// Longest name of a machine.
const NAME_MAX: usize = 256;

/// The dialog with Azure.
#[derive(Debug, Default)]
pub struct Azure {
    /// The machine's name, by which events name it.
    name: Option<String>,
    patience: Patience,
}

impl Dialog for Azure {
    fn next(&mut self, reply: Reply<'_>, now: SystemTime) -> DialogStep {
        match (reply, &self.name) {
            (Reply::Begin, _) => DialogStep::Ask(self.ask()),
            (Reply::Failed(failure), _) => self.patience.failed(CLOUD, &words(failure), ""),
            (Reply::Answer(answer, _), _) if answer.status != 200 => {
                self.patience.failed(CLOUD, &format!("answers with status {}", answer.status), "")
            }
            (Reply::Answer(answer, _), None) => self.hear_name(answer),
            (Reply::Answer(answer, _), Some(name)) => match parse_events(&answer.body, name, now) {
                Some(Some(notice)) => DialogStep::Notice(notice),
                Some(None) => self.patience.answered(),
                None => self.patience.failed(CLOUD, "answers what is no list of events", ""),
            },
        }
    }
}

impl Azure {
    fn ask(&self) -> Question {
        let header = ("Metadata", "true".to_owned());
        match self.name {
            None => Question::get(NAME, header),
            Some(_) if self.patience.has_answered() => Question::get(EVENTS, header),
            Some(_) => Question { limit: FIRST_LIMIT, ..Question::get(EVENTS, header) },
        }
    }

    fn hear_name(&mut self, answer: &Answer) -> DialogStep {
        let is_name = |name: &&str| !name.is_empty() && name.len() <= NAME_MAX;
        match answer.text().filter(is_name) {
            Some(name) => {
                self.name = Some(name.to_owned());
                DialogStep::Ask(self.ask())
            }
            None => self.patience.failed(CLOUD, "does not tell the machine's name", ""),
        }
    }
}

/// Returns the notice in a list of events that names this machine, if there is one; `None` if the bytes are no list of events.
pub fn parse_events(body: &[u8], name: &str, now: SystemTime) -> Option<Option<Notice>> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let events = document.get("Events")?.as_array()?;
    Some(events.iter().filter_map(|event| notice(event, name, now)).min_by_key(|notice| notice.left))
}

fn notice(event: &Value, name: &str, now: SystemTime) -> Option<Notice> {
    let text = |field: &str| event.get(field).and_then(Value::as_str);
    let kind = match text("EventType")? {
        "Preempt" => NoticeKind::AzureSpot,
        "Terminate" => NoticeKind::AzureTerminate,
        _ => return None,
    };
    let machines = event.get("Resources")?.as_array()?;
    let is_here = machines.iter().filter_map(Value::as_str).any(|machine| machine.eq_ignore_ascii_case(name));
    let is_open = ["Scheduled", "Started"].contains(&text("EventStatus")?);
    let end = text("NotBefore").and_then(when::http_date);
    (is_here && is_open).then(|| Notice { kind, left: Some(when::left(end, now, PROMISE)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        when::rfc3339("2021-03-16T00:58:00Z").unwrap()
    }

    fn event(kind: &str, status: &str, machine: &str) -> String {
        format!(
            r#"{{"DocumentIncarnation": 1, "Events": [{{"EventId": "x", "EventStatus": "{status}", "EventType": "{kind}",
                "ResourceType": "VirtualMachine", "Resources": ["other_1", "{machine}"],
                "NotBefore": "Tue, 16 Mar 2021 00:58:46 GMT", "Description": "", "EventSource": "Platform"}}]}}"#
        )
    }

    fn seen(body: &str) -> Option<Option<(NoticeKind, u64)>> {
        let notice = parse_events(body.as_bytes(), "set_7", now())?;
        Some(notice.map(|notice| (notice.kind, notice.left.unwrap().as_secs())))
    }

    #[test]
    fn only_an_open_event_that_ends_this_machine_is_a_notice() {
        assert_eq!(seen(&event("Preempt", "Scheduled", "SET_7")), Some(Some((NoticeKind::AzureSpot, 46))));
        assert_eq!(seen(&event("Terminate", "Started", "set_7")), Some(Some((NoticeKind::AzureTerminate, 46))));
        assert_eq!(seen(&event("Preempt", "Scheduled", "set_70")), Some(None), "another machine");
        assert_eq!(seen(&event("Preempt", "Canceled", "set_7")), Some(None));
        assert_eq!(seen(&event("Freeze", "Scheduled", "set_7")), Some(None));
        assert_eq!(seen(r#"{"DocumentIncarnation": 0, "Events": []}"#), Some(None));
        assert_eq!(seen(r#"{"Events": [7, {}, {"EventType": "Preempt"}]}"#), Some(None));
        for body in ["", "<html>", "[]", "{}", r#"{"Events": {}}"#] {
            assert_eq!(seen(body), None, "{body}");
        }
    }

    #[test]
    fn a_started_event_has_no_time_and_leaves_what_is_promised() {
        let body = event("Preempt", "Started", "set_7").replace("Tue, 16 Mar 2021 00:58:46 GMT", "");
        assert_eq!(seen(&body), Some(Some((NoticeKind::AzureSpot, 30))));
    }

    #[test]
    fn the_machines_name_is_asked_first_and_the_first_list_may_take_minutes() {
        let mut azure = Azure::default();
        let answer = |body: &str| Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() };
        let DialogStep::Ask(first) = azure.next(Reply::Begin, now()) else { panic!() };
        assert_eq!((first.path.as_str(), first.headers[0].0), (NAME, "Metadata"));
        let DialogStep::Ask(second) = azure.next(Reply::Answer(&answer("set_7\n"), Duration::ZERO), now()) else {
            panic!()
        };
        assert_eq!((second.path.as_str(), second.limit), (EVENTS, FIRST_LIMIT));
        let empty = answer(r#"{"Events": []}"#);
        assert!(matches!(azure.next(Reply::Answer(&empty, Duration::ZERO), now()), DialogStep::Pause(..)));
        let DialogStep::Ask(third) = azure.next(Reply::Begin, now()) else { panic!() };
        assert!(third.limit < FIRST_LIMIT);
    }
}
