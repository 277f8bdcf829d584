//! What else is found in directories: links, loops, names that are no text, sockets and FIFOs, and a great many entries.

use crate::fixture::{Place, half, lightning, torch};
use checkpoint::{FamilyChoice, newest};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

#[test]
fn without_a_directory_there_is_nothing() {
    assert_eq!(newest(Path::new("/nonexistent/dir"), FamilyChoice::Auto, None).unwrap(), None);
    assert!(newest(Path::new("/etc/passwd"), FamilyChoice::Auto, None).is_err());
    let plain = FamilyChoice::parse("plain").unwrap();
    assert_eq!(newest(Path::new("/"), plain, None).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_link_means_what_it_leads_to() {
    let (place, other) = (Place::new(), Place::new());
    place.put("ckpt-100.pt", torch(b"w"));
    symlink("ckpt-100.pt", place.path().join("latest.pt")).unwrap();
    symlink("ckpt-100.pt", place.path().join("ckpt-999.pt")).unwrap();
    place.finds("torch", "ckpt-100.pt", 100);
    place.put("ckpt-100.pt", half(torch(b"w")));
    assert_eq!(place.survey("torch").passed_over.len(), 1);
    let far = other.put("ckpt-200.pt", torch(b"w"));
    symlink(&far, place.path().join("ckpt-newest.pt")).unwrap();
    let found = place.survey("auto").newest.unwrap();
    assert_eq!((found.path, found.step), (fs::canonicalize(far).unwrap(), Some(200)));
}

#[test]
fn lightnings_link_to_the_last_is_the_last() {
    let place = Place::new();
    place.put("epoch=0-step=9.ckpt", lightning(9));
    symlink(place.path().join("epoch=0-step=9.ckpt"), place.path().join("last.ckpt")).unwrap();
    place.finds("lightning", "epoch=0-step=9.ckpt", 9);
    assert_eq!(place.found("lightning last.ckpt").unwrap().0, "epoch=0-step=9.ckpt");
}

#[test]
fn loops_dangling_links_and_fifos_are_passed_by() {
    let place = Place::new();
    symlink("b-1.pt", place.path().join("a-2.pt")).unwrap();
    symlink("a-2.pt", place.path().join("b-1.pt")).unwrap();
    symlink("nowhere", place.path().join("c-3.pt")).unwrap();
    symlink(".", place.path().join("checkpoint-4")).unwrap();
    nix::unistd::mkfifo(&place.path().join("d-5.pt"), Mode::S_IRWXU).unwrap();
    symlink("d-5.pt", place.path().join("e-6.pt")).unwrap();
    fs::create_dir(place.path().join("f-7.pt")).unwrap();
    place.finds_nothing("torch");
    place.finds_nothing("huggingface");
    place.put("g-0.pt", torch(b"w"));
    place.finds("torch", "g-0.pt", 0);
}

#[test]
fn names_need_not_be_text() {
    let place = Place::new();
    let path = place.path().join(OsStr::from_bytes(b"\xff\xfe-7.pt"));
    fs::write(&path, torch(b"w")).unwrap();
    let found = place.survey("auto").newest.unwrap();
    assert_eq!((found.path, found.step), (path, Some(7)));
}

#[test]
fn the_path_is_absolute() {
    let place = Place::new();
    place.put("a-1.pt", torch(b"w"));
    let up: std::path::PathBuf = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = up.join(place.path().strip_prefix("/").unwrap());
    assert!(newest(&relative, FamilyChoice::Auto, None).unwrap().unwrap().path.is_absolute());
}

#[test]
fn without_steps_the_time_orders() {
    let place = Place::new();
    for (name, age) in [("best.pt", 100), ("ckpt-900.pt", 50), ("last.pt", 10)] {
        place.put(name, torch(b"w"));
        place.age(name, age);
    }
    place.put("newest.pt", half(torch(b"w")));
    place.finds("torch", "last.pt", None);
    let found = place.survey("auto");
    assert_eq!(found.passed_over.len(), 1);
    assert!(found.newest.unwrap().modified.elapsed().unwrap() < Duration::from_secs(40));
}

#[test]
fn the_size_is_that_of_all_files() {
    let place = Place::new();
    place.put("5/_CHECKPOINT_METADATA", "12");
    place.put("5/state/d/0", "345");
    assert_eq!(place.survey("auto").newest.unwrap().size, 5);
}

#[test]
fn at_most_so_many_half_written_ones_are_looked_at() {
    let place = Place::new();
    (1..=5000).for_each(|n| drop(place.put(&format!("ckpt-{n}.pt"), "PK\x03\x04")));
    let found = place.survey("torch");
    assert_eq!((found.newest.as_ref(), found.passed_over.len(), found.unjudged), (None, 4096, 904));
    assert!(!found.is_empty());
    place.put("ckpt-2000.pt", torch(b"w"));
    place.finds("torch", "ckpt-2000.pt", 2000);
}

#[test]
fn a_great_many_entries_hide_nothing() {
    let place = Place::new();
    (0..30_000).for_each(|n| drop(File::create(place.path().join(format!("sample-{n}.png"))).unwrap()));
    place.put("ckpt-1.pt", torch(b"w"));
    place.finds("torch", "ckpt-1.pt", 1);
    (2..10_000).for_each(|n| drop(File::create(place.path().join(format!("ckpt-{n}.pt"))).unwrap()));
    place.put("ckpt-10000.pt", torch(b"w"));
    place.finds("torch", "ckpt-10000.pt", 10_000);
    place.put("last.pt", torch(b"w"));
    place.finds("torch", "last.pt", None);
}
