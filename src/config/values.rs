//! The types of the values that a key can have. How each is written is beside its type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A number of bytes: `8GiB`, `500MB`, or a plain number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// How many GPUs there have to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuCount {
    /// As many as the surroundings promise.
    #[default]
    Auto,
    /// None: their absence is asserted.
    None,
    /// Whatever is there.
    Any,
    /// Exactly so many.
    Exactly(u32),
    /// So many or more (`>=2`).
    AtLeast(u32),
}

/// Which requirement files to install.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Requirements {
    /// `requirements.txt` in the code directory, where a Python workload starts.
    #[default]
    Auto,
    /// None.
    Off,
    /// These.
    Files(Vec<PathBuf>),
}

/// Which program installs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Installer {
    /// uv if it is there, else pip.
    #[default]
    Auto,
    /// uv.
    Uv,
    /// pip.
    Pip,
}

/// What a failed installation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The start fails.
    Fail,
    /// The start goes on, with a warning.
    Warn,
}

/// How bad it is when a check finds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The check does not run.
    Off,
    /// Told, and the start goes on.
    Warn,
    /// The start fails.
    Fail,
}

/// A path that the workload reads: `PATH[:OPTIONS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPath {
    /// The path in the container.
    pub path: PathBuf,
    /// It must be a mount (or inside one).
    pub mounted: bool,
    /// It must hold at least so many entries; 0: may be empty.
    pub min_files: u64,
    /// Names below it that must exist; the last component may be a pattern.
    pub contains: Vec<String>,
    /// It must be mounted read-only (`ro`) or writable (`rw`); none: a writable one is only told.
    pub read_only: Option<bool>,
    /// Deadline of the check; none: by the kind of file system.
    pub timeout: Option<Duration>,
}

/// A path that the workload writes: `PATH[:OPTIONS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPath {
    /// The path in the container.
    pub path: PathBuf,
    /// Not being a mount is a failure (yes), a warning (none), or fine (no).
    pub mounted: Option<bool>,
    /// Free space that has to be there.
    pub min_free: Option<Size>,
    /// Deadline of the check; none: by the kind of file system.
    pub timeout: Option<Duration>,
}

/// An extra variable for the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvValue {
    /// The value.
    pub value: String,
    /// Wins over an inherited variable.
    pub force: bool,
}

/// A mode that the configuration defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModeSpec {
    /// The command line it starts.
    pub command: Vec<String>,
    /// `train` or `build`.
    pub kind: crate::handover::Kind,
    /// What it is for, in a few words.
    pub about: Option<String>,
    /// Extra variables.
    pub env: BTreeMap<String, EnvValue>,
    /// It may take the name of a sub-command or of a program.
    pub r#override: bool,
}

/// What happens with a newest complete checkpoint at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Nothing.
    #[default]
    Off,
    /// `TRAINIT_RESUME_PATH` and `TRAINIT_RESUME_STEP` are set.
    Env,
    /// These words are added to the command, too; `{path}` and `{step}` stand for what was found.
    Arguments(Vec<String>),
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what ends the start.
    Error,
    /// Also what may hurt later.
    Warn,
    /// Everything worth a line.
    #[default]
    Info,
}

/// What an unknown key or variable means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// The start fails, with "did you mean".
    #[default]
    Error,
    /// It is told.
    Warn,
}
