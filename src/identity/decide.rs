//! The decision: from what is asked for to who the workload is, or why that cannot be.

use super::groups;
use super::names::{Accounts, KnownUser};
use super::refusal::{self, Refused};
use super::user_request::{UserRequest, user_request};
use super::{chown, chown::Chown};
use crate::config::{Settings, UserChoice, Who};
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;
use sys::credentials::{self, SETGID, SETUID, UNMAPPED};
use sys::environment::Environment;
use sys::{Root, proc};

/// All that the decision looks at.
pub struct UserQuestion<'a> {
    /// The merged configuration.
    pub settings: &'a Settings,
    /// What trainit was started with.
    pub environment: &'a Environment,
    /// Where /etc, /proc and /dev are.
    pub root: &'a Root,
    /// Who this process is.
    pub caller: Caller,
    /// This is a container: its files are nobody else's. Asked only when it matters.
    pub container: &'a dyn Fn() -> bool,
    /// Whose the code is; asked for at most once.
    pub owner: &'a dyn Fn() -> CodeOwner,
}

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
}

impl Caller {
    /// This process.
    pub fn own() -> Self {
        Caller { uid: credentials::own_uid(), gid: credentials::own_gid(), groups: credentials::own_groups() }
    }
}

/// Whose the code directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOwner {
    /// This user's and this group's.
    Of(u32, u32),
    /// Nobody's who would count: why, in words that follow the directory's name.
    Nobody(String),
}

/// Who the workload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadIdentity {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// How this process becomes that; none: it is already.
    pub switch: Option<Switch>,
    /// What is known of the user by name; none: nothing had to be looked up.
    pub account: Option<KnownUser>,
    /// The permissions that new files never get; none: as inherited.
    pub umask: Option<u32>,
    /// No exec may give rights.
    pub no_new_privs: bool,
    /// This is a container: its account files may get a line.
    pub container: bool,
    /// What was asked for and is not done, with the reason.
    pub notes: Vec<String>,
}

impl WorkloadIdentity {
    /// What the user is called.
    pub fn name(&self) -> OsString {
        self.account.as_ref().map_or_else(|| "root".into(), |account| account.name.clone())
    }

    /// The shell that /etc/passwd gives the user, unless that is none to work in.
    pub fn shell(&self, root: &Root) -> Option<PathBuf> {
        let looked_up = || Accounts::new(root).of(self.uid, self.gid);
        self.account.as_ref().map_or_else(|| looked_up().shell, |account| account.shell.clone())
    }
}

/// A change of user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Its groups, without its first one.
    pub groups: Vec<u32>,
    /// Who asked for it.
    pub by: String,
    /// What becomes the new user's before that.
    pub chown: Vec<Chown>,
}

/// A user that is asked for.
struct TargetAccount {
    uid: u32,
    gid: u32,
}

/// Decides who the workload is.
///
/// # Errors
/// A variable that names no user (78); a user that there is not, or that this process cannot become (115).
pub fn decide(ask: &UserQuestion<'_>) -> Result<WorkloadIdentity> {
    let user_request = user_request(ask.settings, ask.environment, ask.caller.uid == 0)?;
    let accounts = Accounts::new(ask.root);
    let mut notes = user_request.ignored.clone();
    let identity = match target(ask, &user_request, &accounts, &mut notes)? {
        Some(target) => switched(ask, &user_request, &accounts, &target)?,
        None => WorkloadIdentity {
            uid: ask.caller.uid,
            gid: ask.caller.gid,
            // Root has a name everywhere.
            account: (ask.caller.uid != 0).then(|| accounts.of(ask.caller.uid, ask.caller.gid)),
            ..WorkloadIdentity::default()
        },
    };
    let no_new_privs = ask.settings.user_no_new_privs.value;
    let container = (identity.account.is_some() || identity.switch.is_some()) && (ask.container)();
    Ok(WorkloadIdentity { umask: user_request.umask, no_new_privs, container, notes, ..identity })
}

/// The user that a start by root would give the workload; `None`: whoever starts it, or nobody can say.
pub fn meant(ask: &UserQuestion<'_>) -> Option<u32> {
    let choice = user_request(ask.settings, ask.environment, true).ok()?.choice;
    match choice {
        UserChoice::Keep => None,
        UserChoice::Owner => match (ask.owner)() {
            CodeOwner::Of(uid, _) if uid != 0 => Some(uid),
            _ => None,
        },
        UserChoice::Named(Who::Number(uid), _) => Some(uid),
        UserChoice::Named(Who::Name(name), _) => Accounts::new(ask.root).user_named(&name).map(|user| user.uid),
    }
}

