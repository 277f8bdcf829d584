//! The side effects: this process becomes the user, for good, and gets what the user needs in its environment.

use super::accounts::{self, Edit};
use super::decide::{Switch, WorkloadIdentity};
use super::home::{self, HomeDirectory};
use super::names::{GROUP, KnownUser, PASSWD};
use super::refusal::{self, Refused};
use crate::error::Result;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::temporary::TemporaryFile;
use sys::{Root, credentials, reach, stat};

/// Where the user is going to be.
pub struct UserDestination<'a> {
    /// Where /etc is.
    pub root: &'a Root,
    /// What trainit was started with, and what is configured.
    pub environment: &'a Environment,
    /// The mount table.
    pub mounts: &'a Mounts,
}

/// Who this process is from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// What was decided.
    pub identity: WorkloadIdentity,
    /// Its home; none: as inherited, or nowhere.
    pub home: Option<PathBuf>,
    /// That home was made because no other can be written.
    pub made: bool,
    /// What this process reads from and writes to is the workload's.
    pub streams: bool,
    /// Variables that say who the workload is now: they replace inherited ones.
    pub replaced: Vec<(&'static str, OsString)>,
    /// Variables that an inherited one wins over.
    pub defaults: Vec<(&'static str, OsString)>,
    /// What was not done, with the reason.
    pub notes: Vec<String>,
}

/// Who this process has become, before it is known what that takes in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    identity: WorkloadIdentity,
    streams: bool,
    notes: Vec<String>,
}

impl WorkloadIdentity {
    /// Becomes it, for good. `streams`: what this process reads from and writes to is the container's own, so it becomes the user's, too.
    /// The terminal of a session from outside stays its caller's: whoever owns a terminal can read what is typed there.
    ///
    /// # Errors
    /// The kernel does not let this process become the user (115).
    pub fn enter(self, root: &Root, mounts: &Mounts, streams: bool) -> Result<Entered> {
        if let Some(umask) = self.umask {
            sys::process::set_umask(umask);
        }
        let mut notes = self.notes.clone();
        if let Some(switch) = &self.switch {
            notes.extend(self.switch(switch, root, mounts, streams)?);
        }
        if self.no_new_privs
            && let Err(errno) = credentials::never_gain_rights()
        {
            notes.push(format!("user.no_new_privs cannot be set: {}", errno.desc()));
        }
        Ok(Entered { identity: self, streams, notes })
    }

    /// What root has to do for the user, then the change itself.
    fn switch(&self, switch: &Switch, root: &Root, mounts: &Mounts, streams: bool) -> Result<Vec<String>> {
        let notes = switch.chown.iter().filter_map(|one| one.carry_out(self.uid, self.gid)).collect();
        if self.container {
            self.enter_account(root, || self.expected_home(mounts));
        }
        if self.container && streams {
            credentials::give_stdio_to(self.uid);
        }
        credentials::become_user(self.uid, self.gid, &switch.groups).map_err(|errno| {
            let caller = format!("{}:{}", credentials::own_uid(), credentials::own_gid());
            refusal::refused(&switch.by, &format!("{}:{}", self.uid, self.gid), Refused::Kernel(errno), &caller)
        })?;
        Ok(notes)
    }

    /// Where the user will be at home, before it can be tried.
    fn expected_home(&self, mounts: &Mounts) -> HomeDirectory {
        let there = |home: &&PathBuf| reach::look(mounts, home, || home.is_dir()).unwrap_or(false);
        let known = self.account.iter().flat_map(|account| &account.homes).find(there);
        HomeDirectory::Usable(known.cloned().unwrap_or_else(|| format!("/tmp/home-{}", self.uid).into()))
    }

    fn home(&self, surroundings: &UserDestination<'_>) -> HomeDirectory {
        let UserDestination { environment, mounts, .. } = *surroundings;
        let inherited = environment.get("HOME").map(PathBuf::from);
        let of_account = self.account.iter().flat_map(|account| account.homes.iter().cloned());
        match self.switch {
            Some(_) => home::find(of_account.chain(inherited), environment, mounts),
            // Whoever has an account and no HOME gets along by /etc/passwd.
            None if inherited.is_none() && self.account.as_ref().is_none_or(|account| account.listed) => {
                HomeDirectory::None
            }
            None => home::find(inherited.into_iter().chain(of_account), environment, mounts),
        }
    }

    /// A line for a user that nobody knows, and one for its group, where these files are this container's own. `ssh`, `sudo` and
    /// `whoami` ask for them; what is not permitted is left, because HOME and USER are enough for most.
    fn enter_account(&self, root: &Root, home: impl FnOnce() -> HomeDirectory) {
        let Some(account) = self.account.as_ref().filter(|_| self.container) else { return };
        if !account.listed
            && let HomeDirectory::Usable(home) | HomeDirectory::Made(home) = home()
        {
            let _ = add_line(root, PASSWD, &self.passwd_line(account, &home));
        }
        if let Some(group) = account.group.as_ref().filter(|_| self.switch.is_some()) {
            let _ = add_line(root, GROUP, &[group.as_bytes(), format!(":x:{}:", self.gid).as_bytes()].concat());
        }
    }

