//! What trainit asks of trainit-transfer.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One line from trainit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by trainit, and repeated in each answer.
    pub id: u64,
    /// What is to be done.
    #[serde(flatten)]
    pub task: Task,
}

/// What is to be done. A `url` is the full URL of one object, or of a prefix for `List`: `s3://bucket/key`, `gs://bucket/key`,
/// `az://container/key`, `https://…`, `http://…` or `file:///…`. Paths are relative to the program's working directory, or absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Task {
    /// Tells in words where the credentials for a URL come from (`Done::text`).
    Who {
        /// Any URL of the store.
        url: String,
    },
    /// Lists what lies below a prefix: an `Object` each, then `End`.
    List {
        /// The prefix. Without a slash at its end it is one directory's name all the same.
        url: String,
        /// `false` lists one level only, with a `Prefix` for each directory.
        flat: bool,
    },
    /// Asks for one object's data (`Object`, whose key is the last part of its name).
    Head {
        /// The object.
        url: String,
    },
    /// Fetches a range of an object into a file that exists.
    Get {
        /// The object.
        url: String,
        /// The tag of the only version that may be read; `None` takes any, for an object of a single range.
        tag: Option<String>,
        /// First byte of the object.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// The file.
        path: PathBuf,
        /// Where the first byte goes.
        at: u64,
        /// Whether the answer has to tell the SHA-256 of these bytes (`Done::sha256`), which costs more than to fetch them.
        #[serde(default)]
        sha256: bool,
    },
    /// Writes an object from a range of a file.
    Put {
        /// The object.
        url: String,
        /// The file.
        path: PathBuf,
        /// First byte of the file.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// Fails with `changed` if the object exists.
        #[serde(default)]
        only_new: bool,
    },
    /// Writes a small object.
    PutText {
        /// The object.
        url: String,
        /// Its content.
        text: String,
        /// Fails with `changed` if the object exists.
        #[serde(default)]
        only_new: bool,
    },
    /// Reads a small object (`Done::text`).
    Read {
        /// The object.
        url: String,
        /// Fails with `bad` if it has more bytes.
        most: u64,
    },
    /// Begins an object of several parts (`Done::upload`).
    Begin {
        /// The object.
        url: String,
    },
    /// Writes one part (`Done::tag`). All parts but the last have one length, of at least 5 MiB.
    Part {
        /// The object.
        url: String,
        /// What `Begin` answered.
        upload: String,
        /// Counted from 1.
        number: u32,
        /// The file.
        path: PathBuf,
        /// First byte of the file.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Makes the object out of its parts (`Done::tag`).
    Complete {
        /// The object.
        url: String,
        /// What `Begin` answered.
        upload: String,
        /// The parts' tags, in order. An empty list means every part that this process wrote, which also fits a line for ten thousand.
        #[serde(default)]
        parts: Vec<String>,
    },
    /// Gives up an object of several parts, and frees what is stored of it.
    Abort {
        /// The object.
        url: String,
        /// What `Begin` answered.
        upload: String,
    },
    /// Deletes an object. One that is already gone is no failure.
    Delete {
        /// The object.
        url: String,
    },
}

impl Task {
    /// Returns the URL that the task is about.
    pub fn url(&self) -> &str {
        match self {
            Task::Who { url }
            | Task::List { url, .. }
            | Task::Head { url }
            | Task::Get { url, .. }
            | Task::Put { url, .. }
            | Task::PutText { url, .. }
            | Task::Read { url, .. }
            | Task::Begin { url }
            | Task::Part { url, .. }
            | Task::Complete { url, .. }
            | Task::Abort { url, .. }
            | Task::Delete { url } => url,
        }
    }
}
