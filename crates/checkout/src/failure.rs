//! Why code could not be brought: the kind as git's words tell it, and what to say of it. git ends with 128 for nearly everything, so the
//! kind is read from its messages in the locale C. Pure.

use std::path::PathBuf;

/// A failure, with what git said.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// The lines of git that tell why, masked; empty where git said nothing.
    pub told: String,
}

/// The kind of a failure.
#[derive(Debug, thiserror::Error)]
pub enum FailureKind {
    /// There is no git on PATH.
    #[error("there is no git in the image")]
    NoGit,
    /// There is no ssh on PATH.
    #[error("there is no ssh in the image")]
    NoSsh,
    /// The server wants to know who asks, or does not let this one in.
    #[error("the server refuses access")]
    Denied,
    /// The file of the token cannot be read.
    #[error("{0}: the token cannot be read")]
    Token(PathBuf, #[source] std::io::Error),
    /// The key or its private copy cannot be read or written.
    #[error("{0}: the ssh key cannot be read")]
    KeyFile(PathBuf, #[source] std::io::Error),
    /// ssh does not take the key.
    #[error("ssh does not take the key")]
    BadKey,
    /// The file of the known hosts cannot be read.
    #[error("{0}: the known hosts cannot be read")]
    KnownHosts(PathBuf, #[source] std::io::Error),
    /// The key of the server is not known.
    #[error("the ssh server is not known")]
    UnknownHost,
    /// The key of the server is another one than before.
    #[error("the ssh server has another key than the known one")]
    OtherHostKey,
    /// ssh wants an account for the user's number.
    #[error("ssh needs an account for this user, and /etc/passwd has none")]
    NoAccount,
    /// The server's certificate is not trusted.
    #[error("the certificate of the server is not trusted")]
    Certificate,
    /// The server has no such repository, or hides it.
    #[error("the server has no such repository, or does not show it")]
    NoRepository,
    /// The repository has no such branch or tag.
    #[error("the repository has no branch and no tag {0}")]
    NoReference(String),
    /// The repository lies on this machine and belongs to another user.
    #[error("the repository belongs to another user, which git does not trust")]
    OtherOwner,
    /// The repository is empty.
    #[error("the repository has no commit yet")]
    Empty,
    /// The server does not have the commit.
    #[error("the repository does not have the commit {0}: was it pushed?")]
    NotPushed(String),
    /// The server does not give a commit by its number; the branch has to be fetched.
    #[error("the server gives no commit by its number")]
    Unadvertised,
    /// The server cannot be reached, or breaks off.
    #[error("the server cannot be reached, or breaks off")]
    Network,
    /// The disk is full.
    #[error("no space is left")]
    Full,
    /// A scheme that must not be used, such as that of a submodule.
    #[error("an address that is not brought: only https, http and ssh are")]
    Scheme,
    /// Files that are not the repository's are in the way.
    #[error("files that are not committed are in the way")]
    InTheWay,
    /// The directory holds something that trainit did not bring.
    #[error("it holds what trainit did not bring: {0}")]
    Foreign(String),
    /// The repository in the directory is damaged.
    #[error("the repository in it is damaged")]
    Damaged,
    /// The directory cannot be made or written.
    #[error("{0}: cannot be written")]
    Unwritable(PathBuf, #[source] std::io::Error),
    /// Files are pointers of Git LFS, and the contents are missing.
    #[error("{count} of its files {verb} only a pointer of Git LFS, not the content: {names}", verb = if *.count == 1 { "is" } else { "are" })]
    Pointers {
        /// How many there are.
        count: usize,
        /// The first names.
        names: String,
        /// Whether git-lfs is there.
        tool: bool,
    },
    /// Something else, which git's words tell.
    #[error("git failed")]
    Other,
}

type MakeKind = fn() -> FailureKind;

/// Parts of git's and ssh's messages, in small letters, in the order in which they count: ssh tells the reason, and git only that nothing
/// came.
const WORDS: &[(&str, MakeKind)] = &[
    ("no space left on device", || FailureKind::Full),
    ("disk quota exceeded", || FailureKind::Full),
    ("dubious ownership", || FailureKind::OtherOwner),
    ("no user exists for uid", || FailureKind::NoAccount),
    ("cannot run ssh", || FailureKind::NoSsh),
    ("ssh: not found", || FailureKind::NoSsh),
    ("ssh: command not found", || FailureKind::NoSsh),
    ("identification has changed", || FailureKind::OtherHostKey),
    ("host key verification failed", || FailureKind::UnknownHost),
    ("unprotected private key", || FailureKind::BadKey),
    ("load key", || FailureKind::BadKey),
    ("server certificate verification failed", || FailureKind::Certificate),
    ("ssl certificate problem", || FailureKind::Certificate),
    ("error setting certificate", || FailureKind::Certificate),
    ("certificate subject name", || FailureKind::Certificate),
    ("unadvertised object", || FailureKind::Unadvertised),
    ("not our ref", || FailureKind::NotPushed(String::new())),
    ("couldn't find remote ref", || FailureKind::NotPushed(String::new())),
    ("would be overwritten by checkout", || FailureKind::InTheWay),
    ("transport '", || FailureKind::Scheme),
    ("authentication failed", || FailureKind::Denied),
    ("could not read username", || FailureKind::Denied),
    ("could not read password", || FailureKind::Denied),
    ("permission denied (", || FailureKind::Denied),
    ("access denied", || FailureKind::Denied),
    ("returned error: 401", || FailureKind::Denied),
    ("returned error: 403", || FailureKind::Denied),
    ("too many authentication failures", || FailureKind::Denied),
    ("repository not found", || FailureKind::NoRepository),
    ("' not found", || FailureKind::NoRepository),
    ("returned error: 404", || FailureKind::NoRepository),
    ("does not appear to be a git repository", || FailureKind::NoRepository),
    ("does not exist", || FailureKind::NoRepository),
    ("could not be found", || FailureKind::NoRepository),
    ("not a git repository", || FailureKind::Damaged),
    ("object file", || FailureKind::Damaged),
    ("bad object", || FailureKind::Damaged),
    ("could not resolve host", || FailureKind::Network),
    ("name resolution", || FailureKind::Network),
    ("name or service not known", || FailureKind::Network),
    ("connect to", || FailureKind::Network),
    ("couldn't connect", || FailureKind::Network),
    ("connection refused", || FailureKind::Network),
    ("connection reset", || FailureKind::Network),
    ("connection closed", || FailureKind::Network),
    ("connection timed out", || FailureKind::Network),
    ("timed out", || FailureKind::Network),
    ("too slow", || FailureKind::Network),
    ("unreachable", || FailureKind::Network),
    ("no route to host", || FailureKind::Network),
    ("early eof", || FailureKind::Network),
    ("disconnect", || FailureKind::Network),
    ("hung up", || FailureKind::Network),
    ("rpc failed", || FailureKind::Network),
    ("returned error: 5", || FailureKind::Network),
    ("returned error: 429", || FailureKind::Network),
    ("recv failure", || FailureKind::Network),
    ("empty reply", || FailureKind::Network),
    ("unable to access", || FailureKind::Network),
];

impl Failure {
    /// Makes a failure without words of git.
    pub(crate) fn new(kind: FailureKind) -> Self {
        Failure { kind, told: String::new() }
    }

    /// Reads the messages of git; `secret` is taken out of them wherever it stands.
    pub(crate) fn of(messages: &str, secret: Option<&str>) -> Self {
        let small = messages.to_ascii_lowercase();
        let found = WORDS.iter().find(|(words, _)| small.contains(words));
        let kind = found.map_or(FailureKind::Other, |(_, kind)| kind());
        Failure { kind, told: reason(messages, secret) }
    }

    /// Tells whether trying again can help. What is not understood may pass.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, FailureKind::Network | FailureKind::Full | FailureKind::Other)
    }
}

/// Most lines of git that are told.
const LINES_MOST: usize = 4;

/// Returns the lines that tell why: those of the server and of ssh, and git's own. Progress and advice are left out.
fn reason(messages: &str, secret: Option<&str>) -> String {
    let lines = messages.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    let mut kept: Vec<String> = Vec::new();
    for line in lines.filter(|line| tells(line)) {
        let line = secret
            .filter(|secret| secret.len() >= 4)
            .map_or(line.to_owned(), |secret| line.replace(secret, text::MASK));
        let line = text::line(&text::masked(&line)).into_owned();
        if !kept.contains(&line) {
            kept.push(line);
        }
    }
    let first = kept.len().saturating_sub(LINES_MOST);
    kept.get(first..).unwrap_or_default().join("; ")
}

fn tells(line: &str) -> bool {
    let noise = [
        "hint:",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
        "fatal: Could not read from remote repository.",
        "Cloning into",
        "Initialized empty",
        "@@@@",
        "Aborting",
    ];
    let is_progress = line.contains("% (") || line.ends_with(", done.") || line.contains("Enumerating objects");
    !is_progress && !noise.iter().any(|noise| line.contains(noise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(messages: &str) -> String {
        let failure = Failure::of(messages, None);
        format!("{:?}", failure.kind)
    }

    #[test]
    fn the_kind_is_read_from_what_git_and_ssh_really_say() {
        for (messages, expected) in [
            ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://h/x.git/'", "Denied"),
            ("fatal: could not read Username for 'https://h': terminal prompts disabled", "Denied"),
            ("fatal: unable to access 'https://h/x/': The requested URL returned error: 403", "Denied"),
            ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "Denied"),
            ("Load key \"/k\": error in libcrypto\ngit@h: Permission denied (publickey).", "BadKey"),
            (
                "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
                "UnknownHost",
            ),
            ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "OtherHostKey"),
            ("No user exists for uid 4321\nfatal: Could not read from remote repository.", "NoAccount"),
            ("error: cannot run ssh: No such file or directory\nfatal: unable to fork", "NoSsh"),
            (
                "fatal: unable to access 'https://h/x/': server certificate verification failed. CAfile: none",
                "Certificate",
            ),
            ("fatal: unable to access 'https://h/x/': SSL certificate problem: self-signed certificate", "Certificate"),
            ("remote: Repository not found.\nfatal: repository 'https://h/x/' not found", "NoRepository"),
            ("fatal: '/x.git' does not appear to be a git repository", "NoRepository"),
            ("error: Server does not allow request for unadvertised object 0123", "Unadvertised"),
            ("fatal: remote error: upload-pack: not our ref 0123", "NotPushed(\"\")"),
            ("fatal: unable to access 'https://h/x/': Could not resolve host: h", "Network"),
            (
                "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
                "Network",
            ),
            ("error: RPC failed; curl 92 HTTP/2 stream\nfatal: early EOF", "Network"),
            ("fatal: unable to access 'https://h/x/': The requested URL returned error: 503", "Network"),
            ("fatal: cannot pread pack file: No space left on device", "Full"),
            ("fatal: transport 'file' not allowed", "Scheme"),
            (
                "error: The following untracked working tree files would be overwritten by checkout:\n\ttrain.py",
                "InTheWay",
            ),
            ("fatal: detected dubious ownership in repository at '/srv/x.git'", "OtherOwner"),
            ("fatal: something new", "Other"),
        ] {
            assert_eq!(kind(messages), expected, "{messages}");
        }
    }

    #[test]
    fn the_words_of_the_server_are_kept_and_a_secret_is_not() {
        let messages = "remote: Counting objects: 100% (3/3), done.\nremote: The token t0psecret expired on Monday\n\
                        fatal: Authentication failed for 'https://me:other@h/x/'\n";
        let failure = Failure::of(messages, Some("t0psecret"));
        assert_eq!(
            failure.told,
            "remote: The token *** expired on Monday; fatal: Authentication failed for 'https://***@h/x/'"
        );
        assert!(!failure.may_pass() && Failure::of("fatal: something new", None).may_pass());
    }
}
