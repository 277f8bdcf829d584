//! What a failed exchange is called: one of the six kinds, in words for people, with what can be done.

use super::location::{Location, Scheme};
use super::seen::Seen;
use transfer_protocol::{Failure, FailureKind};

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Listing a prefix.
    List,
    /// Reading an object or its data.
    Read,
    /// Writing an object or a part of one.
    Write,
    /// Deleting an object, or giving up an upload.
    Delete,
}

impl Action {
    fn words(self) -> &'static str {
        match self {
            Action::List => "listed",
            Action::Read => "read",
            Action::Write => "written",
            Action::Delete => "deleted",
        }
    }

    /// The permission that a policy has to grant.
    fn permission(self, scheme: Scheme) -> &'static str {
        match (scheme, self) {
            (Scheme::S3, Action::List) => "s3:ListBucket on the bucket",
            (Scheme::S3, Action::Read) => "s3:GetObject on the objects",
            (Scheme::S3, Action::Write) => "s3:PutObject on the objects",
            (Scheme::S3, Action::Delete) => "s3:DeleteObject and s3:AbortMultipartUpload on the objects",
            (Scheme::Gcs, Action::List) => "storage.objects.list",
            (Scheme::Gcs, Action::Read) => "storage.objects.get",
            (Scheme::Gcs, Action::Write) => "storage.objects.create",
            (Scheme::Gcs, Action::Delete) => "storage.objects.delete",
            (Scheme::Azure, Action::List | Action::Read) => "the role Storage Blob Data Reader",
            (Scheme::Azure, Action::Write | Action::Delete) => "the role Storage Blob Data Contributor",
            (Scheme::Web | Scheme::File, _) => "access",
        }
    }
}

/// What is known of a failed try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed<'a> {
    /// What it was about.
    pub(crate) location: &'a Location,
    /// What was tried.
    pub(crate) action: Action,
    /// What the server did.
    pub(crate) seen: &'a Seen,
    /// Where the credentials come from, in words.
    pub(crate) source: &'a str,
    /// The error's own words, where nothing else is known.
    pub(crate) otherwise: &'a str,
}

