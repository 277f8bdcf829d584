//! dropbear, for images without sshd. It passes its own environment on (`-e`), so its sessions need no environment file.

use super::environment::{FILE_VARIABLE, Session, is_named};
use super::trusted::{self, AuthorizedUsers};
use super::{ANSWER, Ssh, find, private, refusal};
use crate::error::Result;
use crate::mode::server_setup::ServerSetup;
use crate::program;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const HOST_KEYS: [(&str, &str); 2] = [("ed25519", "dropbear_ed25519_host_key"), ("ecdsa", "dropbear_ecdsa_host_key")];

pub(super) fn set_up(ssh: &Ssh<'_>) -> Result<ServerSetup> {
    let around = ssh.around;
    let (host_keys, made) = ssh.host_keys(&HOST_KEYS, |kind, path| {
        let keygen = find(around, "dropbearkey").ok_or_else(refusal::no_keygen)?;
        let words = [OsStr::new("-t"), OsStr::new(kind), OsStr::new("-f"), path.as_os_str()].map(OsStr::to_owned);
        Ok([vec![keygen.into()], words.to_vec()].concat())
    })?;
    let mut setup = ssh.with_session_files(&Session::default(), made);
    let help = help(&ssh.server);
    let port = ssh.port.to_string();
    let mut words = ["-F", "-E", "-s", "-K", "30", "-p", &port].map(OsString::from).to_vec();
    words.extend(["-P".into(), around.private.join("dropbear.pid").into()]);
    host_keys.iter().for_each(|key| words.extend(["-r".into(), key.into()]));
    if has(&help, "-e") {
        words.push("-e".into());
    }
    // dropbear reads one file only, and before 2024 that is the user's own.
    let own = ssh.user.home.join(".ssh/authorized_keys");
    let text = with_own(&ssh.trusted, &trusted::text_of(&own).unwrap_or_default());
    match has(&help, "-D") {
        true => {
            setup.files.push(private(around.private.join("authorized_keys"), text));
            words.extend(["-D".into(), around.private.into()]);
        }
        false => setup.files.push(private(own, text)),
    }
    let hidden = around.environment.iter().map(|(name, _)| name);
    let hide = &around.settings.ssh_hide.value;
    setup.unset = hidden
        .filter(|name| hide.iter().any(|pattern| is_named(pattern, name.as_bytes())))
        .map(OsStr::to_owned)
        .collect();
    if ssh.user.shell.file_name() != Some(OsStr::new("bash")) {
        let shell = text::path(&ssh.user.shell);
        setup
            .lines
            .push(format!("ssh HOST COMMAND has dropbear's own PATH: {shell} reads no file for it, as bash does"));
    }
    let workload = ssh.workload();
    // A bash that takes itself for sshd's first shell reads ~/.bashrc instead of BASH_ENV (bash, shell.c: run_by_ssh).
    setup.set = vec![("SHLVL".into(), "1".into())];
    let files = [FILE_VARIABLE, "BASH_ENV", "ENV", "PROMPT_COMMAND"];
    let named = |name: &str| Some((OsString::from(name), workload.get(name)?.to_owned()));
    setup.set.extend(files.into_iter().filter_map(named));
    setup.command = [vec![ssh.server.clone().into()], words].concat();
    Ok(setup)
}

/// Returns the user's own lines unchanged, followed by those that are not among them.
fn with_own(trusted: &AuthorizedUsers, own: &[u8]) -> Vec<u8> {
    let own = if trusted.own { own } else { b"" };
    let had: Vec<&[u8]> = own.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let new = trusted.lines.iter().filter(|line| !had.contains(&line.as_bytes()));
    let end: &[u8] = if own.is_empty() || own.ends_with(b"\n") { b"" } else { b"\n" };
    [own, end].concat().into_iter().chain(new.flat_map(|line| [line.as_bytes(), b"\n"].concat())).collect()
}

fn help(server: &Path) -> String {
    let mut command = Command::new(server);
    command.arg("-h").env_clear();
    program::capture(command, Some(Instant::now() + ANSWER)).map(|answer| answer.output).unwrap_or_default()
}

/// Returns whether a list of options has this one.
fn has(help: &str, option: &str) -> bool {
    help.lines().any(|line| line.split_whitespace().next() == Some(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_keys_stay_and_none_is_there_twice() {
        let trusted =
            AuthorizedUsers { lines: vec!["ssh-a".into(), "ssh-b".into()], own: true, ..AuthorizedUsers::default() };
        let text = with_own(&trusted, b"# mine\nssh-b");
        assert_eq!(text, b"# mine\nssh-b\nssh-a\n");
        assert_eq!(with_own(&trusted, &text), text);
        assert_eq!(with_own(&AuthorizedUsers { own: false, ..trusted }, b"ssh-c\n"), b"ssh-a\nssh-b\n");
    }

    #[test]
    fn an_option_is_known_by_its_line() {
        let help = "-e\t\tPass on\n-D directory\n -Edge";
        assert!(has(help, "-e") && has(help, "-D") && !has(help, "-E"));
    }
}
