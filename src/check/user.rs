//! The workload's user: whether a variable asks for another one, and whether this one has what programs expect. The checks skip root that
//! stays root.

use super::rules::Rules;
use super::step::{CheckResult, Failure, Step, Target};
use super::task::CheckTask;
use super::unmet_user::{RunningUser, UnmetUser, unmet};
use super::{Change, Check, CheckContext, FindingFacts, HostFacts, Remedy, Transient};
use crate::config::{Severity, ValueOrigin};
use crate::identity::{Assumed, WorkloadIdentity, accounts, groups_of_devices};
use nix::sys::stat::{SFlag, fstat};
use protocol::exit_code::FailureFamily;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;
use sys::{Root, credentials};

/// The user and the facts that the checks use.
pub(super) struct UserTarget {
    assumed: Rc<Assumed>,
    /// What variables ask for in vain.
    asked: Option<UnmetUser>,
    /// Whether USER or LOGNAME is set.
    named: bool,
    /// The standard streams that this user may not open by name.
    closed: Vec<&'static str>,
    root: Root,
    groups: Vec<u32>,
    /// HOME, before trainit changed it.
    inherited_home: Option<PathBuf>,
}

const fn check(id: &'static str, about: &'static str, remedy: &'static str) -> Check {
    Check { id, family: FailureFamily::User, severity: Severity::Warn, passing: Transient::Never, about, remedy }
}

/// The checks of this family that examine the user.
pub(super) const STEPS: &[Step<UserTarget>] = &[
    Step {
        check: check(
            "user.asked",
            "NB_UID, NB_GID, NB_USER, PUID, PGID name the user that runs: only a container that starts as root can follow them",
            "`--user root`, or `--user UID:GID`",
        ),
        base: false,
        ask: UserTarget::is_asked_for,
    },
    Step {
        check: check(
            "user.name",
            "the user has a name: an account, or USER and LOGNAME (trainit sets them)",
            "leave USER and LOGNAME as they are",
        ),
        base: false,
        ask: UserTarget::has_name,
    },
    Step {
        check: check(
            "user.stdio",
            "in a container: this user can open /dev/stdout and /dev/stderr by name, where they are pipes or terminals",
            "`--user UID:GID`, or the capability CHOWN",
        ),
        base: false,
        ask: UserTarget::has_streams,
    },
    Step {
        check: check(
            "user.device_groups",
            "this user is in the groups of /dev/kfd, /dev/dri/renderD* and /dev/infiniband, where only they may use the devices",
            "`--group-add GID`",
        ),
        base: false,
        ask: UserTarget::has_device_groups,
    },
];

/// Plans one task, unless root stays root, which lacks nothing that the checks look for.
pub(super) fn plan<'a>(context: &CheckContext, _: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let Some(assumed) = context.user.as_ref().filter(|user| user.identity.account.is_some() || user.made) else {
        return Vec::new();
    };
    let root = assumed.identity.uid == 0;
    // A session from outside has other streams than a start.
    let of_session = assumed.identity.switch.is_some() && !assumed.streams;
    let user = UserTarget {
        assumed: Rc::clone(assumed),
        asked: asked(context, &assumed.identity),
        inherited_home: context.inherited_home.clone(),
        named: ["USER", "LOGNAME"].iter().any(|name| context.environment.get(name).is_some()),
        // Examined here, because a check process has other streams.
        closed: match root || !assumed.identity.container || of_session {
            true => Vec::new(),
            false => closed_streams(assumed.identity.uid),
        },
        root: context.root.clone(),
        groups: credentials::own_groups(),
    };
    CheckTask::of_machine(STEPS, rules, user).into_iter().collect()
}

/// Returns what variables ask for and a start without root cannot do, if they count.
fn asked(context: &CheckContext, identity: &WorkloadIdentity) -> Option<UnmetUser> {
    let counts = context.settings.user.origin == ValueOrigin::Default && context.settings.lock_of("user").is_none();
    let given =
        ["NB_UID", "NB_GID", "NB_USER", "PUID", "PGID"].iter().any(|name| context.environment.get(name).is_some());
    if !counts || !given || identity.uid == 0 || identity.switch.is_some() {
        return None;
    }
    let account = identity.account.as_ref().filter(|account| account.listed);
    let name = account.map(|account| account.name.to_string_lossy());
    let users = accounts::users(&context.root.read("/etc/passwd").unwrap_or_default());
    let own = RunningUser { uid: identity.uid, gid: identity.gid, name: name.as_deref() };
    unmet(&context.environment, &users, own)
}

fn closed_streams(uid: u32) -> Vec<&'static str> {
    let streams =
        [("/dev/stdout", is_closed(&std::io::stdout(), uid)), ("/dev/stderr", is_closed(&std::io::stderr(), uid))];
    streams.into_iter().filter(|(_, closed)| *closed).map(|(name, _)| name).collect()
}

