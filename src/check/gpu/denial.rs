//! Why a device node cannot be opened with EACCES, and what helps. Owner, group and mode are judged as the kernel judges them
//! (path_resolution(7), user_namespaces(7)); what they permit and the kernel refuses all the same is the work of a security module.

use crate::check::{Change, Remedy};
use crate::engine::{Platform, program};
use gpu::NodeRights;
use std::collections::BTreeSet;
use sys::credentials::{self, UNMAPPED};
use sys::{Root, proc};

/// Read and write, for others; the bits of group and owner lie three and six places higher.
const BOTH: u32 = 0o6;
/// CAP_DAC_OVERRIDE (linux/capability.h).
const OVERRIDE: u64 = 1 << 1;

/// The process that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asker {
    /// The user.
    pub uid: u32,
    /// All groups.
    pub groups: BTreeSet<u32>,
    /// Whether supplementary groups are some of the machine's that have no number here: those of its user were kept.
    pub kept: bool,
    /// Whether it has CAP_DAC_OVERRIDE, for which owner, group and mode do not count.
    pub overrides: bool,
    /// Whether it is in a user namespace of its own (rootless engines), in which numbers of the machine are missing.
    pub fenced: bool,
    /// Whether AppArmor is the machine's security module, so that SELinux is none.
    pub apparmor: bool,
}

impl Asker {
    /// Describes this process.
    pub(super) fn own(root: &Root) -> Self {
        let status = root.read("/proc/self/status").map(|text| proc::parse_status(&text)).ok();
        let profile = root.text("/proc/self/attr/current").unwrap_or_default();
        let (uid, given) = (credentials::own_uid(), credentials::own_groups());
        Asker {
            uid,
            kept: given.contains(&UNMAPPED),
            groups: given.into_iter().chain([credentials::own_gid()]).collect(),
            overrides: status.map_or(uid == 0, |status| status.capabilities & OVERRIDE != 0),
            fenced: root.read("/proc/self/uid_map").is_ok_and(|map| !credentials::is_whole(&map)),
            apparmor: profile.trim_end() == "unconfined" || profile.trim_end().ends_with(')'),
        }
    }

    /// Returns whether a number stands for one that the user namespace does not have. A map of 65536 numbers has UNMAPPED itself, too, and
    /// the kernel uses that number all the same.
    fn lacks(&self, number: u32) -> bool {
        self.fenced && number == UNMAPPED
    }
}

/// Why a node is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DenialCause {
    /// Owner, group and mode permit it.
    Module,
    /// Not even owner, group and mode may be read.
    Unseen,
    /// Root has no CAP_DAC_OVERRIDE, and the mode is not for root; or a security module refuses.
    Root,
    /// Only a group, or a user, of the machine may use it that has no number here. `kept`: the groups of the machine's user were kept.
    Unmapped { group: bool, kept: bool },
    /// Only this group may use it.
    Group(u32),
    /// Only this user may use it.
    Owner(u32),
    /// Root alone may use it.
    Closed,
}

impl DenialCause {
    /// Finds the cause. `None`: stat(2) is refused as well, which no mode of a node does.
    pub(super) fn of(rights: Option<NodeRights>, asker: &Asker) -> Self {
        let Some(NodeRights { uid, gid, mode }) = rights else { return DenialCause::Unseen };
        let unmapped = asker.lacks(uid) || asker.lacks(gid);
        let place = match () {
            () if asker.uid == uid && !asker.lacks(uid) => 6,
            () if asker.groups.contains(&gid) && !asker.lacks(gid) => 3,
            () => 0,
        };
        let gives = |place: u32| mode >> place & BOTH == BOTH;
        if gives(place) || asker.overrides && !unmapped {
            return DenialCause::Module;
        }
        match () {
            () if asker.lacks(gid) && gives(3) => DenialCause::Unmapped { group: true, kept: asker.kept },
            () if asker.lacks(uid) => DenialCause::Unmapped { group: false, kept: false },
            () if asker.uid == 0 => DenialCause::Root,
            () if gives(3) && place != 3 && ![0, UNMAPPED].contains(&gid) => DenialCause::Group(gid),
            () if gives(6) && ![0, UNMAPPED].contains(&uid) => DenialCause::Owner(uid),
            () => DenialCause::Closed,
        }
    }

