use super::*;
use protocol::handover::Phase;
use protocol::state_file::StateRecord;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn me() -> ProcessIdentity {
    identity_of(Pid::own()).unwrap()
}

#[test]
fn what_is_written_is_read_again_and_found_by_its_living_supervisor() {
    let base = tempfile::tempdir().unwrap();
    let directory = make(Some(base.path()), Some(base.path()), me()).unwrap();
    let record = StateRecord { supervisor: me(), phase: Phase::Running, attempt: 1, ..StateRecord::default() };
    (0..2).for_each(|_| directory.write(&record).unwrap());
    match find(None, &[base.path().into()]) {
        FoundState::One(found, read) => assert_eq!((found.as_path(), *read), (directory.path(), record)),
        other => panic!("{other:?}"),
    }
    let path = directory.path().to_owned();
    assert_eq!(directory_of(Pid::own(), &[base.path().into()]), Some(path.clone()));
    directory.remove(&[]);
    assert!(!path.exists());
}

#[test]
fn a_recycled_pid_is_not_taken_for_the_supervisor() {
    assert!(!is_alive(ProcessIdentity { start: me().start + 1, ..me() }));
}

#[test]
fn what_was_killed_before_it_wrote_anything_is_swept_away_once_it_is_no_longer_new() {
    let base = tempfile::tempdir().unwrap();
    let path = make(Some(base.path()), None, ProcessIdentity { pid: 1, start: 1 }).unwrap().path().to_owned();
    assert_eq!((previous_runs(&[base.path().into()], None), path.exists()), (vec![], true));
    let old = SystemTime::now() - Duration::from_secs(120);
    File::open(&path).unwrap().set_modified(old).unwrap();
    assert_eq!((previous_runs(&[base.path().into()], None), path.exists()), (vec![], false));
}

#[test]
fn a_directory_that_others_may_write_is_not_used() {
    let base = tempfile::tempdir().unwrap();
    let home = base.path().join(home_name(own_uid()));
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
    let why = make(Some(base.path()), None, ProcessIdentity { pid: 1, start: 1 }).unwrap_err().to_string();
    assert!(why.contains("others may write there (mode 777)"), "{why}");
}

#[test]
fn a_base_where_others_may_rename_is_not_used_unless_it_is_sticky() {
    let base = tempfile::tempdir().unwrap();
    let with = |mode| {
        fs::set_permissions(base.path(), Permissions::from_mode(mode)).unwrap();
        make(Some(base.path()), None, ProcessIdentity { pid: 1, start: 1 }).map(drop)
    };
    assert!(with(0o777).unwrap_err().to_string().contains("no sticky bit"));
    assert!(with(0o1777).is_ok());
}

#[test]
fn a_directory_that_was_exchanged_is_neither_written_nor_removed_by_its_name() {
    let base = tempfile::tempdir().unwrap();
    let directory = make(Some(base.path()), None, me()).unwrap();
    let path = directory.path().to_owned();
    let aside = base.path().join("aside");
    fs::rename(path.parent().unwrap(), &aside).unwrap();
    fs::create_dir_all(&path).unwrap();
    fs::write(base.path().join("target"), "kept").unwrap();
    std::os::unix::fs::symlink(base.path().join("target"), path.join("state.new")).unwrap();
    directory.write(&StateRecord::default()).unwrap();
    directory.open_to_workload(None).unwrap();
    assert!(aside.join(path.file_name().unwrap()).join(FILE).exists());
    directory.remove(&[]);
    assert_eq!(fs::read(base.path().join("target")).unwrap(), b"kept");
    assert!(path.join("state.new").is_symlink() && fs::read_dir(&aside).unwrap().next().is_none());
}

#[test]
fn a_pipe_a_link_or_a_file_without_end_is_no_state() {
    let base = tempfile::tempdir().unwrap();
    let directory = make(Some(base.path()), None, me()).unwrap();
    let file = directory.path().join(FILE);
    let found = || find(Some(directory.path()), &[]);
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    assert!(matches!(found(), FoundState::Silent(_)));
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    assert!(matches!(found(), FoundState::Silent(_)));
    fs::remove_file(&file).unwrap();
    File::create(&file).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(found(), FoundState::Silent(_)));
}

#[test]
fn a_request_is_a_new_file_and_never_written_through_a_link() {
    let base = tempfile::tempdir().unwrap();
    let directory = make(Some(base.path()), None, me()).unwrap();
    directory.open_to_workload(None).unwrap();
    let (kept, requests) = (base.path().join("kept"), directory.path().join(REQUESTS));
    fs::write(&kept, "root's").unwrap();
    std::os::unix::fs::symlink(&kept, requests.join("checkpoint-1")).unwrap();
    std::os::unix::fs::symlink(base.path().join("made"), requests.join("checkpoint-2")).unwrap();
    let asked = |name: &str| request(directory.path(), name);
    assert!(asked("checkpoint-1").is_err() && asked("checkpoint-2").is_err() && asked("checkpoint-3").is_ok());
    assert_eq!(fs::read(&kept).unwrap(), b"root's");
    assert!(!base.path().join("made").exists() && requests.join("checkpoint-3").exists());
}

#[test]
fn only_a_state_of_its_supervisors_user_is_found() {
    if own_uid() != 0 {
        return println!("SKIPPED: only root can give files away");
    }
    let base = tempfile::tempdir().unwrap();
    let bases = [base.path().to_path_buf()];
    let directory = make(Some(base.path()), None, me()).unwrap();
    directory.write(&StateRecord { supervisor: me(), ..StateRecord::default() }).unwrap();
    assert!(matches!(find(None, &bases), FoundState::One(..)));
    let give = |path: &Path, to| std::os::unix::fs::chown(path, Some(to), None).unwrap();
    let home = directory.path().parent().unwrap();
    for path in [home, directory.path(), &directory.path().join(FILE)] {
        give(path, 4321);
        assert!(!matches!(find(None, &bases), FoundState::One(..)), "{}", path.display());
        give(path, 0);
    }
    // A copy under another user's name is that user's.
    fs::rename(home, base.path().join("trainit-4321")).unwrap();
    give(&base.path().join("trainit-4321"), 4321);
    assert!(!matches!(find(None, &bases), FoundState::One(..)));
}