/// Returns whether a pipe or terminal belongs to another user and has the usual mode.
fn is_closed(fd: &impl AsFd, uid: u32) -> bool {
    let Ok(found) = fstat(fd) else { return false };
    let kind = found.st_mode & SFlag::S_IFMT.bits();
    let stream = kind == SFlag::S_IFIFO.bits() || nix::unistd::isatty(fd).unwrap_or(false);
    let other = found.st_uid != uid && found.st_gid != credentials::own_gid();
    stream && other && found.st_mode & 0o002 == 0
}

fn user_change(uid: u32, gid: u32) -> Remedy {
    Remedy::Start(Change::User { uid, gid })
}

impl UserTarget {
    fn is_asked_for(&mut self) -> CheckResult {
        let Some(UnmetUser { what, variables, numbers }) = self.asked.take() else { return Ok(()) };
        let failure = Failure::new(what)
            .because("only a container that starts as root can become another user")
            .remedy(Remedy::Start(Change::User { uid: 0, gid: 0 }));
        match numbers {
            Some(numbers) => failure.advice(format!(
                "then trainit becomes that user before anything else; or start it as {numbers}, without {variables}"
            )),
            None => failure.advice("then trainit becomes that user before anything else"),
        }
        .found()
    }

    fn has_name(&mut self) -> CheckResult {
        let listed = self.assumed.identity.account.as_ref().is_none_or(|account| account.listed);
        if listed || self.named {
            return Ok(());
        }
        Failure::new(format!("user {} has no name", self.assumed.identity.uid))
            .because("/etc/passwd has no line for it, and USER and LOGNAME are empty: Python's getpass fails, and with it torch's compiler")
            .advice("take USER and LOGNAME out of `env`: trainit sets them")
            .found()
    }

    fn has_streams(&mut self) -> CheckResult {
        if self.closed.is_empty() {
            return Ok(());
        }
        let uid = self.assumed.identity.uid;
        Failure::new(format!("{} cannot be opened by user {uid}", self.closed.join(" and ")))
            .because("it is another user's, and could not be given away; writing to it without its name works")
            .remedy(user_change(uid, self.assumed.identity.gid))
            .advice("or with the capability CHOWN")
            .found()
    }

    fn has_device_groups(&mut self) -> CheckResult {
        let identity = &self.assumed.identity;
        let mut missing = groups_of_devices(&self.root);
        missing.retain(|gid| *gid != identity.gid && !self.groups.contains(gid) && identity.uid != 0);
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = missing.iter().map(u32::to_string).collect();
        let failure =
            Failure::new(format!("devices of group {} are closed to user {}", groups.join(", "), identity.uid))
                .because("they are in this container, but only their group may use them");
        missing.into_iter().fold(failure, |failure, gid| failure.remedy(Remedy::Start(Change::GroupAdd(gid)))).found()
    }
}

impl UserTarget {
    /// Returns whether this user has no account, and would get one as a member of group 0: in images for any number of a user.
    fn lacks_group_0(&self) -> bool {
        let identity = &self.assumed.identity;
        let is_open = |found: std::fs::Metadata| found.gid() == 0 && found.mode() & 0o020 != 0;
        let is_asked =
            identity.container && identity.switch.is_none() && identity.gid != 0 && !self.groups.contains(&0);
        is_asked && std::fs::metadata(self.root.path("/etc/passwd")).is_ok_and(is_open)
    }

    /// Returns the inherited home that is closed to this user, and the group that may write there.
    fn group_of_home(&self) -> Option<(PathBuf, u32)> {
        let home = self.inherited_home.as_ref().filter(|_| self.assumed.made)?;
        let found = std::fs::metadata(home).ok().filter(|found| found.is_dir() && found.mode() & 0o030 == 0o030)?;
        let identity = &self.assumed.identity;
        let is_own = found.gid() == identity.gid || self.groups.contains(&found.gid());
        (identity.switch.is_none() && !is_own && found.gid() != 0).then(|| (home.clone(), found.gid()))
    }
}

impl Target for UserTarget {
    const MAIN: &'static str = "user.name";

    fn name(&self) -> Option<String> {
        None
    }