    fn passwd_line(&self, account: &KnownUser, home: &Path) -> Vec<u8> {
        let shell = account.shell.as_deref().unwrap_or(Path::new("/bin/sh"));
        let numbers = format!(":x:{}:{}::", self.uid, self.gid);
        let parts: [&[u8]; 5] = [
            account.name.as_bytes(),
            numbers.as_bytes(),
            home.as_os_str().as_bytes(),
            b":",
            shell.as_os_str().as_bytes(),
        ];
        parts.concat()
    }

    fn describe(self, home: HomeDirectory, environment: &Environment, mounts: &Mounts, notes: Vec<String>) -> Assumed {
        let inherited = environment.get("HOME").map(PathBuf::from);
        let mut assumed = Assumed { notes, ..Assumed::default() };
        if let Some(account) = &self.account {
            let names = ["USER", "LOGNAME"].map(|variable| (variable, account.name.clone()));
            match self.switch {
                Some(_) => assumed.replaced.extend(names),
                // A number that nobody knows: Python's getpass, and with it torch's compiler, ask here before /etc/passwd.
                None if !account.listed => assumed.defaults.extend(names),
                None => {}
            }
            let shell = account.shell.as_ref().filter(|_| self.switch.is_some());
            assumed.replaced.extend(shell.map(|shell| ("SHELL", shell.clone().into_os_string())));
        }
        match home {
            HomeDirectory::Usable(home) => {
                assumed.replaced.extend((inherited.as_ref() != Some(&home)).then(|| ("HOME", home.clone().into())));
                assumed.home = Some(home);
            }
            HomeDirectory::Made(home) => {
                assumed.replaced.push(("HOME", home.clone().into()));
                assumed.defaults.extend(home::caches(&home, inherited.as_deref(), environment, mounts));
                (assumed.home, assumed.made) = (Some(home), true);
            }
            HomeDirectory::None => {}
        }
        Assumed { identity: self, ..assumed }
    }
}

impl Entered {
    /// What was decided.
    pub fn identity(&self) -> &WorkloadIdentity {
        &self.identity
    }

    /// The user's number.
    pub fn uid(&self) -> u32 {
        self.identity.uid
    }

    /// Finds the user's home, and what else it needs in its environment.
    pub fn at_home(self, surroundings: &UserDestination<'_>) -> Assumed {
        let Entered { identity, streams, notes } = self;
        let home = identity.home(surroundings);
        if identity.switch.is_none() {
            identity.enter_account(surroundings.root, || home.clone());
        }
        Assumed { streams, ..identity.describe(home, surroundings.environment, surroundings.mounts, notes) }
    }
}

impl Assumed {
    /// Adds the variables. What `configured` has of them wins.
    pub fn add_to(&self, environment: &mut Environment, configured: &dyn Fn(&str) -> Option<OsString>) {
        for (name, value) in &self.replaced {
            environment.set(*name, configured(name).unwrap_or_else(|| value.clone()));
        }
        for (name, value) in &self.defaults {
            environment.set_default(*name, value);
        }
    }
}

/// Puts a line into an account file of this container. A file that was mounted is somebody else's, maybe the machine's own.
fn add_line(root: &Root, file: &str, line: &[u8]) -> std::io::Result<()> {
    let path = root.path(file);
    let is_plain = line.iter().filter(|byte| **byte == b':').count() == if file == PASSWD { 6 } else { 3 };
    if !is_plain || line.iter().any(u8::is_ascii_control) || is_mounted(root, &path) {
        return Ok(());
    }
    match accounts::with_line(&root.read(file)?, line) {
        // One write at the end: a neighbour that does the same loses nothing.
        Edit::Append(more) => std::fs::OpenOptions::new().append(true).open(path)?.write_all(&more),
        Edit::Replace(whole) => replace(&path, &whole),
    }
}

fn replace(path: &Path, whole: &[u8]) -> std::io::Result<()> {
    let mode = std::fs::metadata(path)?.mode() & 0o777;
    let mut new = TemporaryFile::make(path.parent().unwrap_or(Path::new("/")), ".trainit-")?;
    new.file().write_all(whole)?;
    new.become_file(path, mode, false)
}

/// Whether a file is on another mount than the root directory. Unknown counts as yes.
fn is_mounted(root: &Root, path: &Path) -> bool {
    let mount = |path: &Path| stat::mount_of(path).ok().and_then(|on| on.id);
    mount(path).is_none_or(|id| Some(id) != mount(&root.path("/")))
}

#[cfg(test)]
mod tests;
