//! Finds the commit of a directory from git's own files: no git binary runs, and no code of the repository is executed.
//!
//! The files may be on a dead mount, so this code belongs in a process that can be killed. It uses no configuration.

pub mod parse;
pub mod reftable;
mod trust;

pub use trust::trust;

use nix::errno::Errno;
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use parse::HeadReference;
use reftable::ReferenceValue;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most bytes that are read of a small file.
const SMALL: u64 = 8 << 10;
/// Most bytes that are read of `packed-refs`, or of one table; enough for half a million references.
const PACKED: u64 = 32 << 20;
/// Most directories upwards in which a repository is looked for.
const LEVELS: usize = 40;
/// Longest chain of references.
const HOPS: usize = 5;

/// A repository, as seen from a directory in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The directory that holds `.git`, without links: git's top level.
    pub root: PathBuf,
    /// The branch; `None` if the head is detached or not known.
    pub branch: Option<Vec<u8>>,
    /// The commit, or why it is not known.
    pub commit: Result<String, Unknown>,
    /// The owners of the files that git checks before it trusts a repository.
    pub owners: Vec<u32>,
}

/// Why a commit is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The repository of a worktree or a submodule is missing: usually it was not mounted.
    Elsewhere(PathBuf),
    /// The references are in tables that cannot be read.
    Reftable,
    /// The branch has no commit yet.
    Unborn,
    /// A file of git cannot be read, or has unexpected content.
    Unreadable(Errno),
}

/// Finds the repository of a directory, upwards on the same file system, as git does.
pub fn find(directory: &Path) -> Option<Repository> {
    let directory = directory.canonicalize().ok()?;
    let device = std::fs::metadata(&directory).ok()?.dev();
    let near = directory.ancestors().take(LEVELS);
    let mut same =
        near.take_while(|level| **level == *directory || std::fs::metadata(level).is_ok_and(|m| m.dev() == device));
    same.find_map(Repository::at)
}

/// Returns the commit in the name of a directory that git-sync published; links to it are followed.
pub fn published(directory: &Path) -> Option<String> {
    parse::published(directory.canonicalize().ok()?.file_name()?.as_bytes())
}

impl Repository {
    fn at(root: &Path) -> Option<Self> {
        let dot = root.join(".git");
        let (git, head) = match small(&dot.join("HEAD")) {
            Err(Errno::ENOENT) => return None,
            Err(Errno::ENOTDIR) => {
                let git = root.join(parse::link(&small(&dot).ok()?)?);
                let head = small(&git.join("HEAD"));
                (git, head)
            }
            head => (dot.clone(), head),
        };
        let owner = |path: &Path| std::fs::symlink_metadata(path).ok().map(|meta| meta.uid());
        let mut found = Repository {
            root: root.to_owned(),
            branch: None,
            commit: Err(Unknown::Unborn),
            owners: [root, &dot, &git].into_iter().filter_map(owner).collect(),
        };
        found.commit = match head {
            Ok(head) => found.resolve(&git, &head),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Err(Unknown::Elsewhere(git)),
            Err(errno) => Err(Unknown::Unreadable(errno)),
        };
        Some(found)
    }

    fn resolve(&mut self, git: &Path, head: &[u8]) -> Result<String, Unknown> {
        let common = match small(&git.join("commondir")) {
            Ok(text) => git.join(parse::path(&text).ok_or(Unknown::Unreadable(Errno::EINVAL))?),
            Err(_) => git.to_owned(),
        };
        let mut head = parse::head(head);
        for _ in 0..HOPS {
            let name = match head {
                Some(HeadReference::Commit(commit)) => return Ok(commit),
                Some(HeadReference::Reference(name)) => name,
                Some(HeadReference::Reftable) => return self.in_tables(git, &common),
                None => break,
            };
            self.branch = Some(name.strip_prefix(b"refs/heads/").unwrap_or(&name).to_vec());
            head = match loose(git, &common, &name) {
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EISDIR) => {
                    return packed(&common, &name).ok_or(Unknown::Unborn);
                }
                Err(errno) => return Err(Unknown::Unreadable(errno)),
                Ok(text) => parse::head(&text),
            };
        }
        Err(Unknown::Unreadable(Errno::EINVAL))
    }
}

impl Repository {
    /// Resolves a reference in tables: a worktree's own table has its `HEAD`, the common one has the rest.
    fn in_tables(&mut self, git: &Path, common: &Path) -> Result<String, Unknown> {
        let (mut name, mut directory) = (b"HEAD".to_vec(), git);
        for _ in 0..HOPS {
            match tabled(directory, &name) {
                Err(errno) => return Err(Unknown::Unreadable(errno)),
                Ok(Some(ReferenceValue::Commit(commit))) => return Ok(commit),
                Ok(Some(ReferenceValue::Reference(next))) => {
                    self.branch = Some(next.strip_prefix(b"refs/heads/").unwrap_or(&next).to_vec());
                    (name, directory) = (next, common);
                }
                Ok(Some(ReferenceValue::Deleted)) => return Err(Unknown::Unborn),
                Ok(None) => return Err(if name == b"HEAD" { Unknown::Reftable } else { Unknown::Unborn }),
            }
        }
        Err(Unknown::Reftable)
    }
}

/// Returns the value of a reference in the newest table that has it.
fn tabled(directory: &Path, name: &[u8]) -> Result<Option<ReferenceValue>, Errno> {
    let directory = directory.join("reftable");
    let list = small(&directory.join("tables.list"))?;
    let tables = list.split(|byte| *byte == b'\n').rev().filter(|table| !table.is_empty() && !table.contains(&b'/'));
    for table in tables {
        let mut bytes = Vec::new();
        open(&directory.join(OsStr::from_bytes(table)))?.take(PACKED).read_to_end(&mut bytes).map_err(errno)?;
        if let Some(value) = reftable::find(&bytes, name) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Reads a reference in a file of its own; a worktree has some of its own.
fn loose(git: &Path, common: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = |directory: &Path| small(&directory.join(OsStr::from_bytes(name)));
    if git == common { file(common) } else { file(git).or_else(|_| file(common)) }
}

fn packed(common: &Path, name: &[u8]) -> Option<String> {
    let file = open(&common.join("packed-refs")).ok()?;
    parse::packed(BufReader::new(file.take(PACKED)), name)
}

fn small(path: &Path) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    open(path)?.take(SMALL).read_to_end(&mut bytes).map_err(errno)?;
    Ok(bytes)
}

/// Opens a file without blocking, even if it is a pipe or a device.
fn open(path: &Path) -> Result<File, Errno> {
    let file = File::options().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).map_err(errno)?;
    let kind = file.metadata().map_err(errno)?;
    if kind.is_file() { Ok(file) } else { Err(if kind.is_dir() { Errno::EISDIR } else { Errno::EINVAL }) }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}
