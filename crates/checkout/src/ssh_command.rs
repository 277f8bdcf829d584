//! The ssh that git runs: it asks nobody, offers only the given key, and believes only known servers. A key that others may read is
//! refused by ssh(1) if it belongs to the user; engines mount secrets like that, so such a key is copied.

use super::access::Access;
use super::failure::FailureKind;
use nix::unistd::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;
use sys::untrusted::{Owners, open_named};

/// Where private copies go: into memory if possible, and never on a disk that outlives the machine if it can be helped.
const MEMORY: [&str; 2] = ["/dev/shm", "/run"];

/// The beginning of the names of copies, of which old ones are removed: a start that is killed cannot do it itself.
const PREFIX: &str = "trainit-ssh-";

/// The age at which a copy is a dead start's.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// Longest key, in bytes.
const KEY_MOST: u64 = 64 << 10;

/// The files that ssh gets; a private copy is removed when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct SshFiles {
    command: Option<OsString>,
    /// Removed with the copy in it.
    _copy: Option<tempfile::TempDir>,
}

impl SshFiles {
    /// Prepares the files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn of(access: &Access) -> Result<Self, FailureKind> {
        let (mut key, mut copy) = (access.ssh_key.clone(), None);
        if let Some(path) = &access.ssh_key {
            copy = private_copy(path).map_err(|error| FailureKind::KeyFile(path.clone(), error))?;
            key = copy.as_ref().map(|copy| copy.path().join("key")).or(key);
        }
        if let Some(path) = &access.known_hosts {
            open_named(path, Owners::Anyone).map_err(|error| FailureKind::KnownHosts(path.clone(), error))?;
        }
        let command =
            (key.is_some() || access.known_hosts.is_some()).then(|| command(key, access.known_hosts.as_deref()));
        Ok(SshFiles { command, _copy: copy })
    }

    /// Adds the variable that names the command. A command that the environment names is kept where no key of trainit says more.
    pub(crate) fn add_to(&self, environment: &mut Environment) {
        match &self.command {
            Some(command) => environment.set("GIT_SSH_COMMAND", command),
            None if environment.get("GIT_SSH_COMMAND").is_some() || environment.get("GIT_SSH").is_some() => return,
            None => environment.set("GIT_SSH_COMMAND", command(None, None)),
        }
        environment.set("GIT_SSH_VARIANT", "ssh");
    }
}

/// Returns the command line, which git gives to a shell.
fn command(key: Option<PathBuf>, known_hosts: Option<&Path>) -> OsString {
    let mut words = OsString::from("ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no");
    words.push(" -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4");
    if let Some(key) = key {
        words.push(" -o IdentitiesOnly=yes -o IdentityAgent=none -i ");
        words.push(shell_word(key.as_os_str()));
    }
    if let Some(known_hosts) = known_hosts {
        let mut option = OsString::from("UserKnownHostsFile=\"");
        option.push(known_hosts);
        option.push("\"");
        words.push(" -o GlobalKnownHostsFile=/dev/null -o ");
        words.push(shell_word(&option));
    }
    words
}

/// Quotes a word for sh(1), byte for byte.
fn shell_word(word: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

/// Copies a key that ssh would not take as it is; `None` if it does. ssh judges only a file of its own user (sshkey_perm_ok).
fn private_copy(path: &Path) -> io::Result<Option<tempfile::TempDir>> {
    let file = open_named(path, Owners::Anyone)?;
    let found = file.metadata()?;
    if found.uid() != geteuid().as_raw() || found.mode() & 0o077 == 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(KEY_MOST).read_to_end(&mut bytes)?;
    let directory = private_directory()?;
    let mut copy = File::create_new(directory.path().join("key"))?;
    copy.set_permissions(fs::Permissions::from_mode(0o600))?;
    copy.write_all(&bytes)?;
    Ok(Some(directory))
}

fn private_directory() -> io::Result<tempfile::TempDir> {
    let bases = MEMORY.iter().map(PathBuf::from).chain([std::env::temp_dir()]);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for base in bases {
        remove_old(&base);
        match tempfile::Builder::new().prefix(PREFIX).permissions(fs::Permissions::from_mode(0o700)).tempdir_in(&base) {
            Ok(made) => return Ok(made),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn remove_old(base: &Path) {
    let own = geteuid().as_raw();
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    for entry in ours {
        let old =
            |found: &fs::Metadata| found.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > OLD);
        if entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own && old(&found)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_with(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("the key's file");
        fs::write(&key, "secret\n").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        (directory, key)
    }

    #[test]
    fn a_key_that_others_may_read_is_copied_and_the_copy_goes_again() {
        let (_directory, key) = key_with(0o644);
        let copy = private_copy(&key).unwrap().unwrap();
        let path = copy.path().join("key");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(copy.path()), mode(&path), fs::read(&path).unwrap()), (0o700, 0o600, b"secret\n".to_vec()));
        drop(copy);
        assert!(!path.exists());
    }

    #[test]
    fn a_private_key_is_used_where_it_is() {
        let (_directory, key) = key_with(0o600);
        assert!(private_copy(&key).unwrap().is_none());
        let access = Access { ssh_key: Some(key), ..Access::default() };
        let command = SshFiles::of(&access).unwrap().command.unwrap().into_string().unwrap();
        assert!(command.contains("StrictHostKeyChecking=yes") && command.contains("BatchMode=yes"), "{command}");
        assert!(command.ends_with(r"the key'\''s file'"), "{command}");
    }

    #[test]
    fn the_environments_own_ssh_is_kept_unless_a_key_says_more() {
        let mut environment: Environment = [("GIT_SSH_COMMAND", "ssh -F /x")].into_iter().collect();
        SshFiles::default().add_to(&mut environment);
        assert_eq!(environment.text("GIT_SSH_COMMAND"), Some("ssh -F /x"));
        let mut environment = [("A", "1")].into_iter().collect();
        SshFiles::default().add_to(&mut environment);
        assert!(
            environment.text("GIT_SSH_COMMAND").is_some_and(|command| command.contains("StrictHostKeyChecking=yes"))
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let access = Access { known_hosts: Some("/no/such/file".into()), ..Access::default() };
        assert!(
            matches!(SshFiles::of(&access), Err(FailureKind::KnownHosts(path, _)) if path == Path::new("/no/such/file"))
        );
    }
}
