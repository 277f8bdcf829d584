//! What a configuration is read from.

use super::ConfigOptions;
use std::path::Path;
use sys::Root;
use sys::environment::Environment;

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
