//! Values that are a word, or a value of another kind.

use super::{ConfigValue, ValueError, read_path};
use crate::config::{ConfigNode, Problems};
use gpu::probe::GpuHelper;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// The number of a manifest's entries that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// A sample of this size, chosen anew at each start.
    Sample(u64),
    /// All entries.
    Full,
}

impl ConfigValue for Verify {
    fn form() -> String {
        "`full` or a number of files".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "full" => Ok(Verify::Full),
            number => number.parse().map(Verify::Sample).map_err(|_| ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [{"enum": ["full"]}, {"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}]})
    }
}

/// The required number of GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuCount {
    /// As many as the environment promises.
    #[default]
    Auto,
    /// No GPU: their absence is required.
    None,
    /// Any number.
    Any,
    /// Exactly this number.
    Exactly(u32),
    /// This number or more (`>=2`).
    AtLeast(u32),
}

impl ConfigValue for GpuCount {
    fn form() -> String {
        "a number of GPUs: auto, none, any, 4 or >=2".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(GpuCount::Auto),
            "none" | "0" => Ok(GpuCount::None),
            "any" => Ok(GpuCount::Any),
            "all" => Err(ValueError::AllGpus),
            _ => match text.strip_prefix(">=") {
                Some(number) => u32::parse(number.trim()).map(GpuCount::AtLeast),
                None => u32::parse(text).map(GpuCount::Exactly),
            },
        }
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "minimum": 0, "pattern": "^(auto|none|any|(>= *)?[0-9]+)$"})
    }
}

impl ConfigValue for GpuHelper {
    fn form() -> String {
        "auto, file, memfd, smi, off, or a file's absolute path".into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        read_path(node, at, problems)
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(GpuHelper::Auto),
            "file" => Ok(GpuHelper::File),
            "memfd" => Ok(GpuHelper::Memfd),
            "smi" => Ok(GpuHelper::Smi),
            "off" => Ok(GpuHelper::Off),
            path if path.starts_with('/') => Ok(GpuHelper::Path(path.into())),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(auto|file|memfd|smi|off|/.*)$"})
    }

    const OFF: bool = true;
}

/// Where the history of the job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HistoryPath {
    /// In `checkpoint.dir`, where that is set.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// At this path.
    File(PathBuf),
}

impl ConfigValue for HistoryPath {
    fn form() -> String {
        "auto, off, or a file's path".into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        read_path(node, at, problems)
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(HistoryPath::Auto),
            "off" => Ok(HistoryPath::Off),
            path if path.contains('/') => Ok(HistoryPath::File(path.into())),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(auto|off|.*/.*)$"})
    }

    const OFF: bool = true;
}

/// Default time for which a failed container is held: long enough for a user to examine it, and limited, because a forgotten GPU costs
/// money.
const HOLD: Duration = Duration::from_secs(3600);

/// What happens to a failed container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The container ends.
    #[default]
    Exit,
    /// The container is kept open for this long.
    Hold(Duration),
}

impl ConfigValue for OnFailure {
    fn form() -> String {
        "exit, hold (for an hour) or hold:30m".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text.split_once(':') {
            None if text == "exit" => Ok(OnFailure::Exit),
            None if text == "hold" => Ok(OnFailure::Hold(HOLD)),
            Some(("hold", time)) => Duration::parse(time).map(OnFailure::Hold),
            _ if Duration::parse(text).is_ok() => Err(ValueError::HoldMissing(text.to_owned())),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(exit|hold|hold:.+)$"})
    }
}

/// The requirement files to install.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Requirements {
    /// `requirements.txt` in the code directory, if the workload is a Python program.
    #[default]
    Auto,
    /// No files.
    Off,
    /// These files.
    Files(Vec<PathBuf>),
}

impl ConfigValue for Requirements {
    fn form() -> String {
        "auto, off, or a list of files".into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        match node.as_text() {
            Some("auto") => Some(Requirements::Auto),
            _ if node.is_off() => Some(Requirements::Off),
            _ => Vec::read(node, at, problems).map(Requirements::Files),
        }
    }

    fn schema() -> Json {
        Vec::<PathBuf>::schema()
    }
}

/// The condition under which a service is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyProbe {
    /// The service accepts a connection.
    Tcp,
    /// The service answers a GET of this path.
    Http(String),
}

impl ConfigValue for ReadyProbe {
    fn form() -> String {
        "tcp, or a path such as /healthz".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
        match text {
            "tcp" => Ok(ReadyProbe::Tcp),
            path if is_path => Ok(ReadyProbe::Http(path.to_owned())),
            _ => Err(ValueError::Form),
        }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^(tcp|/[!-~]*)$"})
    }
}

/// The index to install from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexChoice {
    /// No index: only directories and links.
    Off,
    /// This URL.
    Url(String),
}

impl ConfigValue for IndexChoice {
    fn form() -> String {
        "the URL of an index, or off".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(IndexChoice::Off),
            url if ["https://", "http://", "file://"].iter().any(|scheme| url.starts_with(scheme)) => {
                Ok(IndexChoice::Url(url.to_owned()))
            }
            _ => Err(ValueError::NoUrl),
        }
    }

    const OFF: bool = true;
}

/// How long an installation stays current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// As long as it satisfies the requirements.
    #[default]
    Never,
    /// Not at all: each start looks for newer versions.
    Always,
    /// After this time a start looks for newer versions.
    After(Duration),
}

impl ConfigValue for Refresh {
    fn form() -> String {
        format!("never, always, or {}", Duration::form())
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "never" | "off" => Ok(Refresh::Never),
            "always" => Ok(Refresh::Always),
            text => Duration::parse(text).map(Refresh::After),
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [{"enum": ["never", "always"]}, Duration::schema()]})
    }
}

/// What a start does with the newest complete checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Nothing.
    #[default]
    Off,
    /// Sets `TRAINIT_RESUME_PATH` and `TRAINIT_RESUME_STEP`.
    Env,
    /// Also adds these words to the command; `{path}` and `{step}` are replaced.
    Arguments(Vec<String>),
}

impl ConfigValue for Resume {
    fn form() -> String {
        "off, env, or words for the command".into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        match node.as_text() {
            Some("env") => Some(Resume::Env),
            _ if node.is_off() => Some(Resume::Off),
            _ => Vec::read(node, at, problems).map(Resume::Arguments),
        }
    }

    fn schema() -> Json {
        Vec::<String>::schema()
    }
}
