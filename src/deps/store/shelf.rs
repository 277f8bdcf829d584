//! One environment's place in a store: what lies there just now.

use super::archive;
use super::archive::Manifest;
use super::failed::{self, Failed};
use super::ground::Ground;
use super::lease::{self, Lease, Owner};
use super::names::Names;
use super::pack;
use super::turn::Look;
use super::{Packed, Place};
use crate::show;
use crate::sys::temporary::Temporary;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A use is written down at most so often.
const TOUCH: Duration = Duration::from_secs(600);

/// Marks the directory for programs that make backups (bford.info/cachedir).
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# Environments shared by starts of trainit (deps.store). Each can be removed at any time.\n",
);

impl State {
    /// In a few words.
    pub fn words(&self) -> String {
        match self {
            State::There(manifest, age, bytes) => {
                let Manifest { packages, installer, host, .. } = manifest;
                let packages = show::count(packages.len() as u64, "package");
                format!(
                    "has it: {packages}, {}, by {installer} on {host}, {} old",
                    show::size(*bytes),
                    show::time(*age)
                )
            }
            State::Building(owner) => format!("{} builds it: {}", owner.host, owner.doing),
            State::Failed(failed) => format!("it could not be built on {}: {}", failed.host, failed.what()),
            State::Missing => "does not have it".to_owned(),
            State::Bad(why) => format!("is of no use: {why}"),
        }
    }
}

/// A place in a store.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The store.
    pub directory: PathBuf,
    /// The files.
    pub names: Names,
    /// What is wanted.
    pub key: String,
    /// Most bytes of all environments.
    pub limit: u64,
    /// An environment that is older is built anew.
    pub age: Option<Duration>,
    ground: Ground,
}

/// What lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there, for so long, and has so many bytes.
    There(Manifest, Duration, u64),
    /// Somebody builds it.
    Building(Owner),
    /// It could not be built.
    Failed(Failed),
    /// It is not there.
    Missing,
    /// It cannot be used.
    Bad(String),
}

impl Shelf {
    /// The place of this key. The directory is made if need be.
    ///
    /// # Errors
    /// In words: it is not there and cannot be made.
    pub fn of(directory: &Path, key: String, limit: u64, age: Option<Duration>) -> Result<Self, String> {
        let made = match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::read_dir(directory).map(drop),
        };
        made.map_err(|error| error.to_string())?;
        if !directory.join(TAG.0).exists() {
            let _ = fs::write(directory.join(TAG.0), TAG.1);
        }
        let (names, ground) = (Names::of(directory, &key), Ground::of(directory));
        Ok(Shelf { directory: directory.to_owned(), names, key, limit, age, ground })
    }

    /// What is seen by who wants it; with the environment, if it is there.
    ///
    /// # Errors
    /// In words: why nothing here can be used.
    pub fn look(&self) -> Result<(Look, Option<Packed>), String> {
        let packed = self.packed()?;
        if let (None, Some(closed)) = (&packed, &self.ground.closed) {
            return Err(format!("the environment is not there, and cannot be put there ({closed})"));
        }
        let lease = lease::look(&self.names.lease);
        let orphaned = lease.as_deref().and_then(lease::read).is_some_and(|owner| owner.is_dead());
        Ok((Look { finished: packed.is_some(), failed: self.failed(), lease, orphaned }, packed))
    }

    /// The environment. One that is damaged counts as none: the next one takes its place.
    fn packed(&self) -> Result<Option<Packed>, String> {
        let mut file = match File::open(&self.names.packed) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let found = file.metadata().map_err(|error| error.to_string())?;
        self.ground.believes(&found).map_err(|why| format!("{}: {why}", self.names.packed.display()))?;
        if self.age.is_some_and(|age| self.ground.age(&found) >= age) {
            return Ok(None);
        }
        let index = archive::index(&mut file).ok().filter(|index| index.manifest.key == self.key);
        Ok(index.map(|index| Packed { index, file }))
    }

    /// The file is there, but what it holds is of no use.
    pub fn is_bad(&self) -> bool {
        !matches!(self.packed(), Ok(Some(_)))
    }

    /// A failed attempt that still counts.
    pub fn failed(&self) -> Option<Failed> {
        let file = File::open(&self.names.failed).ok()?;
        let found = file.metadata().ok()?;
        let counts = self.ground.believes(&found).is_ok() && self.ground.age(&found) < failed::HOLDS;
        let mut bytes = Vec::new();
        file.take(failed::MAX).read_to_end(&mut bytes).ok()?;
        failed::read(&bytes).filter(|_| counts)
    }

    /// Writes down that it is used, so that it is not taken for garbage.
    pub(super) fn touch(&self) {
        let recent = fs::metadata(&self.names.used).is_ok_and(|used| self.ground.age(&used) < TOUCH);
        if !recent && self.ground.closed.is_none() {
            let _ = fs::write(&self.names.used, "\n");
        }
    }

    /// Packs and publishes in one step; the bytes before and after.
    pub(super) fn write(
        &self,
        lease: &mut Lease,
        place: &Place,
        manifest: Manifest,
        files: &[PathBuf],
    ) -> io::Result<(u64, u64)> {
        let mut new = Temporary::make(&self.directory, super::ground::UNFINISHED)?;
        let mut plain = 0;
        let mut tell = |bytes| {
            plain = bytes;
            lease.beat(|| "packing".to_owned());
        };
        pack::pack(&place.root, files, manifest, BufWriter::new(new.file()), &mut tell)?;
        let packed = new.file().metadata()?.len();
        new.become_file(&self.names.packed, 0o644, true)?;
        // A server that is asked a second time says that there was nothing to rename: what counts is what is there.
        File::open(&self.directory)?.sync_all()?;
        let _ = fs::remove_file(&self.names.failed);
        self.touch();
        Ok((plain, packed))
    }

    /// Takes a damaged environment away, if it may.
    pub fn discard(&self) {
        let _ = fs::remove_file(&self.names.packed);
    }

    /// What lies there, for people.
    pub fn state(&self) -> State {
        let (look, packed) = match self.look() {
            Ok(seen) => seen,
            Err(why) => return State::Bad(why),
        };
        if let Some(packed) = packed {
            let found = packed.file.metadata().ok();
            let (age, bytes) = found.map_or_else(Default::default, |found| (self.ground.age(&found), found.len()));
            return State::There(packed.index.manifest, age, bytes);
        }
        let owner = look.lease.as_deref().and_then(lease::read).filter(|_| !look.orphaned);
        let failed = look.failed.filter(Failed::is_for_all).map(State::Failed);
        owner.map(State::Building).or(failed).unwrap_or(State::Missing)
    }
}
