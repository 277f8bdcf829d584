//! Runs git: with an environment in which it asks nobody, runs no code of the repository and shows no secret. Its messages are kept in
//! memory, so that no pipe can fill up. A git that says nothing for too long is ended.

use super::access::Access;
use super::failure::{Failure, FailureKind};
use super::ssh_command::SshFiles;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::{child_group, process};

/// Settings of every git that runs here. Hooks and monitors would be code of the repository; a scheme that is not named could start any
/// program; a slow server is given up, because git alone waits for ever. Unknown names are ignored by an older git.
const SETTINGS: [&str; 12] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
];

/// Variables that would lead git to another repository, or let it write what it sends.
const REMOVED: [&str; 16] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_TEMPLATE_DIR",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_PACKET",
    "GIT_CURL_VERBOSE",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "LANGUAGE",
    "GIT_QUARANTINE_PATH",
];

/// The time without a word after which git counts as hanging; while a server counts its objects, nothing comes.
const SILENCE: Duration = Duration::from_secs(600);

/// How often it is looked whether git has ended.
const TICK: Duration = Duration::from_millis(100);

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Most bytes of messages that are read at the end.
const MESSAGES_MOST: u64 = 64 << 10;

/// git for one directory.
#[derive(Debug)]
pub(crate) struct Git<'a> {
    /// The directory of the code, without links.
    directory: PathBuf,
    environment: &'a Environment,
    access: &'a Access,
    ssh: SshFiles,
    local: bool,
}

/// How far a git has come, for a person who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitProgress {
    /// What it does: `Receiving objects: 45% (123/271), 12.00 MiB | 3.00 MiB/s`; empty if it says nothing.
    pub words: String,
    /// How long it has run.
    pub since: Duration,
}

impl<'a> Git<'a> {
    /// Prepares git for a directory that exists.
    ///
    /// # Errors
    /// A key or a file of known hosts that cannot be read.
    pub(crate) fn new(
        directory: &Path,
        environment: &'a Environment,
        access: &'a Access,
        local: bool,
    ) -> Result<Self, Failure> {
        let ssh = SshFiles::of(access).map_err(Failure::new)?;
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        Ok(Git { directory, environment, access, ssh, local })
    }

    /// Returns the directory of the code.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs git in the directory and returns what it wrote to its output.
    ///
    /// # Errors
    /// What git's messages tell.
    pub(crate) fn run(&self, words: &[&str], tell: &mut dyn FnMut(&GitProgress)) -> Result<Vec<u8>, Failure> {
        self.run_with(words, &[], tell)
    }

    /// Runs git without showing its progress.
    ///
    /// # Errors
    /// What git's messages tell.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Vec<u8>, Failure> {
        self.run_with(words, &[], &mut |_| {})
    }

    /// Runs git with further variables.
    ///
    /// # Errors
    /// What git's messages tell.
    pub(crate) fn run_with(
        &self,
        words: &[&str],
        variables: &[(&str, OsString)],
        tell: &mut dyn FnMut(&GitProgress),
    ) -> Result<Vec<u8>, Failure> {
        let (answer, ended, messages) = self.outcome(words, variables, tell)?;
        match ended {
            Some(status) if status.success() => Ok(answer),
            Some(_) => Err(Failure::of(&messages, self.access.secret(self.environment).as_deref())),
            None => {
                let kind = FailureKind::Network;
                Err(Failure { kind, told: format!("git said nothing for {}", text::seconds(SILENCE)) })
            }
        }
    }

    /// Tells whether git ends well, whatever it says.
    ///
    /// # Errors
    /// There is no git.
    pub(crate) fn agrees(&self, words: &[&str]) -> Result<bool, Failure> {
        Ok(self.outcome(words, &[], &mut |_| {})?.1.is_some_and(|status| status.success()))
    }

    fn outcome(
        &self,
        words: &[&str],
        variables: &[(&str, OsString)],
        tell: &mut dyn FnMut(&GitProgress),
    ) -> Result<(Vec<u8>, Option<ExitStatus>, String), Failure> {
        let mut command = self.command(words);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        watch(command, tell).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::new(FailureKind::NoGit),
            _ => Failure { kind: FailureKind::Other, told: format!("git cannot be started: {error}") },
        })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut environment = self.environment.clone();
        REMOVED.iter().for_each(|name| environment.remove(name));
        environment.set("LC_ALL", "C");
        environment.set("GIT_TERMINAL_PROMPT", "0");
        // Objects of Git LFS are fetched in a step of their own, which can fail in its own words.
        environment.set("GIT_LFS_SKIP_SMUDGE", "1");
        // A repository around the directory is not meant.
        environment.set("GIT_CEILING_DIRECTORIES", self.directory.parent().unwrap_or(Path::new("/")));
        self.access.add_to(&mut environment);
        self.ssh.add_to(&mut environment);
        let mut command = Command::new("git");
        SETTINGS.iter().for_each(|setting| _ = command.args(["-c", setting]));
        if self.local {
            command.args(["-c", "protocol.file.allow=always"]);
        }
        if self.access.has_token() {
            // A helper of the image would keep the token, perhaps in a file.
            command.args(["-c", "credential.helper="]);
        }
        let mut trusted = OsString::from("safe.directory=");
        trusted.push(&self.directory);
        command.arg("-c").arg(trusted).args(words).current_dir(&self.directory);
        command.env_clear().envs(environment.iter());
        command
    }
}

