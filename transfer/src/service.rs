//! HTTP for all stores: one client, which notes for the running task what moves and what answers say.

use crate::pace::Rate;
use crate::seen::{Seen, skew};
use crate::watch::Watch;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{ACCEPT_ENCODING, DATE};
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use listing::{Page, hex_of_base64};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use rustls::ClientConfig;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// The same for a machine's metadata service, which is near or not there at all; credentials are looked for within 5 s.
const CONNECT_METADATA: Duration = Duration::from_millis(1500);

/// How long its answer may take.
const ANSWER_METADATA: Duration = Duration::from_secs(3);

/// Longest body of an error that is read.
const ERROR_MAX: usize = 64 << 10;

/// Longest page of a listing that is read: a thousand keys have at most 6 MB, even if each byte is escaped.
const PAGE_MAX: usize = 32 << 20;

/// Words for the programs on the other side.
const AGENT: &str = concat!("trainit-transfer/", env!("CARGO_PKG_VERSION"));

/// The client.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    usual: reqwest::Client,
    /// For the metadata services: without a proxy, and quick to give up.
    metadata: reqwest::Client,
    rate: Arc<Rate>,
}

impl Service {
    /// Makes the client.
    ///
    /// # Errors
    /// A proxy's variable that cannot be used, in words.
    pub(crate) fn new(tls: ClientConfig, rate: Arc<Rate>) -> Result<Self, String> {
        let builder =
            || reqwest::Client::builder().user_agent(AGENT).tls_backend_preconfigured(tls.clone()).http1_only();
        let usual = builder().connect_timeout(CONNECT).build();
        let metadata = builder().connect_timeout(CONNECT_METADATA).timeout(ANSWER_METADATA).no_proxy().build();
        let words = |error: reqwest::Error| text::masked(&chain(&error));
        Ok(Service { usual: usual.map_err(words)?, metadata: metadata.map_err(words)?, rate })
    }

    /// Sends one request, for callers beside object_store.
    ///
    /// # Errors
    /// No answer; what was seen is in the task's watch.
    pub(crate) async fn exchange(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let watch = Watch::current();
        let host = request.uri().authority().map(|authority| authority.host().to_owned()).unwrap_or_default();
        let shown =
            request.uri().authority().map(|found| found.as_str().rsplit('@').next().unwrap_or_default().to_owned());
        let mut seen = Seen { host: shown.unwrap_or_default(), ..Seen::default() };
        let is_list = request.method() == Method::GET && is_listing(request.uri().query().unwrap_or_default());
        if request.method() == Method::GET || request.method() == Method::HEAD {
            // Google unpacks what was stored as gzip for those who do not say that they take gzip; all others send what is stored.
            let accepted = if host.ends_with("googleapis.com") { "gzip" } else { "identity" };
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        }
        watch.touch();
        let answered = self.send(request, is_metadata(&host), Arc::clone(&watch)).await;
        watch.touch();
        match answered {
            Err(error) => {
                seen.transport = text::masked(&chain(&error));
                watch.see(seen);
                Err(error)
            }
            Ok(response) => note(response, seen, &watch, is_list).await,
        }
    }

    async fn send(&self, request: HttpRequest, metadata: bool, watch: Arc<Watch>) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string().parse::<reqwest::Url>();
        let mut sent =
            reqwest::Request::new(parts.method, url.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?);
        *sent.headers_mut() = parts.headers;
        *sent.body_mut() = Some(match body.as_bytes() {
            Some(bytes) => bytes.clone().into(),
            None => reqwest::Body::wrap_stream(counted(body, watch, Arc::clone(&self.rate))),
        });
        let client = if metadata { &self.metadata } else { &self.usual };
        let answer = client.execute(sent).await.map_err(error_of)?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body.map_err(error_of))))
    }
}

/// A body whose bytes are counted as they go out, and kept to the rate.
fn counted(
    body: object_store::client::HttpRequestBody,
    watch: Arc<Watch>,
    rate: Arc<Rate>,
) -> impl futures_util::Stream<Item = Result<Bytes, HttpError>> + Send {
    stream::unfold((body, watch, rate), |(mut body, watch, rate)| async move {
        let bytes = match body.frame().await? {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Some((Err(error), (body, watch, rate))),
        };
        rate.take(bytes.len(), &watch).await;
        watch.send(bytes.len() as u64);
        Some((Ok(bytes), (body, watch, rate)))
    })
}

