//! The decision on machines that are simulated by a directory.

use super::super::code_owner::{NoOwner, OwnerDoubt};
use super::*;
use crate::config::{ConfigValue, OriginValue, ValueOrigin};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/bash\n\
    games:x:5:60::/usr/games:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:root\ndisk:x:6:root\nusers:x:100:\nvideo:x:44:jovyan\ngames:x:60:\n";
const WHOLE: &str = "0 0 4294967295\n";
const ROOTLESS: &str = "0 1000 1\n1 100000 65536\n";
/// SETUID and SETGID, with the other capabilities that Docker gives.
const CAPABILITIES: &str = "CapEff:\t00000000a80425fb\n";

struct World {
    directory: tempfile::TempDir,
    settings: Settings,
    environment: Environment,
    caller: Caller,
    owner: CodeOwner,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let caller = Caller { uid: 0, gid: 0, groups: vec![0, 6, 44, 777] };
        let owner = CodeOwner::Nobody(NoOwner { directory: "/code".into(), why: OwnerDoubt::NoMount });
        let (settings, environment) = (Settings::default(), Environment::default());
        World { directory, settings, environment, caller, owner }
            .file("etc/passwd", PASSWD)
            .file("etc/group", GROUP)
            .file("proc/self/uid_map", WHOLE)
            .file("proc/self/gid_map", WHOLE)
            .file("proc/self/status", CAPABILITIES)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        std::fs::remove_file(self.directory.path().join(path)).unwrap();
        self
    }

    fn user(mut self, text: &str) -> Self {
        let origin = ValueOrigin::Environment("TRAINIT_USER".into());
        self.settings.user = OriginValue { value: UserChoice::parse(text).unwrap(), origin };
        self
    }

    fn variables(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment = variables.iter().copied().collect();
        self
    }

    fn started_as(mut self, uid: u32, gid: u32) -> Self {
        self.caller = Caller { uid, gid, groups: Vec::new() };
        self
    }

    fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        self.owner = CodeOwner::Of(uid, gid);
        self
    }

    fn decide(&self) -> Result<WorkloadIdentity> {
        let World { settings, environment, .. } = self;
        let (root, caller) = (&Root::at(self.directory.path()), self.caller.clone());
        decide(&UserQuestion {
            settings,
            environment,
            root,
            caller,
            container: &|| true,
            owner: &|| self.owner.clone(),
        })
    }

    fn numbers(&self) -> (u32, u32, Vec<u32>) {
        let identity = self.decide().unwrap();
        (identity.uid, identity.gid, identity.switch.map(|switch| switch.groups).unwrap_or_default())
    }

    fn meant(&self) -> Option<u32> {
        let World { settings, environment, .. } = self;
        let (root, caller) = (&Root::at(self.directory.path()), self.caller.clone());
        meant(&UserQuestion { settings, environment, root, caller, container: &|| true, owner: &|| self.owner.clone() })
    }

    fn refused(&self) -> String {
        let error = self.decide().unwrap_err();
        assert_eq!(error.exit().code(), 115);
        format!("{error:#}")
    }

    fn note(&self) -> String {
        let identity = self.decide().unwrap();
        assert_eq!(identity.switch, None);
        identity.notes.join("\n")
    }
}

#[test]
fn nothing_asked_for_looks_nothing_up() {
    let identity = World::new().without("etc/passwd").without("proc/self/uid_map").decide().unwrap();
    assert_eq!(identity, WorkloadIdentity::default());
}

#[test]
fn a_session_of_another_user_knows_whom_a_start_by_root_would_make_the_workload() {
    let session = || World::new().started_as(2000, 2000);
    assert_eq!(session().meant(), None);
    assert_eq!(session().variables(&[("NB_UID", "1000")]).meant(), Some(1000), "though it counts for root only");
    assert_eq!(session().user("jovyan").meant(), Some(1000));
    assert_eq!(session().user("owner").owned_by(4242, 4343).meant(), Some(4242));
    assert_eq!(session().user("keep").variables(&[("NB_UID", "1000")]).meant(), None);
}

#[test]
fn a_user_gets_its_groups_and_those_of_the_container_but_none_that_root_has_by_itself() {
    let numbers = |text: &str| World::new().user(text).numbers();
    assert_eq!(numbers("1000:1000"), (1000, 1000, vec![44, 100, 777]));
    assert_eq!(numbers("jovyan"), (1000, 100, vec![44, 777]));
    assert_eq!(numbers("games:video"), (5, 44, vec![60, 777]));
    assert_eq!(numbers("4000"), (4000, 4000, vec![44, 777]));
    assert_eq!(numbers("4000:0"), (4000, 0, vec![44, 777]));
    assert_eq!(numbers("0:1000"), (0, 1000, vec![6, 44, 777]), "root stays what it is");
}