impl Failed<'_> {
    /// Judges the failure.
    pub(crate) fn judge(&self) -> Failure {
        if self.seen.status == 0 {
            return self.without_answer();
        }
        match (self.seen.code.as_str(), self.seen.status) {
            _ if self.seen.is_expired() => self
                .fail(FailureKind::Later, &format!("the credentials have expired ({})", self.asked_as()))
                .hint("renew them: a new try reads them again"),
            ("RequestTimeTooSkewed", _) => self.clock(),
            ("InvalidAccessKeyId", _) => self
                .fail(FailureKind::Denied, &format!("the store does not know the access key ({})", self.asked_as()))
                .hint("is it a key of this store, and not of another one? (the endpoint says which store is asked)"),
            ("SignatureDoesNotMatch", _) => self
                .fail(FailureKind::Denied, &format!("the secret key does not fit the access key ({})", self.asked_as()))
                .hint("was it cut off, or did a newline come with it?"),
            ("NoSuchBucket" | "ContainerNotFound", _) => {
                self.fail(FailureKind::Gone, &format!("there is no bucket {}", self.location.bucket))
            }
            ("RequestTimeout" | "InternalError" | "SlowDown" | "ServerBusy", _) | (_, 408 | 429 | 500 | 502..=504) => {
                self.fail(FailureKind::Later, &self.said())
            }
            (_, 401 | 403) => self.denied(),
            (_, 404 | 410) => self.fail(FailureKind::Gone, &format!("it is not there ({})", self.said())),
            (_, 412 | 409 | 416) => self.fail(FailureKind::Changed, &self.said()),
            (_, 407) => self
                .fail(FailureKind::Bad, "the proxy asks for a user and a password")
                .hint("https_proxy=http://USER:PASSWORD@HOST:PORT"),
            (_, 507) => self.fail(FailureKind::Bad, "the store is full"),
            (_, 300..=399) => self
                .fail(FailureKind::Bad, &format!("the bucket is not here ({})", self.said()))
                .hint(format!("AWS_REGION={}", if self.seen.region.is_empty() { "REGION" } else { &self.seen.region })),
            (_, 200..=299) => self.fail(FailureKind::Later, self.otherwise),
            _ => self.fail(FailureKind::Bad, &self.said()),
        }
    }

    fn fail(&self, kind: FailureKind, why: &str) -> Failure {
        let text = format!("{} cannot be {}: {why}", self.location.shown, self.action.words());
        Failure::new(kind, text::line(&text::masked(&text)))
    }

    /// What the server said, or its status.
    fn said(&self) -> String {
        let Seen { host, status, code, message, .. } = self.seen;
        match (code.as_str(), message.as_str()) {
            ("", "") => format!("{host} answers {status}"),
            ("", message) => format!("{host} answers {status}: {message}"),
            (code, "") => format!("{host} answers {status} {code}"),
            (code, message) => format!("{host} answers {status} {code}: {message}"),
        }
    }

    fn asked_as(&self) -> String {
        if self.source.is_empty() { "without credentials".to_owned() } else { format!("with {}", self.source) }
    }

    fn denied(&self) -> Failure {
        let code = if self.seen.code.is_empty() { "access is denied" } else { &self.seen.code };
        let failure = self.fail(FailureKind::Denied, &format!("{code}, asked {}", self.asked_as()));
        match self.location.scheme {
            Scheme::Web | Scheme::File => failure,
            scheme => failure.hint(format!("a policy has to grant {}", self.action.permission(scheme))),
        }
    }

    fn clock(&self) -> Failure {
        let apart = self.seen.skew.map_or_else(String::new, |skew| format!(" by {} s", skew.unsigned_abs()));
        let failure = self.fail(FailureKind::Bad, &format!("this machine's clock and the store's differ{apart}"));
        Failure { skew: self.seen.skew, ..failure }
            .hint("set the clock of the machine (a container has none of its own)")
    }

    /// No answer came: a name, a route, a proxy, TLS.
    fn without_answer(&self) -> Failure {
        let Seen { host, transport, .. } = self.seen;
        let said = if transport.is_empty() { self.otherwise } else { transport };
        let has = |word: &str| said.contains(word);
        match () {
            () if has("CaUsedAsEndEntity") => self
                .fail(FailureKind::Bad, &format!("the certificate of {host} is a CA's, and serves as the server's own"))
                .hint("name that very certificate (stage.ca): then it is taken as it is"),
            () if has("UnknownIssuer") => self
                .fail(FailureKind::Bad, &format!("the certificate of {host} comes from no CA that is trusted here"))
                .hint("name the CA's file: stage.ca, AWS_CA_BUNDLE or SSL_CERT_FILE"),
            () if has("NotValidForName") || has("not valid for name") => {
                self.fail(FailureKind::Bad, &format!("the certificate of {host} is for another name"))
            }
            () if has("certificate expired") || has("CertExpired") || has("Expired") => {
                self.fail(FailureKind::Bad, &format!("the certificate of {host} has expired, or this clock is wrong"))
            }
            () if has("invalid peer certificate") => {
                self.fail(FailureKind::Bad, &format!("the certificate of {host} is refused: {said}"))
            }
            () if host.is_empty() => self.fail(FailureKind::Bad, said),
            () => self.fail(FailureKind::Later, &format!("{host} does not answer: {said}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(seen: Seen) -> Failure {
        let location = Location::parse("s3://b/k").unwrap();
        let (source, otherwise) = ("role r (IRSA)", "other words");
        Failed { location: &location, action: Action::Read, seen: &seen, source, otherwise }.judge()
    }

    fn answer(status: u16, code: &str) -> Failure {
        judged(Seen { host: "h".into(), status, code: code.into(), ..Seen::default() })
    }

    #[test]
    fn each_refusal_has_its_own_words() {
        use FailureKind::{Bad, Changed, Denied, Gone, Later};
        for (status, code, kind, words) in [
            (403, "AccessDenied", Denied, "AccessDenied, asked with role r (IRSA)"),
            (403, "", Denied, "access is denied"),
            (403, "InvalidAccessKeyId", Denied, "does not know the access key"),
            (403, "SignatureDoesNotMatch", Denied, "does not fit the access key"),
            (400, "ExpiredToken", Later, "have expired"),
            (404, "NoSuchBucket", Gone, "no bucket b"),
            (404, "NoSuchKey", Gone, "not there"),
            (412, "PreconditionFailed", Changed, "PreconditionFailed"),
            (416, "InvalidRange", Changed, "InvalidRange"),
            (503, "SlowDown", Later, "SlowDown"),
            (400, "RequestTimeout", Later, "RequestTimeout"),
            (400, "Odd", Bad, "h answers 400 Odd"),
            (301, "PermanentRedirect", Bad, "not here"),
            (407, "", Bad, "proxy"),
        ] {
            let failure = answer(status, code);
            assert_eq!(failure.kind, kind, "{status} {code}");
            assert!(failure.text.contains(words), "{}", failure.text);
        }
        assert!(answer(403, "AccessDenied").hints.iter().any(|hint| hint.contains("s3:GetObject")));
    }

    #[test]
    fn a_clock_that_is_off_tells_by_how_much() {
        let failure =
            judged(Seen { status: 403, code: "RequestTimeTooSkewed".into(), skew: Some(-4000), ..Seen::default() });
        assert_eq!((failure.kind, failure.skew), (FailureKind::Bad, Some(-4000)));
        assert!(failure.text.contains("by 4000 s"), "{}", failure.text);
    }

    #[test]
    fn what_no_try_mends_is_told_apart_from_what_one_may_mend() {
        let kind = |transport: &str| judged(Seen { host: "h".into(), transport: transport.into(), ..Seen::default() });
        assert_eq!(kind("invalid peer certificate: UnknownIssuer").kind, FailureKind::Bad);
        assert!(kind("CaUsedAsEndEntity").hints.iter().any(|hint| hint.contains("stage.ca")));
        assert_eq!(kind("connection refused").kind, FailureKind::Later);
        assert_eq!(judged(Seen::default()).kind, FailureKind::Bad);
    }

    #[test]
    fn no_secret_of_a_servers_words_is_passed_on() {
        let message = "https://u:hunter2-pw@h/?X-Amz-Signature=0123456789abcdef".to_owned();
        let failure = judged(Seen { host: "h".into(), status: 400, message, ..Seen::default() });
        assert!(!failure.text.contains("hunter2") && !failure.text.contains("0123456789abcdef"), "{}", failure.text);
    }
}