/// Notes what an answer says. The page of a listing is read here, and what object_store gets instead is empty.
async fn note(response: HttpResponse, mut seen: Seen, watch: &Watch, is_list: bool) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    seen.status = parts.status.as_u16();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    seen.skew = skew(header(DATE.as_str()), SystemTime::now());
    header("x-amz-bucket-region").clone_into(&mut seen.region);
    seen.opaque = header("x-amz-server-side-encryption").contains("kms")
        || parts.headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
    sums(&parts.headers, &mut seen);
    if parts.status.is_success() && !is_list {
        watch.see(seen);
        return Ok(HttpResponse::from_parts(parts, body));
    }
    let limit = if parts.status.is_success() { PAGE_MAX } else { ERROR_MAX };
    let bytes = match collected(body, limit, watch).await {
        Ok(bytes) => bytes,
        Err(error) => {
            watch.see(Seen { status: 0, transport: text::masked(&chain(&error)), ..seen });
            return Err(error);
        }
    };
    if !parts.status.is_success() {
        seen.read_error(&String::from_utf8_lossy(&bytes));
        if seen.code.is_empty() {
            header("x-ms-error-code").clone_into(&mut seen.code);
        }
        watch.see(seen);
        return Ok(HttpResponse::from_parts(parts, Bytes::from(bytes).into()));
    }
    let page = Page::read(&bytes);
    let azure = parts.headers.contains_key("x-ms-version");
    watch.see(seen);
    watch.put_page(page.map_err(|error| HttpError::new(HttpErrorKind::Decode, std::io::Error::other(error)))?);
    let empty = if azure { "<EnumerationResults><Blobs/></EnumerationResults>" } else { "<ListBucketResult/>" };
    Ok(HttpResponse::from_parts(parts, Bytes::from_static(empty.as_bytes()).into()))
}

/// Takes the sums of a whole object from the headers of Google, and of Azure's answer to HEAD.
fn sums(headers: &http::HeaderMap, seen: &mut Seen) {
    let hashes = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    for (name, sum) in hashes.flat_map(|value| value.split(',')).filter_map(|part| part.trim().split_once('=')) {
        match name {
            "md5" => seen.md5 = hex_of_base64(sum),
            "crc32c" => seen.crc32c = hex_of_base64(sum),
            _ => {}
        }
    }
    if let Some(sum) = headers.get("content-md5").filter(|_| !headers.contains_key("content-range")) {
        seen.md5 = sum.to_str().ok().and_then(hex_of_base64);
    }
}

async fn collected(body: HttpResponseBody, limit: usize, watch: &Watch) -> Result<Vec<u8>, HttpError> {
    let (mut bytes, mut parts) = (Vec::new(), body.bytes_stream());
    while let Some(part) = parts.next().await {
        bytes.extend_from_slice(&part?);
        watch.touch();
        if bytes.len() >= limit {
            break;
        }
    }
    Ok(bytes)
}

/// Whether a query asks for a page of a listing, of S3 and Google or of Azure.
fn is_listing(query: &str) -> bool {
    query.split('&').any(|part| matches!(part, "list-type=2" | "comp=list"))
}

/// Whether a host is a machine's metadata service, or an agent of the cloud on the machine itself.
fn is_metadata(host: &str) -> bool {
    host.starts_with("169.254.")
        || matches!(host, "metadata" | "metadata.google.internal")
        || host.starts_with("[fd00:ec2::")
}

/// The kind of an error decides nothing here, because tries are repeated above.
fn error_of(error: reqwest::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error.without_url())
}

/// The innermost words of an error: those above only say that a request failed.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut errors, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        errors.push(error.to_string());
        next = error.source();
    }
    errors.dedup();
    let from = errors.len().saturating_sub(2);
    let inner = errors.get(from..).unwrap_or_default();
    match inner {
        [outer, inner] if !outer.contains(inner.as_str()) && !inner.contains(outer.as_str()) => {
            format!("{outer}: {inner}")
        }
        [.., last] => last.clone(),
        [] => String::new(),
    }
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.exchange(request).await
    }
}

impl HttpConnector for Service {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
