//! The side effects of the decision: this process becomes the user for good, and gets the user's environment.

use super::account_files::{add_line, set_home};
use super::decide::{Switch, WorkloadIdentity};
use super::home::{self, HomeDirectory};
use super::names::{GROUP, KnownUser, PASSWD};
use super::refusal::{self, Refused};
use crate::error::Result;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, credentials, reach};

/// The surroundings of the new user.
pub struct UserDestination<'a> {
    /// The root of /etc.
    pub root: &'a Root,
    /// Inherited and configured variables.
    pub environment: &'a Environment,
    /// The mount table.
    pub mounts: &'a Mounts,
}

/// The user that this process has become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// The decision.
    pub identity: WorkloadIdentity,
    /// The user's home; `None` if it is inherited or cannot be anywhere.
    pub home: Option<PathBuf>,
    /// The home was made because no other can be written.
    pub made: bool,
    /// The standard streams belong to the workload's user.
    pub streams: bool,
    /// Variables that describe the user and replace inherited ones.
    pub replaced: Vec<(&'static str, OsString)>,
    /// Variables that do not replace inherited ones.
    pub defaults: Vec<(&'static str, OsString)>,
    /// Steps that were left out, with the reason.
    pub notes: Vec<String>,
}

/// The user that this process has become, before the environment is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    identity: WorkloadIdentity,
    streams: bool,
    notes: Vec<String>,
}

impl WorkloadIdentity {
    /// Becomes the user for good.
    ///
    /// `streams` says that the standard streams are the container's own, so that they become the user's, too. The terminal of a session
    /// from outside stays its caller's, because the owner of a terminal can read what is typed there.
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
        } else if let Some(link) = &self.home_link {
            notes.extend(self.link_home(root, mounts));
            let _ = set_home(root, "root", &link.to);
        }
        if self.no_new_privs
            && let Err(errno) = credentials::never_gain_rights()
        {
            notes.push(format!("user.no_new_privs cannot be set: {}", protocol::errno::words(errno)));
        }
        Ok(Entered { identity: self, streams, notes })
    }

    /// Does root's work for the user, then changes the user.
    fn switch(&self, switch: &Switch, root: &Root, mounts: &Mounts, streams: bool) -> Result<Vec<String>> {
        let mut notes: Vec<String> = switch.chown.iter().filter_map(|one| one.carry_out(self.uid, self.gid)).collect();
        notes.extend(self.link_home(root, mounts));
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

    /// Gives the home its new name; returns why that is not possible.
    fn link_home(&self, root: &Root, mounts: &Mounts) -> Option<String> {
        self.home_link.as_ref().and_then(|link| link.make(root, mounts).err())
    }

    /// Returns the home that the user is going to have, before it can be tested.
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
            // A user with an account and without HOME finds the home in /etc/passwd.
            None if inherited.is_none() && self.account.as_ref().is_none_or(|account| account.listed) => {
                HomeDirectory::None
            }
            None => home::find(self.new_home().into_iter().chain(inherited).chain(of_account), environment, mounts),
        }
    }

    /// Returns the new name of root's home; a user that root becomes has it among its homes.
    fn new_home(&self) -> Option<PathBuf> {
        self.home_link.as_ref().map(|link| link.to.clone())
    }

    /// Adds lines for an unknown user and its group, if these files are the container's own.
    ///
    /// `ssh`, `sudo` and `whoami` read them. A failure is ignored, because HOME and USER are enough for most programs.
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
                // Python's getpass, and with it torch's compiler, reads these variables before /etc/passwd, which lacks this user.
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
    /// Returns the decision.
    pub fn identity(&self) -> &WorkloadIdentity {
        &self.identity
    }

    /// Returns the user's number.
    pub fn uid(&self) -> u32 {
        self.identity.uid
    }

    /// Finds the user's home, and the variables that the user needs.
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
    /// Adds the variables; values in `configured` have priority.
    pub fn add_to(&self, environment: &mut Environment, configured: &dyn Fn(&str) -> Option<OsString>) {
        for (name, value) in &self.replaced {
            environment.set(*name, configured(name).unwrap_or_else(|| value.clone()));
        }
        for (name, value) in &self.defaults {
            environment.set_default(*name, value);
        }
    }
}

#[cfg(test)]
mod tests;
