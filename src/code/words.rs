//! The words about code that is brought: what was done, how far it is, and why it failed with what helps.

use crate::error::{Error, ErrorKind};
use checkout::{Access, Address, Brought, Changes, Failure, FailureKind, NamedBy, Progress, TokenSource};
use protocol::exit_code::FailureFamily;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

/// Length of a shown commit.
const SHORT: usize = 12;

/// Says what is in the directory now: `/code: https://host/train.git v1.4 = 0123456789ab, fetched`.
pub(super) fn brought(directory: &Path, address: &Address, brought: &Brought) -> String {
    let how = match (&brought.changes, &brought.stale, brought.unchanged) {
        (Some(_), ..) => "changed here, so nothing was fetched",
        (None, Some(_), _) => "as it was fetched before",
        (None, None, true) => "unchanged",
        (None, None, false) => "fetched",
    };
    let named = if brought.by == NamedBy::Commit { String::new() } else { format!("{} = ", text::line(&brought.name)) };
    format!("{}: {} {named}{}, {how}", text::path(directory), url(address), short(&brought.commit))
}

/// Says what a start would do.
pub(super) fn outlook(directory: &Path, address: &Address, held: Option<(String, String)>) -> String {
    let (directory, address) = (text::path(directory), text::masked(&address.to_string()));
    match held {
        Some((commit, _)) => format!("a start would look for {address}; {directory} holds {}", short(&commit)),
        None => format!("a start would bring {address} into {directory}, so its files are not looked at"),
    }
}

/// Says how far it is.
pub(super) fn progress(address: &Address, progress: &Progress) -> String {
    match progress {
        Progress::Waiting(_) => format!("code: another start brings {} here", url(address)),
        Progress::Git(git) if git.words.is_empty() => format!("code: bringing {}", url(address)),
        Progress::Git(git) => format!("code: bringing {}: {}", url(address), git.words),
    }
}

/// Returns what speaks against the code that is there, and whether an unattended start must not go on with it.
pub(super) fn doubt(directory: &Path, address: &Address, brought: &Brought) -> Option<(Error, bool)> {
    let place = text::path(directory);
    if let Some(changes) = &brought.changes {
        let what = format!("{place} is not the code that was brought: {}", changed(changes));
        let because = format!("it would no longer be {} of {}", short(&brought.commit), url(address));
        let permanent = ErrorKind::Permanent(FailureFamily::Code);
        let error = Error::new(permanent, what).because(because).hint(
            "commit and push it, then bring that commit; or give this start another code directory; or leave code.from out",
        );
        return Some((error, true));
    }
    let (failure, age) = brought.stale.as_ref()?;
    let what = format!("{} cannot be asked, so {place} stays at {}", url(address), short(&brought.commit));
    let asked = format!("{} ago it was {}: {failure}", duration(*age), text::line(&brought.name));
    let error = Error::new(ErrorKind::Transient(FailureFamily::Code), what)
        .because(join(&asked, &failure.told))
        .hint("a whole commit behind the @ needs no server once it is there");
    // A tag is not meant to move.
    Some((error, brought.by == NamedBy::Branch))
}

fn changed(changes: &Changes) -> String {
    match changes {
        Changes::Files(count, names) => {
            let more = *count > names.len();
            let mut names: Vec<String> = names.iter().map(|name| text::bytes(name)).collect();
            names.extend(more.then(|| "…".to_owned()));
            format!("{} changed ({})", text::count(*count as u64, "file"), names.join(", "))
        }
        Changes::Commit(other) => format!("{} is checked out", short(other)),
    }
}

/// Makes the error of code that could not be brought.
pub(super) fn failed(directory: &Path, address: &Address, access: &Access, failure: Failure) -> Error {
    let family = FailureFamily::Code;
    let kind = if failure.may_pass() { ErrorKind::Transient(family) } else { ErrorKind::Permanent(family) };
    let what = format!("{} cannot be brought into {}", text::masked(&address.to_string()), text::path(directory));
    let cause = failure.kind.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let reason = match cause.map(protocol::errno::words_of) {
        Some(cause) => join(&failure.to_string(), &cause),
        None => join(&failure.to_string(), &failure.told),
    };
    let error = Error::new(kind, what).because(reason);
    hints(directory, address, access, &failure.kind).into_iter().fold(error, Error::hint)
}

