//! The whole configuration: finds the layers, puts them together, and says everything that is wrong with them at once.

use super::file::{self, Failure, IMAGE_DIRECTORY, IMAGE_FILE, Look, PROJECT_FILE, Presence};
use super::problems::together;
use super::{KEYS, Key, Layer, Node, Options, Origin, Problems, Settings, Source, Tree, Unknown, options, variables};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::exit::{Exit, Family};
use crate::show;
use crate::sys::mountinfo::Mounts;
use crate::sys::{Root, reach};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// Reads all layers.
///
/// # Errors
/// Everything that is wrong in any of them, as one error (78); a code directory whose file system does not answer (212).
pub fn load(sources: &Sources<'_>) -> Result<Loaded> {
    let mut found = Found::all_but_project(sources);
    found.add_project(sources)?;
    found.finish(sources.workdir)
}

/// What can be understood, whatever else is wrong: when a configuration fails, this says how that is to be told. What a file may
/// not set is not taken from it, and who gave no answer is not asked again.
pub fn glance(sources: &Sources<'_>, failed: &Error) -> Box<Settings> {
    let mut found = Found::all_but_project(sources);
    if failed.exit != SILENT {
        let _ = found.add_project(sources);
    }
    let (mut tree, mut ignored) = (Tree::default(), Problems::default());
    for mut layer in found.layers {
        let trusted = layer.source != Source::Project;
        layer.values.retain(|path, _| trusted || super::find_key(path).is_some_and(|key| key.project));
        tree.add(layer, &mut ignored);
    }
    Settings::read(tree, &mut ignored)
}

/// How a start ends when the code directory's file system does not answer.
const SILENT: Exit = Exit::Transient(Family::Code);

/// What the sources hold.
struct Found {
    /// Lowest precedence first.
    layers: Vec<Layer>,
    /// So many of them stand below the project's file.
    named: usize,
    files: Vec<PathBuf>,
    problems: Problems,
    mounts: Mounts,
}

impl Found {
    fn all_but_project(sources: &Sources<'_>) -> Self {
        let mut problems = Problems::of_one_layer();
        let mut files = Vec::new();
        let mut layers = Files { problems: &mut problems, read: &mut files }.all_but_project(sources);
        let named = layers.len();
        layers.push(variables::read(sources.environment, &mut problems));
        layers.extend(options::read(sources.options, &mut problems));
        let mounts = Mounts::of(sources.root);
        Found { layers, named, files, problems, mounts }
    }

    /// Where the code directory is on another machine, which may be dead, another process looks.
    fn add_project(&mut self, sources: &Sources<'_>) -> Result<()> {
        let path = code_of(&self.layers, sources.workdir).join(PROJECT_FILE);
        let look = reach::look(&self.mounts, &path, || file::look(&path)).map_err(|mount| {
            let (patience, place) = (show::seconds(mount.patience()), show::location(mount.kind(), mount.source()));
            Error::new(SILENT, format!("{} did not answer in {patience} ({place})", show::path(&path)))
                .because("its server or daemon hangs, and so would the workload")
                .hint("look at the mount on the host")
        })?;
        let layer = Files { problems: &mut self.problems, read: &mut self.files }.project(&path, look);
        self.layers.splice(self.named..self.named, layer);
        Ok(())
    }

    fn finish(self, workdir: &Path) -> Result<Loaded> {
        let Found { layers, files, problems, mounts, .. } = self;
        let mut all = Problems::default();
        all.absorb(problems);
        let (start, code) = (start_of(&layers, workdir), code_of(&layers, workdir));
        let mut tree = Tree::default();
        layers.into_iter().for_each(|layer| tree.add(layer, &mut all));
        let settings = Settings::read(tree, &mut all);
        let warnings = all.settle(settings.unknown.value == Unknown::Error).map_err(together)?;
        Ok(Loaded { settings, warnings, files, workdir: start, code, mounts })
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

/// Reads files one after another.
struct Files<'a> {
    problems: &'a mut Problems,
    read: &'a mut Vec<PathBuf>,
}

impl Files<'_> {
    fn all_but_project(&mut self, sources: &Sources<'_>) -> Vec<Layer> {
        let mut layers: Vec<Layer> = self.image_file(&sources.root.path(IMAGE_FILE)).into_iter().collect();
        layers.extend(self.drop_ins(&sources.root.path(IMAGE_DIRECTORY)));
        let variable = sources.environment.get(variables::CONFIG).map(PathBuf::from);
        let origin = match &sources.options.config {
            Some(_) => Origin::CommandLine("--config".into()),
            None => Origin::Environment(variables::CONFIG.into()),
        };
        if let Some(path) = sources.options.config.clone().or(variable) {
            layers.extend(self.named(&sources.workdir.join(path), &origin));
        }
        layers
    }

    fn image_file(&mut self, path: &Path) -> Option<Layer> {
        self.optional(path, Source::Image, file::look(path))
    }

    fn drop_ins(&mut self, directory: &Path) -> Vec<Layer> {
        match file::drop_ins(directory) {
            Ok((files, others)) => {
                others.iter().for_each(|path| self.misnamed(path));
                files.iter().filter_map(|path| self.one(path, Source::Image)).collect()
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
            Presence::Read(bytes, _) => Some(self.parse(&bytes, path, source)),
        }
    }

    /// The file in the code directory, unless it was read already under another precedence. Where the directory may not be
    /// searched (root on a root-squashed share), nobody can tell whether there is one.
    fn project(&mut self, path: &Path, look: Look) -> Option<Layer> {
        let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        match look.found {
            Presence::Read(_, this)
                if self.read.iter().any(|other| identity(other).is_ok_and(|other| other == this)) =>
            {
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

    fn named(&mut self, path: &Path, origin: &Origin) -> Option<Layer> {
        match std::fs::metadata(path) {
            Err(error) => {
                let reason = Failure::from(error).reason;
                let what = format!("{}: {reason}", super::shown(&path.display().to_string()));
                self.problems.unreadable(origin, &what, "");
                None
            }
            Ok(_) => self.one(path, Source::Named),
        }
    }

    fn one(&mut self, path: &Path, source: Source) -> Option<Layer> {
        match file::read_file(path) {
            Ok(bytes) => Some(self.parse(&bytes, path, source)),
            Err(error) => {
                self.unreadable(path, &error.into());
                None
            }
        }
    }

    fn parse(&mut self, bytes: &[u8], path: &Path, source: Source) -> Layer {
        self.read.push(path.to_owned());
        file::parse(bytes, path, source, self.problems)
    }

    fn unreadable(&mut self, path: &Path, failure: &Failure) {
        let what = format!("{}: {}", super::shown(&path.display().to_string()), failure.reason);
        let mut error = Error::config(what);
        if failure.denied {
            error = error.hint("make it readable for everybody: chmod a+r");
        }
        self.problems.failed(error);
    }

    fn misnamed(&mut self, path: &Path) {
        let name = super::shown(&path.display().to_string());
        self.problems.warn(Error::config(format!("{name}: not read")).hint("only files named .yaml are"));
    }
}