    /// Says it in words.
    pub(super) fn words(self, asker: &Asker) -> &'static str {
        match self {
            DenialCause::Module if asker.apparmor => "its owner, group and mode permit it: a security module refuses",
            DenialCause::Unseen => "not even its owner and mode may be read: a security module refuses (SELinux)",
            DenialCause::Module => "its owner, group and mode permit it: a security module refuses (SELinux)",
            DenialCause::Root if asker.apparmor => "root lacks the capability DAC_OVERRIDE, and its mode is for others",
            DenialCause::Root => {
                "root lacks the capability DAC_OVERRIDE, and its mode is for others; or SELinux refuses"
            }
            DenialCause::Unmapped { group: true, kept: false } => {
                "its group is one of the machine's that has no number in this user namespace: none can be added"
            }
            DenialCause::Unmapped { group: true, kept: true } => {
                "the machine's user who started the container is not in its group, or SELinux refuses"
            }
            DenialCause::Unmapped { group: false, .. } => "its owner is a user of the machine, who has no number here",
            DenialCause::Group(_) | DenialCause::Owner(_) | DenialCause::Closed => {
                "the node's owner, group or mode does not permit it"
            }
        }
    }

    /// Returns what helps, for the place that this process runs in.
    pub(super) fn remedies(self, path: &str, asker: &Asker, at: Place) -> Vec<Remedy> {
        let on_the_host = || Remedy::Do(format!("on the host: chmod 0666 {path}"));
        match self {
            DenialCause::Module | DenialCause::Unseen => at.without_module(asker),
            DenialCause::Root => {
                let mut remedies = if asker.apparmor { Vec::new() } else { at.without_module(asker) };
                remedies.extend(at.start(Change::CapAdd("DAC_OVERRIDE".to_owned())));
                remedies.push(on_the_host());
                remedies
            }
            DenialCause::Unmapped { group: true, kept } => at.keeping_groups(path, kept),
            DenialCause::Unmapped { .. } | DenialCause::Closed if asker.uid == 0 => vec![on_the_host()],
            DenialCause::Unmapped { .. } | DenialCause::Closed => {
                vec![Remedy::Do(format!("run as root, or on the host: chmod 0666 {path}"))]
            }
            DenialCause::Group(gid) => vec![Remedy::Start(Change::GroupAdd(gid))],
            DenialCause::Owner(uid) => {
                vec![Remedy::Do(format!(
                    "start it as user {uid}, who owns the node; or on the host: chmod 0666 {path}"
                ))]
            }
        }
    }
}

/// Where this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The platform.
    pub platform: Platform,
    /// Whether Podman started the container.
    pub podman: bool,
}

impl Place {
    pub(super) fn of(root: &Root, platform: Platform, named: Option<&str>) -> Self {
        Place { platform, podman: program(root) == "podman" || named == Some("podman") }
    }

    fn start(self, change: Change) -> Option<Remedy> {
        self.platform.is_container().then_some(Remedy::Start(change))
    }

    fn without_module(self, asker: &Asker) -> Vec<Remedy> {
        let say = |text: &str| Remedy::Do(text.to_owned());
        match self.platform {
            Platform::Host => vec![say("the rule that refuses: ausearch -m avc -ts recent")],
            _ if asker.apparmor => vec![say("the profile that refuses: dmesg on the host")],
            _ => vec![
                Remedy::Start(Change::NoLabel),
                say("or on the host, for all containers: setsebool -P container_use_devices on"),
            ],
        }
    }

