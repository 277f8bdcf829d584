//! The whole configuration: finds the layers, puts them together, and says everything that is wrong with them at once.

use super::file::{self, Failure, Found, IMAGE_DIRECTORY, IMAGE_FILE, Look, PROJECT_FILE, Presence};
use super::problems::together;
use super::{KEYS, Key, Layer, Node, Options, Origin, Problems, Settings, Source, Tree, Unknown, options, variables};
use crate::error::{Error, Result};
use protocol::errno::Cause;
use protocol::exit_code::{Exit, Family};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, reach};

/// Where the layers are.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Where /etc is.
    pub root: &'a Root,
    /// The variables that trainit was started with.
    pub environment: &'a Environment,
    /// The options that trainit was started with.
    pub options: &'a Options,
    /// The directory that trainit was started in.
    pub workdir: &'a Path,
}

/// A configuration that can be used.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The merged values.
    pub settings: Box<Settings>,
    /// What has to be told although it is no mistake.
    pub warnings: Vec<Error>,
    /// The files that were read, lowest precedence first.
    pub files: Vec<PathBuf>,
    /// The directory that the workload starts in.
    pub workdir: PathBuf,
    /// The code directory.
    pub code: PathBuf,
    /// The mount table.
    pub mounts: Mounts,
}

/// One value as a person asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key, or the entry of a map (`env.HF_HOME`).
    pub path: String,
    /// The value as it was written; none: not set.
    pub value: Option<Node>,
    /// Where it came from.
    pub origin: Origin,
}

impl Loaded {
    /// Every key with its value and origin, in the order of the documentation; of maps, every entry.
    pub fn rows(&self) -> Vec<Row> {
        KEYS.iter().flat_map(|key| self.rows_of(key)).collect()
    }

