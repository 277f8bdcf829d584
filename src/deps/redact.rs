//! Removes secrets from an installer's output as a stream. It works on bytes without knowledge of installers, and its output does not
//! depend on where the stream was cut.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use sys::environment::Environment;
use text::{is_secret, is_secret_parameter};

/// The replacement for a secret.
const MASK: &[u8] = b"***";

/// The text before the user and password of a URL.
const SCHEME_END: &[u8] = b"://";

/// The longest name of a parameter for which output is held back.
const NAME_MAX: usize = 64;

/// The longest user and password for which output is held back; tokens of cloud registries have about 2 KB.
const USERINFO_MAX: usize = 16 << 10;

/// The shortest value that counts as a secret: masking every `1` or `true` would make the output unreadable.
const SECRET_MIN: usize = 8;

/// A stream with secrets taken out.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// The secrets by their first bytes, since a configuration may have any number of them. Secrets with the same first bytes are sorted
    /// longest first, so that a secret which begins with another one is masked as a whole.
    secrets: Rc<BTreeMap<[u8; SECRET_MIN], Vec<Vec<u8>>>>,
    held: Vec<u8>,
}

/// The class of the bytes at one position.
enum SecretPosition {
    /// So many bytes without a secret.
    Plain(usize),
    /// A secret of `length` bytes, after so many bytes that stay.
    Secret { after: usize, length: usize },
    /// Not known before more bytes arrive.
    Undecided,
}

impl Redactor {
    /// Creates a stream that masks the user and password of every URL, and these values.
    pub fn new(secrets: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut by_start: BTreeMap<[u8; SECRET_MIN], Vec<Vec<u8>>> = BTreeMap::new();
        for secret in secrets {
            if let Some(start) = secret.first_chunk() {
                by_start.entry(*start).or_default().push(secret);
            }
        }
        for alike in by_start.values_mut() {
            alike.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            alike.dedup();
        }
        Redactor { secrets: Rc::new(by_start), held: Vec::new() }
    }

    /// Creates a stream that masks the values of variables named like secrets, and the passwords in the environment's URLs. An installer
    /// may print such a password without its URL.
    pub fn for_environment(environment: &Environment) -> Self {
        let secrets = environment.iter().flat_map(|(name, value)| match name.to_str().is_some_and(is_secret) {
            true => vec![value.as_bytes().to_vec()],
            false => passwords(value.as_bytes()),
        });
        Self::new(secrets)
    }

    /// Takes the next bytes of the stream; returns the bytes that are safe to show now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let (shown, used) = self.mask(false);
        self.held.drain(..used);
        shown
    }

    /// Ends the stream; returns the bytes that were held back.
    pub fn finish(&mut self) -> Vec<u8> {
        let (shown, _) = self.mask(true);
        self.held.clear();
        shown
    }

    /// Masks a whole text at once.
    pub fn text(&self, text: &str) -> String {
        let mut fresh = Redactor { secrets: Rc::clone(&self.secrets), held: text.as_bytes().to_vec() };
        String::from_utf8_lossy(&fresh.finish()).into_owned()
    }

    fn mask(&self, last: bool) -> (Vec<u8>, usize) {
        let mut shown = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while let Some(rest) = self.held.get(at..).filter(|rest| !rest.is_empty()) {
            match self.look(rest, last) {
                SecretPosition::Undecided => break,
                SecretPosition::Plain(length) => {
                    shown.extend(rest.iter().take(length));
                    at += length;
                }
                SecretPosition::Secret { after, length } => {
                    shown.extend(rest.iter().take(after));
                    shown.extend_from_slice(MASK);
                    at += after + length;
                }
            }
        }
        (shown, at)
    }

    /// Returns the secrets that share their first bytes with a text.
    fn beginning_like(&self, rest: &[u8]) -> &[Vec<u8>] {
        let alike = rest.first_chunk::<SECRET_MIN>().and_then(|start| self.secrets.get(start));
        alike.map(Vec::as_slice).unwrap_or_default()
    }

    /// Checks whether a secret may begin with all of a text.
    fn may_begin(&self, rest: &[u8]) -> bool {
        match rest.len() < SECRET_MIN {
            true => self.secrets.keys().any(|start| start.starts_with(rest)),
            false => self.beginning_like(rest).iter().any(|secret| is_beginning(rest, secret)),
        }
    }

    fn look(&self, rest: &[u8], last: bool) -> SecretPosition {
        let alike = self.beginning_like(rest);
        if let Some(secret) = alike.iter().find(|secret| rest.starts_with(secret)) {
            // A longer secret with this beginning may still be arriving.
            let longer = alike.iter().any(|other| is_beginning(rest, other));
            return if longer && !last {
                SecretPosition::Undecided
            } else {
                SecretPosition::Secret { after: 0, length: secret.len() }
            };
        }
        if !last && (is_beginning(rest, SCHEME_END) || self.may_begin(rest)) {
            return SecretPosition::Undecided;
        }
        match rest.strip_prefix(SCHEME_END) {
            Some(authority) => user_info(authority, last),
            None if rest.starts_with(b"?") || rest.starts_with(b"&") => parameter(rest, last),
            None => SecretPosition::Plain(1),
        }
    }
}

/// Checks whether `rest` is a beginning of `whole` that is still incomplete.
fn is_beginning(rest: &[u8], whole: &[u8]) -> bool {
    whole.len() > rest.len() && whole.starts_with(rest)
}

