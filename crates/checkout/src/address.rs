//! The address of a repository and what is wanted of it: `URL[@REF]`. Pure; it knows no server and no file.

use std::fmt;

/// Schemes of which git can bring a repository. `git://` is missing: it proves neither who serves nor what was sent.
const SCHEMES: [&str; 4] = ["https", "http", "ssh", "file"];

/// A repository, and the branch, tag or commit that is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The URL as git gets it; it holds no password, and over HTTP no user.
    pub url: String,
    /// The branch, tag or commit; `None` for the branch that the server names.
    pub reference: Option<String>,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A user, token or password stands in the URL.
    #[error("a user or token in a URL shows up in logs and in .git/config: code.token_file is for it")]
    Userinfo,
    /// A scheme that is not brought.
    #[error("a repository is brought by https://, ssh:// (or user@host:path), http:// and file:// or an absolute path")]
    Scheme,
    /// No server or no path stands in it.
    #[error("the server or the path is missing")]
    Incomplete,
    /// It holds a blank or a control character.
    #[error("it holds a blank or a control character")]
    Blank,
    /// What follows the last `@` is no name of a branch, tag or commit.
    #[error("what follows the last @ is no branch, tag or commit")]
    Reference,
}

impl Address {
    /// Parses `URL[@REF]`. The `@` of REF is the first one behind the host, so that a branch `fix@home` can be named.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(AddressError::Blank);
        }
        let path_at = path_at(text)?;
        let (before, path) = text.split_at_checked(path_at).ok_or(AddressError::Incomplete)?;
        let (path, reference) = match path.split_once('@') {
            Some((path, reference)) => (path, Some(named(reference)?)),
            None => (path, None),
        };
        if path.trim_matches('/').is_empty() {
            return Err(AddressError::Incomplete);
        }
        Ok(Address { url: format!("{before}{path}"), reference })
    }

    /// Returns the commit if REF is one: 40 hexadecimal digits, or 64 of a repository with SHA-256.
    pub fn commit(&self) -> Option<&str> {
        self.reference.as_deref().filter(|reference| is_commit(reference))
    }

    /// Returns `SCHEME://HOST[:PORT]` of a URL over HTTP, for which a token may be given; `None` for other ones.
    pub fn http_origin(&self) -> Option<String> {
        origin(&self.url).filter(|origin| origin.starts_with("http"))
    }

    /// Tells whether it is reached by ssh.
    pub fn is_ssh(&self) -> bool {
        self.url.starts_with("ssh://") || !self.url.contains("://") && !self.url.starts_with('/')
    }

    /// Tells whether it lies on a file system of this machine.
    pub fn is_local(&self) -> bool {
        self.url.starts_with('/') || self.url.starts_with("file://")
    }

    /// Returns the name of the ssh server, as known_hosts and ssh-keyscan(1) take it, and its port.
    pub fn ssh_server(&self) -> Option<(String, Option<String>)> {
        let rest = match self.url.strip_prefix("ssh://") {
            Some(rest) => rest.split('/').next()?,
            None if self.is_ssh() => return Some((self.url.split_once(':')?.0.rsplit('@').next()?.to_owned(), None)),
            None => return None,
        };
        let host = rest.rsplit('@').next()?;
        Some(match host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())) {
            Some((host, port)) => (host.to_owned(), Some(port.to_owned())),
            None => (host.to_owned(), None),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::masked(&self.url))?;
        self.reference.iter().try_for_each(|reference| write!(f, "@{reference}"))
    }
}

/// Tells whether a text is a whole commit.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns where the path begins: behind the host, at its slash or colon.
fn path_at(text: &str) -> Result<usize, AddressError> {
    if text.starts_with('/') {
        return Ok(0);
    }
    let Some((scheme, rest)) = text.split_once("://") else { return scp_path_at(text) };
    let scheme_known = SCHEMES.contains(&scheme);
    let host_at = scheme.len() + 3;
    let slash = rest.find('/').ok_or(AddressError::Incomplete)?;
    let host = rest.get(..slash).unwrap_or_default();
    // Also in a scheme that is not brought the secret comes first: it is what has to go.
    let has_user = host.rsplit_once('@').is_some_and(|(user, _)| scheme != "ssh" || user.contains(':'));
    // A password may hold a slash: what looks like a port is its first half then.
    let is_port = |port: &str| port.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit());
    let has_secret = has_user || rest.contains('@') && host.rsplit_once(':').is_some_and(|(_, port)| !is_port(port));
    match () {
        () if has_secret => Err(AddressError::Userinfo),
        () if !scheme_known => Err(AddressError::Scheme),
        () if host.starts_with('-') || scheme != "file" && host.is_empty() => Err(AddressError::Incomplete),
        () => Ok(host_at + slash),
    }
}