#[test]
fn whoever_is_that_user_already_changes_nothing_even_without_any_right() {
    for text in ["1000", "1000:100", "jovyan", "jovyan:users", "keep"] {
        let identity = World::new().user(text).started_as(1000, 100).decide().unwrap();
        assert_eq!((identity.switch, identity.notes), (None, vec![]), "{text}");
    }
    assert_eq!(World::new().user("root").decide().unwrap().switch, None);
}

#[test]
fn only_root_with_the_capabilities_for_it_can_become_somebody_else() {
    let not_root = World::new().user("1000:1000").started_as(12345, 0).refused();
    assert!(not_root.starts_with("cannot run as 1000:1000 (user, TRAINIT_USER): trainit was started as 12345:0"));
    assert!(not_root.contains("→ start the container as 1000:1000"), "{not_root}");
    let dropped = World::new().user("1000").file("proc/self/status", "CapEff:\t0000000000000040\n").refused();
    assert!(dropped.contains("SETUID") && dropped.contains("the capabilities SETUID and SETGID, which"), "{dropped}");
    assert_eq!(World::new().user("1000").without("proc/self/status").numbers().0, 1000);
}

#[test]
fn a_name_that_nobody_has_is_refused() {
    assert!(World::new().user("alice").refused().starts_with("there is no alice in /etc/passwd"));
    assert!(World::new().user("jovyan:wheel").refused().starts_with("there is no wheel in /etc/group"));
    assert!(World::new().without("etc/passwd").user("root").refused().contains("numbers need no entry"));
}

#[test]
fn in_a_user_namespace_only_an_explicit_user_that_it_has_is_taken() {
    let rootless = || World::new().file("proc/self/uid_map", ROOTLESS).file("proc/self/gid_map", ROOTLESS);
    assert_eq!(rootless().user("1000").numbers().0, 1000);
    assert!(rootless().user("70000").refused().contains("user namespace"));
    let variables = rootless().variables(&[("NB_UID", "1000"), ("NB_GID", "100")]).note();
    assert!(variables.starts_with("NB_UID: not changed to 1000:100: root of a user namespace"), "{variables}");
    assert!(rootless().user("owner").owned_by(1000, 1000).note().contains("root of a user namespace"));
    assert!(rootless().user("owner").owned_by(UNMAPPED, UNMAPPED).note().contains("has no number"));
}

#[test]
fn the_owner_of_the_code_is_taken_where_it_is_a_real_one() {
    let owner = || World::new().user("owner");
    assert_eq!(owner().owned_by(1234, 5678).numbers(), (1234, 5678, vec![44, 777]));
    assert_eq!(owner().note(), "user, TRAINIT_USER: stays 0:0: /code is not on a mount");
    assert_eq!(owner().owned_by(0, 0).note(), "");
    assert_eq!(owner().started_as(1234, 0).owned_by(1234, 5678).note(), "");
    assert!(owner().started_as(1, 1).owned_by(1234, 5678).note().contains("only root can become the owner"));
}

#[test]
fn the_name_of_docker_stacks_user_follows_its_number() {
    let world = World::new().variables(&[("NB_UID", "1234"), ("NB_GID", "100"), ("NB_USER", "jovyan")]);
    let account = world.decide().unwrap().account.unwrap();
    assert_eq!((account.name.to_str(), account.listed), (Some("jovyan"), false));
    assert_eq!((account.homes, account.group), (vec!["/home/jovyan".into()], None));
    let world = World::new().variables(&[("NB_UID", "1000"), ("NB_GID", "2000"), ("NB_USER", "alice")]);
    let account = world.decide().unwrap().account.unwrap();
    assert_eq!((account.name.to_str(), account.listed, account.gid), (Some("alice"), false, Some(100)));
    assert_eq!(account.homes, ["/home/alice", "/home/jovyan"].map(std::path::PathBuf::from));
    assert_eq!((account.group, account.shell), (Some("alice".into()), Some("/bin/bash".into())));
}

#[test]
fn a_number_that_nobody_knows_gets_a_name() {
    let account = World::new().started_as(12345, 0).decide().unwrap().account.unwrap();
    assert_eq!((account.name.to_str(), account.listed), (Some("uid12345"), false));
    let known = World::new().started_as(1000, 100).decide().unwrap().account.unwrap();
    assert_eq!((known.name.to_str(), known.listed), (Some("jovyan"), true));
    assert_eq!(World::new().user("games").decide().unwrap().account.unwrap().shell, None);
}

