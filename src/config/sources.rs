//! The sources of a configuration.

use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;

/// The image author's file.
pub const IMAGE_FILE: &str = "/etc/trainit.yaml";

/// The directory of the platform's files, which are read in the order of their names.
pub const IMAGE_DIRECTORY: &str = "/etc/trainit.d";

/// The file in the code directory.
pub const PROJECT_FILE: &str = "trainit.yaml";

/// The options of the command line for the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigOptions {
    /// `--config FILE`, which has priority over `TRAINIT_CONFIG`.
    pub config: Option<PathBuf>,
    /// `--mode M`, or a mode's name as the first word.
    pub mode: Option<String>,
    /// Every `--set key=value`, in order; the last one of a key wins.
    pub set: Vec<String>,
}

/// The sources of all layers.
#[derive(Clone, Copy, Debug)]
pub struct ConfigSources<'a> {
    /// The root directory of /etc.
    pub root: &'a Root,
    /// The environment of trainit.
    pub environment: &'a Environment,
    /// The options of trainit.
    pub options: &'a ConfigOptions,
    /// The working directory of trainit.
    pub workdir: &'a Path,
}
