//! The parts that can be tested without changing the user: variables and account files.
//!
//! tests/init/identity.rs and tests/docker/users.rs test the change itself with real processes.

use super::*;

fn identity(switch: bool, listed: bool) -> WorkloadIdentity {
    let account = KnownUser { name: "me".into(), listed, shell: Some("/bin/zsh".into()), ..KnownUser::default() };
    let switch = switch.then(Switch::default);
    WorkloadIdentity { uid: 7, gid: 8, switch, account: Some(account), container: true, ..WorkloadIdentity::default() }
}

fn added(
    identity: WorkloadIdentity,
    home: HomeDirectory,
    inherited: &[(&str, &str)],
    configured: &[(&str, &str)],
) -> Vec<String> {
    let mut environment: Environment = inherited.iter().copied().collect();
    let assumed = identity.describe(home, &environment, &Mounts::default(), Vec::new());
    let configured = |name: &str| configured.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    assumed.add_to(&mut environment, &configured);
    environment.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
}

#[test]
fn after_a_change_of_user_the_four_names_are_the_new_users() {
    let inherited = [("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root"), ("SHELL", "/bin/sh")];
    let home = || HomeDirectory::Usable("/home/me".into());
    let told = added(identity(true, true), home(), &inherited, &[]);
    assert_eq!(told, ["HOME=/home/me", "USER=me", "LOGNAME=me", "SHELL=/bin/zsh"]);
    let told = added(identity(true, true), home(), &inherited, &[("HOME", "/x"), ("SHELL", "/bin/bash")]);
    assert_eq!(told, ["HOME=/x", "USER=me", "LOGNAME=me", "SHELL=/bin/bash"]);
}

#[test]
fn who_stays_keeps_what_it_inherits() {
    let inherited = [("HOME", "/home/me"), ("USER", "else"), ("SHELL", "/bin/sh")];
    let told = added(identity(false, true), HomeDirectory::Usable("/home/me".into()), &inherited, &[]);
    assert_eq!(told, ["HOME=/home/me", "USER=else", "SHELL=/bin/sh"]);
}

#[test]
fn a_number_that_nobody_knows_has_a_name_and_caches_in_the_environment() {
    let inherited = [("HOME", "/"), ("LOGNAME", "mine"), ("HF_HOME", "/hf")];
    let told = added(identity(false, false), HomeDirectory::Made("/tmp/home-7".into()), &inherited, &[]);
    assert_eq!(told[..4], ["HOME=/tmp/home-7", "LOGNAME=mine", "HF_HOME=/hf", "USER=me"]);
    assert!(told.contains(&"TRITON_CACHE_DIR=/tmp/home-7/.cache/triton".to_owned()), "{told:?}");
}

#[test]
fn a_user_gets_one_line_in_the_files_of_its_own_container() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    std::fs::create_dir(root.path("/etc")).unwrap();
    std::fs::write(root.path(PASSWD), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    std::fs::write(root.path(GROUP), "root:x:0:\n").unwrap();
    let mut user = identity(true, false);
    user.account.as_mut().unwrap().group = Some("ours".into());
    user.enter_account(&root, || HomeDirectory::Usable("/home/me".into()));
    assert!(root.text(PASSWD).unwrap().ends_with("\nme:x:7:8::/home/me:/bin/zsh\n"));
    assert!(root.text(GROUP).unwrap().ends_with("\nours:x:8:\n"));
    let on_a_machine = WorkloadIdentity { container: false, uid: 9, ..identity(true, false) };
    on_a_machine.enter_account(&root, || HomeDirectory::Usable("/home/me".into()));
    identity(true, false).enter_account(&root, || HomeDirectory::Usable("/a:b\nroot2:x:0:0".into()));
    assert_eq!(root.text(PASSWD).unwrap().lines().count(), 2);
}

#[test]
fn a_line_that_has_to_come_first_keeps_the_files_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    std::fs::create_dir(root.path("/etc")).unwrap();
    std::fs::write(root.path(PASSWD), "old:x:7:8::/home/old:/bin/sh\n").unwrap();
    std::fs::set_permissions(root.path(PASSWD), std::fs::Permissions::from_mode(0o664)).unwrap();
    identity(true, false).enter_account(&root, || HomeDirectory::Usable("/home/old".into()));
    assert!(root.text(PASSWD).unwrap().starts_with("me:x:7:8:"));
    assert_eq!(std::fs::metadata(root.path(PASSWD)).unwrap().mode() & 0o777, 0o664);
}
