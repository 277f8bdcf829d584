//! Objects of a directory of this machine (`file:///…`), such as a mounted share: written under another name and renamed, so that nobody
//! sees half of one. The calls block; there is nothing that could go on beside them faster.

use crate::job::Job;
use crate::location::Location;
use crate::objects::{Fetch, FileRange, said};
use crate::pace::Rate;
use crate::range::{Sink, local, pieces};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use transfer_protocol::{Done, Failure, FailureKind, Object, Reply};

/// How names begin that are on their way to another one; a listing leaves them out.
const PRIVATE: &str = ".trainit-transfer-";

/// How much is copied at a time.
const PIECE: usize = 256 << 10;

/// A fault of the store's side, where what is missing is gone.
fn there(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Failure::new(FailureKind::Gone, format!("{} is not there", text::path(path)))
        }
        io::ErrorKind::PermissionDenied => Failure { kind: FailureKind::Denied, ..local(path, error) },
        io::ErrorKind::AlreadyExists => Failure::new(FailureKind::Changed, format!("{} exists", text::path(path))),
        _ => local(path, error),
    }
}

fn tag(meta: &Metadata) -> String {
    format!("{}.{:09}-{}-{}", meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino())
}

fn object(key: String, meta: &Metadata) -> Object {
    Object { key, size: meta.size(), tag: tag(meta), modified: meta.mtime(), ..Object::default() }
}

/// Lists a directory, and those below it.
///
/// # Errors
/// A directory that cannot be read, or a name that is no UTF-8.
pub(crate) async fn list(job: &Job, location: &Location, flat: bool) -> Result<(), Failure> {
    let top = PathBuf::from(location.key.trim_end_matches('/'));
    let top = if top.as_os_str().is_empty() { PathBuf::from("/") } else { top };
    let (mut count, mut open) = (0, vec![(top, String::new())]);
    while let Some((directory, prefix)) = open.pop() {
        let entries = match fs::read_dir(&directory) {
            // A prefix of a store is not there either until an object is.
            Err(error) if error.kind() == io::ErrorKind::NotFound && prefix.is_empty() => break,
            entries => entries.map_err(|error| there(&directory, &error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| there(&directory, &error))?.path();
            let name = path.file_name().unwrap_or_default().to_str();
            let bad = || Failure::new(FailureKind::Bad, format!("{}: its name is no UTF-8", text::path(&path)));
            let key = format!("{prefix}{}", name.ok_or_else(bad)?);
            let meta = fs::metadata(&path).map_err(|error| there(&path, &error))?;
            match meta.is_dir() {
                _ if key.rsplit('/').next().is_some_and(|name| name.starts_with(PRIVATE)) => continue,
                true if flat => {
                    open.push((path, format!("{key}/")));
                    continue;
                }
                true => job.say(Reply::Prefix(format!("{key}/"))),
                false => job.say(Reply::Object(object(key, &meta))),
            }
            count += 1;
        }
        tokio::task::yield_now().await;
    }
    job.say(Reply::End(count));
    Ok(())
}

/// Tells one file's data.
///
/// # Errors
/// A file that is not there.
pub(crate) fn head(location: &Location) -> Result<Object, Failure> {
    let path = Path::new(&location.key);
    let meta = fs::metadata(path).map_err(|error| there(path, &error))?;
    if meta.is_dir() {
        return Err(Failure::new(FailureKind::Gone, format!("{} is a directory", text::path(path))));
    }
    Ok(object(location.name().to_owned(), &meta))
}

/// Copies a range.
///
/// # Errors
/// `changed`, if the file is no longer the one that was asked for.
pub(crate) async fn get(rate: &Rate, job: &Job, location: &Location, fetch: Fetch<'_>) -> Result<Done, Failure> {
    let path = Path::new(&location.key);
    let file = File::open(path).map_err(|error| there(path, &error))?;
    let unchanged = || {
        let meta = file.metadata().map_err(|error| there(path, &error))?;
        let same = fetch.tag.is_none_or(|wanted| wanted == tag(&meta)) && meta.size() >= fetch.offset + fetch.length;
        let changed = || Failure::new(FailureKind::Changed, format!("{} is another version by now", text::path(path)));
        if same { Ok(()) } else { Err(changed()) }
    };
    unchanged()?;
    let mut sink = Sink::open(&fetch)?;
    let mut piece = vec![0; PIECE];
    while sink.missing() > 0 {
        let wanted = usize::try_from(sink.missing()).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..wanted).unwrap_or_default();
        file.read_exact_at(part, fetch.offset + sink.done()).map_err(|error| there(path, &error))?;
        rate.take(part.len(), &job.watch).await;
        job.add(sink.write(part)?);
        tokio::task::yield_now().await;
    }
    unchanged()?;
    Ok(Done { bytes: fetch.length, sha256: sink.sha256(), ..Done::default() })
}

