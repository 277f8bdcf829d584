//! The buckets that are open, of all three clouds, and where the credentials of each come from.

use crate::classify::{Action, Failed};
use crate::location::{Location, Scheme};
use crate::options::Options;
use crate::service::{Service, chain};
use crate::watch::Watch;
use crate::{aws, azure, gcs};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use transfer_protocol::{Failure, FailureKind};

/// Within which time it is known whether a metadata service has credentials.
const METADATA: Duration = Duration::from_millis(4500);

/// What every cloud can do.
pub(crate) trait Cloud: ObjectStore + MultipartStore + PaginatedListStore {}

impl<T: ObjectStore + MultipartStore + PaginatedListStore> Cloud for T {}

/// The credentials of one bucket.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// Amazon's.
    Aws(object_store::aws::AwsCredentialProvider),
    /// Google's.
    Gcp(object_store::gcp::GcpCredentialProvider),
    /// Azure's.
    Azure(object_store::azure::AzureCredentialProvider),
}

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// In words; empty without credentials.
    pub(crate) words: String,
    /// Whether the machine's metadata service is asked, which is not there on most machines.
    pub(crate) metadata: bool,
    /// What was looked at before.
    pub(crate) looked: Vec<String>,
}

/// One open bucket.
pub(crate) struct Bucket {
    /// The store.
    pub(crate) store: Arc<dyn Cloud>,
    /// Its credentials; `None` if it is asked as anybody.
    pub(crate) credentials: Option<Credentials>,
    /// Where they come from.
    pub(crate) source: Source,
}

impl Bucket {
    /// Gets credentials, from a cache if they are still good.
    async fn check(&self) -> object_store::Result<()> {
        match &self.credentials {
            None => Ok(()),
            Some(Credentials::Aws(provider)) => provider.get_credential().await.map(drop),
            Some(Credentials::Gcp(provider)) => provider.get_credential().await.map(drop),
            Some(Credentials::Azure(provider)) => provider.get_credential().await.map(drop),
        }
    }

    /// Checks the credentials, in words.
    ///
    /// # Errors
    /// Credentials that cannot be had: `denied`, or `later` where their server does not answer.
    pub(crate) async fn ready(&self, location: &Location) -> Result<(), Failure> {
        let limit = if self.source.metadata { METADATA } else { Duration::from_secs(60) };
        let Ok(answer) = tokio::time::timeout(limit, self.check()).await else {
            return Err(Failure::new(FailureKind::Later, format!("{} does not answer", self.source.words)));
        };
        let Err(error) = answer else { return Ok(()) };
        let (seen, otherwise) = (Watch::current().seen(), text::masked(&chain(&error)));
        let failed =
            Failed { location, action: Action::Read, seen: &seen, source: &self.source.words, otherwise: &otherwise };
        let judged = failed.judge();
        let kind = match judged.kind {
            FailureKind::Later if seen.status == 0 || seen.status >= 500 || seen.status == 429 => FailureKind::Later,
            _ => FailureKind::Denied,
        };
        let why = match (seen.code.as_str(), seen.message.as_str(), seen.transport.as_str()) {
            ("", "", "") => otherwise,
            ("", "", transport) => format!("{} does not answer: {transport}", seen.host),
            (code, message, _) => format!("{} answers {} {code} {message}", seen.host, seen.status),
        };
        let text = format!("{}: no credentials from {}: {why}", location.shown, self.source.words);
        Err(Failure { hints: judged.hints, ..Failure::new(kind, text::line(&text::masked(&text))) })
    }

    /// Adds where credentials were looked for, to a refusal of what was asked as anybody.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        if failure.kind != FailureKind::Denied || !self.source.words.is_empty() || self.source.looked.is_empty() {
            return failure;
        }
        let failure = failure.hint(format!("there are no credentials; looked at: {}", self.source.looked.join(", ")));
        if self.source.looked.iter().any(|place| place.contains("instance")) {
            return failure.hint(
                "on EC2 a hop limit of 1 hides the metadata service from containers: \
                 aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2",
            );
        }
        failure
    }
}