    /// Suggests to keep the groups of the machine's user, which Podman can with crun (podman-run(1), `--group-add keep-groups`).
    fn keeping_groups(self, path: &str, kept: bool) -> Vec<Remedy> {
        let say = |text: String| Remedy::Do(text);
        let join = format!("usermod -aG \"$(stat -c %G {path})\" \"$USER\", and a new login");
        let mode = format!("on the host: chmod 0666 {path}");
        match (self.platform, kept) {
            (Platform::Host, _) => vec![say(mode)],
            (Platform::Pod, _) => vec![say(format!("hostUsers: true in the pod; or {mode}"))],
            (_, true) => vec![say(format!("on the host: {join}")), Remedy::Start(Change::NoLabel)],
            (_, false) if self.podman => vec![
                Remedy::Start(Change::KeepGroups),
                say(format!("on the host, where the user is not in the node's group: {join}")),
            ],
            (_, false) => vec![
                say(mode),
                say("or by Podman, which keeps the groups of who starts it: --group-add keep-groups".to_owned()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(uid: u32, groups: &[u32]) -> Asker {
        let kept = groups.contains(&UNMAPPED);
        Asker { uid, groups: groups.iter().copied().collect(), kept, overrides: uid == 0, ..Asker::default() }
    }

    fn cause(asker: &Asker, (uid, gid, mode): (u32, u32, u32)) -> DenialCause {
        DenialCause::of(Some(NodeRights { uid, gid, mode }), asker)
    }

    #[test]
    fn what_the_mode_permits_is_refused_by_a_security_module() {
        let permitted = [
            (asker(0, &[0]), (0, 44, 0o660)),
            (asker(0, &[0]), (1000, 1000, 0o600)),
            (asker(1000, &[1000]), (0, 0, 0o666)),
            (asker(1000, &[44]), (0, 44, 0o660)),
            (asker(1000, &[]), (1000, 0, 0o600)),
            (Asker { fenced: true, ..asker(0, &[0]) }, (UNMAPPED, UNMAPPED, 0o666)),
            (Asker { fenced: true, ..asker(0, &[0]) }, (0, 100, 0o600)),
        ];
        for (asker, node) in permitted {
            assert_eq!(cause(&asker, node), DenialCause::Module, "{asker:?} {node:?}");
        }
        assert_eq!(DenialCause::of(None, &asker(1000, &[])), DenialCause::Unseen);
    }

    #[test]
    fn a_user_that_the_mode_keeps_out_is_told_who_may() {
        assert_eq!(cause(&asker(1000, &[1000]), (0, 44, 0o660)), DenialCause::Group(44));
        assert_eq!(cause(&asker(1000, &[1000]), (0, 109, 0o664)), DenialCause::Group(109));
        assert_eq!(cause(&asker(1000, &[1000]), (1001, 1001, 0o600)), DenialCause::Owner(1001));
        assert_eq!(cause(&asker(1000, &[44]), (0, 44, 0o600)), DenialCause::Closed);
        assert_eq!(cause(&asker(1000, &[1000]), (0, 0, 0o660)), DenialCause::Closed);
        assert_eq!(cause(&asker(1000, &[1000]), (0, UNMAPPED, 0o660)), DenialCause::Closed, "never --group-add 65534");
        assert_eq!(
            cause(&asker(44, &[44]), (44, 7, 0o060)),
            DenialCause::Group(7),
            "an owner has only the owner's bits"
        );
    }

    #[test]
    fn root_of_a_user_namespace_overrides_only_what_has_numbers_there() {
        let fenced = |uid, groups: &[u32]| Asker { fenced: true, ..asker(uid, groups) };
        let hosts = (UNMAPPED, UNMAPPED, 0o660);
        assert_eq!(cause(&fenced(0, &[0]), hosts), DenialCause::Unmapped { group: true, kept: false });
        assert_eq!(cause(&fenced(0, &[0, UNMAPPED]), hosts), DenialCause::Unmapped { group: true, kept: true });
        assert_eq!(cause(&fenced(1000, &[1000]), hosts), DenialCause::Unmapped { group: true, kept: false });
        let groupless = Asker { kept: false, ..fenced(1000, &[UNMAPPED]) };
        assert_eq!(cause(&groupless, hosts), DenialCause::Unmapped { group: true, kept: false }, "its own group");
        let owners = (UNMAPPED, UNMAPPED, 0o600);
        assert_eq!(cause(&fenced(0, &[0]), owners), DenialCause::Unmapped { group: false, kept: false });
        assert_eq!(
            cause(&fenced(1000, &[1000]), (0, 44, 0o660)),
            DenialCause::Group(44),
            "a subordinate group has a number"
        );
    }

    #[test]
    fn root_without_the_capability_is_kept_out_by_the_mode() {
        let weak = Asker { overrides: false, ..asker(0, &[0]) };
        assert_eq!(cause(&weak, (UNMAPPED, 0, 0o600)), DenialCause::Root);
        assert_eq!(cause(&weak, (0, 0, 0o600)), DenialCause::Module);
        let at = Place { platform: Platform::Container, podman: false };
        let remedies = DenialCause::Root.remedies("/dev/nvidia0", &weak, at);
        assert_eq!(remedies[0], Remedy::Start(Change::NoLabel));
        let apparmor = Asker { apparmor: true, ..weak };
        let remedies = DenialCause::Root.remedies("/dev/nvidia0", &apparmor, at);
        assert_eq!(remedies[0], Remedy::Start(Change::CapAdd("DAC_OVERRIDE".to_owned())));
    }

    #[test]
    fn no_remedy_adds_a_group_without_a_number_or_asks_root_to_be_root() {
        let all = [0, 7, 44, UNMAPPED];
        let at = |podman, platform| Place { platform, podman };
        for platform in [Platform::Host, Platform::Container, Platform::Pod] {
            for (node, uid, flags) in all.iter().flat_map(|gid| all.map(|uid| (gid, uid))).flat_map(|(gid, uid)| {
                (0..8).map(move |flags: u32| ((uid, *gid, if flags & 4 == 0 { 0o660 } else { 0o600 }), uid, flags))
            }) {
                let asker = Asker { overrides: flags & 1 == 0, fenced: flags & 2 == 0, ..asker(uid, &[uid]) };
                let cause = cause(&asker, node);
                let told = format!("{:?}", cause.remedies("/dev/nvidia0", &asker, at(flags & 1 == 0, platform)));
                assert!(!told.contains("65534") && !told.contains("[]"), "{asker:?} {node:?}: {told}");
                assert!(uid != 0 || !told.contains("as root"), "{asker:?} {node:?}: {told}");
            }
        }
    }
}
