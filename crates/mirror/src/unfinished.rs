//! The marker of what is being written or deleted: whatever a crash leaves of it can be removed by any later start.

use super::account::Account;
use super::manifest::Part;
use super::names::{self, MirrorUrl};
use super::store::{Store, one};
use serde::{Deserialize, Serialize};
use transfer_protocol::{Failure, FailureKind, Object, Task};

/// A marker is small.
const MARKER_MAX: u64 = 48 << 10;

/// A marker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Marker {
    /// The run.
    pub run: String,
    /// The start.
    pub attempt: String,
    /// What stands before the names of the files.
    pub root: String,
    /// The checkpoint, where it is a directory: everything below it is meant.
    pub directory: Option<String>,
    /// The files, where it is none.
    pub files: Vec<String>,
    /// Unfinished uploads: the object, and what the store calls the upload.
    pub uploads: Vec<(String, String)>,
    /// The training step, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The part of the checkpoint, where each node has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl Marker {
    /// Writes the marker.
    pub(crate) fn write(&self, store: &mut dyn Store, url: &MirrorUrl, name: &str) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(|error| Failure::new(FailureKind::Bad, error.to_string()))?;
        one(store, Task::PutText { url: url.object(name), text, only_new: false }).map(drop)
    }

    /// Reads a marker; `None` if it is gone by now, or is none.
    pub(crate) fn read(store: &mut dyn Store, url: &MirrorUrl, listed: &str) -> Result<Option<Self>, Failure> {
        match one(store, Task::Read { url: url.object(&names::in_own(listed)), most: MARKER_MAX }) {
            Ok(done) => Ok(serde_json::from_str(&done.text.unwrap_or_default()).ok()),
            Err(failure) if matches!(failure.kind, FailureKind::Gone | FailureKind::Bad) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Removes what it marks, as far as no manifest refers to it, and then the marker at this name.
    pub(crate) fn sweep(
        &self,
        store: &mut dyn Store,
        url: &MirrorUrl,
        account: &Account,
        name: &str,
    ) -> Result<(), Failure> {
        for (object, upload) in &self.uploads {
            if names::is_safe(object) {
                abort(store, url.object(object), upload.clone())?;
            }
        }
        let mut marked: Vec<String> = self.files.iter().map(|file| format!("{}{file}", self.root)).collect();
        if let Some(directory) = self.directory.as_ref().filter(|directory| names::is_safe(directory)) {
            let prefix = format!("{}{directory}/", self.root);
            let below = listed_or_none(store.list(&url.object(&prefix)))?;
            marked.extend(below.into_iter().map(|object| format!("{prefix}{}", object.key)));
        }
        let lost = marked.into_iter().filter(|name| names::is_safe(name) && !account.refers_to(name));
        let tasks: Vec<Task> = lost.map(|name| Task::Delete { url: url.object(&name) }).collect();
        if !tasks.is_empty() {
            store.run(tasks, &mut |_| {})?;
        }
        one(store, Task::Delete { url: url.object(name) }).map(drop)
    }
}

/// Gives up an upload that may be over already.
fn abort(store: &mut dyn Store, url: String, upload: String) -> Result<(), Failure> {
    match one(store, Task::Abort { url, upload }) {
        Err(failure) if failure.kind.may_pass() || failure.kind == FailureKind::Denied => Err(failure),
        _ => Ok(()),
    }
}

fn listed_or_none(listed: Result<Vec<Object>, Failure>) -> Result<Vec<Object>, Failure> {
    match listed {
        Err(failure) if failure.kind == FailureKind::Gone => Ok(Vec::new()),
        listed => listed,
    }
}
