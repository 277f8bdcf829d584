//! The types that a key's value can have, each with how it is written. A new type is one file here with one `Value`.

mod choices;
mod collections;
mod gpus;
mod limits;
mod location;
mod numbers;
mod paths;
mod ranges;
mod records;
mod signals;
mod units;
mod users;
mod versions;

pub use choices::{
    GpuCount, IndexChoice, Installer, LogFormat, LogLevel, OnError, OnFailure, PathKind, ReadyProbe, Refresh,
    Requirements, Resume, Severity, Target, Unknown, Verify,
};
pub(super) use collections::items;
pub use gpus::{ForwardCompat, FreeMemory, MigPolicy};
pub use limits::{LockedMemory, OpenFiles, Threads};
pub use location::{no_place_elsewhere, read_path};
pub use paths::{DataPath, OutputPath, parse_path_list};
pub use ranges::Range;
pub use records::{EnvValue, KeyPath, ModeSpec};
pub use signals::SignalNumber;
pub use units::{Size, duration_text};
pub use users::{Umask, UserChoice, Who};
pub use versions::CudaVersion;

use super::{ConfigNode, Problems, words};
use serde_json::Value as Json;

/// A type that can be written in a configuration. A scalar needs `form`, `parse` and, if it is more than a text, `schema`.
pub trait ConfigValue: Sized {
    /// What has to be written, to end "… is not" and "… has to be".
    fn form() -> String;

    /// Reads a scalar.
    ///
    /// # Errors
    /// What is wrong with it, or nothing where the form says enough.
    fn parse(_text: &str) -> Result<Self, String> {
        Err(String::new())
    }

    /// Reads a value; what is wrong with it goes to `problems`, under the name `at`.
    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let read = node.as_text().map_or(Err(String::new()), Self::parse);
        read.map_err(|reason| problems.rejected(node, at, &Self::form(), &reason)).ok()
    }

    /// Its JSON Schema.
    fn schema() -> Json {
        serde_json::json!({"type": "string"})
    }

    /// How a list of these is written as one text: separated by blanks.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn split(text: &str) -> Result<Vec<String>, String> {
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Checks the name under which one of these stands in a map.
    ///
    /// # Errors
    /// What a name has to be.
    fn named(_name: &str) -> Result<(), String> {
        Ok(())
    }

    /// The one spelling of the name of one of these in a map, where several mean the same: `USR1` for `SIGUSR1` and `10`. A name that
    /// is none stays as it is.
    fn canonical(name: &str) -> String {
        name.to_owned()
    }

    /// For a map, the one spelling of an entry's name.
    fn entry_name(name: &str) -> String {
        name.to_owned()
    }

    /// The JSON Schema of such a name.
    fn names() -> Json {
        serde_json::json!({})
    }

    /// A map whose entries are named by people. Its entries can be set one by one.
    const MAP: bool = false;

    /// `off` is one of its values, and not the absence of one.
    const OFF: bool = false;

    /// It can be said in one text, and so in a variable.
    const TEXT: bool = true;
}

impl ConfigValue for String {
    fn form() -> String {
        "a text".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn schema() -> Json {
        serde_json::json!({"type": ["string", "number", "boolean"]})
    }

    fn split(text: &str) -> Result<Vec<String>, String> {
        words::split(text)
    }
}
