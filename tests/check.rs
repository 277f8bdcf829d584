//! Checks on real mounts, in mount namespaces, through the binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test may")]

#[path = "check/docs.rs"]
mod docs;
#[path = "check/entries.rs"]
mod entries;
#[path = "check/far.rs"]
mod far;
#[path = "check/gpus.rs"]
mod gpus;
#[path = "check/guest.rs"]
mod guest;
#[path = "check/host.rs"]
mod host;
#[path = "check/manifests.rs"]
mod manifests;
#[path = "check/mounts.rs"]
mod mounts;
#[path = "check/namespaces.rs"]
mod namespaces;
#[path = "check/refusals.rs"]
mod refusals;
#[path = "check/sandbox.rs"]
mod sandbox;
#[path = "check/space.rs"]
mod space;
#[path = "support/mod.rs"]
mod support;
#[path = "check/users.rs"]
mod users;
#[path = "check/words.rs"]
mod words;

use sandbox::{Sandbox, possible};
use std::time::Duration;

const DATA: &str = "mkdir -p data; mount -t tmpfs src data; touch data/a data/b; mount -o remount,ro data";

/// A FUSE file system whose requests nobody reads: the first look at it waits until it is killed.
const HUNG: &str = "mkdir -p hung; exec 9<>/dev/fuse
    mount -i -t fuse.hang -o fd=9,rootmode=40000,user_id=0,group_id=0 nas:/export hung";

#[test]
fn mounted_data_is_told_in_one_line() {
    if !possible(&[]) {
        return;
    }
    let checked = Sandbox::new(DATA).with("TRAINIT_DATA", "$D/data:ro,min_files=2").check();
    let (check, status, what) = checked.only("data");
    assert_eq!((check, status, checked.code), ("data.readable", "ok", 0));
    assert!(what.ends_with("/data: tmpfs, read-only, 2 files"), "{what}");
    let facts = &checked.findings[1]["facts"];
    assert_eq!((&facts["mounted"], &facts["source"], &facts["entries"]), (&true.into(), &"src".into(), &2.into()));
}

#[test]
fn the_report_has_the_documented_fields() {
    if !possible(&[]) {
        return;
    }
    let checked = Sandbox::new(DATA).with("TRAINIT_DATA", "$D/data").check();
    let fields = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for field in [fields(&checked.report), fields(&checked.findings[0])].concat() {
        assert!(include_str!("../docs/checks.md").contains(&format!("`{field}`")), "docs/checks.md: {field}");
    }
}

#[test]
fn a_directory_of_the_image_is_no_mount() {
    if !possible(&[]) {
        return;
    }
    let sandbox = Sandbox::new("mkdir -p data; touch data/a").with("TRAINIT_DATA", "$D/data");
    let checked = sandbox.check();
    assert_eq!((checked.only("data").0, checked.code), ("data.mounted", 111));
    assert!(checked.remedy("data").starts_with(&format!("docker run -v /path/on/host:{}:ro …", sandbox.path("data"))));
    let gathered = checked.report["remedy"].as_str().unwrap();
    assert_eq!(gathered.lines().count(), 2, "{gathered}");
    assert!(gathered.lines().nth(1).unwrap().starts_with("  docker run "), "{gathered}");
    assert!(checked.report["start"]["compose"].as_str().unwrap().contains("volumes:"), "{gathered}");

    let allowed = Sandbox::new("mkdir -p data; touch data/a").with("TRAINIT_DATA", "$D/data:mounted=no").check();
    assert!(allowed.only("data").2.ends_with("in the image, 1 file"), "{}", allowed.only("data").2);
    let host =
        Sandbox::new("mkdir -p data; touch data/a").with("TRAINIT_DATA", "$D/data").with("container", "").check();
    assert_eq!(host.only("data").1, "ok");
}

#[test]
fn a_missing_path_names_the_flag() {
    if !possible(&[]) {
        return;
    }
    let checked = Sandbox::new("").with("TRAINIT_DATA", "/no/such/data").with("TRAINIT_OUTPUT", "/no/such/out").check();
    assert_eq!((checked.only("data").0, checked.only("output").0), ("data.exists", "output.exists"));
    assert_eq!((checked.code, checked.report["verdict"].as_str()), (111, Some("fail")));
    let gathered = checked.report["remedy"].as_str().unwrap();
    assert!(
        gathered.contains("-v /path/on/host/data:/no/such/data:ro -v /path/on/host/out:/no/such/out"),
        "{gathered}"
    );
}