/// Returns the passwords in the URLs of a text.
fn passwords(text: &[u8]) -> Vec<Vec<u8>> {
    let starts = (0..text.len()).filter_map(|at| text.get(at..)?.strip_prefix(SCHEME_END));
    let infos = starts.filter_map(|authority| match user_info(authority, true) {
        SecretPosition::Secret { length, .. } => authority.get(..length),
        _ => None,
    });
    infos
        .filter_map(|info| Some(info.split_at_checked(info.iter().position(|b| *b == b':')? + 1)?.1.to_vec()))
        .collect()
}

/// Classifies `?sig=…` or `&token=…` of a URL: the value alone gives access.
fn parameter(rest: &[u8], last: bool) -> SecretPosition {
    let may_go_on = |seen: usize, most: usize| !last && seen < most;
    let name =
        rest.iter().skip(1).take(NAME_MAX).take_while(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)).count();
    let (head, value) = rest.split_at_checked(1 + name).unwrap_or((rest, b""));
    let Some(value) = value.strip_prefix(b"=") else {
        return if value.is_empty() && may_go_on(name, NAME_MAX) {
            SecretPosition::Undecided
        } else {
            SecretPosition::Plain(1)
        };
    };
    let name = String::from_utf8_lossy(head.get(1..).unwrap_or_default()).to_ascii_lowercase();
    if !is_secret_parameter(&name) {
        return SecretPosition::Plain(1);
    }
    let window = value.get(..USERINFO_MAX).unwrap_or(value);
    let end = window.iter().position(|byte| byte.is_ascii_whitespace() || b"&#\"'<>`".contains(byte));
    match end.unwrap_or(window.len()) {
        _ if end.is_none() && may_go_on(window.len(), USERINFO_MAX) => SecretPosition::Undecided,
        0 => SecretPosition::Plain(1),
        length => SecretPosition::Secret { after: head.len() + 1, length },
    }
}

/// Classifies the text after `://`: everything up to the last `@` before the path is user and password.
fn user_info(authority: &[u8], last: bool) -> SecretPosition {
    let window = authority.get(..USERINFO_MAX).unwrap_or(authority);
    let end = window.iter().position(|byte| byte.is_ascii_whitespace() || b"/?#\"'<>`".contains(byte));
    if end.is_none() && !last && window.len() < USERINFO_MAX {
        return SecretPosition::Undecided;
    }
    let inside = window.get(..end.unwrap_or(window.len())).unwrap_or_default();
    match inside.iter().rposition(|byte| *byte == b'@') {
        Some(length) => SecretPosition::Secret { after: SCHEME_END.len(), length },
        None => SecretPosition::Plain(SCHEME_END.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(text: &str) -> String {
        Redactor::new([b"hunter2hunter2".to_vec(), b"hunter2hunter2-and-more".to_vec()]).text(text)
    }

    #[test]
    fn user_and_password_of_a_url_are_masked() {
        assert_eq!(masked("Looking in https://me:pw@host/simple, ok"), "Looking in https://***@host/simple, ok");
        assert_eq!(masked("git+https://ghp_abc@github.com/o/r@main"), "git+https://***@github.com/o/r@main");
        assert_eq!(masked("http://me@corp:p@w@host:8080"), "http://***@host:8080");
    }

    #[test]
    fn what_opens_a_signed_url_is_masked() {
        assert_eq!(masked("https://h/w.whl?sv=1&sig=a%2Fb&x=2 ok"), "https://h/w.whl?sv=1&sig=***&x=2 ok");
        assert_eq!(masked("GET /w?X-Amz-Signature=abc#sha256=1"), "GET /w?X-Amz-Signature=***#sha256=1");
        assert_eq!(masked("https://h/simple?access_token=t0p"), "https://h/simple?access_token=***");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "ok? & then",
            "https://h/?page=1&sort=name",
            "?sig=",
            "a&b=c",
            "https://host/a@b",
            "mail me@host",
            "a :// b",
            "package @ file:///x/y@z",
            "",
            "://",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn a_password_in_a_variables_url_is_masked_wherever_it_is_shown() {
        let urls = "https://a/ https://me:long-password@b/ https://only-user@c/";
        let environment: Environment = [("PIP_EXTRA_INDEX_URL", urls)].into_iter().collect();
        assert_eq!(Redactor::for_environment(&environment).text("is: long-password"), "is: ***");
    }

    #[test]
    fn values_of_secret_variables_are_masked_longest_first() {
        assert_eq!(masked("pw=hunter2hunter2!"), "pw=***!");
        assert_eq!(masked("pw=hunter2hunter2-and-more!"), "pw=***!");
        let environment: Environment =
            [("HF_TOKEN", "abcdefgh"), ("SHORT_KEY", "1"), ("PLAIN", "visible-value")].into_iter().collect();
        assert_eq!(Redactor::for_environment(&environment).text("abcdefgh 1 visible-value"), "*** 1 visible-value");
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            pieces in proptest::collection::vec(prop_oneof![
                Just("https://me:pw@host/x ".to_owned()), Just("hunter2hunter2".to_owned()), Just("hunter2hunter2-and-more".to_owned()),
                Just("hunter2hun".to_owned()), Just("?sig=".to_owned()), Just("&x=1&api_key=hunter2hunter2 ".to_owned()), Just("://".to_owned()), Just("@".to_owned()), ".{0,6}",
            ], 0..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = pieces.concat();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut stream = Redactor::new([b"hunter2hunter2".to_vec(), b"hunter2hunter2-and-more".to_vec()]);
            let mut shown = Vec::new();
            for pair in cuts.windows(2) {
                shown.extend(stream.push(&text.as_bytes()[pair[0]..pair[1]]));
            }
            shown.extend(stream.finish());
            prop_assert_eq!(String::from_utf8_lossy(&shown), masked(&text));
            prop_assert!(!String::from_utf8_lossy(&shown).contains("hunter2hunter2"));
        }
    }
}
