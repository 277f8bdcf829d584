//! Errors that prevent a server, with what to type.

use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use std::io;
use sys::listening;

/// How to install a server in an image.
pub(super) const INSTALL: &str = "RUN apt-get update && apt-get install -y openssh-server (Alpine: apk add openssh; Red Hat: dnf install -y openssh-server)";

pub(super) fn no_server() -> Error {
    Error::new(ErrorKind::NotFound, "mode ssh has nothing to start: no sshd and no dropbear in this image")
        .hint(INSTALL)
}

pub(super) fn no_keygen() -> Error {
    Error::new(ErrorKind::NotFound, "mode ssh cannot make the host's keys: no ssh-keygen in this image")
        .hint(INSTALL)
        .hint("or keep ready ones in the directory of ssh.host_keys: ssh_host_ed25519_key and ssh_host_ecdsa_key")
}

pub(super) fn no_keys(looked: &str) -> Error {
    Error::config("mode ssh lets nobody in: no public key was given")
        .because(format!("there are no passwords, and no key in {looked}"))
        .hint("set the variable PUBLIC_KEY=\"$(cat ~/.ssh/id_ed25519.pub)\"")
        .hint("or mount a file with it at /keys, and set TRAINIT_SSH_AUTHORIZED_KEYS=/keys")
}

/// Checks that the port is free and that this user may listen there.
///
/// # Errors
/// Another process listens there (114), or this user may not (115).
pub(super) fn free(port: u16) -> Result<()> {
    let Err(error) = listening::try_port(port) else { return Ok(()) };
    let elsewhere = "another port: TRAINIT_SSH_PORT=2222";
    Err(match error.kind() {
        io::ErrorKind::AddrInUse => {
            let by = listening::holder(port).map(|(pid, name)| format!("{name} (pid {pid}) listens on it"));
            Error::new(ErrorKind::Permanent(FailureFamily::Host), format!("port {port} is taken"))
                .because(by.unwrap_or_else(|| {
                    "a process listens on it; with --network=host that may be the machine's own".to_owned()
                }))
                .hint(elsewhere)
        }
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::Permanent(FailureFamily::User), format!("this user may not listen on port {port}"))
                .because("ports below 1024 are root's here")
                .hint(elsewhere)
        }
        _ => Error::new(ErrorKind::Permanent(FailureFamily::Host), format!("no process can listen on port {port}"))
            .caused_by(error)
            .hint(elsewhere),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused_with_who_has_it() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let error = free(listener.local_addr().unwrap().port()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permanent(FailureFamily::Host));
        assert!(error.because.unwrap().contains(&format!("(pid {})", std::process::id())));
    }
}