#[test]
fn the_empty_directory_of_a_misspelled_source_is_told() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p made/imagnet data; mount --bind made/imagnet data";
    let checked = Sandbox::new(script).with("TRAINIT_DATA", "$D/data").check();
    let (check, _, what) = checked.only("data");
    assert_eq!((check, checked.code), ("data.empty", 111));
    assert!(what.contains("mounted, but empty: for a misspelled source") && what.contains("made/imagnet"), "{what}");
    assert!(checked.remedy("data").contains("--mount type=bind"), "{}", checked.remedy("data"));
    let allowed = Sandbox::new(script).with("TRAINIT_DATA", "$D/data:min_files=0,rw").check();
    assert_eq!(allowed.only("data").1, "ok");
}

#[test]
fn links_mounts_over_mounts_and_single_files_are_told_apart() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p lower data image; mount -t tmpfs first lower; mkdir lower/sub; touch lower/sub/a; ln -sfn lower/sub link
        mount -t tmpfs first data; mount -t tmpfs -o ro second data; ln -sfn image imagelink; touch image/a
        echo x > source; touch file; mount --bind source file; ln -sfn nowhere dangling";
    let checked = |path: &str| Sandbox::new(script).with("TRAINIT_DATA", &format!("{path}:min_files=0,rw")).check();
    let fact = |path: &str, name: &str| checked(path).findings[1]["facts"][name].to_string();
    assert_eq!(fact("$D/link", "source"), r#""first""#);
    assert_eq!(fact("$D/data", "source"), r#""second""#);
    assert_eq!(checked("$D/data").only("data").0, "data.access");
    assert_eq!(checked("$D/imagelink").only("data").0, "data.mounted");
    assert!(
        checked("$D/file").only("data").2.ends_with(", writable, a file of 2 B"),
        "{}",
        checked("$D/file").only("data").2
    );
    let dangling = checked("$D/dangling");
    assert_eq!(dangling.only("data").0, "data.exists");
    assert!(dangling.only("data").2.contains("dangling is a link to nowhere, which is not there"));
}

#[test]
fn an_anonymous_volume_is_no_mount_of_yours() {
    if !possible(&[]) {
        return;
    }
    let name = "a1".repeat(32);
    let script = format!(
        "mkdir -p volumes/{name}/_data data; touch volumes/{name}/_data/a; mount --bind volumes/{name}/_data data"
    );
    let data = Sandbox::new(&script).with("TRAINIT_DATA", "$D/data").check();
    assert_eq!((data.only("data").0, data.code), ("data.mounted", 111));
    assert!(data.only("data").2.contains("is an anonymous volume"), "{}", data.only("data").2);
    let output = Sandbox::new(&script).with("TRAINIT_OUTPUT", "$D/data").check();
    assert_eq!((output.only("output").0, output.only("output").1), ("output.mounted", "warn"));
}

#[test]
fn what_should_be_in_the_data_is_looked_for() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p data; mount -t tmpfs none data; mkdir data/imagenet; touch data/imagenet/x.tar";
    let missing = Sandbox::new(script).with("TRAINIT_DATA", "$D/data:contains=train/+*.tar").check();
    let (check, _, what) = missing.only("data");
    assert_eq!(check, "data.contains");
    assert!(what.ends_with("does not contain train/, *.tar: what is there: imagenet"), "{what}");
    let found = Sandbox::new(script).with("TRAINIT_DATA", "$D/data:contains=imagenet/*.tar").check();
    assert_eq!(found.code, 0);
    let few = Sandbox::new(script).with("TRAINIT_DATA", "$D/data:min_files=3").check();
    assert_eq!(few.only("data").0, "data.files");
}

#[test]
fn read_only_and_writable_are_checked_where_they_were_asked_for() {
    if !possible(&[]) {
        return;
    }
    let writable = "mkdir -p data; mount -t tmpfs none data; touch data/a";
    assert_eq!(Sandbox::new(writable).with("TRAINIT_DATA", "$D/data:ro").check().only("data").0, "data.access");
    assert_eq!(Sandbox::new(writable).with("TRAINIT_DATA", "$D/data").check().code, 0);
    assert_eq!(Sandbox::new(DATA).with("TRAINIT_DATA", "$D/data:rw").check().only("data").0, "data.access");
    assert_eq!(
        Sandbox::new(DATA).with("TRAINIT_OUTPUT", "$D/data:mounted=no").check().only("output").0,
        "output.writable"
    );
}

