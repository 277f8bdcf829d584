//! Objects of a web server: read only, of one version by its `ETag`, or by time and size where there is none.

use crate::classify::{Action, Failed};
use crate::job::Job;
use crate::location::Location;
use crate::objects::{Fetch, complete, said};
use crate::pace::Rate;
use crate::range::Sink;
use crate::service::{Service, chain};
use crate::tries::{Means, TryError};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_MATCH, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode};
use listing::http_date;
use object_store::client::{HttpRequestBody, HttpResponse};
use transfer_protocol::{Done, Failure, FailureKind, Object};

/// Sends a request for an object, and judges the answer's status.
async fn ask(
    service: &Service,
    job: &Job,
    location: &Location,
    method: Method,
    headers: &[(HeaderName, String)],
) -> Result<HttpResponse, TryError> {
    let mut request = http::Request::builder().method(method).uri(location.key.as_str());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let bad = |_| Failure::new(FailureKind::Bad, format!("{}: this is no URL", location.shown));
    let answer = service.exchange(request.body(HttpRequestBody::empty()).map_err(bad)?).await;
    let judge = |otherwise: &str| {
        let seen = job.watch.seen();
        TryError::Judged(Failed { location, action: Action::Read, seen: &seen, source: "", otherwise }.judge())
    };
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(answer),
        Ok(_) => Err(judge("")),
        Err(error) => Err(judge(&chain(&error))),
    }
}

fn value(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The size of the whole object: of the range's header if it has one.
fn size(headers: &HeaderMap) -> Option<u64> {
    let range = value(headers, CONTENT_RANGE).rsplit_once('/').map(|(_, size)| size);
    range.unwrap_or(value(headers, CONTENT_LENGTH)).parse().ok()
}

/// The name of this version. A weak `ETag` does not promise the same bytes (RFC 9110, 8.8.1), but it is all that there is.
fn tag(headers: &HeaderMap) -> String {
    match (value(headers, ETAG), value(headers, LAST_MODIFIED)) {
        ("", time) => format!("{time} {}", size(headers).unwrap_or_default()),
        (tag, _) => tag.to_owned(),
    }
}

/// Asks for an object's data.
///
/// # Errors
/// What `Means::repeat` returns.
pub(crate) async fn head(means: &Means, service: &Service, job: &Job, location: &Location) -> Result<Object, Failure> {
    means
        .repeat(job, (location, Action::Read), async |_| {
            let answer = ask(service, job, location, Method::HEAD, &[]).await?;
            let headers = answer.headers();
            let unknown =
                || Failure::new(FailureKind::Bad, format!("{}: the server does not tell its size", location.shown));
            let modified = http_date(value(headers, LAST_MODIFIED)).map_or(0, |since| since.as_secs() as i64);
            let key = location.name().to_owned();
            Ok(Object {
                key,
                size: size(headers).ok_or_else(unknown)?,
                tag: tag(headers),
                modified,
                ..Object::default()
            })
        })
        .await
}

/// Fetches a range into a file.
///
/// # Errors
/// What `Means::repeat` returns; `changed` if the object is no longer the one that was asked for.
pub(crate) async fn get(
    (means, service, rate): (&Means, &Service, &Rate),
    job: &Job,
    location: &Location,
    fetch: Fetch<'_>,
) -> Result<Done, Failure> {
    let mut sink = Sink::open(&fetch)?;
    if fetch.length > 0 {
        means
            .repeat(job, (location, Action::Read), async |_| {
                receive(service, rate, job, location, (fetch, &mut sink)).await
            })
            .await?;
    }
    Ok(Done { bytes: fetch.length, sha256: sink.sha256(), ..Done::default() })
}

async fn receive(
    service: &Service,
    rate: &Rate,
    job: &Job,
    location: &Location,
    (fetch, sink): (Fetch<'_>, &mut Sink<'_>),
) -> Result<(), TryError> {
    let (first, end) = (fetch.offset + sink.done(), fetch.offset + fetch.length);
    let mut headers = vec![(RANGE, format!("bytes={first}-{}", end - 1))];
    headers.extend(fetch.tag.filter(|tag| tag.starts_with('"')).map(|tag| (IF_MATCH, tag.to_owned())));
    let answer = ask(service, job, location, Method::GET, &headers).await?;
    let changed = |why: String| Failure::new(FailureKind::Changed, format!("{}: {why}", location.shown));
    let (found, size) = (tag(answer.headers()), size(answer.headers()));
    if fetch.tag.is_some_and(|tag| tag != found) {
        return Err(changed("it is another version by now".to_owned()).into());
    }
    if size.is_some_and(|size| size < end) {
        return Err(changed(format!("it has {} bytes", size.unwrap_or_default())).into());
    }
    let mut skip = match answer.status() {
        StatusCode::PARTIAL_CONTENT => {
            if !value(answer.headers(), CONTENT_RANGE).starts_with(&format!("bytes {first}-")) {
                return Err(Failure::new(
                    FailureKind::Bad,
                    format!("{}: the server sends another range", location.shown),
                )
                .into());
            }
            0
        }
        // A server without ranges sends all of it.
        _ => usize::try_from(first).unwrap_or(usize::MAX),
    };
    let mut parts = answer.into_body().bytes_stream();
    while sink.missing() > 0
        && let Some(bytes) = parts.next().await
    {
        let bytes = bytes.map_err(|error| {
            Failure::new(FailureKind::Later, format!("{}: {}", location.shown, text::masked(&chain(&error))))
        })?;
        rate.take(bytes.len(), &job.watch).await;
        let skipped = skip.min(bytes.len());
        skip -= skipped;
        job.add(sink.write(bytes.get(skipped..).unwrap_or_default())?);
        tokio::task::yield_now().await;
    }
    complete(job, location, sink, None)?;
    Ok(())
}

/// Reads a small object.
///
/// # Errors
/// What `Means::repeat` returns; `bad` if it is too long or no text.
pub(crate) async fn read(
    means: &Means,
    service: &Service,
    job: &Job,
    location: &Location,
    most: u64,
) -> Result<Done, Failure> {
    let (bytes, tag) = means
        .repeat(job, (location, Action::Read), async |_| {
            let answer = ask(service, job, location, Method::GET, &[]).await?;
            let (tag, mut bytes) = (tag(answer.headers()), Vec::new());
            let mut parts = answer.into_body().bytes_stream();
            while let Some(part) = parts.next().await {
                bytes.extend_from_slice(&part.map_err(|error| Failure::new(FailureKind::Later, chain(&error)))?);
                job.watch.touch();
                if bytes.len() as u64 > most {
                    return Err(Failure::new(
                        FailureKind::Bad,
                        format!("{}: it is longer than a text may be", location.shown),
                    )
                    .into());
                }
            }
            Ok((bytes, tag))
        })
        .await?;
    said(location, &bytes, Some(tag))
}
