//! The tasks on objects of a cloud.

use crate::classify::Action;
use crate::cloud::Bucket;
use crate::job::Job;
use crate::location::{Location, Scheme};
use crate::pace::Rate;
use crate::range::{Sink, pieces};
use crate::tries::{Means, TryError};
use bytes::Bytes;
use futures_util::StreamExt;
use listing::Page;
use object_store::list::PaginatedListOptions;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::path::Path;
use transfer_protocol::{Done, Failure, FailureKind, Object, Reply};

/// A range of a local file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileRange<'a> {
    /// The file.
    pub(crate) path: &'a Path,
    /// First byte.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
}

/// A range of an object, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch<'a> {
    /// The only version that may be read.
    pub(crate) tag: Option<&'a str>,
    /// First byte of the object.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
    /// The file.
    pub(crate) path: &'a Path,
    /// Where the first byte goes.
    pub(crate) at: u64,
    /// Whether the SHA-256 of the bytes is wanted.
    pub(crate) sha256: bool,
}

/// Returns the key as object_store has it.
///
/// # Errors
/// `bad`, for a name that it has not.
pub(crate) fn key(location: &Location) -> Result<Key, Failure> {
    let found = Key::parse(&location.key).ok().filter(|key| key.as_ref() == location.key && !location.key.is_empty());
    found.ok_or_else(|| Failure::new(FailureKind::Bad, format!("{}: this name cannot be asked for", location.shown)))
}

/// Lists a prefix, page by page.
///
/// # Errors
/// What `Means::with_bucket` returns.
pub(crate) async fn list(means: &Means, job: &Job, location: &Location, flat: bool) -> Result<(), Failure> {
    let prefix = location.prefix();
    let (mut count, mut token) = (0, None);
    loop {
        let asked = token.clone();
        let page = means
            .with_bucket(job, (location, Action::List), async |bucket, _| {
                let page_token = asked.clone();
                let delimiter = (!flat).then(|| "/".into());
                let options = PaginatedListOptions { page_token, delimiter, ..PaginatedListOptions::default() };
                bucket.store.list_paginated(Some(&prefix), options).await?;
                let missing = || Failure::new(FailureKind::Later, format!("{}: no listing came", location.shown));
                Ok(job.watch.take_page().ok_or_else(missing)?)
            })
            .await?;
        token.clone_from(&page.next);
        count += tell(job, location.scheme, &prefix, page);
        if token.is_none() {
            job.say(Reply::End(count));
            return Ok(());
        }
        job.add(0);
    }
}

/// Writes a page's answers, and returns their number.
fn tell(job: &Job, scheme: Scheme, prefix: &str, page: Page) -> u64 {
    let relative = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    let mut count = 0;
    for object in page.objects {
        let key = relative(&object.key);
        // The marker of the listed directory itself.
        if key.is_empty() {
            continue;
        }
        count += 1;
        // Of a listing it is not known whether the tag is a sum: S3 does not tell which objects KMS has encrypted.
        let md5 = object.md5.filter(|_| scheme == Scheme::Azure);
        job.say(Reply::Object(Object { key, md5, ..object }));
    }
    for name in page.prefixes {
        count += 1;
        job.say(Reply::Prefix(relative(&name)));
    }
    job.flush();
    count
}

/// Asks for one object's data.
///
/// # Errors
/// What `Means::with_bucket` returns.
pub(crate) async fn head(means: &Means, job: &Job, location: &Location) -> Result<Object, Failure> {
    let key = key(location)?;
    means
        .with_bucket(job, (location, Action::Read), async |bucket, _| {
            let meta = bucket.store.head(&key).await?;
            Ok(object(job, location, &meta))
        })
        .await
}

