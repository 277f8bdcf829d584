//! Lists the installed distributions by the names of their directories, such as `numpy-1.26.4.dist-info`. The requirements of a
//! distribution are read from its files (`metadata`), and only for distributions that are required.

mod folder;
mod frozen;
pub mod metadata;
pub mod origin;
pub mod record;

pub use folder::{Folder, Folders};

use crate::packaging::{Name, Version};
use folder::FolderFiles;
use metadata::{Metadata, MetadataHead};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::rc::Rc;

/// An installed distribution.
#[derive(Debug)]
pub struct Distribution {
    /// The name of the project.
    pub name: Name,
    /// The version; `None` if it is not understood.
    pub version: Option<Version>,
    /// The path of its `.dist-info` or `.egg-info`.
    pub path: PathBuf,
    /// Whether the same directory contains another version as well, so that it is unknown which one an import finds.
    pub ambiguous: bool,
    files: Rc<FolderFiles>,
}

/// The distributions of one directory, by name.
pub type Distributions = HashMap<Name, Distribution>;

/// The distributions of an interpreter, in the order of its directories.
#[derive(Clone, Debug, Default)]
pub struct Installed(Vec<Rc<Folder>>);

impl Installed {
    /// Reads directories of packages. A distribution in an earlier directory hides one in a later directory, as for imports.
    pub fn read<'a>(directories: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Installed::of(&Folders::default(), directories)
    }

    /// Does the same for directories as they were when `folders` first read them.
    pub fn of<'a>(folders: &Folders, directories: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut all: Vec<Rc<Folder>> = Vec::new();
        for folder in directories.into_iter().map(|directory| folders.get(directory)) {
            if !all.iter().any(|known| Rc::ptr_eq(known, &folder)) {
                all.push(folder);
            }
        }
        Installed(all)
    }

    /// Returns the distribution of this name.
    pub fn get(&self, name: &Name) -> Option<&Distribution> {
        self.0.iter().find_map(|folder| folder.distributions().get(name))
    }

    /// Returns all visible distributions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Distribution> {
        self.0.iter().enumerate().flat_map(move |(at, folder)| {
            let seen = move |found: &&Distribution| {
                !self.0.iter().take(at).any(|earlier| earlier.distributions().contains_key(&found.name))
            };
            folder.distributions().values().filter(seen)
        })
    }
}

impl Distribution {
    /// Reads the distribution's metadata; `None` if that fails or contradicts the name of the directory.
    pub fn metadata(&self) -> Option<Metadata> {
        let mut head = MetadataHead::default();
        self.read(&mut head).then(|| head.metadata())
    }

    /// Reads the distribution's metadata into a buffer; returns false if that fails or contradicts the name of the directory.
    pub fn read(&self, head: &mut MetadataHead) -> bool {
        let entry = self.path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let own = |head: &MetadataHead| head.version().and_then(|text| Version::parse(&text));
        head.read(&self.files, entry).and_then(|()| own(head)).is_some_and(|own| Some(&own) == self.version.as_ref())
    }

    fn is_egg(&self) -> bool {
        self.path.extension().is_some_and(|end| end == "egg-info")
    }
}

fn distributions(folder: &Folder) -> Distributions {
    let mut found = HashMap::new();
    for name in folder.names() {
        let Some(new) = name.to_str().and_then(|name| distribution(folder, name)) else { continue };
        match found.entry(new.name.clone()) {
            Entry::Vacant(place) => _ = place.insert(new),
            Entry::Occupied(mut place) => merge(place.get_mut(), new),
        }
    }
    found
}

/// Merges two entries of one distribution. The two forms in one version count as one, because conda writes both at times.
fn merge(known: &mut Distribution, new: Distribution) {
    let twice = known.is_egg() == new.is_egg() || known.version != new.version;
    let ambiguous = known.ambiguous || twice;
    if known.is_egg() {
        *known = new;
    }
    known.ambiguous = ambiguous;
}

/// Returns the distribution of a directory's entry. Names with a leading `~` are remains of a broken installation.
fn distribution(folder: &Folder, entry: &str) -> Option<Distribution> {
    let (stem, is_egg) = match entry.strip_suffix(".dist-info") {
        Some(stem) => (stem, false),
        None => (entry.strip_suffix(".egg-info")?, true),
    };
    if stem.starts_with(['~', '-']) {
        return None;
    }
    let told = |name: &str, version: &str| Some((Name::parse(name)?, Version::parse(version)?));
    let (name, version) = match stem.split_once('-').and_then(|(name, rest)| told(name, without_python(rest, is_egg))) {
        Some((name, version)) => (name, Some(version)),
        None => {
            let mut head = MetadataHead::default();
            head.read(folder.files(), entry)?;
            (Name::parse(&head.name()?)?, head.version().and_then(|text| Version::parse(&text)))
        }
    };
    let files = Rc::clone(folder.files());
    Some(Distribution { name, version, path: files.path(entry), ambiguous: false, files })
}

/// Returns `1.0` for `1.0-py3.11-linux-x86_64`.
fn without_python(text: &str, is_egg: bool) -> &str {
    text.split_once("-py").filter(|_| is_egg).map_or(text, |(version, _)| version)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