    /// Returns what the log line of the start does not show: the source of the user, an invented name, a home elsewhere.
    fn summary(&mut self) -> Option<String> {
        let identity = &self.assumed.identity;
        let mut words = vec![format!("{}:{}", identity.uid, identity.gid)];
        if let Some(account) = &identity.account {
            let name = text::os(&account.name);
            let uid = identity.uid;
            let how = if self.lacks_group_0() { format!(" (a start as {uid}:0 adds it)") } else { String::new() };
            words.push(if account.listed { name } else { format!("{name}, which /etc/passwd did not know{how}") });
        }
        words.extend(identity.switch.as_ref().map(|switch| format!("asked for by {}", switch.by)));
        let home = self.assumed.home.as_ref().map(|home| text::path(home));
        words.extend(
            home.map(|home| if self.assumed.made { format!("a new home in {home}") } else { format!("home {home}") }),
        );
        words.extend(
            self.group_of_home()
                .map(|(home, gid)| format!("because {} is for group {gid}, which a start can add", text::path(&home))),
        );
        let quiet = identity.switch.is_none() && !self.assumed.made;
        (!quiet || identity.account.as_ref().is_some_and(|account| !account.listed)).then(|| words.join(", "))
    }

    fn facts(&self) -> FindingFacts {
        let identity = &self.assumed.identity;
        let mut facts = FindingFacts::new();
        let mut tell = |name: &str, value: serde_json::Value| _ = facts.insert(name.to_owned(), value);
        tell("uid", identity.uid.into());
        tell("gid", identity.gid.into());
        tell("groups", self.groups.clone().into());
        tell("home", self.assumed.home.as_ref().map(|home| home.to_string_lossy().into_owned()).into());
        tell("no_new_privs", identity.no_new_privs.into());
        let map = self.root.read("/proc/self/uid_map").ok();
        tell("user_namespace", map.map(|map| !credentials::is_whole(&map)).into());
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::walk;
    use super::super::{Finding, Status};
    use super::*;
    use crate::config::Settings;
    use crate::identity::{KnownUser, Switch};

    fn user(listed: bool, switch: bool) -> UserTarget {
        let account = KnownUser { name: "me".into(), listed, ..KnownUser::default() };
        let switch = switch.then(|| Switch { by: "NB_UID".into(), ..Switch::default() });
        let identity =
            WorkloadIdentity { uid: 7, gid: 8, switch, account: Some(account), ..WorkloadIdentity::default() };
        let assumed = Rc::new(Assumed { identity, home: Some("/home/me".into()), ..Assumed::default() });
        let root = Root::at("/no/such/root");
        UserTarget {
            assumed,
            asked: None,
            named: true,
            closed: Vec::new(),
            root,
            groups: vec![44],
            inherited_home: None,
        }
    }

    fn walked(mut user: UserTarget) -> Vec<Finding> {
        walk(STEPS, &Rules::new(&Settings::default().checks, None), &mut user)
    }

    fn warned(user: UserTarget) -> String {
        let findings = walked(user);
        assert_eq!((findings.len(), findings[0].status), (1, Status::Warn), "{findings:?}");
        findings[0].what.clone()
    }

    #[test]
    fn a_user_as_it_should_be_is_told_only_when_it_is_not_the_one_that_was_there() {
        assert_eq!(walked(user(true, false)), []);
        assert_eq!(walked(user(true, true))[0].what, "7:8, me, asked for by NB_UID, home /home/me");
        let unknown = &walked(user(false, false))[0];
        assert_eq!(unknown.what, "7:8, me, which /etc/passwd did not know, home /home/me");
        assert_eq!((unknown.status, unknown.facts["gid"].as_u64()), (Status::Ok, Some(8)));
    }

    #[test]
    fn what_a_user_lacks_is_told() {
        let (what, variables) = ("NB_UID asks for user 9, and 7 runs".to_owned(), "NB_UID".to_owned());
        let asked = UnmetUser { what, variables, numbers: Some("9:8".to_owned()) };
        assert_eq!(
            warned(UserTarget { asked: Some(asked), ..user(true, false) }),
            "NB_UID asks for user 9, and 7 runs"
        );
        assert_eq!(warned(UserTarget { named: false, ..user(false, false) }), "user 7 has no name");
        let closed = UserTarget { closed: vec!["/dev/stdout", "/dev/stderr"], ..user(true, true) };
        assert_eq!(warned(closed), "/dev/stdout and /dev/stderr cannot be opened by user 7");
    }

    #[test]
    fn devices_that_only_another_group_may_use_are_told() {
        use std::os::unix::fs::{PermissionsExt, chown};
        if !nix::unistd::geteuid().is_root() {
            return println!("SKIPPED: only root can give files away");
        }
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        std::fs::create_dir_all(root.path("/dev/infiniband")).unwrap();
        for (name, gid) in [("uverbs0", 44), ("uverbs1", 55), ("rdma_cm", 55)] {
            let path = root.path("/dev/infiniband").join(name);
            std::fs::write(&path, "").unwrap();
            chown(&path, Some(0), Some(gid)).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).unwrap();
        }
        assert_eq!(warned(UserTarget { root, ..user(true, false) }), "devices of group 55 are closed to user 7");
    }
}