    fn rows_of(&self, key: &Key) -> Vec<Row> {
        let row = |path: String, node: &Node| Row { path, value: Some(node.clone()), origin: node.origin.clone() };
        let tree = self.settings.tree();
        match tree.get(key.path) {
            Some(node) if key.kind.map && node.as_map().is_some() => {
                let ours = tree.entries().filter(|(path, _)| super::key::below(path, key.path).is_some());
                ours.map(|(path, node)| row(path, node)).collect()
            }
            Some(node) => vec![row(key.path.to_owned(), node)],
            None if key.default.is_empty() => {
                vec![Row { path: key.path.to_owned(), value: None, origin: Origin::Default }]
            }
            None => vec![row(key.path.to_owned(), &Node::text(key.default, Origin::Default))],
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Failed {
    /// Everything that is wrong with it.
    pub error: Error,
    /// What can be understood of it all the same: it says how the failure is to be told.
    pub settings: Box<Settings>,
}

impl From<Box<Failed>> for Error {
    fn from(failed: Box<Failed>) -> Self {
        failed.error
    }
}

/// Reads all layers, with the rights of this process.
///
/// # Errors
/// Everything that is wrong in any of them, as one error (78); a code directory whose file system does not answer (212).
pub fn load(sources: &Sources<'_>) -> Result<Loaded> {
    let mut trusted = Trusted::read(sources);
    if let Some(path) = trusted.named() {
        let look = trusted.look(&path);
        trusted.add_named(look);
    }
    Ok(trusted.finish()?)
}

/// The layers that may say who the workload is: the files in /etc, the file that was named, variables and options. They are read
/// first, so that root has become the workload's user before it reads what comes with the code, or a file that holds a secret.
#[derive(Debug)]
pub struct Trusted<'a> {
    sources: Sources<'a>,
    /// Lowest precedence first.
    layers: Vec<Layer>,
    /// So many of them come from files.
    from_files: usize,
    /// The named file, until it is read, and who named it.
    named: Option<(PathBuf, Origin)>,
    files: Vec<PathBuf>,
    problems: Problems,
    mounts: Mounts,
}

impl<'a> Trusted<'a> {
    /// Reads all of them but the named file.
    pub fn read(sources: &Sources<'a>) -> Self {
        let (mut problems, mut files) = (Problems::of_one_layer(), Vec::new());
        let mut layers = Files { problems: &mut problems, read: &mut files }.of_image(sources.root);
        let from_files = layers.len();
        layers.push(variables::read(sources.environment, &mut problems));
        layers.extend(options::read(sources.options, &mut problems));
        let (named, mounts) = (named(sources, &mut problems), Mounts::of(sources.root));
        Trusted { sources: *sources, layers, from_files, named, files, problems, mounts }
    }

    /// The named file, if it is still to be read.
    pub fn named(&self) -> Option<PathBuf> {
        self.named.as_ref().map(|(path, _)| path.clone())
    }

    /// Looks at a file with the rights of this process. Where it lies on another machine, which may be dead, another process looks.
    pub fn look(&self, path: &Path) -> Look {
        let look = reach::look(&self.mounts, path, || file::look(path)).unwrap_or_else(|_| Look::silent());
        look.at(&self.mounts, path)
    }

    /// Adds the named file as it was found.
    pub fn add_named(&mut self, look: Look) {
        let Some((path, origin)) = self.named.take() else { return };
        let layer = Files { problems: &mut self.problems, read: &mut self.files }.named(&path, &origin, look);
        self.add_file(layer);
    }

    fn add_file(&mut self, layer: Option<Layer>) {
        self.from_files += usize::from(layer.is_some());
        let at = self.from_files.saturating_sub(1);
        layer.into_iter().for_each(|layer| self.layers.insert(at, layer));
    }

    /// What they mean together; what is wrong with them is left out.
    pub fn settings(&self) -> Box<Settings> {
        let (mut tree, mut ignored) = (Tree::default(), Problems::default());
        self.layers.iter().for_each(|layer| tree.add(layer.clone(), &mut ignored));
        Settings::read(tree, &mut ignored)
    }

    /// Whether all of them could be read and understood: else nobody can say whom they mean.
    ///
    /// # Errors
    /// Everything that is wrong, as one error (78).
    pub fn verify(&self, settings: &Settings) -> Result<()> {
        let problems = self.problems.clone();
        problems.settle(settings.unknown.value == Unknown::Error).map(|_| ()).map_err(together)
    }

    /// The code directory, as far as they say.
    pub fn code(&self) -> PathBuf {
        code_of(&self.layers, self.sources.workdir)
    }

    /// The mount table.
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// What they were read from.
    pub fn sources(&self) -> &Sources<'a> {
        &self.sources
    }

    /// Adds what only the workload's user may read, with the rights of this process: the files that hold a secret, and the
    /// project's.
    ///
    /// # Errors
    /// Everything that is wrong in any layer, as one error (78); a code directory whose file system does not answer (212).
    pub fn finish(mut self) -> Result<Loaded, Box<Failed>> {
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.source == Source::Environment) {
            variables::add_files(&self.sources, &self.mounts, layer, &mut self.problems);
        }
        match self.add_project() {
            Ok(()) => self.merge(),
            Err(error) => Err(Box::new(Failed { error, settings: self.settings() })),
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
        let mut layer =
            Files { problems: &mut self.problems, read: &mut self.files }.project(&path, look.at(&self.mounts, &path));
        // What it may not set was told when it was read, and says nothing about how that is to be told.
        let may = |path: &str| super::find_key(path).is_some_and(|key| key.project);
        layer.iter_mut().for_each(|layer| layer.values.retain(|path, _| may(path)));
        self.add_file(layer);
        Ok(())
    }

    fn merge(self) -> Result<Loaded, Box<Failed>> {
        let Trusted { layers, files, problems, mounts, sources, .. } = self;
        let workdir = sources.workdir;
        let mut all = Problems::default();
        all.absorb(problems);
        let (start, code) = (start_of(&layers, workdir), code_of(&layers, workdir));
        let mut tree = Tree::default();
        layers.into_iter().for_each(|layer| tree.add(layer, &mut all));
        let settings = Settings::read(tree, &mut all);
        match all.settle(settings.unknown.value == Unknown::Error) {
            Ok(warnings) => Ok(Loaded { settings, warnings, files, workdir: start, code, mounts }),
            Err(errors) => Err(Box::new(Failed { error: together(errors), settings })),
        }
    }
}

/// How a start ends when the code directory's file system does not answer.
const SILENT: Exit = Exit::Transient(Family::Code);

/// The file that was named, and by whom.
fn named(sources: &Sources<'_>, problems: &mut Problems) -> Option<(PathBuf, Origin)> {
    let variable = sources.environment.get(variables::CONFIG).map(PathBuf::from);
    let (path, origin) = match (sources.options.config.clone(), variable) {
        (Some(path), _) => (path, Origin::CommandLine("--config".into())),
        (None, Some(path)) => (path, Origin::Environment(variables::CONFIG.into())),
        (None, None) => return None,
    };
    match path.to_str().map_or(Ok(()), super::no_place_elsewhere) {
        Ok(()) => Some((sources.workdir.join(path), origin)),
        Err((what, hint)) => {
            problems.unreadable(&origin, &what, &hint);
            None
        }
    }
}

/// The directory that the workload starts in: the highest layer's `workdir`, else trainit's own.
fn start_of(layers: &[Layer], own: &Path) -> PathBuf {
    directory(layers, "workdir", own)
}

/// The code directory: the highest layer's `code.path`, else where the workload starts.
fn code_of(layers: &[Layer], own: &Path) -> PathBuf {
    directory(layers, "code.path", &start_of(layers, own))
}

fn directory(layers: &[Layer], key: &str, base: &Path) -> PathBuf {
    let said = layers.iter().rev().find_map(|layer| layer.path(key)).flatten();
    said.map_or_else(|| base.to_owned(), |path| base.join(path))
}

/// A file that cannot be read. One whose file system is in trouble is no mistake in the configuration: that passes (`family`).
fn failed(path: &Path, failure: &Failure, family: Family) -> Error {
    let what = format!("{}: {}", super::shown(&path.display().to_string()), failure.reason);
    match failure.cause() {
        Some(Cause { because, advice }) => Error::new(Exit::Transient(family), what).because(because).hint(advice),
        None if failure.denied => {
            Error::config(what).hint("the workload's user has to be able to read it, and the directories above it")
        }
        None => Error::config(what),
    }
}

/// Reads files one after another.
struct Files<'a> {
    problems: &'a mut Problems,
    read: &'a mut Vec<PathBuf>,
}

