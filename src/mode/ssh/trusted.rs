//! The keys that may log in: from the platform's variables, from configured files, and from the user's own file.

use super::keys::{self, Keys};
use super::{refusal, strict};
use crate::error::{Error, Result};
use crate::identity::accounts::PasswdEntry;
use crate::mode::ServerContext;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::untrusted::{self, Owners};

/// Variables in which RunPod, vast.ai and ai-dock pass keys.
const VARIABLES: [&str; 3] = ["PUBLIC_KEY", "SSH_PUBLIC_KEY", "SSH_PUBKEY"];

/// Longest file of keys that is read.
const MAX: u64 = 1 << 20;

/// Who may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AuthorizedUsers {
    /// The lines of the given keys.
    pub lines: Vec<String>,
    /// The user's own ~/.ssh/authorized_keys counts as well, with keys that are added later.
    pub own: bool,
    /// Number of keys in that file now.
    pub in_own: usize,
    /// The keys that were left out, with the reason.
    pub notes: Vec<String>,
}

/// Collects the keys.
///
/// # Errors
/// A file cannot be read, or there is no key at all (78).
pub(super) fn find(around: &ServerContext<'_>, user: &PasswdEntry) -> Result<AuthorizedUsers> {
    let mut trusted = AuthorizedUsers::default();
    for name in VARIABLES {
        let value = around.environment.get(name).map(|value| value.as_bytes());
        let value = around.settings.unless_locked("ssh.authorized_keys", value);
        trusted.take(name, &keys::read(value.unwrap_or_default()));
    }
    for file in &around.settings.ssh_authorized_keys.value {
        let path = around.workdir.join(file);
        if let Some(why) = strict::fault_of_named(&path) {
            trusted.notes.push(not_read(&path, &why));
            continue;
        }
        let text = text_of(&path).map_err(|error| {
            Error::config(format!("ssh.authorized_keys: {} cannot be read", text::path(&path)))
                .caused_by(error)
                .hint("a file with public keys, one a line, that the workload's user may read")
        })?;
        trusted.take(&text::path(&path), &keys::read(&text));
    }
    match around.settings.lock_of("ssh.authorized_keys") {
        // Variables and a file that the user may write would get around the lock.
        Some(lock) => trusted.notes.push(format!("only ssh.authorized_keys counts: it is locked by {lock}")),
        None => trusted.take_own(&user.home, user.uid),
    }
    if trusted.lines.is_empty() && trusted.in_own == 0 {
        return Err(trusted.nobody());
    }
    Ok(trusted)
}

impl AuthorizedUsers {
    fn take(&mut self, from: &str, keys: &Keys) {
        for line in &keys.lines {
            if !self.lines.contains(line) {
                self.lines.push(line.clone());
            }
        }
        let bad = keys.bad.iter().map(|(number, why)| format!("{from}, line {number}: {why}"));
        self.notes.extend(bad);
    }

    /// Takes the user's own file, unless other users can write it.
    fn take_own(&mut self, home: &Path, uid: u32) {
        let file = home.join(".ssh/authorized_keys");
        match (strict::fault(&file, uid, home), text_of(&file)) {
            (Some(why), Ok(_)) => self.notes.push(not_read(&file, &why)),
            (Some(_), Err(_)) => {}
            (None, text) => {
                self.own = true;
                self.in_own = keys::read(&text.unwrap_or_default()).lines.len();
            }
        }
    }

    fn nobody(&self) -> Error {
        let looked = format!("{}, ssh.authorized_keys or ~/.ssh/authorized_keys", VARIABLES.join(", "));
        let error = refusal::no_keys(&looked);
        match self.notes.is_empty() {
            true => error,
            false => error.because(self.notes.join("; ")),
        }
    }

    /// Returns the text of the file of keys.
    pub(super) fn text(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
    }

    /// Returns the number of keys in words.
    pub(super) fn words(&self) -> String {
        format!("{} may, and no password", text::count((self.lines.len() + self.in_own) as u64, "key"))
    }
}

/// Returns the text of a file of keys. The file may be a link, as a secret of Kubernetes is, but nothing that blocks.
pub(super) fn text_of(file: &Path) -> std::io::Result<Vec<u8>> {
    untrusted::read_named(file, MAX, Owners::Anyone)
}

fn not_read(file: &Path, why: &str) -> String {
    format!("{} is not read: {why}", text::path(file))
}