#[test]
fn output_is_written_to_and_left_clean() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p real out; mount --bind real out";
    let sandbox = Sandbox::new(script).with("TRAINIT_OUTPUT", "$D/out:min_free=1MiB");
    let checked = sandbox.check();
    assert_eq!((checked.only("output").0, checked.only("output").1), ("output.writable", "ok"));
    assert!(checked.only("output").2.ends_with(" free"), "{}", checked.only("output").2);
    assert_eq!(std::fs::read_dir(sandbox.path("real")).unwrap().count(), 0);
    let greedy = Sandbox::new(script).with("TRAINIT_OUTPUT", "$D/out:min_free=1000TiB").check();
    assert_eq!((greedy.only("output").0, greedy.code), ("output.free", 213));
}

#[test]
fn output_that_is_lost_with_the_container_is_a_warning_or_what_the_option_says() {
    if !possible(&[]) {
        return;
    }
    let checked =
        |options: &str| Sandbox::new("mkdir -p out").with("TRAINIT_OUTPUT", &format!("$D/out{options}")).check();
    let lost = checked("");
    assert_eq!((lost.only("output").0, lost.only("output").1, lost.code), ("output.mounted", "warn", 0));
    assert!(lost.only("output").2.ends_with("not a mount: checkpoints are lost with the container"));
    assert_eq!((checked(":mounted=yes").code, checked(":mounted=no").only("output").1), (113, "ok"));
    let memory = Sandbox::new("mkdir -p out; mount -t tmpfs none out").with("TRAINIT_OUTPUT", "$D/out").check();
    assert!(memory.only("output").2.contains("in memory (tmpfs)"), "{}", memory.only("output").2);
}

#[test]
fn a_full_file_system_may_be_empty_elsewhere() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p out; mount -t tmpfs -o size=4k none out; head -c 4096 /dev/zero > out/full";
    let checked = Sandbox::new(script).with("TRAINIT_OUTPUT", "$D/out:mounted=no").check();
    assert_eq!((checked.only("output").0, checked.code), ("output.writable", 213));
    assert!(checked.only("output").2.contains("is full"));
}

#[test]
fn a_hung_file_system_costs_its_deadline_and_nothing_else() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let script = format!("{HUNG}\n{DATA}");
    let sandbox = Sandbox::new(&script)
        .with("TRAINIT_DATA", "$D/hung:timeout=1s $D/data")
        .with("TRAINIT_OUTPUT", "$D/hung:timeout=1s");
    let checked = sandbox.check();
    assert!(checked.took >= Duration::from_secs(1) && checked.took < Duration::from_secs(20), "{:?}", checked.took);
    let told: Vec<_> = checked.findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(told[1..], ["data.responds", "data.readable", "output.responds", "host.shm"]);
    let what = checked.findings[1]["what"].as_str().unwrap();
    assert_eq!(what, format!("{} did not answer in 1 s (fuse.hang from nas:/export)", sandbox.path("hung")));
    assert_eq!(checked.code, 211);
    assert_eq!(sandbox.left_behind(), [""; 0]);
}

#[test]
fn a_dead_daemon_is_told_from_a_missing_path() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let checked = Sandbox::new(&format!("{HUNG}\nexec 9<&-")).with("TRAINIT_DATA", "$D/hung").check();
    let (check, _, what) = checked.only("data");
    assert_eq!((check, checked.code), ("data.responds", 211));
    assert!(what.contains("(fuse.hang)") && what.ends_with("its FUSE daemon died"), "{what}");
}

