//! What a URL names: which kind of store, which bucket, which key. It decides from the text alone.

use transfer_protocol::{Failure, FailureKind};

/// The kind of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// Amazon S3, and all that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// A web server.
    Web,
    /// A directory of this machine.
    File,
}

/// Where an object lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The kind of store.
    pub(crate) scheme: Scheme,
    /// The bucket or container; of a web server nothing.
    pub(crate) bucket: String,
    /// The name in the bucket; of a web server the whole URL, of a file its path.
    pub(crate) key: String,
    /// The URL, fit to be shown: without user, password and query.
    pub(crate) shown: String,
}

impl Location {
    /// Reads a URL.
    ///
    /// # Errors
    /// `bad`, for what names no store.
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad(url))?;
        let (scheme, buckets) = match scheme {
            "s3" => (Scheme::S3, true),
            "gs" => (Scheme::Gcs, true),
            "az" => (Scheme::Azure, true),
            "http" | "https" => (Scheme::Web, false),
            "file" => (Scheme::File, false),
            _ => return Err(bad(url)),
        };
        let (bucket, key) = match (buckets, rest.split_once('/')) {
            (true, Some((bucket, key))) => (bucket, key),
            (true, None) => (rest, ""),
            (false, _) if scheme == Scheme::File => ("", rest.strip_prefix("localhost").unwrap_or(rest)),
            (false, _) => ("", url),
        };
        let nameless = buckets && bucket.is_empty() || scheme == Scheme::File && !key.starts_with('/');
        if nameless || rest.is_empty() || buckets && bucket.contains(['@', '?', ':']) {
            return Err(bad(url));
        }
        Ok(Location { scheme, bucket: bucket.to_owned(), key: key.to_owned(), shown: shown(url) })
    }

    /// Returns the last part of the name, without its query.
    pub(crate) fn name(&self) -> &str {
        let path = if self.scheme == Scheme::Web { &self.shown } else { &self.key };
        path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// Returns the prefix of a listing: a directory's name ends with a slash.
    pub(crate) fn prefix(&self) -> String {
        match self.key.as_str() {
            "" => String::new(),
            key if key.ends_with('/') => key.to_owned(),
            key => format!("{key}/"),
        }
    }
}

/// A URL without user, password and query, which may hold secrets (a presigned URL's signature).
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "a word that is no URL".to_owned() };
    if !matches!(scheme, "http" | "https") {
        return text::masked(url);
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
}

fn bad(url: &str) -> Failure {
    let text = format!(
        "{} is no URL of an object: s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY, https://…, file:///…",
        shown(url)
    );
    Failure::new(FailureKind::Bad, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_bucket_and_a_key() {
        let parts = |url: &str| {
            let found = Location::parse(url).unwrap();
            (found.scheme, found.bucket, found.key)
        };
        assert_eq!(parts("s3://b/k/l m"), (Scheme::S3, "b".into(), "k/l m".into()));
        assert_eq!(parts("gs://b"), (Scheme::Gcs, "b".into(), String::new()));
        assert_eq!(parts("az://c/"), (Scheme::Azure, "c".into(), String::new()));
        assert_eq!(parts("file:///a/b"), (Scheme::File, String::new(), "/a/b".into()));
        assert_eq!(parts("https://h/a?x=1").2, "https://h/a?x=1");
    }

    #[test]
    fn what_names_no_object_is_refused_without_its_secrets() {
        for url in ["", "s3", "s3://", "s3:///k", "ftp://h/k", "file://host/k", "s3://key:hunter2@b/k"] {
            let failure = Location::parse(url).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Bad);
            assert!(!failure.text.contains("hunter2"), "{}", failure.text);
        }
    }

    #[test]
    fn a_shown_url_has_no_password_and_no_signature() {
        assert_eq!(shown("https://u:p@h/a/b?X-Amz-Signature=1"), "https://h/a/b");
        assert_eq!(Location::parse("https://u:p@h/a/b.tar?sig=1").unwrap().name(), "b.tar");
    }

    #[test]
    fn a_listed_directory_does_not_take_its_neighbours_with_it() {
        assert_eq!(Location::parse("s3://b/imagenet").unwrap().prefix(), "imagenet/");
        assert_eq!(Location::parse("s3://b").unwrap().prefix(), "");
    }
}
