//! What an environment of the store contains of an installation: the files, by the distributions' own lists (RECORD), and the packages
//! that came and went.

use super::install_root::InstallRoot;
use super::protect;
use super::stamp::VersionsByName;
use requirements::installed::{Distribution, Installed, record};
use std::path::{Path, PathBuf};

/// The reason why the files of an installation cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unlisted {
    /// A distribution does not say which files it has.
    #[error("{0} has no list of its files")]
    NoList(String),
    /// A distribution has a file outside of the directory of the installation.
    #[error("{} of {name} is outside of {}", file.display(), root.display())]
    Outside {
        /// The distribution.
        name: String,
        /// The file.
        file: PathBuf,
        /// The directory of the installation.
        root: PathBuf,
    },
}

/// Lists the files of these distributions, relative to the root. The files that make a distribution count as installed come last, so that
/// a half-unpacked distribution does not count as whole.
///
/// # Errors
/// A distribution without a list, or a file outside the root.
pub(super) fn files<'a>(
    place: &InstallRoot,
    metadata: impl Iterator<Item = &'a Path>,
) -> Result<Vec<PathBuf>, Unlisted> {
    let (mut parts, mut heads) = (Vec::new(), Vec::new());
    for metadata in metadata {
        let name = metadata.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let listed = record::files(metadata).ok_or_else(|| Unlisted::NoList(name.clone()))?;
        for file in listed {
            let Some(below) = place.below(&file) else {
                return Err(Unlisted::Outside { name, file, root: place.root.clone() });
            };
            if file.starts_with(metadata) { heads.push(below) } else { parts.push(below) }
        }
    }
    for list in [&mut parts, &mut heads] {
        list.sort_unstable();
        list.dedup();
    }
    parts.append(&mut heads);
    Ok(parts)
}

/// Lists the names of earlier packages that are gone or have another version now.
pub(super) fn gone(before: &VersionsByName, now: &VersionsByName) -> Vec<String> {
    before.iter().filter(|(name, version)| now.get(*name) != Some(version)).map(|(name, _)| name.clone()).collect()
}

/// Lists the packages that came, with versions.
pub(super) fn arrived(before: &VersionsByName, now: &Installed) -> Vec<(String, String)> {
    let words = |found: &Distribution| Some((found.name.to_string(), found.version.as_ref()?.to_string()));
    let mut all: Vec<_> = protect::new(before, now).filter_map(words).collect();
    all.sort();
    all
}