#[test]
fn another_user_is_told_whose_it_is() {
    if !possible(&["/usr/bin/setpriv"]) {
        return;
    }
    let script = "mkdir -p data out; mount -t tmpfs none data; touch data/a; chmod 0700 data; mount -t tmpfs -o mode=0755 none out";
    let sandbox =
        Sandbox::new(script).with("TRAINIT_DATA", "$D/data").with("TRAINIT_OUTPUT", "$D/out:mounted=no").user(12345);
    let checked = sandbox.check();
    let (check, _, what) = checked.only("data");
    assert_eq!(check, "data.readable");
    assert!(
        what.ends_with("cannot be read as 12345:12345: Permission denied: it belongs to 0:0 with mode 0700"),
        "{what}"
    );
    assert!(checked.only("output").2.contains("cannot be written as 12345:12345"), "{}", checked.only("output").2);
    assert!(
        checked.remedy("output").contains("TRAINIT_USER=12345:12345 -e CHOWN_EXTRA=/"),
        "{}",
        checked.remedy("output")
    );
}

#[test]
fn files_that_may_not_be_read_make_data_unreadable() {
    if !possible(&["/usr/bin/setpriv"]) {
        return;
    }
    let script = "mkdir -p data; mount -t tmpfs -o mode=0755 none data; touch data/a; chmod 0600 data/a";
    let checked = Sandbox::new(script).with("TRAINIT_DATA", "$D/data").user(12345).check();
    let (check, _, what) = checked.only("data");
    assert!(check == "data.readable" && what.contains("/data/a cannot be read"), "{check} {what}");
}

#[test]
fn little_shared_memory_is_told_with_its_flag() {
    if !possible(&["/dev/shm"]) {
        return;
    }
    let script = "mount -t tmpfs -o size=64m shm /dev/shm";
    let checked = Sandbox::new(script).check();
    let (check, status, what) = checked.only("host");
    assert_eq!((check, status, checked.code), ("host.shm", "warn", 0));
    assert!(what.starts_with("/dev/shm is 64 MiB: "), "{what}");
    assert_eq!(checked.remedy("host"), "docker run --shm-size=8g …");
    assert_eq!(Sandbox::new(script).with("TRAINIT_HOST_SHM", "128MiB").check().code, 114);
}

#[test]
fn the_code_directory_and_its_entry_are_checked() {
    if !possible(&[]) {
        return;
    }
    let code = |script: &str| Sandbox::new(script).with("TRAINIT_CHECKS", "").with("TRAINIT_CODE_PATH", "$D/code");
    let entry = |script: &str| code(script).with("TRAINIT_CODE_ENTRY", "train.py").check();
    let filled = "mkdir -p code; echo pass > code/train.py";
    let well = entry(filled);
    assert!(well.only("code").2.ends_with("/code: in the image, train.py"), "{}", well.only("code").2);
    let missing = entry("mkdir -p code; touch code/main.py");
    assert_eq!((missing.only("code").0, missing.code), ("code.entry", 112));
    assert!(missing.remedy("code").ends_with("main.py"), "{}", missing.remedy("code"));
    let directory = entry("mkdir -p code/train.py");
    assert!(directory.only("code").2.contains("is a directory, not a file"), "{}", directory.only("code").2);
    assert!(entry("mkdir -p code; touch code/train.py").only("code").2.ends_with("is empty"));
    let empty = code("mkdir -p made code; mount --bind made code").check();
    assert_eq!((empty.only("code").0, empty.code), ("code.empty", 112));
    assert_eq!(code("").check().only("code").0, "code.exists");
}

#[test]
fn odd_names_break_no_line() {
    if !possible(&[]) {
        return;
    }
    let script = r#"mkdir -p 'a
  ok    b'; mount -t tmpfs none 'a
  ok    b'; touch "a
  ok    b/$(printf '\377\033[2J')""#;
    let long = format!("/{}", "x".repeat(5000));
    let data = format!(r#"["$D/a\n  ok    b:contains=none", "{long}"]"#);
    let output = Sandbox::new(script).with("TRAINIT_DATA", &data).told();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(111), "{text}");
    assert!(!text.contains('\x1b') && !text.lines().any(|line| line.starts_with("  ok    b")), "{text}");
    assert!(text.contains(r"a\n  ok    b does not contain none: what is there: \xff\x1b[2J"), "{text}");
    assert!(
        text.contains("cannot be read as 0:0: File name too long") && text.lines().all(|line| line.len() < 700),
        "{text}"
    );
}

#[test]
fn unknown_names_of_checks_are_refused() {
    if !possible(&[]) {
        return;
    }
    let output = Sandbox::new("").with("TRAINIT_CHECKS", "host.smh=fail").told();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean host.shm?"));
}
