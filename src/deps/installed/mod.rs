//! Which distributions are installed, by the names of their directories alone: `numpy-1.26.4.dist-info` says it all. What a
//! distribution requires stands inside (`metadata`) and is read for those only that somebody asks for.

pub mod metadata;
pub mod origin;
pub mod record;

use super::packaging::{Name, Version};
use metadata::Metadata;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

/// An installed distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Its name.
    pub name: Name,
    /// Its version; none if it is not one that is understood.
    pub version: Option<Version>,
    /// Its `.dist-info` or `.egg-info`.
    pub path: PathBuf,
    /// The same directory has it a second time, in another version: what an import finds is anybody's guess.
    pub ambiguous: bool,
}

/// The distributions of an interpreter.
#[derive(Clone, Debug, Default)]
pub struct Installed(HashMap<Name, Distribution>);

impl Installed {
    /// Looks into directories of packages. What an earlier one has hides what a later one has, as for imports.
    pub fn read<'a>(directories: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut all = Installed::default();
        for directory in directories {
            for (name, distribution) in in_directory(directory) {
                all.0.entry(name).or_insert(distribution);
            }
        }
        all
    }

    /// The distribution of this name.
    pub fn get(&self, name: &Name) -> Option<&Distribution> {
        self.0.get(name)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Distribution> {
        self.0.values()
    }
}

impl Distribution {
    /// What it says about itself; none if that cannot be read or contradicts the name of its directory.
    pub fn metadata(&self) -> Option<Metadata> {
        let found = metadata::read(&self.path)?;
        let own = found.version.as_deref().and_then(Version::parse);
        (own.is_some() && own == self.version).then_some(found)
    }

    fn is_egg(&self) -> bool {
        self.path.extension().is_some_and(|end| end == "egg-info")
    }
}

fn in_directory(directory: &Path) -> HashMap<Name, Distribution> {
    let mut found = HashMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Some(new) = entry.file_name().to_str().and_then(|name| distribution(directory, name)) else { continue };
        match found.entry(new.name.clone()) {
            Entry::Vacant(place) => _ = place.insert(new),
            Entry::Occupied(mut place) => merge(place.get_mut(), new),
        }
    }
    found
}

/// The same in two forms is one; conda writes both at times.
fn merge(known: &mut Distribution, new: Distribution) {
    let twice = known.is_egg() == new.is_egg() || known.version != new.version;
    let ambiguous = known.ambiguous || twice;
    if known.is_egg() {
        *known = new;
    }
    known.ambiguous = ambiguous;
}

/// The distribution that an entry of a directory belongs to. Names that begin with `~` are what a broken installation left.
fn distribution(directory: &Path, entry: &str) -> Option<Distribution> {
    let (stem, is_egg) = match entry.strip_suffix(".dist-info") {
        Some(stem) => (stem, false),
        None => (entry.strip_suffix(".egg-info")?, true),
    };
    if stem.starts_with(['~', '-']) {
        return None;
    }
    let path = directory.join(entry);
    let told = |name: &str, version: &str| Some((Name::parse(name)?, Version::parse(version)?));
    let (name, version) = match stem.split_once('-').and_then(|(name, rest)| told(name, without_python(rest, is_egg))) {
        Some((name, version)) => (name, Some(version)),
        None => {
            let inside = metadata::read(&path)?;
            (Name::parse(inside.name.as_deref()?)?, inside.version.as_deref().and_then(Version::parse))
        }
    };
    Some(Distribution { name, version, path, ambiguous: false })
}

/// `1.0` of `1.0-py3.11-linux-x86_64`.
fn without_python(text: &str, is_egg: bool) -> &str {
    text.split_once("-py").filter(|_| is_egg).map_or(text, |(version, _)| version)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
