//! Answers git's questions for a user and a password (gitcredentials(7), GIT_ASKPASS). git starts trainit with the question as its only
//! word; the token is in no argument, and no other server than the one of `code.from` gets it. Pure but for the file of the token.

use super::address::origin;
use std::path::{Path, PathBuf};

/// The variables that tell the asked trainit whom it may answer, and from where.
pub(crate) const ORIGIN: &str = "TRAINIT_ASKPASS_ORIGIN";
pub(crate) const FILE: &str = "TRAINIT_ASKPASS_FILE";
pub(crate) const VARIABLE: &str = "TRAINIT_ASKPASS_VARIABLE";

/// Where a token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The file with the token in its first line.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

/// The variables that may hold a token, and the beginning of the hosts that they are for: a token of one forge is not shown to another.
const VARIABLES: [(&str, &[&str]); 4] =
    [("GIT_TOKEN", &[""]), ("GITHUB_TOKEN", &["github."]), ("GH_TOKEN", &["github."]), ("GITLAB_TOKEN", &["gitlab."])];

impl TokenSource {
    /// Returns the variable that is meant for the server of a URL over HTTP.
    pub fn offered(origin: &str, is_set: impl Fn(&str) -> bool) -> Option<Self> {
        let host = origin.split_once("://")?.1;
        let fits = |(_, hosts): &&(&str, &[&str])| hosts.iter().any(|begin| host.starts_with(begin));
        let known = VARIABLES.iter().filter(fits).map(|(name, _)| *name);
        known.into_iter().find(|name| is_set(name)).map(|name| TokenSource::Variable(name.to_owned()))
    }

    /// Reads the token: the first line of a file.
    ///
    /// # Errors
    /// The error of the file, or an empty one.
    pub(crate) fn read(&self, variable: impl Fn(&str) -> Option<String>) -> std::io::Result<String> {
        let text = match self {
            TokenSource::File(path) => first_line(path)?,
            TokenSource::Variable(name) => variable(name).unwrap_or_default().trim().to_owned(),
        };
        if text.is_empty() { Err(std::io::Error::other("it is empty")) } else { Ok(text) }
    }
}

/// Longest file of a token, in bytes.
const TOKEN_MOST: u64 = 64 << 10;

fn first_line(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    sys::untrusted::open_named(path, sys::untrusted::Owners::Anyone)?.take(TOKEN_MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes)
        .trim_start_matches('\u{feff}')
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned())
}

/// The beginnings of the questions of git and of git-lfs, which has other quotes.
const QUESTIONS: [&[u8]; 4] = [b"Username for '", b"Password for '", b"Username for \"", b"Password for \""];

/// Tells whether the only word of a command line is such a question.
pub fn is_question(word: &[u8]) -> bool {
    QUESTIONS.iter().any(|begin| word.starts_with(begin))
}

/// Answers one question, as the process that git starts for it; `None` if this server is not to be answered.
pub fn answer(prompt: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let url = prompt.split(['\'', '"']).nth(1).filter(|_| is_question(prompt.as_bytes()))?;
    if origin(url)? != variable(ORIGIN)? {
        return None;
    }
    let source = match variable(FILE) {
        Some(path) => TokenSource::File(path.into()),
        None => TokenSource::Variable(variable(VARIABLE)?),
    };
    let (user, token) = parts(&source.read(&variable).ok()?, url);
    if prompt.starts_with("Username") { Some(user) } else { Some(token) }
}

/// Splits what a file holds: `TOKEN`, or `USER:TOKEN` where the server wants to know a user.
fn parts(text: &str, url: &str) -> (String, String) {
    match text.split_once(':') {
        Some((user, token)) if !user.is_empty() => (user.to_owned(), token.to_owned()),
        _ => (user_of(url).to_owned(), text.to_owned()),
    }
}

/// Returns the user that forges want beside a token; most take any.
fn user_of(url: &str) -> &'static str {
    if url.contains("bitbucket") { "x-token-auth" } else { "oauth2" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(prompt: &str, token: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, format!("{token}\nmore\n")).unwrap();
        answer(prompt, |name| match name {
            ORIGIN => Some("https://host:8443".into()),
            FILE => Some(file.to_string_lossy().into_owned()),
            _ => None,
        })
    }

    #[test]
    fn only_the_server_of_the_code_gets_the_token() {
        let user = asked("Username for 'https://host:8443': ", "t0psecret");
        assert_eq!(user.as_deref(), Some("oauth2"));
        assert_eq!(asked("Password for 'https://oauth2@host:8443': ", "t0psecret").as_deref(), Some("t0psecret"));
        assert_eq!(
            asked("Password for 'https://oauth2@Host:8443/path': ", " t0psecret ").as_deref(),
            Some("t0psecret")
        );
        for other in
            ["https://evil", "https://host", "http://host:8443", "https://host:8443.evil", "https://host:8443@evil"]
        {
            assert_eq!(asked(&format!("Password for '{other}': "), "t0psecret"), None, "{other}");
        }
        assert_eq!(asked("Password for \"https://oauth2@host:8443\"", "t0psecret").as_deref(), Some("t0psecret"));
        assert_eq!(asked("Enter passphrase for key 'https://host:8443': ", "t0psecret"), None);
    }

    #[test]
    fn a_file_may_name_the_user_too() {
        assert_eq!(asked("Username for 'https://host:8443': ", "me:t0psecret").as_deref(), Some("me"));
        assert_eq!(asked("Password for 'https://me@host:8443': ", "me:t0psecret").as_deref(), Some("t0psecret"));
        assert_eq!(asked("Password for 'https://me@host:8443': ", ""), None);
    }

    #[test]
    fn a_token_of_one_forge_is_not_offered_to_another() {
        let offered = |origin: &str, set: &[&str]| TokenSource::offered(origin, |name| set.contains(&name));
        let variable = |name: &str| Some(TokenSource::Variable(name.into()));
        assert_eq!(offered("https://github.com", &["GITLAB_TOKEN", "GITHUB_TOKEN"]), variable("GITHUB_TOKEN"));
        assert_eq!(offered("https://gitlab.example", &["GITLAB_TOKEN", "GITHUB_TOKEN"]), variable("GITLAB_TOKEN"));
        assert_eq!(offered("https://git.example", &["GITLAB_TOKEN", "GITHUB_TOKEN"]), None);
        assert_eq!(offered("https://git.example", &["GITLAB_TOKEN", "GIT_TOKEN"]), variable("GIT_TOKEN"));
    }
}