/// Returns where the path of `[user@]host:path` begins.
fn scp_path_at(text: &str) -> Result<usize, AddressError> {
    let (host, path) = text.split_once(':').ok_or(AddressError::Scheme)?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    match host.split_once('@') {
        Some((user, host)) if is_plain(user) && is_plain(host) && !path.is_empty() => Ok(text.len() - path.len()),
        Some(_) => Err(AddressError::Incomplete),
        None => Err(AddressError::Scheme),
    }
}

/// Checks a name by the rules of git-check-ref-format(1) that matter: it becomes a word of a command line and a part of a path.
fn named(reference: &str) -> Result<String, AddressError> {
    let parts_fit =
        reference.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    let odd = |c: char| "~^:?*[\\".contains(c);
    match parts_fit && !reference.starts_with('-') && !reference.contains("..") && !reference.contains(odd) {
        true => Ok(reference.to_owned()),
        false => Err(AddressError::Reference),
    }
}

/// Returns `scheme://host[:port]` of a URL in small letters, without a user.
pub(crate) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| format!("{scheme}://{host}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (String, Option<String>) {
        let address = Address::parse(text).unwrap();
        (address.url, address.reference)
    }

    fn split(url: &str, reference: &str) -> (String, Option<String>) {
        (url.to_owned(), (!reference.is_empty()).then(|| reference.to_owned()))
    }

    #[test]
    fn the_reference_follows_the_path() {
        assert_eq!(parts("https://host/team/train.git"), split("https://host/team/train.git", ""));
        assert_eq!(parts("https://host:8443/team/train.git@v1.4"), split("https://host:8443/team/train.git", "v1.4"));
        assert_eq!(parts("https://host/train@feature/a@home"), split("https://host/train", "feature/a@home"));
        assert_eq!(parts("git@host:team/train.git@main"), split("git@host:team/train.git", "main"));
        assert_eq!(parts("ssh://git@host:2222/train.git@v1"), split("ssh://git@host:2222/train.git", "v1"));
        assert_eq!(parts("/srv/git/train.git@main"), split("/srv/git/train.git", "main"));
        assert_eq!(parts("file:///srv/train.git"), split("file:///srv/train.git", ""));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, error) in [
            ("https://me:t0psecret@host/x.git", AddressError::Userinfo),
            ("https://t0psecret@host/x.git@v1", AddressError::Userinfo),
            ("ssh://git:t0psecret@host/x", AddressError::Userinfo),
            ("ftp://t0psecret@host/x", AddressError::Userinfo),
            ("https://me:t0p/secret@host/x", AddressError::Userinfo),
            ("git://host/x", AddressError::Scheme),
            ("ext::sh -c x", AddressError::Blank),
            ("ext::sh", AddressError::Scheme),
            ("s3://bucket/x", AddressError::Scheme),
            ("train.git", AddressError::Scheme),
            ("https://host", AddressError::Incomplete),
            ("https://host/", AddressError::Incomplete),
            ("https:///x", AddressError::Incomplete),
            ("ssh://-oProxyCommand=x/y", AddressError::Incomplete),
            ("git@-oProxyCommand=x:y", AddressError::Incomplete),
            ("git@host:", AddressError::Incomplete),
            ("https://host/x@", AddressError::Reference),
            ("https://host/x@--upload-pack=y", AddressError::Reference),
            ("https://host/x@a..b", AddressError::Reference),
            ("https://host/x@v1^{}", AddressError::Reference),
            ("https://host/x@main.lock", AddressError::Reference),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("t0psecret"));
        }
    }

    #[test]
    fn only_a_whole_commit_counts_as_one() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let address = |reference: &str| Address::parse(&format!("https://h/x@{reference}")).unwrap();
        assert_eq!(address(commit).commit(), Some(commit));
        assert_eq!(address("0123456").commit(), None);
        assert_eq!(address(&commit.to_ascii_uppercase()).commit(), None);
    }

    #[test]
    fn the_server_is_known_by_its_url() {
        let address = |text: &str| Address::parse(text).unwrap();
        assert_eq!(address("https://Host:8443/x").http_origin().as_deref(), Some("https://host:8443"));
        assert_eq!(address("ssh://git@h/x").http_origin(), None);
        assert_eq!(address("ssh://git@h:22/x").ssh_server(), Some(("h".into(), Some("22".into()))));
        assert_eq!(address("git@h:x").ssh_server(), Some(("h".into(), None)));
        assert_eq!(address("https://h/x").ssh_server(), None);
        assert!(address("/srv/x").is_local() && !address("git@h:x").is_local());
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in ".{0,60}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert!(!address.url.starts_with('-'));
                prop_assert_eq!(Address::parse(&address.to_string()).map(|again| again.reference), Ok(address.reference));
            }
        }
    }
}