fn object(job: &Job, location: &Location, meta: &ObjectMeta) -> Object {
    let seen = job.watch.seen();
    let tag = meta.e_tag.clone().unwrap_or_else(|| format!("{}-{}", meta.last_modified.timestamp(), meta.size));
    let md5 = seen.md5.or_else(|| sum_of(&tag).filter(|_| location.scheme == Scheme::S3 && !seen.opaque));
    let (modified, key) = (meta.last_modified.timestamp(), location.name().to_owned());
    Object { key, size: meta.size, tag, modified, md5, crc32c: seen.crc32c, sha256: None }
}

/// The MD5 that an S3 tag is, unless the object has parts.
fn sum_of(tag: &str) -> Option<String> {
    let tag = tag.trim_matches('"');
    (tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| tag.to_ascii_lowercase())
}

/// Fetches a range into a file.
///
/// # Errors
/// What `Means::with_bucket` returns; `changed` if the object is no longer the one that was asked for.
pub(crate) async fn get(
    means: &Means,
    rate: &Rate,
    job: &Job,
    location: &Location,
    fetch: Fetch<'_>,
) -> Result<Done, Failure> {
    let key = key(location)?;
    let mut sink = Sink::open(&fetch)?;
    if fetch.length > 0 {
        means
            .with_bucket(job, (location, Action::Read), async |bucket, _| {
                receive(bucket, rate, job, (location, &key, fetch), &mut sink).await
            })
            .await?;
    }
    Ok(Done { bytes: fetch.length, sha256: sink.sha256(), ..Done::default() })
}

