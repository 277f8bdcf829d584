//! What a configuration is read from.

use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;

/// The image author's file.
pub const IMAGE_FILE: &str = "/etc/trainit.yaml";

/// Files beside it, in the order of their names: the platform's.
pub const IMAGE_DIRECTORY: &str = "/etc/trainit.d";

/// The file in the code directory.
pub const PROJECT_FILE: &str = "trainit.yaml";

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigOptions {
    /// `--config FILE`; wins over `TRAINIT_CONFIG`.
    pub config: Option<PathBuf>,
    /// `--mode M`, or a mode's name as the first word.
    pub mode: Option<String>,
    /// Every `--set key=value`, in order; the last one of a key wins.
    pub set: Vec<String>,
}

/// Where the layers are.
#[derive(Clone, Copy, Debug)]
pub struct ConfigSources<'a> {
    /// Where /etc is.
    pub root: &'a Root,
    /// The variables that trainit was started with.
    pub environment: &'a Environment,
    /// The options that trainit was started with.
    pub options: &'a ConfigOptions,
    /// The directory that trainit was started in.
    pub workdir: &'a Path,
}