impl Files<'_> {
    fn of_image(&mut self, root: &Root) -> Vec<Layer> {
        let mut layers: Vec<Layer> = self.image_file(&root.path(IMAGE_FILE)).into_iter().collect();
        layers.extend(self.drop_ins(&root.path(IMAGE_DIRECTORY)));
        layers
    }

    fn image_file(&mut self, path: &Path) -> Option<Layer> {
        self.optional(path, Source::Image, file::look(path))
    }

    fn drop_ins(&mut self, directory: &Path) -> Vec<Layer> {
        match file::drop_ins(directory) {
            Ok((files, others)) => {
                others.iter().for_each(|path| self.misnamed(path));
                let look = |path: &PathBuf| Look { misnamed: false, ..file::look(path) };
                files.iter().filter_map(|path| self.optional(path, Source::Image, look(path))).collect()
            }
            Err(error) => {
                if !file::is_absent(&error) {
                    self.unreadable(directory, &error.into());
                }
                Vec::new()
            }
        }
    }

    /// A file that need not exist, but whose name might be nearly right.
    fn optional(&mut self, path: &Path, source: Source, look: Look) -> Option<Layer> {
        if look.misnamed {
            self.misnamed(&path.with_extension("yml"));
        }
        match look.found {
            Presence::Absent => None,
            Presence::Hidden(failure) | Presence::Unreadable(failure) => {
                self.unreadable(path, &failure);
                None
            }
            Presence::Read(found) => Some(self.parse(&found, path, source)),
        }
    }

    /// The file in the code directory, unless it was read already under another precedence. Where the directory may not be
    /// searched (root on a root-squashed share), nobody can tell whether there is one.
    fn project(&mut self, path: &Path, look: Look) -> Option<Layer> {
        let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        match look.found {
            Presence::Read(Found { identity: this, .. })
                if self.read.iter().any(|other| identity(other).is_ok_and(|other| other == this)) =>
            {
                None
            }
            Presence::Unreadable(failure) if failure.cause().is_some() => {
                self.problems.failed(failed(path, &failure, Family::Code));
                None
            }
            Presence::Hidden(failure) => {
                let what = format!("{}: cannot be looked for", super::shown(&path.display().to_string()));
                self.problems.warn(Error::config(what).because(failure.reason));
                None
            }
            _ => self.optional(path, Source::Project, look),
        }
    }

    fn named(&mut self, path: &Path, origin: &Origin, look: Look) -> Option<Layer> {
        let reason = match look.found {
            Presence::Absent => "No such file or directory".to_owned(),
            Presence::Hidden(failure) => failure.reason,
            found => return self.optional(path, Source::Named, Look { misnamed: false, found }),
        };
        let what = format!("{}: {reason}", super::shown(&path.display().to_string()));
        self.problems.unreadable(origin, &what, "");
        None
    }

    fn parse(&mut self, found: &Found, path: &Path, source: Source) -> Layer {
        self.read.push(path.to_owned());
        if found.open {
            return file::parse(&found.bytes, path, source, self.problems);
        }
        let mut untold = Problems::of_one_layer();
        let layer = file::parse(&found.bytes, path, source, &mut untold);
        let wrong = untold.has_mistakes();
        self.problems.absorb(untold.without_words());
        // What is wrong would be told once more when the layers are read together.
        if wrong { Layer::empty(source) } else { layer }
    }

    fn unreadable(&mut self, path: &Path, failure: &Failure) {
        self.problems.failed(failed(path, failure, Family::Host));
    }

    fn misnamed(&mut self, path: &Path) {
        let name = super::shown(&path.display().to_string());
        self.problems.warn(Error::config(format!("{name}: not read")).hint("only files named .yaml are"));
    }
}
