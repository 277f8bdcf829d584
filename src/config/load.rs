//! The whole configuration: finds the layers, merges them, and reports all mistakes at once.

use super::file::{self, ConfigFile, FileError, FileLook, FilePresence};
use super::problems::together;
use super::{
    ConfigLayer, ConfigNode, ConfigSources, IMAGE_DIRECTORY, IMAGE_FILE, KEYS, Key, LayerSource, MergedTree,
    PROJECT_FILE, Problems, Settings, Unknown, ValueOrigin, options, variables,
};
use crate::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use protocol::errno::{self, ErrnoCause};
use protocol::exit_code::FailureFamily;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::mountinfo::Mounts;
use sys::{Root, reach};
use tracing::debug;

/// A valid configuration.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The merged values.
    pub settings: Box<Settings>,
    /// Warnings for the log.
    pub warnings: Vec<Error>,
    /// The files that were read, lowest precedence first.
    pub files: Vec<PathBuf>,
    /// The working directory of the workload.
    pub workdir: PathBuf,
    /// The code directory.
    pub code: PathBuf,
    /// The mount table.
    pub mounts: Mounts,
}

/// One value for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRow {
    /// The key, or the entry of a map (`env.HF_HOME`).
    pub path: String,
    /// The value as it was written; `None` if it is not set.
    pub value: Option<ConfigNode>,
    /// The origin of the value.
    pub origin: ValueOrigin,
}

impl Loaded {
    /// Returns every key with its value and origin, in the order of the documentation; for maps, every entry.
    pub fn rows(&self) -> Vec<ConfigRow> {
        KEYS.iter().flat_map(|key| self.rows_of(key)).collect()
    }

    fn rows_of(&self, key: &Key) -> Vec<ConfigRow> {
        let row = |path: String, node: &ConfigNode| ConfigRow {
            path,
            value: Some(node.clone()),
            origin: node.origin.clone(),
        };
        let tree = self.settings.tree();
        match tree.get(key.path) {
            Some(node) if key.kind.map && node.as_map().is_some() => {
                let ours = tree.entries().filter(|(path, _)| super::key_name::below(path, key.path).is_some());
                ours.map(|(path, node)| row(path, node)).collect()
            }
            Some(node) => vec![row(key.path.to_owned(), node)],
            None if key.default.is_empty() => {
                vec![ConfigRow { path: key.path.to_owned(), value: None, origin: ValueOrigin::Default }]
            }
            None => vec![row(key.path.to_owned(), &ConfigNode::text(key.default, ValueOrigin::Default))],
        }
    }
}

/// An invalid configuration.
#[derive(Debug)]
pub struct UnusableConfig {
    /// All mistakes.
    pub error: Error,
    /// The values that are valid all the same: they decide how the failure is reported.
    pub settings: Box<Settings>,
}

impl From<Box<UnusableConfig>> for Error {
    fn from(failed: Box<UnusableConfig>) -> Self {
        failed.error
    }
}

/// Reads all layers with the permissions of this process.
///
/// # Errors
/// All mistakes in any layer, as one error (78); a code directory whose file system does not answer (212).
pub fn load(sources: &ConfigSources<'_>) -> Result<Loaded> {
    let mut trusted = TrustedLayers::read(sources);
    if let Some(path) = trusted.named() {
        let look = trusted.look(&path);
        trusted.add_named(look);
    }
    Ok(trusted.finish()?)
}

/// The layers that may name the workload's user: the files in /etc, the named file, variables and options. They are read first. So root
/// becomes the workload's user before it reads a file that comes with the code, or one that holds a secret.
#[derive(Debug)]
pub struct TrustedLayers<'a> {
    sources: ConfigSources<'a>,
    /// The layers, lowest precedence first.
    layers: Vec<ConfigLayer>,
    /// Number of layers that come from files.
    from_files: usize,
    /// The named file until it is read, and the origin of its name.
    named: Option<(PathBuf, ValueOrigin)>,
    files: Vec<PathBuf>,
    problems: Problems,
    mounts: Mounts,
}

