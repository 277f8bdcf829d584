//! A history on a real file system, with what others may have put in its way.

use super::*;
use history::{Attempts, Entry, StartEntry};
use std::fs;
use std::os::unix::fs::symlink;

fn line(id: &str) -> String {
    Entry::Start(StartEntry { id: id.into(), at: 5.0, command: "x".repeat(300), ..StartEntry::default() }).line()
}

/// Makes a directory of checkpoints that has one.
fn checkpoints() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("step-1.pt"), "x").unwrap();
    dir
}

fn read(file: &HistoryFile) -> Attempts {
    Attempts::read(&file.read().unwrap())
}

#[test]
fn it_is_never_the_first_thing_in_a_directory_of_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    for checkpoints in [dir.path().join("none"), dir.path().to_owned()] {
        let file = HistoryFile::in_directory(&checkpoints);
        assert_eq!(file.append("a", &line("a")).unwrap(), Waits);
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none() && read(&file).all.is_empty());
    }
    fs::write(dir.path().join("step-1.pt"), "x").unwrap();
    let file = HistoryFile::in_directory(dir.path());
    assert_eq!(file.append("a", &line("a")).unwrap(), Written);
    // Later on the history may be alone: what it once was beside has been removed by a person.
    fs::remove_file(dir.path().join("step-1.pt")).unwrap();
    assert_eq!(file.append("b", &line("b")).unwrap(), Written);
    assert_eq!(read(&file).all.len(), 2);
}

#[test]
fn a_path_that_a_person_names_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = HistoryFile::at(dir.path().join("a/b/jobs.jsonl"));
    assert_eq!(file.append("a", &line("a")).unwrap(), Written);
    assert_eq!(read(&file).all.len(), 1);
}

#[test]
fn nothing_is_written_through_a_link_a_second_name_or_a_pipe() {
    let (dir, other) = (checkpoints(), tempfile::tempdir().unwrap());
    let (own, theirs) = (dir.path().join(DIRECTORY), other.path().join(FILE));
    fs::write(&theirs, "theirs").unwrap();
    let file = HistoryFile::in_directory(dir.path());
    let told = || file.append("a", &line("a")).unwrap_err().to_string();
    symlink(other.path(), &own).unwrap();
    assert_eq!(told(), ".trainit is no directory");
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    symlink(&theirs, own.join(FILE)).unwrap();
    assert_eq!(told(), "it is a symbolic link");
    fs::remove_file(own.join(FILE)).unwrap();
    fs::hard_link(&theirs, own.join(FILE)).unwrap();
    assert_eq!(told(), "it has 2 names (hard links)");
    fs::remove_file(own.join(FILE)).unwrap();
    nix::unistd::mkfifo(&own.join(FILE), Mode::from_bits_truncate(0o600)).unwrap();
    assert_eq!(told(), "it is not a regular file");
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
}

#[test]
fn a_file_of_a_user_who_has_nothing_to_do_with_it_is_refused() {
    if credentials::own_uid() != 0 {
        return;
    }
    let dir = checkpoints();
    let file = HistoryFile::in_directory(dir.path());
    file.append("a", &line("a")).unwrap();
    std::os::unix::fs::chown(dir.path().join(DIRECTORY), Some(12345), None).unwrap();
    assert_eq!(file.append("a", &line("a")).unwrap_err().to_string(), ".trainit belongs to user 12345");
    // Who owns the directory of the checkpoints may own the history in it.
    std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
    assert_eq!(file.append("b", &line("b")).unwrap(), Written);
    std::os::unix::fs::chown(dir.path().join(DIRECTORY).join(FILE), Some(54321), None).unwrap();
    assert_eq!(file.append("c", &line("c")).unwrap_err().to_string(), "it belongs to user 54321");
}

#[test]
fn a_torn_line_does_not_spoil_the_next_one() {
    let dir = checkpoints();
    let file = HistoryFile::in_directory(dir.path());
    file.append("a", &line("a")).unwrap();
    let torn = line("b");
    let mut text = fs::OpenOptions::new().append(true).open(&file.path).unwrap();
    text.write_all(&torn.as_bytes()[..torn.len() / 2]).unwrap();
    file.append("c", &line("c")).unwrap();
    let told = read(&file);
    assert_eq!((told.all.len(), told.skipped), (2, 1));
}

#[test]
fn lines_of_many_writers_stay_whole_also_while_it_is_shortened() {
    let dir = checkpoints();
    let file = HistoryFile::in_directory(dir.path());
    // Long before the first line, so that each writer meets the limit.
    let old: String = (0..100).map(|n| line(&format!("old{n}"))).collect();
    file.append("a", &line("a")).unwrap();
    fs::write(&file.path, &old).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for n in 0..25 {
                    file.shorten();
                    let id = format!("{writer}-{n}");
                    file.append(&id, &line(&id)).unwrap();
                }
            });
        }
    });
    let told = read(&file);
    let summed = told.summed.as_ref().map_or(0, |sum| sum.attempts);
    assert_eq!((summed + told.all.len() as u64, told.skipped), (200, 0));
    assert!(summed > 0 && fs::metadata(&file.path).unwrap().len() < LIMIT);
    let names = fs::read_dir(dir.path().join(DIRECTORY)).unwrap().count();
    assert_eq!(names, 1, "nothing is left behind");
}

#[test]
fn where_nothing_can_be_appended_each_line_is_a_file() {
    let dir = checkpoints();
    let file = HistoryFile::in_directory(dir.path());
    let directory = file.provide_directory().unwrap();
    for _ in 0..2 {
        file.write_piece(&directory, "a", &line("a")).unwrap();
    }
    file.write_piece(&directory, "b", &line("b")).unwrap();
    assert_eq!(read(&file).all.len(), 2);
    assert_eq!(
        file.pieces().unwrap(),
        ["history.jsonl.a-0", "history.jsonl.a-1", "history.jsonl.b-0"].map(PathBuf::from)
    );
}

#[test]
fn what_is_no_history_is_read_as_none() {
    let dir = checkpoints();
    let file = HistoryFile::in_directory(dir.path());
    assert_eq!(file.read().unwrap(), b"");
    fs::create_dir_all(&file.path).unwrap();
    assert!(file.read().is_err());
}
