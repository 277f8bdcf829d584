//! What a store is asked for when nothing fails.

use super::support::object_stores::Server;
use super::{FailureKind, Start, Task, kind, noise};
use std::path::PathBuf;

/// All tasks, on any store that can write.
fn round_trip(start: Start, base: &str) {
    let Some(mut program) = start.run() else { return };
    let bytes = noise(3_000_000);
    let url = |name: &str| format!("{base}/{name}");
    let tag = program.put(&url("data/a b+ü.bin"), &bytes).unwrap().tag.unwrap();
    program.put_text(&url("data/deep/er"), "small").unwrap();
    program.put_text(&url("other"), "").unwrap();
    let found = program.head(&url("data/a b+ü.bin")).unwrap();
    assert_eq!((found.size, found.key.as_str(), &found.tag), (3_000_000, "a b+ü.bin", &tag));
    assert_eq!(program.list(&url("data"), true).unwrap().0, ["a b+ü.bin", "deep/er"]);
    assert_eq!(program.list(&url(""), false).unwrap(), (vec!["other".to_owned()], vec!["data/".to_owned()]));
    assert!(program.get(&url("data/a b+ü.bin"), Some(&tag), 0..3_000_000).unwrap() == bytes);
    assert!(program.get(&url("data/a b+ü.bin"), Some(&tag), 1000..2000).unwrap() == bytes[1000..2000]);
    assert_eq!(program.read(&url("data/deep/er")).unwrap(), "small");
    assert_eq!(kind(program.call(Task::Read { url: url("data/deep/er"), most: 2 })), Some(FailureKind::Bad));
    let again = Task::PutText { url: url("other"), text: "new".into(), only_new: true };
    assert_eq!(kind(program.call(again)), Some(FailureKind::Changed));
    for gone in ["data/none", "data"] {
        assert_eq!(kind(program.head(&url(gone))), Some(FailureKind::Gone), "{gone}");
    }
    // An object of parts, the tags given or not.
    let path = PathBuf::from("sent");
    for given in [true, false] {
        let upload = program.call(Task::Begin { url: url("parts") }).unwrap().upload.unwrap();
        let parts = noise(6 << 20);
        std::fs::write(program.home.path().join(&path), &parts).unwrap();
        let mut tags = Vec::new();
        for (number, offset, length) in [(2, 5 << 20, 1 << 20), (1, 0, 5 << 20)] {
            let (url, upload, path) = (url("parts"), upload.clone(), path.clone());
            tags.push(program.call(Task::Part { url, upload, number, path, offset, length }).unwrap().tag.unwrap());
        }
        tags.reverse();
        let tags = if given { tags } else { Vec::new() };
        program.call(Task::Complete { url: url("parts"), upload, parts: tags }).unwrap();
        assert!(program.get(&url("parts"), None, 0..6 << 20).unwrap() == parts);
    }
    let upload = program.call(Task::Begin { url: url("never") }).unwrap().upload.unwrap();
    program.call(Task::Abort { url: url("never"), upload }).unwrap();
    assert_eq!(kind(program.head(&url("never"))), Some(FailureKind::Gone));
    for _ in 0..2 {
        program.call(Task::Delete { url: url("other") }).unwrap();
    }
    assert_eq!(kind(program.head(&url("other"))), Some(FailureKind::Gone));
}

#[test]
fn s3_is_listed_read_and_written() {
    let Some(server) = Server::s3(None) else { return };
    round_trip(Start::at(&server.url()), "s3://bucket");
}

#[test]
fn a_directory_is_listed_read_and_written_as_a_store() {
    let home = tempfile::tempdir().unwrap();
    round_trip(Start::default(), &format!("file://{}", home.path().display()));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn googles_store_is_listed_and_read() {
    let Some(server) = Server::gcs() else { return };
    for (name, text) in [("data/a", "hello"), ("data/b/c", "world")] {
        let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
        assert!(server.ask("POST", &target, text).starts_with("HTTP/1.1 200"));
    }
    let Some(mut program) = Start::default().set("STORAGE_EMULATOR_HOST", server.url()).run() else { return };
    assert_eq!(program.list("gs://bucket/data", true).unwrap().0, ["a", "b/c"]);
    let found = program.head("gs://bucket/data/a").unwrap();
    assert_eq!((found.size, found.md5.as_deref()), (5, Some("5d41402abc4b2a76b9719d911017c592")));
    assert_eq!(found.crc32c.as_deref(), Some("9a71bb4c"));
    assert_eq!(program.get("gs://bucket/data/a", Some(&found.tag), 1..4).unwrap(), b"ell");
    assert_eq!(program.get("gs://bucket/data/a", None, 0..5).unwrap(), b"hello");
    assert_eq!(program.read("gs://bucket/data/b/c").unwrap(), "world");
    assert_eq!(kind(program.head("gs://bucket/none")), Some(FailureKind::Gone));
}

#[test]
fn keys_are_told_as_the_store_has_them_page_by_page() {
    let Some(server) = Server::s3(None) else { return };
    let odd = ["dir/", "a//b", "x/../y", "amp&lt;", "%41"];
    for key in odd {
        let target = key.replace('%', "%25").replace('&', "%26").replace("..", "%2E%2E");
        assert!(server.ask("PUT", &format!("/bucket/p/{target}"), "1").starts_with("HTTP/1.1 200"), "{key}");
    }
    for number in 0..1100 {
        server.ask("PUT", &format!("/bucket/many/{number:04}"), "");
    }
    let Some(mut program) = Start::at(&server.url()).run() else { return };
    let mut expected = odd.map(str::to_owned);
    expected.sort();
    assert_eq!(program.list("s3://bucket/p/", true).unwrap().0, expected);
    assert_eq!(program.list("s3://bucket/many", true).unwrap().0.len(), 1100);
}

#[test]
fn case_15_what_is_stored_as_gzip_comes_as_it_is_stored() {
    let Some(server) = Server::s3(None) else { return };
    let headers = "Content-Encoding: gzip\r\n";
    server.ask_with("PUT", "/bucket/packed", headers, "these are no gzip bytes at all");
    let Some(mut program) = Start::at(&server.url()).run() else { return };
    let found = program.head("s3://bucket/packed").unwrap();
    assert_eq!(found.size, 30);
    assert_eq!(program.get("s3://bucket/packed", Some(&found.tag), 0..30).unwrap(), b"these are no gzip bytes at all");
}

#[test]
fn a_request_that_is_not_understood_is_answered_and_the_rest_goes_on() {
    let Some(mut program) = Start::default().run() else { return };
    assert_eq!(kind(program.head("ftp://host/key")), Some(FailureKind::Bad));
    assert_eq!(kind(program.list("https://127.0.0.1:1/", true)), Some(FailureKind::Bad));
    assert!(program.call(Task::Who { url: "file:///tmp".into() }).unwrap().text.is_some());
}