fn hints(directory: &Path, address: &Address, access: &Access, kind: &FailureKind) -> Vec<String> {
    let hint = match kind {
        FailureKind::NoGit => {
            "in the Dockerfile: RUN apt-get update && apt-get install -y --no-install-recommends git".to_owned()
        }
        FailureKind::NoSsh => {
            "in the Dockerfile: RUN apt-get update && apt-get install -y --no-install-recommends openssh-client"
                .to_owned()
        }
        FailureKind::Denied | FailureKind::NoRepository => denied(address, access),
        FailureKind::Token(..) => {
            "code.token_file: a file with the token, which the workload's user can read".to_owned()
        }
        FailureKind::KeyFile(..) | FailureKind::BadKey => {
            "code.ssh_key: a private key without a passphrase, which the workload's user can read".to_owned()
        }
        FailureKind::KnownHosts(..) => "code.known_hosts: a file that the workload's user can read".to_owned(),
        FailureKind::UnknownHost => unknown_host(address),
        FailureKind::OtherHostKey => {
            "if its owner says that the key is new, write the new one into the file of code.known_hosts".to_owned()
        }
        FailureKind::NoAccount => "user: a number that the image's /etc/passwd knows, or a name".to_owned(),
        FailureKind::Certificate => "GIT_SSL_CAINFO=/path/of/the/ca.pem, or add the authority to the image".to_owned(),
        FailureKind::NoReference(_) => "git ls-remote shows what there is; a commit needs all of its digits".to_owned(),
        FailureKind::OtherOwner => {
            format!("in the Dockerfile: RUN git config --system --add safe.directory {}", text::masked(&address.url))
        }
        FailureKind::NotPushed(_) => "git push, then start again".to_owned(),
        FailureKind::Full => "more room, or code.depth: 1".to_owned(),
        FailureKind::InTheWay => {
            format!("move the files away, or use another directory than {}", text::path(directory))
        }
        FailureKind::Foreign(_) => "code.path: a directory that is empty or does not exist yet".to_owned(),
        FailureKind::Damaged => format!("remove what is in {}, and it is fetched again", text::path(directory)),
        FailureKind::Unwritable(..) => "code.path: a directory that the workload's user can write".to_owned(),
        FailureKind::Pointers { tool: false, .. } => {
            "install git-lfs in the image; or code.lfs: off, if the files are not needed".to_owned()
        }
        FailureKind::Pointers { tool: true, .. } => "git lfs push, then start again; or code.lfs: off".to_owned(),
        FailureKind::Scheme => "code.submodules: off, or give the submodule an address of https or ssh".to_owned(),
        FailureKind::Empty | FailureKind::Unadvertised | FailureKind::Network | FailureKind::Other => {
            return Vec::new();
        }
    };
    vec![hint]
}

fn denied(address: &Address, access: &Access) -> String {
    if address.is_ssh() {
        return "code.ssh_key: a private key that the repository accepts (a deploy key)".to_owned();
    }
    match &access.token {
        Some(TokenSource::File(path)) => {
            format!("the token of {} was used: is it valid, and may it read this repository?", text::path(path))
        }
        Some(TokenSource::Variable(name)) => format!("{name} was used: is it valid, and may it read this repository?"),
        None => "code.token_file: a file with a token that may read it; no token was given".to_owned(),
    }
}

fn unknown_host(address: &Address) -> String {
    let Some((host, port)) = address.ssh_server() else { return String::new() };
    let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
    format!(
        "ssh-keyscan {port}{host} >known_hosts; compare it with what the server's owner publishes; code.known_hosts: that file"
    )
}

fn url(address: &Address) -> String {
    text::masked(&address.url)
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

fn join(first: &str, second: &str) -> String {
    if second.is_empty() { first.to_owned() } else { format!("{first}: {second}") }
}

fn duration(age: Duration) -> String {
    text::seconds(Duration::from_secs(age.as_secs()))
}
