//! The account that ssh lets in: /etc/passwd must list the workload's user with a shell, and the account must not be locked.

use crate::error::{Error, ErrorKind, Result};
use crate::identity::accounts::{self, PasswdEntry};
use protocol::exit_code::FailureFamily;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Shells that allow no session.
const CLOSED: [&str; 4] = ["nologin", "false", "true", "sync"];

/// Returns the user's line.
///
/// # Errors
/// There is no line, or no shell in it (115): a server would refuse every login.
pub(super) fn find(passwd: &[u8], uid: u32) -> Result<PasswdEntry> {
    let found = accounts::users(passwd).into_iter().find(|user| user.uid == uid);
    let user = found.ok_or_else(|| {
        refused(format!("ssh lets nobody in as {uid}: /etc/passwd has no line for this number"))
            .because("sshd and dropbear look a user up by its name")
            .hint("start as root and let trainit become it: TRAINIT_USER=UID (it adds the line)")
            .hint("or start as UID:0, in an image whose /etc/passwd group 0 may write (RUN chmod g=u /etc/passwd)")
    })?;
    let shell = user.shell.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if CLOSED.contains(&shell) {
        let name = user.name.to_string_lossy();
        return Err(refused(format!("ssh lets nobody work as {name}: its shell is {}", user.shell.display()))
            .because("every session would end at once")
            .hint(format!("RUN usermod -s /bin/bash {name}")));
    }
    Ok(user)
}

fn refused(what: String) -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::User), what)
}

/// Returns /etc/shadow without the lock on this user; `None` if there is no lock.
///
/// sshd refuses a locked account even with a key. Afterwards still no password matches.
pub(super) fn unlocked(shadow: &[u8], name: &OsStr) -> Option<Vec<u8>> {
    let locked = [name.as_bytes(), b":!"].concat();
    let lines: Vec<&[u8]> = shadow.split_inclusive(|byte| *byte == b'\n').collect();
    lines.iter().any(|line| line.starts_with(&locked)).then(|| {
        let open = |line: &&[u8]| match line.strip_prefix(&locked[..]) {
            // The text behind the mark was a password hash, which must not become valid again.
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
                [name.as_bytes(), b":*", rest.get(end..).unwrap_or_default()].concat()
            }
            None => line.to_vec(),
        };
        lines.iter().flat_map(open).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/bash\nweb:x:33:33::/:/usr/sbin/nologin\nme:x:7:7::/home/me:\n";

    #[test]
    fn a_user_needs_a_line_and_a_shell() {
        assert_eq!(find(PASSWD, 0).unwrap().name, "root");
        assert_eq!(find(PASSWD, 7).unwrap().name, "me");
        let error = find(PASSWD, 33).unwrap_err();
        assert_eq!(
            (error.kind, error.hints[0].as_str()),
            (ErrorKind::Permanent(FailureFamily::User), "RUN usermod -s /bin/bash web")
        );
        assert!(find(PASSWD, 12345).unwrap_err().what.contains("no line for this number"));
    }

    #[test]
    fn a_lock_is_taken_off_and_no_password_begins_to_fit() {
        let shadow = b"root:!locked::0:99999:7:::\nrooty:!:1::\nme:!$6$x:1:\n";
        let open = unlocked(shadow, OsStr::new("root")).unwrap();
        assert_eq!(open, b"root:*::0:99999:7:::\nrooty:!:1::\nme:!$6$x:1:\n");
        assert_eq!(unlocked(&open, OsStr::new("root")), None);
        let open = unlocked(shadow, OsStr::new("me")).unwrap();
        assert!(open.ends_with(b"me:*:1:\n"));
    }
}
