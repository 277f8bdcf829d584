//! OpenSSH's server: a complete configuration of its own, whatever the image has in /etc/ssh (sshd_config(5)). Pure.

use super::environment::Session;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The content of the configuration.
pub(super) struct Configuration<'a> {
    /// The port to listen on.
    pub port: u16,
    /// The private keys of this host.
    pub host_keys: &'a [PathBuf],
    /// The file with the keys that were given.
    pub authorized_keys: &'a Path,
    /// The user's own file counts as well.
    pub own_keys: bool,
    /// sshd accepts the file with the given keys under StrictModes: no other user may write anything on its path.
    pub strict: bool,
    /// Who may log in.
    pub user: &'a OsStr,
    /// The environment of sessions.
    pub session: &'a Session,
}

/// The constant part. Silent connections are closed, so that they do not make an idle container look used.
const FIXED: &str = "\
PidFile none
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
ChallengeResponseAuthentication no
PermitEmptyPasswords no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding yes
X11Forwarding no
PrintMotd no
PrintLastLog no
UseDNS no
MaxSessions 100
MaxStartups 50:30:200
ClientAliveInterval 30
ClientAliveCountMax 4
Subsystem sftp internal-sftp
";

impl Configuration<'_> {
    /// Returns the file's text.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = format!("# Written by trainit for this start.\nPort {}\n{FIXED}", self.port).into_bytes();
        // sshd checks every directory of the path to a file, and would refuse given keys below /tmp. trainit checks the user's own file
        // as well, but only at the start.
        text.extend_from_slice(if self.strict { b"StrictModes yes\n" } else { b"StrictModes no\n" });
        for key in self.host_keys {
            text.extend([b"HostKey \"", key.as_os_str().as_bytes(), b"\"\n"].concat());
        }
        // sshd expands percent signs in this option, but not in those above.
        let given = self.authorized_keys.as_os_str().as_bytes().iter();
        let given: Vec<u8> = given.flat_map(|byte| if *byte == b'%' { b"%%".to_vec() } else { vec![*byte] }).collect();
        text.extend([b"AuthorizedKeysFile \"", &given[..], b"\""].concat());
        text.extend_from_slice(if self.own_keys { b" .ssh/authorized_keys\n" } else { b"\n" });
        // A name with a pattern's character would match other users.
        if self.user.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte)) {
            text.extend([b"AllowUsers ", self.user.as_bytes(), b"\n"].concat());
        }
        if !self.session.set_env.is_empty() {
            text.extend([b"SetEnv", &self.session.set_env[..], b"\n"].concat());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(user: &str, own_keys: bool) -> String {
        let session = Session { set_env: b" \"A=1\"".to_vec(), rest: Vec::new() };
        let configuration = Configuration {
            port: 2222,
            host_keys: &["/private/ssh_host_ed25519_key".into()],
            authorized_keys: Path::new("/private/a b%"),
            own_keys,
            strict: own_keys,
            user: OsStr::new(user),
            session: &session,
        };
        String::from_utf8(configuration.text()).unwrap()
    }

    #[test]
    fn only_keys_let_in_and_only_the_workloads_user() {
        let text = text("jovyan", true);
        for line in [
            "Port 2222",
            "PasswordAuthentication no",
            "ChallengeResponseAuthentication no",
            "PermitRootLogin prohibit-password",
            "StrictModes yes",
            "AuthenticationMethods publickey",
            "AllowUsers jovyan",
            "HostKey \"/private/ssh_host_ed25519_key\"",
            "AuthorizedKeysFile \"/private/a b%%\" .ssh/authorized_keys",
            "SetEnv \"A=1\"",
        ] {
            assert!(text.lines().any(|had| had == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn a_name_that_would_be_a_pattern_is_left_out() {
        assert!(!text("j*", false).contains("AllowUsers"));
        assert!(text("a.b_c-1", false).contains("AllowUsers a.b_c-1\n"));
        assert!(!text("a", false).contains(".ssh/"));
    }
}
