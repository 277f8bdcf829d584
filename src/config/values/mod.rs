//! The types of keys' values and their syntax. A new type is one file here with one `ConfigValue`.

mod choices;
mod cluster;
mod collections;
mod gpus;
mod limits;
mod location;
mod metadata;
mod mirror;
mod numbers;
mod paths;
mod ranges;
mod records;
mod repository;
mod signals;
mod units;
mod users;
mod versions;
mod word_or;

pub use choices::{
    Agreement, Installer, JupyterAuth, Lfs, LogFormat, LogLevel, OnError, PartChoice, PathKind, PreemptChoice, Requeue,
    Severity, Target, Unknown,
};
pub use cluster::Launch;
pub(super) use collections::items;
pub use gpus::{ForwardCompat, FreeMemory, MigPolicy};
pub use limits::{LockedMemory, OpenFiles, Threads};
pub use location::{NoPath, no_place_elsewhere, read_path};
pub use metadata::MetadataAddress;
pub use mirror::MirrorPlace;
pub use paths::{DataPath, OutputPath, parse_path_list};
pub use ranges::Range;
pub use records::{EnvValue, KeyPath, ModeSpec};
pub use units::{Size, duration_text};
pub use users::{Umask, UserChoice, Who};
pub use versions::CudaVersion;
pub use word_or::{GpuCount, HistoryPath, IndexChoice, OnFailure, ReadyProbe, Refresh, Requirements, Resume, Verify};

use super::value_error::{NameError, ValueError};
use super::words::{self, WordsError};
use super::{ConfigNode, Problems};
use serde_json::Value as Json;

/// A type with a form in the configuration. A scalar needs `form`, `parse` and, if it is more than a text, `schema`.
pub trait ConfigValue: Sized {
    /// Returns the expected form, as the end of "… is not" and "… has to be".
    fn form() -> String;

    /// Parses a scalar.
    ///
    /// # Errors
    /// The reason why the text is invalid.
    fn parse(_text: &str) -> Result<Self, ValueError> {
        Err(ValueError::Form)
    }

    /// Reads a value; mistakes go to `problems` under the name `at`.
    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let read = node.as_text().map_or(Err(ValueError::Form), Self::parse);
        read.map_err(|error| problems.rejected(node, at, &Self::form(), error)).ok()
    }

    /// Returns the JSON Schema.
    fn schema() -> Json {
        serde_json::json!({"type": "string"})
    }

    /// Splits a text into the items of a list, which blanks separate.
    ///
    /// # Errors
    /// The reason why the text is invalid.
    fn split(text: &str) -> Result<Vec<String>, WordsError> {
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Checks the name of an entry of a map with this type.
    ///
    /// # Errors
    /// The form that a name has to have.
    fn named(_name: &str) -> Result<(), NameError> {
        Ok(())
    }

    /// Returns the canonical name of an entry of a map, for types with several names for one entry: `USR1` for `SIGUSR1` and `10`. An
    /// invalid name stays unchanged.
    fn canonical(name: &str) -> String {
        name.to_owned()
    }

    /// Returns the canonical name of an entry, if this type is a map.
    fn entry_name(name: &str) -> String {
        name.to_owned()
    }

    /// Returns the JSON Schema of an entry's name.
    fn names() -> Json {
        serde_json::json!({})
    }

    /// Whether the type is a map whose entries users name, and which can be set one by one.
    const MAP: bool = false;

    /// Whether `off` is a value of the type, and not the absence of one.
    const OFF: bool = false;

    /// Whether one text, and so a variable, can express the value.
    const TEXT: bool = true;
}

impl ConfigValue for String {
    fn form() -> String {
        "a text".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        Ok(text.to_owned())
    }

    fn schema() -> Json {
        serde_json::json!({"type": ["string", "number", "boolean"]})
    }

    fn split(text: &str) -> Result<Vec<String>, WordsError> {
        words::split(text)
    }
}