/// One try of a range: it goes on where the last one ended.
async fn receive(
    bucket: &Bucket,
    rate: &Rate,
    job: &Job,
    (location, key, fetch): (&Location, &Key, Fetch<'_>),
    sink: &mut Sink<'_>,
) -> Result<(), TryError> {
    let range = fetch.offset + sink.done()..fetch.offset + fetch.length;
    let options = GetOptions {
        if_match: fetch.tag.map(str::to_owned),
        range: Some(GetRange::Bounded(range)),
        ..GetOptions::default()
    };
    let found = bucket.store.get_opts(key, options).await?;
    let changed = |why: &str| Failure::new(FailureKind::Changed, format!("{}: {why}", location.shown));
    if let (Some(wanted), Some(tag)) = (fetch.tag, &found.meta.e_tag)
        && wanted.trim_matches('"') != tag.trim_matches('"')
    {
        return Err(changed(&format!("its tag is {tag}, and was {wanted}")).into());
    }
    if found.meta.size < fetch.offset + fetch.length {
        return Err(changed(&format!("it has {} bytes", found.meta.size)).into());
    }
    let meta = found.meta.clone();
    let whole = fetch.offset == 0 && fetch.length == meta.size;
    let sum = object(job, location, &meta).md5.filter(|_| whole);
    sink.expect(sum.is_some());
    let mut parts = found.into_stream();
    while let Some(bytes) = parts.next().await {
        let bytes = bytes?;
        rate.take(bytes.len(), &job.watch).await;
        job.add(sink.write(&bytes)?);
        tokio::task::yield_now().await;
    }
    complete(job, location, sink, sum.as_deref())?;
    Ok(())
}

/// Checks that all bytes came, and that they are what the store has.
///
/// # Errors
/// `later`, because another try may bring them.
pub(crate) fn complete(job: &Job, location: &Location, sink: &mut Sink<'_>, sum: Option<&str>) -> Result<(), Failure> {
    if sink.missing() > 0 {
        let text = format!("{}: the answer ends {} bytes too early", location.shown, sink.missing());
        return Err(Failure::new(FailureKind::Later, text));
    }
    let Some(sum) = sum else { return Ok(()) };
    let here = sink.md5();
    if here.as_deref() == Some(sum) {
        return Ok(());
    }
    sink.restart();
    job.reset();
    // An earlier try, whose bytes are part of these, may have had an answer without a sum.
    let here = here.unwrap_or_else(|| "not known".to_owned());
    let text = format!("{}: the MD5 of what came is {here}, and the store's is {sum}", location.shown);
    Err(Failure::new(FailureKind::Later, text))
}

/// Writes an object.
///
/// # Errors
/// What `Means::with_bucket` returns; `changed` if it must be new and is there.
pub(crate) async fn put(
    means: &Means,
    job: &Job,
    location: &Location,
    body: Vec<Bytes>,
    only_new: bool,
) -> Result<Done, Failure> {
    let key = key(location)?;
    let payload = PutPayload::from_iter(body);
    let bytes = payload.content_length() as u64;
    means
        .with_bucket(job, (location, Action::Write), async |bucket, number| {
            let mode = if only_new { PutMode::Create } else { PutMode::Overwrite };
            let options = PutOptions { mode, ..PutOptions::default() };
            let written = bucket.store.put_opts(&key, payload.clone(), options).await;
            let tag = match written {
                Ok(result) => result.e_tag,
                // An earlier try may have arrived although its answer was lost.
                Err(error) if number > 0 && is_there(&error) => {
                    ours(bucket, &key, &payload).await?.ok_or(error)?.into()
                }
                Err(error) => return Err(error.into()),
            };
            Ok(Done { bytes, tag, ..Done::default() })
        })
        .await
}

fn is_there(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
}

/// Returns the tag of what is there, if it is what was to be written.
async fn ours(bucket: &Bucket, key: &Key, payload: &PutPayload) -> object_store::Result<Option<String>> {
    let meta = bucket.store.head(key).await?;
    if meta.size != payload.content_length() as u64 {
        return Ok(None);
    }
    let mut there = bucket.store.get(key).await?.into_stream();
    let mut here = payload.iter().flat_map(|piece| piece.iter());
    while let Some(bytes) = there.next().await {
        if !bytes?.iter().all(|byte| here.next() == Some(byte)) {
            return Ok(None);
        }
    }
    Ok(Some(meta.e_tag.unwrap_or_default()))
}

/// Reads a small object.
///
/// # Errors
/// What `Means::with_bucket` returns; `bad` if it is too long or no text.
pub(crate) async fn read(means: &Means, job: &Job, location: &Location, most: u64) -> Result<Done, Failure> {
    let key = key(location)?;
    let (bytes, tag) = means
        .with_bucket(job, (location, Action::Read), async |bucket, _| {
            let found = bucket.store.get_opts(&key, GetOptions::default()).await?;
            if found.meta.size > most {
                return Err(too_long(location, found.meta.size).into());
            }
            let tag = found.meta.e_tag.clone();
            Ok((found.bytes().await?, tag))
        })
        .await?;
    said(location, &bytes, tag)
}

fn too_long(location: &Location, size: u64) -> Failure {
    Failure::new(
        FailureKind::Bad,
        format!("{}: it has {size} bytes, which is too much to be read as a text", location.shown),
    )
}

/// The answer with a small object's content.
///
/// # Errors
/// `bad`, for what is no text.
pub(crate) fn said(location: &Location, bytes: &[u8], tag: Option<String>) -> Result<Done, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::new(FailureKind::Bad, format!("{}: it is no text", location.shown)))?;
    Ok(Done { bytes: bytes.len() as u64, tag, text: Some(text.to_owned()), ..Done::default() })
}

/// Deletes an object.
///
/// # Errors
/// What `Means::with_bucket` returns.
pub(crate) async fn delete(means: &Means, job: &Job, location: &Location) -> Result<Done, Failure> {
    let key = key(location)?;
    means
        .with_bucket(job, (location, Action::Delete), async |bucket, _| match bucket.store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(Done::default()),
            Err(error) => Err(error.into()),
        })
        .await
}

/// Returns the first bytes of a put as they are sent, for `FileRange`.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn body(range: FileRange<'_>) -> Result<Vec<Bytes>, Failure> {
    pieces(range.path, range.offset, range.length)
}
