//! Tests environments that are whole, truncated, or malicious.

use super::super::archive::{self, ArchiveManifest, Packer};
use super::super::pack;
use super::*;
use proptest::prelude::*;
use std::io::{Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

/// Makes a file with an archive by `fill`, whose manifest promises so many files and bytes.
fn file(fill: impl FnOnce(&mut tar::Builder<Packer<&File>>), files: u64, bytes: u64) -> (File, ArchiveIndex) {
    let mut file = tempfile::tempfile().unwrap();
    let mut tar = tar::Builder::new(Packer::new(&file));
    fill(&mut tar);
    tar.into_inner().unwrap().finish(ArchiveManifest { files, bytes, ..ArchiveManifest::default() }).unwrap();
    let index = archive::index(&mut file).unwrap();
    (file, index)
}

/// Adds an entry with its name unchanged, even one that a careful packer would refuse.
fn entry(tar: &mut tar::Builder<Packer<&File>>, name: &str, kind: tar::EntryType, link: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o104_755);
    header.set_mtime(1);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

fn unpacked(file: (File, ArchiveIndex), root: &Path) -> io::Result<()> {
    unpack(&file.1, file.0, root, &mut UnpackState::default(), &mut |_| {})
}

#[test]
fn files_come_out_with_bytes_mode_and_time_and_replace_what_is_there() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = format!("{}/{}.py", "directory/".repeat(20), "n".repeat(200));
    let names = ["bin/tool", long.as_str(), "lib/empty"];
    for (name, bytes) in names.iter().zip([&b"#!/bin/sh\n"[..], &[7; 3 << 20], b""]) {
        let path = from.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    fs::set_permissions(from.path().join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    File::open(from.path().join(&long)).unwrap().set_modified(time).unwrap();
    let outside = to.path().join("outside");
    fs::write(&outside, "not to be written through a link").unwrap();
    fs::create_dir(to.path().join("bin")).unwrap();
    symlink(&outside, to.path().join("bin/tool")).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let paths = names.map(PathBuf::from);
    pack::pack(from.path(), &paths, ArchiveManifest::default(), &file, &mut |_| {}).unwrap();
    let index = archive::index(&mut file).unwrap();
    assert_eq!((index.manifest.files, index.manifest.bytes), (3, (3 << 20) + 10));
    unpacked((file, index), to.path()).unwrap();
    for name in names {
        let (one, two) = (from.path().join(name), to.path().join(name));
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap());
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&one), mode(&two), "{name}");
    }
    assert_eq!(fs::metadata(to.path().join(&long)).unwrap().modified().unwrap(), time);
    assert!(fs::read_to_string(&outside).unwrap().starts_with("not"));
}

#[test]
fn who_means_harm_is_refused_and_nothing_is_written_elsewhere() {
    use tar::EntryType as Kind;
    let cases = [
        ("../evil", Kind::Regular, ""),
        ("/tmp/trainit-evil", Kind::Regular, ""),
        ("a/../../evil", Kind::Regular, ""),
        ("link", Kind::Symlink, "/etc"),
        ("link", Kind::Link, "/etc/passwd"),
        ("fifo", Kind::Fifo, ""),
        ("device", Kind::Char, ""),
        ("directory/", Kind::Directory, ""),
        ("", Kind::Regular, ""),
    ];
    for (name, kind, link) in cases {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let error = unpacked(file(|tar| entry(tar, name, kind, link, b""), 1, 0), &root).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
        assert_eq!(fs::read_dir(&root).unwrap().count() + fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
    }
    assert!(!Path::new("/tmp/trainit-evil").exists());
}

#[test]
fn rights_that_give_rights_do_not_come_along() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(file(|tar| entry(tar, "tool", tar::EntryType::Regular, "", b"x"), 1, 1), dir.path()).unwrap();
    assert_eq!(fs::metadata(dir.path().join("tool")).unwrap().permissions().mode() & 0o7000, 0);
}

#[test]
fn more_or_less_than_was_promised_is_refused_and_can_be_undone() {
    for (files, bytes) in [(2, 1), (1, 2), (0, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let name = "own-1.0.dist-info/licenses/tool";
        let (from, index) = file(|tar| entry(tar, name, tar::EntryType::Regular, "", b"x"), files, bytes);
        let mut made = UnpackState::default();
        assert!(unpack(&index, from, dir.path(), &mut made, &mut |_| {}).is_err());
        made.undo();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_long_name_that_is_no_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let name = vec![b'a'; 1 << 20];
    let long =
        |tar: &mut tar::Builder<Packer<&File>>| entry(tar, "././@LongLink", tar::EntryType::GNULongName, "", &name);
    assert!(unpacked(file(long, 0, 0), dir.path()).is_err());
}

proptest! {
    #[test]
    fn a_stream_of_any_bytes_writes_nothing_elsewhere(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let mut packer = Packer::new(&file);
        packer.write_all(&bytes).unwrap();
        packer.finish(ArchiveManifest::default()).unwrap();
        let index = archive::index(&mut file).unwrap();
        file.rewind().unwrap();
        let _ = unpacked((file, index), &root);
        prop_assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
