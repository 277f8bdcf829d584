//! Where data comes from, as a user writes it behind `from=`. Pure: nothing is looked up, and no secret is kept.

use std::path::{Path, PathBuf};

/// The schemes of object stores and web servers.
pub(crate) const OBJECT_SCHEMES: [&str; 5] = ["s3", "gs", "az", "https", "http"];

/// A source of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or directory that this container sees.
    Path(PathBuf),
    /// A URL of an object store or a web server.
    Object(String),
    /// Anything else, which the program of `stage.command` understands.
    Other(String),
}

/// The reason why a text is no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// It is empty.
    #[error("nothing is named")]
    Empty,
    /// It is a path that depends on the working directory.
    #[error("a path has to begin with /")]
    Relative,
    /// It has a name and a password, or a token, in front of the host.
    #[error("a URL here must not hold a user's name or password")]
    UserInfo,
    /// The part behind the scheme is missing.
    #[error("the URL names nothing")]
    NoHost,
}

impl NoSource {
    /// Returns what to do instead.
    pub fn hint(self) -> &'static str {
        match self {
            NoSource::Empty | NoSource::NoHost => {
                "from=/mnt/nas/set, from=s3://bucket/set/, from=https://host/set/file.tar"
            }
            NoSource::Relative => "write the whole path: from=/mnt/nas/set",
            NoSource::UserInfo => {
                "leave it out: credentials come from the variables, files and roles that the cloud's own tools read"
            }
        }
    }
}

impl Source {
    /// Parses the text behind `from=`.
    ///
    /// # Errors
    /// The reason why the text names no source.
    pub fn parse(text: &str) -> Result<Self, NoSource> {
        if text.is_empty() {
            return Err(NoSource::Empty);
        }
        if text.starts_with('/') {
            return Ok(Source::Path(PathBuf::from(text)));
        }
        let Some((scheme, rest)) = scheme(text) else {
            return if text.contains(':') { other(text) } else { Err(NoSource::Relative) };
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            let path = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
            return if path.starts_with('/') { Ok(Source::Path(path.into())) } else { Err(NoSource::Relative) };
        }
        match rest.strip_prefix("//") {
            Some(rest) if OBJECT_SCHEMES.contains(&scheme.as_str()) => object(&scheme, rest),
            _ => other(text),
        }
    }

    /// Returns the source for people, with secrets masked.
    pub fn shown(&self) -> String {
        match self {
            Source::Path(path) => text::path(path),
            Source::Object(url) | Source::Other(url) => text::line(&text::masked(url)).into_owned(),
        }
    }

    /// Returns the bytes that tell this source from others.
    pub fn identity(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        match self {
            Source::Path(path) => path.as_os_str().as_bytes().to_vec(),
            Source::Object(url) | Source::Other(url) => url.clone().into_bytes(),
        }
    }

    /// Returns the path, if this is one.
    pub fn path(&self) -> Option<&Path> {
        if let Source::Path(path) = self { Some(path) } else { None }
    }
}

/// Splits a URL after its scheme (RFC 3986, section 3.1); a text with a slash before the colon has none.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits);
    // `host:path` of scp(1) and rsync(1) has no slashes behind the colon.
    (is_scheme && (rest.starts_with('/') || scheme.eq_ignore_ascii_case("file"))).then_some((scheme, rest))
}

fn object(scheme: &str, rest: &str) -> Result<Source, NoSource> {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err(NoSource::UserInfo);
    }
    if host.is_empty() { Err(NoSource::NoHost) } else { Ok(Source::Object(format!("{scheme}://{rest}"))) }
}

/// Makes a source for `stage.command`: a name in front of the host says who logs in there, a password is never needed.
fn other(text: &str) -> Result<Source, NoSource> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let before = rest.split('/').next().and_then(|host| host.rsplit_once('@')).map(|(user, _)| user);
    match before {
        Some(user) if user.contains(':') => Err(NoSource::UserInfo),
        _ => Ok(Source::Other(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_is_told_from_the_others() {
        let path = |text: &str| Ok(Source::Path(text.into()));
        let object = |text: &str| Ok(Source::Object(text.into()));
        let other = |text: &str| Ok(Source::Other(text.into()));
        for (text, expected) in [
            ("/mnt/nas/set", path("/mnt/nas/set")),
            ("/mnt/a:b@c", path("/mnt/a:b@c")),
            ("file:///mnt/x", path("/mnt/x")),
            ("file://localhost/mnt/x", path("/mnt/x")),
            ("file:/mnt/x", path("/mnt/x")),
            ("s3://bucket/x,y/", object("s3://bucket/x,y/")),
            ("S3://bucket", object("s3://bucket")),
            ("https://host:8443/a?b=c", object("https://host:8443/a?b=c")),
            ("nas:/export/set", other("nas:/export/set")),
            ("me@nas:set", other("me@nas:set")),
            ("ssh://me@nas/set", other("ssh://me@nas/set")),
            ("hf://datasets/a/b", other("hf://datasets/a/b")),
            ("data/x", Err(NoSource::Relative)),
            ("", Err(NoSource::Empty)),
            ("s3://", Err(NoSource::NoHost)),
            ("file://data", Err(NoSource::Relative)),
        ] {
            assert_eq!(Source::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_never_shown() {
        for text in
            ["https://me:t0psecret@host/x", "https://t0psecret@host/x", "s3://a:t0psecret@b/", "ssh://me:t0psecret@h/x"]
        {
            let error = Source::parse(text).unwrap_err();
            assert!(!format!("{error} {}", error.hint()).contains("t0psecret"));
        }
        let shown = Source::parse("https://host/x?X-Amz-Signature=t0psecret").unwrap().shown();
        assert!(!shown.contains("t0psecret"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_panic(text in ".{0,60}") {
            let _ = Source::parse(&text);
        }
    }
}
