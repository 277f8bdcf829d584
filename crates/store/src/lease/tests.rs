use super::super::error::causes;
use super::*;
use proptest::prelude::*;

fn look(path: &Path) -> Option<Vec<u8>> {
    super::look(path, &StoreDir::of(path.parent().unwrap())).unwrap()
}

#[test]
fn a_lease_that_is_another_users_a_link_or_a_pipe_is_told_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store_dir) = (dir.path().join("a.lease"), StoreDir::of(dir.path()));
    let told = || causes(&super::look(&path, &store_dir).unwrap_err());
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    assert_eq!(told(), "it cannot be read: it is not a regular file");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(told(), "it cannot be read: it is a symbolic link");
    fs::remove_file(&path).unwrap();
    if nix::unistd::geteuid().is_root() {
        fs::write(&path, "{}").unwrap();
        std::os::unix::fs::chown(&path, Some(4321), None).unwrap();
        assert_eq!(told(), "it belongs to user 4321");
    }
}

fn owner(id: &str) -> LeaseOwner {
    LeaseOwner { id: id.into(), ..LeaseOwner::this() }
}

fn take(path: &Path, id: &str) -> Option<Lease> {
    Lease::take(path, owner(id), &StoreDir::of(path.parent().unwrap())).unwrap()
}

fn follow(path: &Path, judged: &[u8], id: &str) -> Option<Lease> {
    Lease::follow(path, judged, owner(id), &StoreDir::of(path.parent().unwrap())).unwrap()
}

/// A lease whose owner dies without giving it back.
fn dead(path: &Path, id: &str) -> Vec<u8> {
    std::mem::forget(take(path, id).unwrap());
    look(path).unwrap()
}

fn id(path: &Path) -> String {
    read(&look(path).unwrap()).unwrap().id
}

#[test]
fn one_of_two_gets_it_and_it_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lease");
    let lease = take(&path, "one").unwrap();
    assert!(take(&path, "two").is_none());
    assert_eq!(read(&look(&path).unwrap()), Some(lease.owner().clone()));
    drop(lease);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(take(&path, "two").is_some());
}

#[test]
fn its_bytes_change_while_its_owner_lives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lease");
    let mut lease = take(&path, "one").unwrap();
    let before = look(&path).unwrap();
    lease.beat(|| "too early".to_owned());
    assert_eq!(look(&path).unwrap(), before);
    lease.last -= BEAT;
    lease.beat(|| "installing (3 packages)".to_owned());
    assert_eq!(read(&look(&path).unwrap()).unwrap().doing, "installing (3 packages)");
}

#[test]
fn one_of_many_follows_a_dead_builder_and_so_on_and_the_last_one_clears_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lease");
    let first = dead(&path, "first");
    let second = follow(&path, &first, "second").unwrap();
    assert!(follow(&path, &first, "late").is_none() && take(&path, "new").is_none());
    assert_eq!(id(&path), "second");
    let judged = look(&path).unwrap();
    std::mem::forget(second);
    let third = follow(&path, &judged, "third").unwrap();
    assert!(follow(&path, &first, "late").is_none() && follow(&path, &judged, "late").is_none());
    assert_eq!(id(&path), "third");
    drop(third);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn whoever_is_late_follows_neither_a_lease_that_was_given_back_nor_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lease");
    let lease = take(&path, "slow").unwrap();
    let judged = look(&path).unwrap();
    drop(lease);
    assert!(follow(&path, &judged, "late").is_none());
    let new = take(&path, "new").unwrap();
    assert!(follow(&path, &judged, "late").is_none());
    assert_eq!(id(&path), "new");
    drop(new);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_builder_that_only_seemed_dead_leaves_all_to_the_one_that_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lease");
    let slow = take(&path, "slow").unwrap();
    let other = follow(&path, &look(&path).unwrap(), "other").unwrap();
    drop(slow);
    assert!(take(&path, "new").is_none());
    assert_eq!(id(&path), "other");
    drop(other);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn without_links_one_of_two_makes_a_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lease");
    assert!(make_without_links(&path, b"one").unwrap().is_some());
    assert!(make_without_links(&path, b"two").unwrap().is_none());
    assert_eq!(fs::read(&path).unwrap(), b"one");
}

#[test]
fn of_a_process_here_it_is_known_whether_it_lives() {
    let alive = LeaseOwner::this();
    assert!(!alive.is_dead());
    assert!(LeaseOwner { began: alive.began + 1, ..alive.clone() }.is_dead());
    assert!(!LeaseOwner { space: "another machine".into(), began: 1, ..alive }.is_dead());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_none());
    }
}
