//! Decides which user the workload runs as, or why a requested user cannot be had.

use super::code_owner::{CodeOwner, OwnerUnused};
use super::groups;
use super::home_link::{self, HomeLink};
use super::names::{Accounts, KnownUser};
use super::refusal::{self, Refused};
use super::user_request::{UserRequest, user_request, wanted_name};
use super::{chown, chown::Chown};
use crate::config::{Settings, UserChoice, Who};
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;
use sys::credentials::{self, SETGID, SETUID, UNMAPPED};
use sys::environment::Environment;
use sys::{Root, proc};

/// The inputs of the decision.
pub struct UserQuestion<'a> {
    /// The merged configuration.
    pub settings: &'a Settings,
    /// The inherited environment.
    pub environment: &'a Environment,
    /// The root of /etc, /proc and /dev.
    pub root: &'a Root,
    /// The user of this process.
    pub caller: Caller,
    /// Returns whether this is a container, whose files belong to no one else; called only when it matters.
    pub container: &'a dyn Fn() -> bool,
    /// Returns the owner of the code; called at most once.
    pub owner: &'a dyn Fn() -> CodeOwner,
}

/// The user and the groups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

impl Caller {
    /// Returns those of this process.
    pub fn own() -> Self {
        Caller { uid: credentials::own_uid(), gid: credentials::own_gid(), groups: credentials::own_groups() }
    }
}

/// The user that the workload runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadIdentity {
    /// The user's number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The change of user; `None` if this process is that user already.
    pub switch: Option<Switch>,
    /// The user's names; `None` if nothing had to be looked up.
    pub account: Option<KnownUser>,
    /// The name under which the user finds an older account's home.
    pub home_link: Option<HomeLink>,
    /// The umask; `None` means the inherited one.
    pub umask: Option<u32>,
    /// No exec may give more rights.
    pub no_new_privs: bool,
    /// This is a container, whose account files may get a line.
    pub container: bool,
    /// Parts of the request that are left out, with the reason.
    pub notes: Vec<String>,
}

impl WorkloadIdentity {
    /// Returns the user's name.
    pub fn name(&self) -> OsString {
        self.account.as_ref().map_or_else(|| "root".into(), |account| account.name.clone())
    }

    /// Returns the user's shell of /etc/passwd, unless it allows no session.
    pub fn shell(&self, root: &Root) -> Option<PathBuf> {
        let looked_up = || Accounts::new(root).of(self.uid, self.gid);
        self.account.as_ref().map_or_else(|| looked_up().shell, |account| account.shell.clone())
    }
}

/// A change of user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The key or variable that asked for the change.
    pub by: String,
    /// The directories that the new user gets before the change.
    pub chown: Vec<Chown>,
}

/// The user of linuxserver's images, which takes PUID and PGID together with its home.
const LINUXSERVER: &str = "abc";

/// The user that is asked for.
struct TargetAccount {
    uid: u32,
    gid: u32,
}

/// Decides which user the workload runs as.
///
/// # Errors
/// A variable that names no user (78), or a user that does not exist or that this process cannot become (115).
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
            account: (ask.caller.uid != 0).then(|| unchanged(ask, &accounts)),
            ..WorkloadIdentity::default()
        },
    };
    let no_new_privs = ask.settings.user_no_new_privs.value;
    let is_changed = identity.account.is_some() || identity.switch.is_some() || user_request.root_home;
    let container = is_changed && (ask.container)();
    let home_link = home_link(&user_request, &accounts, &identity).filter(|_| container);
    Ok(WorkloadIdentity { umask: user_request.umask, no_new_privs, container, home_link, notes, ..identity })
}

/// Returns what is known of a caller that stays. A number without an account may get the name of NB_USER.
fn unchanged(ask: &UserQuestion<'_>, accounts: &Accounts<'_>) -> KnownUser {
    let Caller { uid, gid, .. } = ask.caller;
    let known = accounts.of(uid, gid);
    let name = if known.listed { None } else { wanted_name(ask.settings, ask.environment) };
    match name {
        Some(name) => KnownUser { group: None, ..accounts.called(uid, gid, Some(&name), None) },
        None => known,
    }
}

/// Returns the new name of a home, as docker-stacks' NB_USER asks for it. Only root can give it.
fn home_link(user_request: &UserRequest, accounts: &Accounts<'_>, identity: &WorkloadIdentity) -> Option<HomeLink> {
    let name = match (&user_request.name, &identity.switch) {
        (Some(name), Some(_)) => name.as_str(),
        _ if user_request.root_home && identity.uid == 0 && identity.switch.is_none() => "root",
        _ => return None,
    };
    let (from, to) = accounts.moved_home(identity.uid, name)?;
    Some(HomeLink { from, to })
}

/// Returns the user that a start by root would give the workload; `None` if that is the starting user or is not known.
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

/// Returns the user to become; `None` if the user stays.
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

/// Returns the owner of the code, or why no owner counts; an owner that is root or the caller needs no note.
fn owner(ask: &UserQuestion<'_>) -> Result<Option<TargetAccount>, OwnerUnused> {
    match (ask.owner)() {
        CodeOwner::Nobody(why) => Err(OwnerUnused::None { uid: ask.caller.uid, gid: ask.caller.gid, why }),
        CodeOwner::Of(uid, _) if uid == ask.caller.uid || uid == 0 => Ok(None),
        CodeOwner::Of(uid, gid) if ask.caller.uid != 0 => Err(OwnerUnused::NotRoot { own: ask.caller.uid, uid, gid }),
        CodeOwner::Of(UNMAPPED, _) => Err(OwnerUnused::Unmapped),
        CodeOwner::Of(..) if is_fenced(ask.root) => Err(OwnerUnused::Fenced),
        CodeOwner::Of(uid, gid) => Ok(Some(TargetAccount { uid, gid })),
    }
}

/// Returns whether this is a user namespace of its own: rootless engines, `userns-remap`. Without /proc that is not known.
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
        // Nothing is looked up for a caller that is that user already and asks for no group.
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
        // An unknown user gets a group of its own number, and never root's.
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
    let linuxserver = (user_request.by == "PUID").then(|| accounts.user_named(LINUXSERVER)).flatten();
    let their = linuxserver.map(|_| LINUXSERVER);
    let (name, group) = (user_request.name.as_deref().or(their), user_request.group_name.as_deref().or(their));
    let account = accounts.called(uid, gid, name, group);
    let mut devices = if (ask.container)() { groups::of_all_devices(ask.root) } else { Vec::new() };
    devices.extend(account.gid);
    let groups = groups::merged(&ask.caller.groups, accounts, &account.name, gid, devices);
    let home = || account.homes.iter().find_map(|home| home_link::behind(ask.root, home));
    // Where the user is locked, who starts the container must not choose what root gives away.
    let locked = ask.settings.lock_of("user").is_some();
    let mut chown = match user_request.soft {
        true => chown::wanted(ask.environment, home),
        false if locked => Vec::new(),
        false => chown::extra(ask.environment),
    };
    chown.extend(linuxserver.and_then(|_| home()).map(|path| Chown { path, recursive: false }));
    let switch = Switch { groups, by: user_request.by.clone(), chown };
    Ok(WorkloadIdentity { uid, gid, switch: Some(switch), account: Some(account), ..WorkloadIdentity::default() })
}

/// Checks whether this process can become that user, as far as that is known before the attempt.
///
/// PID 1 needs the same capability to signal the workload, where it lacks CAP_KILL.
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
