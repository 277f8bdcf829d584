//! SSH: the image's sshd, else dropbear, in the foreground and with keys only; for PyCharm, VS Code and plain ssh.
//!
//! Sessions have the workload's environment. The module reads files and asks the server for its version; it returns every change as data.

mod account;
mod dropbear;
pub mod environment;
mod fingerprint;
pub mod keys;
mod login_line;
mod openssh;
pub mod profile;
mod refusal;
mod strict;
mod trusted;

use super::server_setup::{
    KeptFile, MadeFile, PrivateFile, ServerContext, ServerMode, ServerSetup, SharedFile, ToldFiles,
};
use super::words;
use crate::config::Settings;
use crate::error::Result;
use crate::identity::accounts::PasswdEntry;
use crate::program;
use environment::{FILE_VARIABLE, Quotes, Session};
use openssh::Configuration;
use protocol::handover::Service;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::environment::Environment;

/// The mode's entry in the table.
pub const SERVER: ServerMode = ServerMode { service, program, packages: |_| &[], set_up };

/// Programs that start the server, of which the first one that exists is used.
pub const COMMANDS: [&str; 2] = ["sshd", "dropbear"];

/// Directories of servers, which a user's PATH does not contain.
const SYSTEM: &str = "/usr/sbin:/usr/local/sbin:/sbin";

/// Longest wait for a server's version.
const ANSWER: Duration = Duration::from_secs(10);

/// The host keys that are made: every present client knows the first type; the second is for machines that allow only NIST's curves.
const HOST_KEYS: [(&str, &str); 2] = [("ed25519", "ssh_host_ed25519_key"), ("ecdsa", "ssh_host_ecdsa_key")];

/// Variables that sshd itself needs. It gets no LD_LIBRARY_PATH (conda's libcrypto differs from the image's) and no secret.
const OF_THE_SERVER: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TRAINIT", "TRAINIT_RUN_DIR", "XDG_RUNTIME_DIR"];

/// Returns the default port: only root may use one below 1024, and guides name these two.
pub const fn port(uid: u32) -> u16 {
    if uid == 0 { 22 } else { 2222 }
}

/// Returns whether a command line starts a server; one that the user starts is this mode, too, and gets only its own words.
pub fn serves(line: &[OsString]) -> bool {
    line.first().is_some_and(|program| COMMANDS.contains(&words::name(program)))
}

/// Returns the service; before the user is known, only a configured port is.
fn service(settings: &Settings, _: &Environment, _: &[OsString]) -> Result<Option<Service>> {
    Ok(settings.ssh_port.map(Service::on))
}

/// Returns the name of the server: as `set_up` does, it takes sshd before dropbear, wherever either is.
fn program(_: &Settings, environment: &Environment) -> Option<OsString> {
    let on_path = |name: &str| which::which_in(name, environment.get("PATH"), "/").is_ok();
    COMMANDS.iter().find(|name| on_path(name) || of_the_system(name).is_some()).map(OsString::from)
}

fn set_up(around: &ServerContext<'_>, _: &[OsString]) -> Result<ServerSetup> {
    let server = find(around, "sshd").or_else(|| find(around, "dropbear")).ok_or_else(refusal::no_server)?;
    let user = account::find(&std::fs::read("/etc/passwd").unwrap_or_default(), around.uid)?;
    let port = around.settings.ssh_port.unwrap_or_else(|| port(around.uid));
    refusal::free(port)?;
    let trusted = trusted::find(around, &user)?;
    let ssh = Ssh { around, server, user, port, trusted };
    let mut setup = if ssh.is_dropbear() { dropbear::set_up(&ssh)? } else { ssh.openssh()? };
    setup.lines.splice(0..0, ssh.lines());
    setup.address = Some(ssh.login_line());
    Ok(setup)
}

/// Returns the path of a program that belongs to a server.
fn find(around: &ServerContext<'_>, name: &str) -> Option<PathBuf> {
    (around.program)(name).or_else(|| of_the_system(name))
}

fn of_the_system(name: &str) -> Option<PathBuf> {
    which::which_in(name, Some(SYSTEM), "/").ok()
}