impl<'a> TrustedLayers<'a> {
    /// Reads all these layers but the named file.
    pub fn read(sources: &ConfigSources<'a>) -> Self {
        let (mut problems, mut files) = (Problems::of_one_layer(), Vec::new());
        let mut layers = LayerFiles { problems: &mut problems, read: &mut files }.of_image(sources.root);
        let from_files = layers.len();
        let variables = variables::read(sources.environment, &mut problems);
        debug!(target: "config", keys = %variables.keys(), "variables of the environment");
        layers.push(variables);
        let typed = options::read(sources.options, &mut problems);
        typed.iter().for_each(|layer| debug!(target: "config", keys = %layer.keys(), "options of the command line"));
        layers.extend(typed);
        let (named, mounts) = (named(sources, &mut problems), Mounts::of(sources.root));
        TrustedLayers { sources: *sources, layers, from_files, named, files, problems, mounts }
    }

    /// Returns the named file, if it was not read yet.
    pub fn named(&self) -> Option<PathBuf> {
        self.named.as_ref().map(|(path, _)| path.clone())
    }

    /// Reads a file with the permissions of this process. If it lies on another machine, which may not answer, another process reads it.
    pub fn look(&self, path: &Path) -> FileLook {
        let look = reach::look(&self.mounts, path, || file::look(path)).unwrap_or_else(|_| FileLook::silent());
        look.at(&self.mounts, path)
    }

    /// Adds the result for the named file.
    pub fn add_named(&mut self, look: FileLook) {
        let Some((path, origin)) = self.named.take() else { return };
        let layer = LayerFiles { problems: &mut self.problems, read: &mut self.files }.named(&path, &origin, look);
        self.add_file(layer);
    }

    fn add_file(&mut self, layer: Option<ConfigLayer>) {
        self.from_files += usize::from(layer.is_some());
        let at = self.from_files.saturating_sub(1);
        layer.into_iter().for_each(|layer| self.layers.insert(at, layer));
    }

    /// Returns the merged values of these layers without the invalid ones.
    pub fn settings(&self) -> Box<Settings> {
        let (mut tree, mut ignored) = (MergedTree::default(), Problems::default());
        self.layers.iter().for_each(|layer| tree.add(layer.clone(), &mut ignored));
        Settings::read(tree, &mut ignored)
    }

    /// Checks that all these layers are valid: otherwise the user that they name is unknown.
    ///
    /// # Errors
    /// All mistakes as one error (78).
    pub fn verify(&self, settings: &Settings) -> Result<()> {
        let problems = self.problems.clone();
        problems.settle(settings.unknown.value == Unknown::Error).map(|_| ()).map_err(together)
    }

    /// Returns the code directory that these layers name.
    pub fn code(&self) -> PathBuf {
        code_of(&self.layers, self.sources.workdir)
    }

