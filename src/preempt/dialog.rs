//! A dialog with a metadata service as data: its replies and steps, and the patience with one that does not answer.

use super::http::Answer;
use super::question::Question;
use protocol::handover::Notice;
use std::time::{Duration, SystemTime};

/// Pause between two questions: short against the shortest notice of a cloud (30 s).
pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// Pause between two attempts of a service that has never answered.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Pause between two attempts of a service that has been silent for long.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// Attempts after which a service that has never answered is given up.
const FIRST_ATTEMPTS: u32 = 3;
/// Attempts after which the log says that a service does not answer any more; about a minute.
const ATTEMPTS: u32 = 12;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No whole answer came within the limit.
    Silent,
    /// The connection failed, or the answer is none of HTTP, in a few words.
    Broken(String),
}

/// What a dialog hears.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// The dialog begins, or its pause is over.
    Begin,
    /// An answer, and the time that it took.
    Answer(&'a Answer, Duration),
    /// The question has no answer.
    Failed(&'a NoAnswer),
}

/// What a dialog does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogStep {
    /// Asks.
    Ask(Question),
    /// Waits before it goes on, and has a line for the log.
    Pause(Duration, Option<String>),
    /// The machine ends.
    Notice(Notice),
    /// The service is not asked any more, for this reason.
    GiveUp(String),
}

/// A dialog with a metadata service.
pub trait Dialog {
    /// Takes a reply and the wall clock, and returns the next step.
    fn next(&mut self, reply: Reply<'_>, now: SystemTime) -> DialogStep;
}

/// How well a service has answered so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    answered: bool,
    failures: u32,
}

impl Patience {
    /// Returns whether the service has ever answered as expected.
    pub(super) fn has_answered(self) -> bool {
        self.answered
    }

    /// Takes note of an expected answer that holds no notice; the next question follows after a pause.
    pub(super) fn answered(&mut self) -> DialogStep {
        *self = Patience { answered: true, failures: 0 };
        DialogStep::Pause(PAUSE, None)
    }

    /// Takes note of a failure; `hint` says what may help where the service has never answered.
    pub(super) fn failed(&mut self, cloud: &str, why: &str, hint: &str) -> DialogStep {
        self.failures = self.failures.saturating_add(1);
        match (self.answered, self.failures) {
            (false, FIRST_ATTEMPTS..) => DialogStep::GiveUp(format!(
                "preempt: the metadata service of {cloud} {why}: notices are not watched for{hint}"
            )),
            (false, _) => DialogStep::Pause(FIRST_PAUSE, None),
            (true, ATTEMPTS) => DialogStep::Pause(
                LONG_PAUSE,
                Some(format!("preempt: the metadata service of {cloud} {why}; it is still asked, every 30 s")),
            ),
            (true, ..ATTEMPTS) => DialogStep::Pause(PAUSE, None),
            (true, _) => DialogStep::Pause(LONG_PAUSE, None),
        }
    }
}

/// Describes a failure, to follow the service's name.
pub(super) fn words(failure: &NoAnswer) -> String {
    match failure {
        NoAnswer::Silent => "does not answer".to_owned(),
        NoAnswer::Broken(why) => format!("cannot be asked ({why})"),
    }
}
