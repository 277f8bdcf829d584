//! The manifest: the object that makes the files of a checkpoint in a mirror a checkpoint.

use super::names;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Version of the layout.
pub(crate) const VERSION: u32 = 1;

/// Most files of a checkpoint.
pub(crate) const MOST_FILES: usize = 100_000;

/// A whole checkpoint in a mirror.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout.
    pub version: u32,
    /// The checkpoint's path below `checkpoint.dir`.
    pub name: String,
    /// What stands before each file's path in the mirror; empty, except where the name was taken.
    #[serde(default)]
    pub root: String,
    /// The training step, where it is known.
    pub step: Option<u64>,
    /// The trainer's family, as in `checkpoint.family`.
    pub family: String,
    /// The run that it belongs to.
    pub run: String,
    /// The start that uploaded it.
    pub attempt: String,
    /// The machine that uploaded it.
    #[serde(default)]
    pub host: String,
    /// Seconds since 1970 when the last file was written.
    pub saved: f64,
    /// Seconds since 1970 when the upload was complete, by the uploader's clock.
    pub written: f64,
    /// Which part of the checkpoint this is, where each node has one; `None` for a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The files.
    pub files: Vec<MirroredFile>,
}

/// The part of a checkpoint that one node of a job has saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number, from 1. The first one says that all of them are saved.
    pub number: u32,
    /// How many parts there are.
    pub of: u32,
    /// What all parts of one save have in common, and no others.
    pub save: String,
}

/// A file of a checkpoint in a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirroredFile {
    /// The path below `checkpoint.dir`, and below `root` in the mirror.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of each piece but the last.
    pub piece: u64,
    /// The SHA-256 of each piece, in lower-case hex.
    pub sha256: Vec<String>,
    /// What stands before the path in the mirror, where that differs from file to file, since they are of several parts.
    #[serde(skip)]
    pub(crate) root: Option<String>,
}

/// Why a manifest is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no manifest.
    #[error("it is no manifest: {0}")]
    NoJson(#[from] serde_json::Error),
    /// It has another version.
    #[error("it has version {0}, which this trainit does not know")]
    Version(u32),
    /// Its content does not add up.
    #[error("{0}")]
    Odd(String),
}

impl Manifest {
    /// Reads a manifest, and refuses names that leave the directory, and sums that do not fit the sizes.
    ///
    /// # Errors
    /// Anything that trainit would not have written.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let manifest: Manifest = serde_json::from_slice(bytes)?;
        if manifest.version != VERSION {
            return Err(Unreadable::Version(manifest.version));
        }
        manifest.odd().map_or(Ok(manifest), |why| Err(Unreadable::Odd(why)))
    }

    /// Returns the manifest as the text of its object.
    ///
    /// # Errors
    /// A number that JSON cannot hold.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Returns the object's name below the mirror of one of its files.
    pub(crate) fn object(&self, file: &MirroredFile) -> String {
        format!("{}{}", file.root.as_ref().unwrap_or(&self.root), file.path)
    }

    /// Returns the bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Returns when the last file was written; 1970 for a time that no clock shows.
    pub fn saved_at(&self) -> SystemTime {
        let since = Duration::try_from_secs_f64(self.saved).unwrap_or_default();
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }

    /// Returns whether the checkpoint is a directory.
    pub fn is_directory(&self) -> bool {
        self.files.iter().all(|file| file.path.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('/')))
    }

    fn odd(&self) -> Option<String> {
        let root_is_ours = self.root.is_empty() || self.root.starts_with(&names::in_own("again/"));
        let root = self.root.strip_suffix('/').unwrap_or(&self.root);
        let mut paths = BTreeSet::new();
        match () {
            () if !names::is_safe(&self.name) => Some(format!("its name {:?} leads elsewhere", self.name)),
            () if !root_is_ours || !root.is_empty() && !names::is_safe(root) => {
                Some(format!("its root {:?} leads elsewhere", self.root))
            }
            () if self.part.as_ref().is_some_and(|part| !(1..=part.of).contains(&part.number)) => {
                Some("its part has a number that does not exist".to_owned())
            }
            () if self.files.is_empty() || self.files.len() > MOST_FILES => {
                Some(format!("it has {} files", self.files.len()))
            }
            () => self.files.iter().find_map(|file| file.odd(&self.name, &mut paths)),
        }
    }
}