/// The decisions that both servers share.
struct Ssh<'a> {
    around: &'a ServerContext<'a>,
    server: PathBuf,
    user: PasswdEntry,
    port: u16,
    trusted: trusted::AuthorizedUsers,
}

impl Ssh<'_> {
    /// Returns whether the server is dropbear, which sets PATH anew for every session, whatever it inherits (svr-chansession.c).
    fn is_dropbear(&self) -> bool {
        self.server.file_name() == Some(OsStr::new("dropbear"))
    }

    fn openssh(&self) -> Result<ServerSetup> {
        let around = self.around;
        let session = self.session(Quotes::of(&version(&self.server)));
        let (host_keys, made) = self.host_keys(&HOST_KEYS, |kind, path| {
            let keygen = find(around, "ssh-keygen").ok_or_else(refusal::no_keygen)?;
            let words = ["-q", "-t", kind, "-N", "", "-C", "", "-f"].map(OsString::from);
            Ok([vec![keygen.into()], words.to_vec(), vec![path.into()]].concat())
        })?;
        let (config, given) = (around.private.join("sshd_config"), around.private.join("authorized_keys"));
        let text = Configuration {
            port: self.port,
            host_keys: &host_keys,
            authorized_keys: &given,
            own_keys: self.trusted.own,
            strict: strict::fault(around.private, around.uid, &self.user.home).is_none(),
            user: &self.user.name,
            session: &session,
        }
        .text();
        let mut setup = self.with_session_files(&session, made);
        setup.files.push(private(config.clone(), text));
        setup.files.push(private(given, self.trusted.text()));
        setup.unset = self.not_for_the_server();
        setup.directories = (around.uid == 0).then(|| PathBuf::from("/run/sshd")).into_iter().collect();
        let words = ["-D", "-e", "-f"].map(OsString::from);
        setup.command = [vec![self.server.clone().into()], words.to_vec(), vec![config.into()]].concat();
        Ok(setup)
    }

    /// Returns the environment of sessions. sshd sets HOME, unless the home of /etc/passwd is not the one that can be written.
    fn session(&self, quotes: Quotes) -> Session {
        let workload = self.workload();
        environment::session(environment::variables(&workload, &self.around.settings.ssh_hide), quotes)
    }

    /// Returns the workload's environment as sessions get it.
    fn workload(&self) -> Environment {
        let mut workload = self.around.environment.clone();
        if workload.get("HOME").is_some_and(|home| home == self.user.home.as_os_str()) {
            workload.remove("HOME");
        }
        if self.is_dropbear() || !self.profile().restores {
            let old = workload.get("BASH_ENV").map(OsStr::to_owned);
            workload.set(
                "BASH_ENV",
                old.filter(|old| !Path::new(old).is_absolute()).unwrap_or_else(|| self.bash_file().into()),
            );
            environment::for_interactive(&self.session_file(), &self.prompt_file(), &mut workload);
        }
        workload.set(FILE_VARIABLE, self.session_file());
        workload
    }

    fn session_file(&self) -> PathBuf {
        self.around.private.join("session.sh")
    }

    fn bash_file(&self) -> PathBuf {
        self.around.private.join("bash_env.sh")
    }

    fn prompt_file(&self) -> PathBuf {
        self.around.private.join("prompt.sh")
    }

    fn profile(&self) -> profile::Profile {
        profile::look(self.around.uid == 0 && self.around.place.is_container())
    }

    /// Adds the files that shells read, and the file that makes login shells read them.
    fn with_session_files(&self, session: &Session, mut setup: ServerSetup) -> ServerSetup {
        let environment = self.around.environment;
        let script = environment::script(environment.get("PATH"), &session.rest);
        let bash =
            environment::bash_script(self.session_file().as_os_str(), environment.get("BASH_ENV"), self.is_dropbear());
        let prompt = environment::prompt_script(self.session_file().as_os_str());
        setup.files.extend([
            private(self.session_file(), script),
            private(self.bash_file(), bash),
            private(self.prompt_file(), prompt),
        ]);
        let profile = self.profile();
        setup.shared.extend(profile.write);
        let shell = self.user.shell.file_name().and_then(OsStr::to_str).unwrap_or_default();
        setup.lines.extend(profile.line.filter(|_| !environment::LED.contains(&shell)));
        setup.shared.extend(self.unlocked());
        setup
    }

    /// Returns /etc/shadow as sshd needs it for root of this container.
    fn unlocked(&self) -> Option<SharedFile> {
        let own = self.around.uid == 0 && self.around.place.is_container();
        let shadow = own.then(|| std::fs::read("/etc/shadow").ok()).flatten()?;
        let content = account::unlocked(&shadow, &self.user.name)?;
        Some(SharedFile { path: "/etc/shadow".into(), content })
    }

    /// Returns the variables that the server itself does not need; its sessions get them another way.
    fn not_for_the_server(&self) -> Vec<OsString> {
        let names = self.around.environment.iter().map(|(name, _)| name);
        let needed = |name: &&OsStr| OF_THE_SERVER.iter().any(|needed| OsStr::new(needed) == *name);
        names.filter(|name| !needed(name)).map(OsStr::to_owned).collect()
    }

    /// Returns the host's private keys: kept ones stay, missing ones are made.
    ///
    /// The server uses them from trainit's own directory, because servers refuse the permissions that a volume may have.
    fn host_keys(
        &self,
        kinds: &[(&str, &str)],
        make: impl Fn(&str, &Path) -> Result<Vec<OsString>>,
    ) -> Result<(Vec<PathBuf>, ServerSetup)> {
        let mut setup = ServerSetup::default();
        let kept = self.kept_keys();
        for (kind, name) in kinds {
            let path = self.around.private.join(name);
            let old = kept.as_ref().map(|directory| directory.join(name));
            match old.as_ref().and_then(|old| trusted::text_of(old).ok()).filter(|key| !key.is_empty()) {
                Some(content) => setup.files.push(private(path, content)),
                None => {
                    let command = make(kind, &path)?;
                    setup.made.push(MadeFile { path: path.clone(), command, hint: refusal::INSTALL.to_owned() });
                    setup.kept.extend(old.map(|to| KeptFile { from: path, to }));
                }
            }
        }
        let used: Vec<PathBuf> = kinds.iter().map(|(_, name)| self.around.private.join(name)).collect();
        setup.told.push(ToldFiles { paths: used.clone(), words: host_key_words });
        Ok((used, setup))
    }

    fn kept_keys(&self) -> Option<PathBuf> {
        let variable = |name| self.around.environment.get(name).map(PathBuf::from);
        let state = || variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        let wanted = self.around.settings.ssh_host_keys.value.as_ref().map(|path| self.around.workdir.join(path));
        wanted.or_else(|| state().map(|state| state.join("trainit/ssh")))
    }

    /// Returns the command that logs in from outside.
    fn login_line(&self) -> String {
        let user = self.user.name.to_string_lossy();
        login_line::login_line(self.around.environment, self.around.place, self.port, &user)
    }

    /// Returns the lines for a person.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("log in: {}; {}", self.login_line(), self.trusted.words())];
        lines.extend(self.trusted.notes.iter().cloned());
        lines
    }
}

/// Returns the line with which a person compares what the client shows at the first login.
fn host_key_words(keys: &[Vec<u8>]) -> Option<String> {
    let fingerprints: Vec<String> = keys.iter().filter_map(|key| fingerprint::of_private_key(key)).collect();
    (!fingerprints.is_empty()).then(|| format!("the host's keys: {}", fingerprints.join(", ")))
}

fn private(path: PathBuf, content: Vec<u8>) -> PrivateFile {
    PrivateFile { path, content, keep: false }
}

/// Returns the server's version; before 9.2 the version is part of an error message.
fn version(server: &Path) -> String {
    let mut command = Command::new(server);
    command.arg("-V").env_clear();
    program::capture(command, Some(Instant::now() + ANSWER)).map(|answer| answer.output).unwrap_or_default()
}
