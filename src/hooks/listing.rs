//! The hooks of a directory, with their order and kind.

use super::failure;
use crate::error::Error;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HookFile {
    /// The file's path.
    pub path: PathBuf,
    /// The way to run it.
    pub kind: HookKind,
}

/// The way in which a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookKind {
    /// `*.sh`: a shell sources it, and exported variables are kept.
    Script,
    /// `*.txt`: it is printed.
    Text,
    /// Any other executable file.
    Program,
}

/// Suffixes of files that editors and package managers leave.
const LEFTOVERS: [&[u8]; 8] = [b"~", b".bak", b".orig", b".swp", b".disabled", b".dpkg-old", b".rpmsave", b".rpmnew"];

/// Returns the hooks of a path: the file itself, or the directory's files in the order of their names' bytes.
///
/// A path that does not exist, or a file that is no hook, is reported.
pub(super) fn hooks(path: &Path, tell: &mut dyn FnMut(Error)) -> Vec<HookFile> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => {
            tell(failure(false, format!("hook {} cannot be found", text::path(path))).caused_by(error));
            return Vec::new();
        }
    };
    if !meta.is_dir() {
        return one(path.to_owned(), &meta, tell).into_iter().collect();
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let files = files.into_iter().filter(|file| counts(file));
    let regular = files.filter_map(|file| Some((std::fs::metadata(&file).ok().filter(Metadata::is_file)?, file)));
    regular.filter_map(|(meta, file)| one(file, &meta, tell)).collect()
}

fn counts(file: &Path) -> bool {
    let name = file.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    !name.starts_with(b".") && !LEFTOVERS.iter().any(|end| name.ends_with(end))
}

fn one(path: PathBuf, meta: &Metadata, tell: &mut dyn FnMut(Error)) -> Option<HookFile> {
    let executable = meta.permissions().mode() & 0o111 != 0;
    let Some(kind) = kind(&path, executable) else {
        let what = format!("{} is no hook: it may not be executed", text::path(&path));
        tell(failure(false, what).hint("chmod +x, or a name that ends with .sh or .txt"));
        return None;
    };
    Some(HookFile { path, kind })
}

/// Checks that root may run a hook: no other user could have written it, or put it there.
///
/// On a read-only file system no user could, whatever the permissions say: a ConfigMap and Docker Desktop's mounts grant everything.
///
/// # Errors
/// Why root does not run the hook, with what to type.
pub(super) fn run_by_root(hook: &HookFile) -> Result<(), Error> {
    if !geteuid().is_root() || hook.kind == HookKind::Text {
        return Ok(());
    }
    let file = hook.path.canonicalize().unwrap_or_else(|_| hook.path.clone());
    let named = hook.path.parent().unwrap_or(Path::new("/"));
    let places = [Some(file.as_path()), file.parent(), Some(named)];
    match places.into_iter().flatten().find(|path| is_everybodys(path)) {
        Some(open) => {
            let shown = text::quoted(open.as_os_str());
            Err(failure(false, format!("root does not run hook {}", text::path(&hook.path)))
                .because(format!("everybody may write {shown}"))
                .hint(format!("chmod o-w {shown}"))
                .hint("or mount it read-only"))
        }
        None => Ok(()),
    }
}

fn is_everybodys(path: &Path) -> bool {
    let Ok(found) = std::fs::metadata(path) else { return false };
    let mode = found.permissions().mode();
    let open = mode & 0o002 != 0 && !(found.is_dir() && mode & 0o1000 != 0);
    open && !statvfs(path).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY))
}

fn kind(path: &Path, executable: bool) -> Option<HookKind> {
    match path.extension().map(OsStrExt::as_bytes) {
        Some(b"sh") => Some(HookKind::Script),
        Some(b"txt") => Some(HookKind::Text),
        _ => executable.then_some(HookKind::Program),
    }
}
