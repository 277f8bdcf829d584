//! Signals as values: the one that stops the workload, and the meaning of others.

use super::{ConfigValue, NameError, ValueError};
use protocol::handover::{SignalMeaning, StopSignal};
use serde_json::{Value as Json, json};
use sys::Signal;

const FORM: &str = "a signal such as TERM, SIGUSR1, 10 or RTMIN+3";
const PATTERN: &str = "^([0-9]{1,2}|[A-Za-z]+[0-9]?([+-][0-9]+)?)$";

impl ConfigValue for Signal {
    fn form() -> String {
        FORM.into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        Signal::parse(text).ok_or(ValueError::Form)
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "pattern": PATTERN, "minimum": 1, "maximum": Signal::MAX})
    }
}

impl ConfigValue for StopSignal {
    fn form() -> String {
        format!("`same` or {FORM}")
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "same" => Ok(StopSignal::Same),
            _ => Signal::parse(text).map(|signal| StopSignal::Number(signal.number().into())).ok_or(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "pattern": PATTERN, "minimum": 1, "maximum": Signal::MAX})
    }
}

impl ConfigValue for SignalMeaning {
    fn form() -> String {
        "one of stop, checkpoint, forward, ignore".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "stop" => Ok(SignalMeaning::Stop),
            "checkpoint" => Ok(SignalMeaning::Checkpoint),
            "forward" => Ok(SignalMeaning::Forward),
            "ignore" => Ok(SignalMeaning::Ignore),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["stop", "checkpoint", "forward", "ignore"]})
    }

    fn named(name: &str) -> Result<(), NameError> {
        Signal::parse(name).map(drop).ok_or(NameError(FORM))
    }

    fn canonical(name: &str) -> String {
        let known = |signal: Signal| match signal.to_string().strip_prefix("SIG") {
            Some(short) => short.to_owned(),
            None => signal.number().to_string(),
        };
        Signal::parse(name).map_or_else(|| name.to_owned(), known)
    }

    fn names() -> Json {
        json!({"pattern": PATTERN})
    }
}