/// Whom to become; none: nobody else.
fn target(
    ask: &UserQuestion<'_>,
    user_request: &UserRequest,
    accounts: &Accounts<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<TargetAccount>> {
    let caller = &ask.caller;
    let other = |target: &TargetAccount| target.uid != caller.uid || target.gid != caller.gid;
    match &user_request.choice {
        UserChoice::Keep => Ok(None),
        UserChoice::Owner => {
            let found = owner(ask);
            notes.extend(found.as_ref().err().map(|why| format!("{}: {why}", user_request.by)));
            Ok(found.ok().flatten().filter(other))
        }
        UserChoice::Named(user, group) => {
            let found = named(ask, user_request, accounts, user, group.as_ref())?;
            if user_request.soft && is_fenced(ask.root) {
                let why = "root of a user namespace is the user who started the container already";
                notes.extend(
                    other(&found).then(|| format!("{}: not changed to {}: {why}", user_request.by, shown(&found))),
                );
                return Ok(None);
            }
            Ok(Some(found).filter(other))
        }
    }
}

/// The owner of the code; or why that is nobody to become. That it is the caller already, or root, is no news.
fn owner(ask: &UserQuestion<'_>) -> Result<Option<TargetAccount>, String> {
    match (ask.owner)() {
        CodeOwner::Nobody(why) => Err(format!("stays {}:{}: {why}", ask.caller.uid, ask.caller.gid)),
        CodeOwner::Of(uid, _) if uid == ask.caller.uid || uid == 0 => Ok(None),
        CodeOwner::Of(uid, gid) if ask.caller.uid != 0 => {
            Err(format!("stays {}: only root can become the owner, {uid}:{gid}", ask.caller.uid))
        }
        CodeOwner::Of(UNMAPPED, _) => {
            Err("stays root: the code's owner has no number in this user namespace".to_owned())
        }
        CodeOwner::Of(..) if is_fenced(ask.root) => {
            Err("stays root: root of a user namespace is the user who started the container already".to_owned())
        }
        CodeOwner::Of(uid, gid) => Ok(Some(TargetAccount { uid, gid })),
    }
}

/// Whether this is a user namespace of its own: rootless engines, `userns-remap`. Without /proc nobody knows.
fn is_fenced(root: &Root) -> bool {
    root.read("/proc/self/uid_map").is_ok_and(|map| !credentials::is_whole(&map))
}

fn named(
    ask: &UserQuestion<'_>,
    user_request: &UserRequest,
    accounts: &Accounts<'_>,
    user: &Who,
    group: Option<&Who>,
) -> Result<TargetAccount> {
    let absent = |file: &str, name: &str| refusal::unknown(&user_request.by, file, name);
    let (uid, own_gid) = match user {
        // Nothing is looked up for whoever is that user and asks for no group.
        Who::Number(uid) if *uid == ask.caller.uid && group.is_none() => (*uid, Some(ask.caller.gid)),
        Who::Number(uid) => (*uid, accounts.user(*uid).map(|user| user.gid)),
        Who::Name(name) => {
            let user = accounts.user_named(name).ok_or_else(|| absent("/etc/passwd", name))?;
            (user.uid, Some(user.gid))
        }
    };
    let gid = match group {
        Some(Who::Number(gid)) => *gid,
        Some(Who::Name(name)) => accounts.group_named(name).ok_or_else(|| absent("/etc/group", name))?.gid,
        // A user that nobody knows gets a group of its own number, and never root's.
        None => own_gid.unwrap_or(uid),
    };
    Ok(TargetAccount { uid, gid })
}

fn switched(
    ask: &UserQuestion<'_>,
    user_request: &UserRequest,
    accounts: &Accounts<'_>,
    target: &TargetAccount,
) -> Result<WorkloadIdentity> {
    let TargetAccount { uid, gid } = *target;
    possible(ask, target).map_err(|why| refused(ask, user_request, target, why))?;
    let account = accounts.called(uid, gid, user_request.name.as_deref(), user_request.group_name.as_deref());
    let mut devices = if (ask.container)() { groups::of_devices(ask.root) } else { Vec::new() };
    devices.extend(account.gid);
    let groups = groups::merged(&ask.caller.groups, accounts, &account.name, gid, devices);
    let home = || account.homes.iter().find(|home| ask.root.path(home).is_dir()).cloned();
    let chown = if user_request.soft { chown::wanted(ask.environment, home) } else { Vec::new() };
    let switch = Switch { groups, by: user_request.by.clone(), chown };
    Ok(WorkloadIdentity { uid, gid, switch: Some(switch), account: Some(account), ..WorkloadIdentity::default() })
}

/// Whether this process can become that user, as far as can be said before it is tried. PID 1 needs the same capability to reach the
/// workload with signals, where it has not the one for that.
fn possible(ask: &UserQuestion<'_>, target: &TargetAccount) -> Result<(), Refused> {
    if ask.caller.uid != 0 {
        return Err(Refused::NotRoot);
    }
    let status = ask.root.read("/proc/self/status").map(|text| proc::parse_status(&text)).ok();
    let missing = |number: u32| status.as_ref().is_some_and(|status| status.capabilities & (1 << number) == 0);
    let absent = |file: &str, id| ask.root.read(file).is_ok_and(|map| !credentials::is_mapped(&map, id));
    if missing(SETUID) || missing(SETGID) {
        Err(Refused::Capability)
    } else if absent("/proc/self/uid_map", target.uid) || absent("/proc/self/gid_map", target.gid) {
        Err(Refused::Unmapped)
    } else {
        Ok(())
    }
}

fn refused(ask: &UserQuestion<'_>, user_request: &UserRequest, target: &TargetAccount, why: Refused) -> Error {
    refusal::refused(&user_request.by, &shown(target), why, &format!("{}:{}", ask.caller.uid, ask.caller.gid))
}

fn shown(target: &TargetAccount) -> String {
    format!("{}:{}", target.uid, target.gid)
}

#[cfg(test)]
mod tests;