/// How a bucket is opened.
#[derive(Clone, Debug)]
pub(crate) struct Setup<'a> {
    /// The bucket's name.
    pub(crate) bucket: &'a str,
    /// What the command line says.
    pub(crate) options: &'a Options,
    /// HTTP.
    pub(crate) service: &'a Service,
    /// Where the server said that the bucket is.
    pub(crate) region: Option<&'a str>,
    /// Whether the machine's metadata service turned out to have no credentials.
    pub(crate) anonymous: bool,
}

/// No retries inside of object_store: it would repeat a request with the same credentials, and tell nobody.
pub(crate) fn no_retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::from_secs(60) }
}

/// The open buckets.
pub(crate) struct Buckets {
    options: Rc<Options>,
    service: Service,
    open: Mutex<HashMap<(Scheme, String), Rc<Bucket>>>,
    regions: Mutex<HashMap<String, String>>,
}

impl Buckets {
    /// Opens none yet.
    pub(crate) fn new(options: Rc<Options>, service: Service) -> Self {
        Buckets { options, service, open: Mutex::default(), regions: Mutex::default() }
    }

    /// Returns the bucket of a location, with credentials that are good now.
    ///
    /// # Errors
    /// Credentials that cannot be had.
    pub(crate) async fn get(&self, location: &Location) -> Result<Rc<Bucket>, Failure> {
        let key = (location.scheme, location.bucket.clone());
        let mut open = self.open.lock().await;
        let bucket = match open.get(&key) {
            Some(bucket) => Rc::clone(bucket),
            None => {
                let bucket = Rc::new(self.open(location).await?);
                open.insert(key, Rc::clone(&bucket));
                bucket
            }
        };
        drop(open);
        bucket.ready(location).await?;
        Ok(bucket)
    }

    async fn open(&self, location: &Location) -> Result<Bucket, Failure> {
        let region = self.regions.lock().await.get(&location.bucket).cloned();
        let bucket = self.open_with(location, region.as_deref(), false)?;
        if !bucket.source.metadata || bucket.ready(location).await.is_ok() {
            return Ok(bucket);
        }
        self.open_with(location, region.as_deref(), true)
    }

    fn open_with(&self, location: &Location, region: Option<&str>, anonymous: bool) -> Result<Bucket, Failure> {
        let setup =
            Setup { bucket: &location.bucket, options: &self.options, service: &self.service, region, anonymous };
        match location.scheme {
            Scheme::Gcs => gcs::open(&setup),
            Scheme::Azure => azure::open(&setup),
            _ => aws::open(&setup),
        }
    }

    /// Forgets a bucket, so that its credentials are read anew.
    pub(crate) async fn forget(&self, location: &Location) {
        self.open.lock().await.remove(&(location.scheme, location.bucket.clone()));
    }

    /// Notes where a bucket is; returns whether that is news.
    pub(crate) async fn moved(&self, location: &Location, region: &str) -> bool {
        let news = !region.is_empty()
            && self.regions.lock().await.insert(location.bucket.clone(), region.to_owned()).as_deref() != Some(region);
        if news {
            self.forget(location).await;
        }
        news
    }
}

/// A fault of the set-up, which no other try mends.
pub(crate) fn bad(error: &object_store::Error) -> Failure {
    Failure::new(FailureKind::Bad, text::line(&text::masked(&chain(error))))
}

/// Returns the address of a store's server as it was given.
///
/// # Errors
/// It is no URL: the library would panic on some of what is none.
pub(crate) fn server(address: String) -> Result<String, Failure> {
    let uri = address.parse::<http::Uri>().ok();
    let known = uri.is_some_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    known.then_some(()).ok_or_else(|| {
        let text = format!("{} is no address of a store's server", text::line(&text::masked(&address)));
        Failure::new(FailureKind::Bad, text)
            .hint("https://HOST[:PORT], as stage.endpoint or in the variable that names it")
    })?;
    Ok(address)
}

/// The value of a variable, if it has one.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