#[test]
fn directories_are_given_away_only_as_variables_name_them_and_only_where_the_user_is_free() {
    let chown = [("NB_UID", "1000"), ("CHOWN_HOME", "yes"), ("CHOWN_EXTRA", "/work")];
    let given = |world: World| world.decide().unwrap().switch.unwrap().chown;
    let paths = |world: World| given(world).iter().map(|one| one.path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(paths(World::new().variables(&chown)).last().map(String::as_str), Some("/work"));
    assert_eq!(paths(World::new().variables(&chown).user("1000")), ["/work"]);
}

#[test]
fn devices_that_only_their_group_may_use_bring_that_group() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !nix::unistd::geteuid().is_root() {
        return println!("SKIPPED: only root can give files away");
    }
    let nodes = [
        ("dev/kfd", 801, 0o660),
        ("dev/dri/renderD128", 802, 0o660),
        ("dev/dri/card0", 803, 0o660),
        ("dev/infiniband/uverbs0", 804, 0o600),
        ("dev/kfd-open", 805, 0o666),
        ("dev/nvidia0", 806, 0o660),
        ("dev/nvidia-caps/nvidia-cap12", 807, 0o660),
        ("dev/nvhost-gpu", 808, 0o660),
        ("dev/accel/accel0", 809, 0o660),
        ("dev/neuron0", UNMAPPED, 0o660),
        ("dev/sda", 811, 0o660),
    ];
    let world = nodes.iter().fold(World::new(), |world, (name, ..)| world.file(name, "")).user("1000");
    for (name, gid, mode) in nodes {
        let path = world.directory.path().join(name);
        chown(&path, Some(0), Some(gid)).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(world.numbers().2, [44, 777, 801, 802, 806, 807, 808, 809]);
}

#[test]
fn a_new_name_finds_the_home_of_docker_stacks_user_under_it() {
    let renamed =
        |uid, name| World::new().variables(&[("NB_UID", uid), ("NB_GID", "101"), ("NB_USER", name)]).decide().unwrap();
    let kitten = renamed("1010", "kitten");
    let link = kitten.home_link.clone().unwrap();
    assert_eq!((link.from.to_str(), link.to.to_str()), (Some("/home/jovyan"), Some("/home/kitten")));
    let account = kitten.account.unwrap();
    assert_eq!(
        (account.gid, account.group),
        (Some(100), Some("kitten".into())),
        "it may write what the image's user may"
    );
    assert_eq!(account.shell, Some("/bin/bash".into()));
    assert_eq!(renamed("1000", "jovyan").home_link, None);
    assert_eq!(renamed("5", "alice").home_link, None, "a home that is not in /home stays where it is");
    let root = World::new().variables(&[("NB_UID", "0"), ("NB_GID", "0"), ("NB_USER", "root")]).decide().unwrap();
    assert_eq!((root.home_link.map(|link| link.to), root.switch), (Some("/home/root".into()), None));
    let by_key = World::new().variables(&[("NB_UID", "1010"), ("NB_USER", "kitten")]).user("1010").decide().unwrap();
    assert_eq!(by_key.home_link, None);
}

#[test]
fn a_number_without_an_account_takes_the_name_of_docker_stacks_variable() {
    let named = |name| World::new().variables(&[("NB_USER", name)]).started_as(1010, 0).decide().unwrap();
    for name in ["kitten", "jovyan"] {
        let identity = named(name);
        let account = identity.account.unwrap();
        assert_eq!((account.name.to_str(), account.listed, identity.switch), (Some(name), false, None));
    }
    assert_eq!(named("root").account.unwrap().name, "uid1010");
    let known = World::new().variables(&[("NB_USER", "kitten")]).started_as(1000, 100).decide().unwrap();
    assert_eq!(known.account.unwrap().name, "jovyan");
}

#[test]
fn the_number_of_linuxserver_is_its_own_users_where_the_image_has_it() {
    let variables = [("PUID", "1001"), ("PGID", "1002")];
    let account = World::new().variables(&variables).decide().unwrap().account.unwrap();
    assert_eq!((account.name.to_str(), account.group), (Some("uid1001"), Some("gid1002".into())));
    let passwd = format!("{PASSWD}abc:x:911:911::/config:/bin/false\n");
    let image = World::new().file("etc/passwd", &passwd).file("config/settings", "").variables(&variables);
    let identity = image.decide().unwrap();
    let (account, switch) = (identity.account.unwrap(), identity.switch.unwrap());
    assert_eq!((account.name.to_str(), account.homes), (Some("abc"), vec!["/config".into()]));
    let chown: Vec<_> = switch.chown.iter().map(|chown| (chown.path.to_str().unwrap(), chown.recursive)).collect();
    assert_eq!(chown, [("/config", false)]);
}

#[test]
fn a_group_keeps_its_name_when_another_one_asks_for_it() {
    let group = |name| World::new().variables(&[("NB_UID", "1000"), ("NB_GID", "2000"), ("NB_GROUP", name)]).decide();
    assert_eq!(group("team").unwrap().account.unwrap().group, Some("team".into()));
    assert_eq!(group("users").unwrap().account.unwrap().group, Some("gid2000".into()));
}