/// Runs a program to its end; no status if it was ended because it said nothing any more.
fn watch(
    mut command: Command,
    tell: &mut dyn FnMut(&GitProgress),
) -> io::Result<(Vec<u8>, Option<ExitStatus>, String)> {
    let messages = File::from(memfd_create(c"git", MFdFlags::MFD_CLOEXEC)?);
    let (ours, theirs) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(theirs).stderr(messages.try_clone()?).process_group(0);
    process::die_with_parent(&mut command);
    let child = command.spawn()?;
    // The command holds the other end open, so without this there would be no end of file.
    drop(command);
    let mut running = Running { child, output: Some(ours), answer: Vec::new(), messages, heard: (0, Instant::now()) };
    let ended = running.until_end(tell)?;
    Ok((std::mem::take(&mut running.answer), ended, running.last_words(MESSAGES_MOST)))
}

struct Running {
    child: Child,
    /// `None` after the end of file.
    output: Option<io::PipeReader>,
    answer: Vec<u8>,
    messages: File,
    /// How much was heard so far, and when the last of it.
    heard: (u64, Instant),
}

impl Running {
    fn until_end(&mut self, tell: &mut dyn FnMut(&GitProgress)) -> io::Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            self.listen(TICK);
            if let Some(status) = self.child.try_wait()? {
                while self.listen(Duration::ZERO) {}
                return Ok(Some(status));
            }
            if self.silence() >= SILENCE {
                child_group::end(&mut self.child, GRACE)?;
                return Ok(None);
            }
            tell(&GitProgress { words: last_line(&self.last_words(256)), since: begun.elapsed() });
        }
    }

    /// Waits for output; returns whether some came.
    fn listen(&mut self, wait: Duration) -> bool {
        let Some(output) = &mut self.output else {
            std::thread::sleep(wait.min(Duration::from_millis(10)));
            return false;
        };
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)), Ok(ready) if ready > 0) {
            return false;
        }
        let mut bytes = [0; 16 << 10];
        match output.read(&mut bytes) {
            Ok(count) if count > 0 => {
                self.answer.extend_from_slice(bytes.get(..count).unwrap_or_default());
                true
            }
            _ => {
                self.output = None;
                false
            }
        }
    }

    fn silence(&mut self) -> Duration {
        let said = self.messages.metadata().map_or(0, |found| found.len()) + self.answer.len() as u64;
        if said != self.heard.0 {
            self.heard = (said, Instant::now());
        }
        self.heard.1.elapsed()
    }

    /// Reads the end of the messages. The file's offset is git's, so it is left alone.
    fn last_words(&self, most: u64) -> String {
        let length = self.messages.metadata().map_or(0, |found| found.len());
        let mut bytes = vec![0; length.min(most) as usize];
        let read = self.messages.read_at(&mut bytes, length.saturating_sub(most)).unwrap_or(0);
        String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
    }
}

/// Returns the last line that git has written, as a person may see it.
fn last_line(messages: &str) -> String {
    let mut lines = messages.split(['\n', '\r']).map(str::trim);
    let last = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    text::line(&text::masked(last)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_are_kept_apart_and_the_code_is_known() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo out; printf 'one 10%%\\rtwo 20%%\\r' >&2; exit 3"]);
        let (answer, ended, messages) = watch(command, &mut |_| {}).unwrap();
        assert_eq!((answer.as_slice(), ended.and_then(|status| status.code())), (&b"out\n"[..], Some(3)));
        assert_eq!(last_line(&messages), "two 20%");
    }

    #[test]
    fn much_output_does_not_stop_a_program() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "yes x | head -c 300000 >&2; yes y | head -c 300000"]);
        let (answer, ended, messages) = watch(command, &mut |_| {}).unwrap();
        assert_eq!((answer.len(), ended.is_some_and(|status| status.success())), (300_000, true));
        assert_eq!(messages.len() as u64, MESSAGES_MOST);
    }
}