    /// Returns the mount table.
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// Returns the sources of the layers.
    pub fn sources(&self) -> &ConfigSources<'a> {
        &self.sources
    }

    /// Adds the files that only the workload's user may read, with the permissions of this process: those that hold a secret, and the
    /// project's file.
    ///
    /// # Errors
    /// All mistakes in any layer as one error (78); a code directory whose file system does not answer (212).
    pub fn finish(mut self) -> Result<Loaded, Box<UnusableConfig>> {
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.source == LayerSource::Environment) {
            variables::add_files(&self.sources, &self.mounts, layer, &mut self.problems);
        }
        match self.add_project() {
            Ok(()) => self.merge(),
            Err(error) => Err(Box::new(UnusableConfig { error, settings: self.settings() })),
        }
    }

    fn add_project(&mut self) -> Result<()> {
        let path = self.code().join(PROJECT_FILE);
        let look = reach::look(&self.mounts, &path, || file::look(&path)).map_err(|mount| {
            let (patience, place) = (text::seconds(mount.patience()), text::location(mount.kind(), mount.source()));
            Error::new(SILENT, format!("{} did not answer in {patience} ({place})", text::path(&path)))
                .because("its server or daemon hangs, and so would the workload")
                .hint("look at the mount on the host")
        })?;
        let mut layer = LayerFiles { problems: &mut self.problems, read: &mut self.files }
            .project(&path, look.at(&self.mounts, &path));
        // Keys that the project may not set were reported when its file was read, and must not decide how that is reported.
        let may = |path: &str| super::find_key(path).is_some_and(|key| key.project);
        layer.iter_mut().for_each(|layer| layer.values.retain(|path, _| may(path)));
        self.add_file(layer);
        Ok(())
    }

    fn merge(self) -> Result<Loaded, Box<UnusableConfig>> {
        let TrustedLayers { layers, files, problems, mounts, sources, .. } = self;
        let workdir = sources.workdir;
        let mut all = Problems::default();
        all.absorb(problems);
        let (start, code) = (start_of(&layers, workdir), code_of(&layers, workdir));
        let mut tree = MergedTree::default();
        layers.into_iter().for_each(|layer| tree.add(layer, &mut all));
        let settings = Settings::read(tree, &mut all);
        match all.settle(settings.unknown.value == Unknown::Error) {
            Ok(warnings) => Ok(Loaded { settings, warnings, files, workdir: start, code, mounts }),
            Err(errors) => Err(Box::new(UnusableConfig { error: together(errors), settings })),
        }
    }
}

/// The kind of failure of a code directory whose file system does not answer.
const SILENT: ErrorKind = ErrorKind::Transient(FailureFamily::Code);

/// Returns the named file and the origin of its name.
fn named(sources: &ConfigSources<'_>, problems: &mut Problems) -> Option<(PathBuf, ValueOrigin)> {
    let variable = sources.environment.get(variables::CONFIG).map(PathBuf::from);
    let (path, origin) = match (sources.options.config.clone(), variable) {
        (Some(path), _) => (path, ValueOrigin::CommandLine("--config".into())),
        (None, Some(path)) => (path, ValueOrigin::Environment(variables::CONFIG.into())),
        (None, None) => return None,
    };
    match path.to_str().map_or(Ok(()), super::no_place_elsewhere) {
        Ok(()) => Some((sources.workdir.join(path), origin)),
        Err(error) => {
            problems.unreadable(&origin, &error.to_string(), &error.hint());
            None
        }
    }
}

/// Returns the working directory of the workload: `workdir` of the highest layer that has it, else trainit's own.
fn start_of(layers: &[ConfigLayer], own: &Path) -> PathBuf {
    directory(layers, "workdir", own)
}

/// Returns the code directory: `code.path` of the highest layer that has it, else the working directory of the workload.
fn code_of(layers: &[ConfigLayer], own: &Path) -> PathBuf {
    directory(layers, "code.path", &start_of(layers, own))
}

fn directory(layers: &[ConfigLayer], key: &str, base: &Path) -> PathBuf {
    let said = layers.iter().rev().find_map(|layer| layer.path(key)).flatten();
    said.map_or_else(|| base.to_owned(), |path| base.join(path))
}

/// Makes the error for an unreadable file. If its file system fails, that is no mistake in the configuration but a transient failure of
/// `family`.
fn failed(path: &Path, failure: &FileError, family: FailureFamily) -> Error {
    let what = format!("{}: {}", super::shown(&path.display().to_string()), failure.reason);
    match failure.cause() {
        Some(ErrnoCause { because, advice }) => {
            Error::new(ErrorKind::Transient(family), what).because(because).hint(advice)
        }
        None if failure.denied => {
            Error::config(what).hint("the workload's user has to be able to read it, and the directories above it")
        }
        None => Error::config(what),
    }
}

/// The reader of files, one after another.
struct LayerFiles<'a> {
    problems: &'a mut Problems,
    read: &'a mut Vec<PathBuf>,
}

