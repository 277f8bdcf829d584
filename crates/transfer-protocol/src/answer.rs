//! What trainit-transfer answers.

use serde::{Deserialize, Serialize};

/// One line from trainit-transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request's.
    pub id: u64,
    /// What is answered.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// One object.
    Object(Object),
    /// A directory below the listed prefix, relative to it, with its slash.
    Prefix(String),
    /// The listing is complete, and had so many answers.
    End(u64),
    /// The task is done.
    Done(Done),
    /// So many bytes of this range are through; also a sign of life while a try is repeated, with the same number as before.
    Progress(u64),
    /// The task failed for good.
    Failed(Failure),
}

impl Reply {
    /// Returns whether no other answer follows; `listing` is whether the request was `Task::List`.
    pub fn is_last(&self, listing: bool) -> bool {
        match self {
            Reply::End(_) | Reply::Done(_) | Reply::Failed(_) => true,
            Reply::Object(_) => !listing,
            Reply::Prefix(_) | Reply::Progress(_) => false,
        }
    }
}

/// One object as the store knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Relative to the listed prefix. It is whatever the store holds: names are for trainit to judge.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Names this version of the object in `Task::Get`. A store without tags has one made of size and time.
    pub tag: String,
    /// Seconds since 1970; 0 where the store does not tell.
    #[serde(default)]
    pub modified: i64,
    /// MD5 of the content, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// CRC-32C of the content, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    /// SHA-256 of the content, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The outcome of a task; which fields are there depends on the task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Bytes that were moved.
    #[serde(default)]
    pub bytes: u64,
    /// Of the object or part that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the parts of an object are written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The content of a small object, or words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// SHA-256 of the bytes of this range, in lower-case hex, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// One line for people, without secrets.
    pub text: String,
    /// What can be done about it, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Seconds that the server's clock is ahead of this machine's, if a request was refused for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<i64>,
}

impl Failure {
    /// Makes a failure without hints.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Failure { kind, text: text.into(), hints: Vec::new(), skew: None }
    }

    /// Adds what can be done.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The store knows who asks, and refuses; or there are no credentials.
    Denied,
    /// There is no such bucket or object.
    Gone,
    /// The object is no longer the version that was asked for, or exists where it must not.
    Changed,
    /// The network or the store failed so often that the program gave up: it may work later.
    Later,
    /// The local disk is full.
    Full,
    /// The request cannot work as it is, also any kind that this version does not know.
    #[serde(other)]
    Bad,
}

impl FailureKind {
    /// Returns whether the same request may work at another time.
    pub fn may_pass(self) -> bool {
        matches!(self, FailureKind::Later | FailureKind::Changed)
    }
}