/// Reads a small file.
///
/// # Errors
/// `bad`, if it is longer.
pub(crate) fn read(location: &Location, most: u64) -> Result<Done, Failure> {
    let path = Path::new(&location.key);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| there(path, &error))?;
    let meta = file.metadata().map_err(|error| there(path, &error))?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| there(path, &error))?;
    if bytes.len() as u64 > most {
        return Err(Failure::new(FailureKind::Bad, format!("{}: it is longer than a text may be", text::path(path))));
    }
    said(location, &bytes, Some(tag(&meta)))
}

/// Where something is put before it takes its name.
fn draft(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{PRIVATE}{name}-{suffix}"))
}

/// Writes a file.
///
/// # Errors
/// `changed`, if it must be new and is there; a disk that is full.
pub(crate) fn put(job: &Job, location: &Location, pieces: &[bytes::Bytes], only_new: bool) -> Result<Done, Failure> {
    let path = Path::new(&location.key);
    let draft = draft(path, &format!("{}-{}", std::process::id(), job.id));
    let written = write(path, &draft, pieces, only_new);
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    let meta = written.map_err(|error| there(path, &error))?;
    job.add(meta.size());
    Ok(Done { bytes: meta.size(), tag: Some(tag(&meta)), ..Done::default() })
}

fn write(path: &Path, draft: &Path, pieces: &[bytes::Bytes], only_new: bool) -> io::Result<Metadata> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::create(draft)?;
    for piece in pieces {
        file.write_all(piece)?;
    }
    file.sync_all()?;
    if only_new {
        fs::hard_link(draft, path)?;
        fs::remove_file(draft)?;
    } else {
        fs::rename(draft, path)?;
    }
    file.metadata()
}

/// Begins a file of several parts: a directory beside it.
///
/// # Errors
/// A directory that cannot be made.
pub(crate) fn begin(job: &Job, location: &Location) -> Result<Done, Failure> {
    let path = Path::new(&location.key);
    let upload = format!("{}-{}", std::process::id(), job.id);
    let parts = draft(path, &upload);
    fs::create_dir_all(&parts).map_err(|error| there(&parts, &error))?;
    Ok(Done { upload: Some(upload), ..Done::default() })
}

/// Returns the directory of an upload.
///
/// # Errors
/// `bad`, for a word that no `begin` has answered.
fn parts_of(location: &Location, upload: &str) -> Result<PathBuf, Failure> {
    let parts = draft(Path::new(&location.key), upload);
    let known = !upload.contains('/') && parts.is_dir();
    known
        .then_some(parts)
        .ok_or_else(|| Failure::new(FailureKind::Gone, format!("{}: there is no such upload", location.shown)))
}

/// Writes one part.
///
/// # Errors
/// A disk that is full, or an upload that is not there.
pub(crate) fn part(
    job: &Job,
    location: &Location,
    (upload, number): (&str, u32),
    range: FileRange<'_>,
) -> Result<Done, Failure> {
    let path = parts_of(location, upload)?.join(format!("{number:05}"));
    let body = pieces(range.path, range.offset, range.length)?;
    let mut file = File::create(&path).map_err(|error| there(&path, &error))?;
    body.iter().try_for_each(|piece| file.write_all(piece)).map_err(|error| there(&path, &error))?;
    job.add(range.length);
    Ok(Done { bytes: range.length, tag: Some(format!("{number:05}")), ..Done::default() })
}

/// Makes the file out of its parts.
///
/// # Errors
/// A part that is not there, or a disk that is full.
pub(crate) fn complete(location: &Location, upload: &str, tags: &[String]) -> Result<Done, Failure> {
    let path = Path::new(&location.key);
    let parts = parts_of(location, upload)?;
    let whole = parts.join("whole");
    let meta = joined(path, &parts, &whole, tags).map_err(|error| there(path, &error))?;
    let _ = fs::remove_dir_all(&parts);
    Ok(Done { bytes: meta.size(), tag: Some(tag(&meta)), ..Done::default() })
}

fn joined(path: &Path, parts: &Path, whole: &Path, tags: &[String]) -> io::Result<Metadata> {
    let mut names: Vec<String> = tags.to_vec();
    if names.is_empty() {
        let found: io::Result<Vec<_>> = fs::read_dir(parts)?.collect();
        names = found?.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        names.sort();
    }
    let mut file = File::create(whole)?;
    for name in names.iter().filter(|name| !name.contains('/')) {
        io::copy(&mut File::open(parts.join(name))?, &mut file)?;
    }
    file.sync_all()?;
    fs::rename(whole, path)?;
    file.metadata()
}

/// Gives a file of several parts up.
pub(crate) fn abort(location: &Location, upload: &str) -> Done {
    if let Ok(parts) = parts_of(location, upload) {
        let _ = fs::remove_dir_all(parts);
    }
    Done::default()
}

/// Deletes a file.
///
/// # Errors
/// A file that cannot be deleted.
pub(crate) fn delete(location: &Location) -> Result<Done, Failure> {
    let path = Path::new(&location.key);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(there(path, &error)),
        _ => Ok(Done::default()),
    }
}
