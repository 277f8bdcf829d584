//! Room: file systems of limited size and inodes, quotas, and directories that are too large to read.

use crate::sandbox::{Checked, Sandbox, possible};

fn output(script: &str, options: &str) -> Checked {
    Sandbox::new(script).with("TRAINIT_OUTPUT", &format!("$D/out:mounted=no{options}")).check()
}

#[test]
fn little_space_is_a_warning_and_less_than_was_asked_for_a_failure() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p out; mount -t tmpfs -o size=8m none out";
    let checked = output(script, "");
    assert_eq!((checked.only("output").0, checked.only("output").1, checked.code), ("output.free", "warn", 0));
    assert!(checked.only("output").2.contains("has 8 MiB free of 8 MiB"), "{}", checked.only("output").2);
    assert_eq!(output(script, ",min_free=4MiB").only("output").1, "ok");
    assert_eq!(output(script, ",min_free=16MiB").code, 213);
}

#[test]
fn files_can_run_out_before_space_does() {
    if !possible(&[]) {
        return;
    }
    let few = output("mkdir -p out; mount -t tmpfs -o nr_inodes=10 none out", "");
    assert_eq!((few.only("output").0, few.only("output").1), ("output.inodes", "warn"));
    assert!(few.only("output").2.contains("more files only"), "{}", few.only("output").2);
    let none = output("mkdir -p out; mount -t tmpfs -o nr_inodes=3 none out; touch out/a out/b", "");
    assert_eq!((none.only("output").0, none.code), ("output.writable", 213));
    assert!(none.only("output").2.contains("has no inodes left"), "{}", none.only("output").2);
}

#[test]
fn a_quota_shows_when_the_room_is_asked_for() {
    if !possible(&["/sbin/mkfs.btrfs", "/dev/loop-control"]) {
        return;
    }
    let script = "truncate -s 256M disk; mkfs.btrfs -q disk >/dev/null; mkdir -p fs out; mount -o loop disk fs || exit 99
        btrfs quota enable fs; btrfs subvolume create fs/mine >/dev/null; btrfs qgroup limit 16M fs/mine; mount --bind fs/mine out";
    let (tried, _) = Sandbox::new(script).start("check");
    if tried.status.code() == Some(99) {
        return println!("SKIPPED: btrfs is not among this kernel's file systems, or it has no loop devices left");
    }
    // What statfs(2) says is the disk's, not the quota's.
    assert_eq!(output(script, ",min_free=100MiB").only("output").1, "ok");
    let limited = output(script, ",min_free=100MiB,allocate=100MiB");
    assert_eq!((limited.only("output").0, limited.code), ("output.allocate", 213));
    assert!(limited.only("output").2.contains("Quota exceeded"), "{}", limited.only("output").2);
    assert_eq!(output(script, ",min_free=100MiB,allocate=4MiB").only("output").1, "ok");
}

#[test]
fn a_million_entries_cost_milliseconds() {
    if !possible(&["/usr/bin/perl"]) {
        return;
    }
    let script =
        "mkdir -p data; mount -t tmpfs -o nr_inodes=2m none data; mkdir data/d; cd data/d; echo x > 0000000.tar
        perl -e 'for (1..1000000) { link(q(0000000.tar), sprintf(q(%07d.tar), $_)) or die $! }'; cd \"$D\"";
    let data = "$D/data/d $D/data/d:min_files=5000 $D/data/d:contains=none.tar+0500000.tar $D/data/d:contains=*.zip";
    let checked = Sandbox::new(script).with("TRAINIT_DATA", data).check();
    let told: Vec<_> = checked.findings.iter().filter(|finding| finding["family"] == "data").collect();
    let text = |at: usize, name: &str| told[at][name].as_str().unwrap_or_default().to_owned();
    assert!(text(0, "what").ends_with("≥ 1000 files") && text(1, "what").ends_with("≥ 5000 files"), "{told:#?}");
    assert!(text(2, "what").ends_with("does not contain none.tar"), "{}", text(2, "what"));
    assert_eq!((text(3, "status").as_str(), text(3, "check").as_str()), ("warn", "data.contains"));
    assert!(text(3, "what").contains("*.zip is not among the first 100000 entries"), "{}", text(3, "what"));
    // Milliseconds, a thousand times as slow on a busy machine; reading all of it takes seconds here.
    let took = |at: usize| told[at]["took_ms"].as_f64().unwrap();
    assert!(took(0) < 1000.0 && took(1) < 1000.0 && took(2) < 1000.0, "{} {} {}", took(0), took(1), took(2));
    println!("a directory of a million: {:.1} ms; a pattern that fits nothing: {:.1} ms", took(0), took(3));
}
