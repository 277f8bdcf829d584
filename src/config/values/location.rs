//! Texts in the position of a path that are none: a URL, a path on another machine, a Windows drive. As a path, such a text would name a
//! missing directory that each start makes anew. The files written there would be lost with the container.

use super::{ConfigValue, ValueError};
use crate::config::node::ConfigNode;
use crate::config::problems::{Problems, shown};

/// A text in the position of a path that names no place in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPath<'a> {
    /// A URL.
    #[error("`{}`: a URL is not a path in the container", shown(text))]
    Url {
        /// The whole text.
        text: &'a str,
        /// The part before `://`.
        scheme: &'a str,
        /// The part after it.
        rest: &'a str,
    },
    /// A place on another machine.
    #[error("`{}`: a place on another machine is not a path in the container", shown(.0))]
    Remote(&'a str),
    /// A path of Windows.
    #[error("`{}`: a path of Windows is not one in the container", shown(.0))]
    Drive(&'a str),
}

/// What to do about files that are elsewhere: `data` with its option `from`.
const STAGED: &str = "data with DIRECTORY:from=URL brings what is there";

/// What to do about a bucket without that.
const BUCKET: &str = "mount the bucket (the platform's CSI driver; mountpoint-s3, gcsfuse, blobfuse2 or rclone mount on the host), mount its \
                      directory into the container, and name the directory";

/// What to do about a repository.
const BROUGHT: &str =
    "code.from brings a git repository: give it this address, and here name the directory that the code goes to";

impl NoPath<'_> {
    /// Returns what to do instead.
    pub fn hint(&self) -> String {
        match self {
            NoPath::Url { scheme, rest, .. } => way(scheme, rest),
            NoPath::Remote(text) if text.contains(".git") => BROUGHT.to_owned(),
            NoPath::Remote(_) => mount("what is there"),
            NoPath::Drive(_) => mount("the directory"),
        }
    }
}

/// Rejects a text that is no path. Pure: nothing is looked up.
///
/// # Errors
/// The kind of the text.
pub fn no_place_elsewhere(text: &str) -> Result<(), NoPath<'_>> {
    match url(text) {
        Some((scheme, rest)) => Err(NoPath::Url { text, scheme, rest }),
        None if is_remote(text) => Err(NoPath::Remote(text)),
        None if is_drive(text) => Err(NoPath::Drive(text)),
        None => Ok(()),
    }
}

/// Reads a value that is a path, and reports the kind of a text that is none, such as a URL.
pub fn read_path<T: ConfigValue>(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<T> {
    if let Some(Err(error)) = node.as_text().map(no_place_elsewhere) {
        problems.wrong(&node.origin, at, &error.to_string(), &error.hint());
        return None;
    }
    let read = node.as_text().map_or(Err(ValueError::Form), T::parse);
    read.map_err(|error| problems.rejected(node, at, &T::form(), error)).ok()
}

/// Splits a URL into its scheme and the text after `://` (RFC 3986, section 3.1).
fn url(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.trim_start_matches(['"', '\'', ' ']).split_once("://")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits)).then_some((scheme, rest))
}

fn way(scheme: &str, rest: &str) -> String {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    match scheme.to_ascii_lowercase().as_str() {
        "file" if path.starts_with('/') => format!("write the path alone: {}", shown(path)),
        "s3" | "gs" | "az" => format!("{STAGED}, and checkpoint.mirror keeps checkpoints there; or {BUCKET}"),
        "gcs" | "abfs" | "abfss" | "wasbs" | "r2" | "oss" | "hdfs" => BUCKET.to_owned(),
        scheme if scheme == "ssh" || scheme == "git" || scheme.starts_with("git+") || rest.contains(".git") => {
            BROUGHT.to_owned()
        }
        "https" | "http" => format!("{STAGED}; or {}", mount("what is there")),
        _ => mount("what is there"),
    }
}

fn mount(what: &str) -> String {
    format!("mount {what} into the container, and name the path in the container")
}

/// Returns whether a text is `user@host:` as in scp(1) and git: a text with a slash before the colon is a path.
fn is_remote(text: &str) -> bool {
    let Some((user, host)) = text.split_once(':').and_then(|(before, _)| before.split_once('@')) else { return false };
    let fits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    // An IPv6 address may be in brackets after the @.
    fits(user) && (fits(host) || host.starts_with('['))
}

/// Returns whether a text is `C:\data` or `C:/data`.
fn is_drive(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && matches!(letters.next(), Some('\\' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigNode, KEYS, Key, Problems, ValueOrigin, together};

    fn what(text: &str) -> String {
        no_place_elsewhere(text).map_or_else(|error| format!("{error}; {}", error.hint()), |()| String::new())
    }

    #[test]
    fn what_is_elsewhere_is_told_with_what_to_do() {
        assert!(
            what("s3://bucket/runs").contains("a URL is not a path")
                && what("s3://bucket/runs").contains("mount the bucket")
        );
        assert!(what("s3://bucket/runs").contains("checkpoint.mirror") && what("https://h/x.tar").contains("from=URL"));
        assert!(what("GS://b").contains("mount the bucket"));
        assert!(what("file:///data/x").contains("write the path alone: /data/x"));
        assert!(what("file://localhost/data").contains("write the path alone: /data"));
        assert!(what("https://host/team/train.git").contains("code.from brings"));
        assert!(what("git@github.com:team/train.git").contains("on another machine"));
        assert!(what("git@github.com:team/train.git").contains("code.from brings"));
        assert!(what("me@nas.local:/export").contains("on another machine"));
        assert!(what(r"C:\data").contains("Windows") && what("d:/data").contains("Windows"));
    }

    #[test]
    fn a_secret_in_it_is_not_repeated() {
        for text in ["https://user:t0psecret@host/x.git", "https://t0psecret@host/x", "s3://b/x?token=t0psecret"] {
            assert!(!what(text).is_empty() && !what(text).contains("t0psecret"), "{}", what(text));
        }
    }

    /// Every key with a path is found by the form that it documents.
    #[test]
    fn every_key_that_takes_a_path_refuses_a_url_and_masks_it() {
        let takes_a_path = |key: &&Key| ["path", "list of files"].iter().any(|word| (key.kind.form)().contains(word));
        let keys: Vec<_> = KEYS.iter().filter(takes_a_path).collect();
        assert!(keys.len() > 20, "{}", keys.len());
        for key in keys {
            for text in
                ["https://me:t0psecret@host/x", "S3://t0psecret@bucket/x", "git@host:team/x", r"C:\x", "file:///x"]
            {
                let mut problems = Problems::of_one_layer();
                (key.kind.check)(
                    &ConfigNode::text(text, ValueOrigin::CommandLine("--set".into())),
                    key.path,
                    &mut problems,
                );
                let told = problems.settle(true).map_err(|errors| format!("{:#}", together(errors)));
                let told = told.expect_err(key.path);
                assert!(told.contains("in the container") && !told.contains("t0psecret"), "{}: {told}", key.path);
            }
        }
    }

    #[test]
    fn what_is_a_path_stays_one() {
        for text in [
            "/data",
            "data",
            "./a:b",
            "/a:b",
            "/data:ro",
            "a:b",
            "nas:/export",
            "/home/me@host:x",
            "./me@host:x",
            "a@b",
            "/mnt/s3://x",
            "@host:x",
            "C:",
            "c:x",
            "1://x",
            "~/x",
            "dir/https://x",
        ] {
            assert_eq!(no_place_elsewhere(text), Ok(()), "{text}");
        }
    }
}