impl MirroredFile {
    /// Returns the offset and the length of each piece.
    pub fn pieces(&self) -> Vec<(u64, u64)> {
        pieces(self.size, self.piece)
    }

    fn odd<'a>(&'a self, name: &str, paths: &mut BTreeSet<&'a str>) -> Option<String> {
        let path = &self.path;
        let beside = |path: &str| path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
        let inside = path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match () {
            () if !names::is_safe(path) => Some(format!("the file {path:?} leads elsewhere")),
            // A set's other files lie beside the one that names it.
            () if !inside && beside(path) != beside(name) => Some(format!("the file {path:?} is not of {name:?}")),
            () if !paths.insert(path) => Some(format!("the file {path:?} is there twice")),
            () if self.piece == 0 || self.size.div_ceil(self.piece) > MOST_FILES as u64 => {
                Some(format!("the pieces of {path:?} are too small"))
            }
            () if self.sha256.len() != self.pieces().len() => {
                Some(format!("{path:?} does not have a sum for each piece"))
            }
            () => None,
        }
    }
}

/// Cuts a size into pieces: the offset and the length of each. An empty file is one empty piece.
pub(crate) fn pieces(size: u64, piece: u64) -> Vec<(u64, u64)> {
    let step = piece.max(1);
    let starts = (0..size.div_ceil(step).max(1)).map(|index| index * step);
    starts.map(|start| (start, step.min(size - start))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str, size: u64) -> MirroredFile {
        MirroredFile { path: path.into(), size, piece: 4, sha256: vec!["0".into(); pieces(size, 4).len()], root: None }
    }

    fn manifest(name: &str, files: Vec<MirroredFile>) -> Manifest {
        Manifest { version: VERSION, name: name.into(), files, ..Manifest::default() }
    }

    fn read(manifest: &Manifest) -> Result<Manifest, String> {
        let text = manifest.text().map_err(|error| error.to_string())?;
        Manifest::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let set = manifest("model_9.pt", vec![file("model_9.pt", 9), file("optim_9.pt", 0)]);
        let directory = manifest("run/ckpt-9", vec![file("run/ckpt-9/a/b", 8)]);
        for whole in [&set, &directory] {
            assert_eq!(read(whole).as_ref(), Ok(whole));
        }
        assert!(directory.is_directory() && !set.is_directory());
    }

    #[test]
    fn what_leads_elsewhere_or_does_not_add_up_is_refused() {
        let good = || manifest("ckpt-9", vec![file("ckpt-9/a", 9)]);
        let odd = [
            manifest("../ckpt-9", vec![file("../ckpt-9/a", 9)]),
            manifest("ckpt-9", vec![file("ckpt-9/../../a", 9)]),
            manifest("ckpt-9", vec![file("other/a", 9)]),
            manifest("ckpt-9", vec![file("ckpt-9/a", 9), file("ckpt-9/a", 9)]),
            manifest("ckpt-9", Vec::new()),
            manifest("ckpt-9", vec![MirroredFile { sha256: Vec::new(), ..file("ckpt-9/a", 9) }]),
            manifest("ckpt-9", vec![MirroredFile { piece: 0, ..file("ckpt-9/a", 9) }]),
            manifest("ckpt-9", vec![MirroredFile { size: u64::MAX, ..file("ckpt-9/a", 9) }]),
            Manifest { root: "../x/".into(), ..good() },
            Manifest { root: "other/".into(), ..good() },
            Manifest { version: 2, ..good() },
            Manifest { part: Some(Part { number: 3, of: 2, save: "s".into() }), ..good() },
        ];
        assert!(read(&good()).is_ok());
        for odd in odd {
            assert!(read(&odd).is_err(), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_cover_a_file_once_and_in_order(size in 0u64..1000, piece in 1u64..40) {
            let all = pieces(size, piece);
            let end = all.iter().try_fold(0, |at, (start, length)| (*start == at).then_some(at + length));
            prop_assert_eq!(end, Some(size));
            prop_assert!(all.iter().rev().skip(1).all(|(_, length)| *length == piece));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::read(&bytes);
        }
    }
}
