//! A question to a metadata service as data.

use std::time::Duration;

/// Time limit of an ordinary question; a metadata service is on the same host.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// A question to a metadata service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Headers of the question.
    pub headers: Vec<(&'static str, String)>,
    /// How long the answer may take.
    pub limit: Duration,
}

impl Question {
    /// Returns a GET with one header.
    pub(super) fn get(path: impl Into<String>, header: (&'static str, String)) -> Self {
        Question { method: "GET", path: path.into(), headers: vec![header], limit: LIMIT }
    }
}