impl LayerFiles<'_> {
    fn of_image(&mut self, root: &Root) -> Vec<ConfigLayer> {
        let mut layers: Vec<ConfigLayer> = self.image_file(&root.path(IMAGE_FILE)).into_iter().collect();
        layers.extend(self.drop_ins(&root.path(IMAGE_DIRECTORY)));
        layers
    }

    fn image_file(&mut self, path: &Path) -> Option<ConfigLayer> {
        self.optional(path, LayerSource::Image, file::look(path))
    }

    fn drop_ins(&mut self, directory: &Path) -> Vec<ConfigLayer> {
        match file::drop_ins(directory) {
            Ok((files, others)) => {
                others.iter().for_each(|path| self.misnamed(path));
                let look = |path: &PathBuf| FileLook { misnamed: false, ..file::look(path) };
                files.iter().filter_map(|path| self.optional(path, LayerSource::Image, look(path))).collect()
            }
            Err(error) => {
                if !file::is_absent(&error) {
                    self.unreadable(directory, &error.into());
                }
                Vec::new()
            }
        }
    }

    /// Reads an optional file, and reports a nearly right name.
    fn optional(&mut self, path: &Path, source: LayerSource, look: FileLook) -> Option<ConfigLayer> {
        if look.misnamed {
            self.misnamed(&path.with_extension("yml"));
        }
        match look.found {
            FilePresence::Absent => {
                debug!(target: "config", "{}: not there", path.display());
                None
            }
            FilePresence::Hidden(failure) | FilePresence::Unreadable(failure) => {
                debug!(target: "config", because = failure.reason, "{}: not read", path.display());
                self.unreadable(path, &failure);
                None
            }
            FilePresence::Read(found) => {
                let layer = self.parse(&found, path, source);
                debug!(target: "config", keys = %layer.keys(), "{}: read", path.display());
                Some(layer)
            }
        }
    }

    /// Reads the file in the code directory, unless it was already read with another precedence. If the directory may not be searched
    /// (root on a root-squashed share), the existence of the file is unknown.
    fn project(&mut self, path: &Path, look: FileLook) -> Option<ConfigLayer> {
        let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        match look.found {
            FilePresence::Read(ConfigFile { identity: this, .. })
                if self.read.iter().any(|other| identity(other).is_ok_and(|other| other == this)) =>
            {
                None
            }
            FilePresence::Unreadable(failure) if failure.cause().is_some() => {
                self.problems.failed(failed(path, &failure, FailureFamily::Code));
                None
            }
            FilePresence::Hidden(failure) => {
                let what = format!("{}: cannot be looked for", super::shown(&path.display().to_string()));
                self.problems.warn(Error::config(what).because(failure.reason));
                None
            }
            _ => self.optional(path, LayerSource::Project, look),
        }
    }

    fn named(&mut self, path: &Path, origin: &ValueOrigin, look: FileLook) -> Option<ConfigLayer> {
        let reason = match look.found {
            FilePresence::Absent => errno::words(Errno::ENOENT).to_owned(),
            FilePresence::Hidden(failure) => failure.reason,
            found => return self.optional(path, LayerSource::Named, FileLook { misnamed: false, found }),
        };
        let what = format!("{}: {reason}", super::shown(&path.display().to_string()));
        self.problems.unreadable(origin, &what, "");
        None
    }

    fn parse(&mut self, found: &ConfigFile, path: &Path, source: LayerSource) -> ConfigLayer {
        self.read.push(path.to_owned());
        if found.open {
            return file::parse(&found.bytes, path, source, self.problems);
        }
        let mut untold = Problems::of_one_layer();
        let layer = file::parse(&found.bytes, path, source, &mut untold);
        let wrong = untold.has_mistakes();
        self.problems.absorb(untold.without_words());
        // The mistakes would be reported again when the layers are merged.
        if wrong { ConfigLayer::empty(source) } else { layer }
    }

    fn unreadable(&mut self, path: &Path, failure: &FileError) {
        self.problems.failed(failed(path, failure, FailureFamily::Host));
    }

    fn misnamed(&mut self, path: &Path) {
        let name = super::shown(&path.display().to_string());
        self.problems.warn(Error::config(format!("{name}: not read")).hint("only files named .yaml are"));
    }
}
