//! Gives a fetched checkpoint its name.

use super::manifest::Manifest;
use super::pointer::pointer;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Renames a checkpoint from the directory that it was fetched into to its place in `dir`, and returns the paths of what stood there and
/// was renamed: it was not complete, and is not trainit's to delete.
///
/// # Errors
/// The error of the file system.
pub fn publish(manifest: &Manifest, fetched: &Path, dir: &Path, stamp: &str) -> io::Result<Vec<String>> {
    let entries: Vec<&str> = match manifest.is_directory() {
        true => vec![&manifest.name],
        false => manifest.files.iter().map(|file| file.path.as_str()).collect(),
    };
    let mut aside = Vec::new();
    for entry in entries {
        let place = dir.join(entry);
        place.parent().map_or(Ok(()), fs::create_dir_all)?;
        if place.symlink_metadata().is_ok() {
            let name = aside_name(entry, stamp);
            fs::rename(&place, dir.join(&name))?;
            aside.push(name);
        }
        fs::rename(fetched.join(entry), &place)?;
        sync_parent(&place)?;
    }
    point(manifest, dir)?;
    fs::remove_dir_all(fetched)?;
    Ok(aside)
}

/// Writes the file by which a trainer finds the checkpoint, where its family has one.
///
/// # Errors
/// The error of the file system.
pub fn point(manifest: &Manifest, dir: &Path) -> io::Result<()> {
    let Some((name, text)) = pointer(&manifest.family, &manifest.name, manifest.step) else { return Ok(()) };
    let parent = dir.join(&manifest.name).parent().map_or_else(|| dir.to_owned(), Path::to_owned);
    let mut new = tempfile::Builder::new().prefix(".trainit-").tempfile_in(&parent)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    new.as_file().set_permissions(mode)?;
    new.persist(parent.join(name)).map_err(|error| error.error)?;
    Ok(())
}

/// Returns a name that no search for checkpoints takes for one.
fn aside_name(entry: &str, stamp: &str) -> String {
    match entry.rsplit_once('/') {
        Some((parent, last)) => format!("{parent}/.{last}.before-{stamp}"),
        None => format!(".{entry}.before-{stamp}"),
    }
}

fn sync_parent(place: &Path) -> io::Result<()> {
    place.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
