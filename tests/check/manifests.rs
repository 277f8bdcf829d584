//! Data sets and their manifests, as sha256sum made them.

use crate::sandbox::{Checked, Sandbox, possible};
use crate::support::fuse::{Act, Disk, op};
use std::time::Duration;

/// Forty files, and a manifest of them.
const DATA: &str = "mkdir -p data; mount -t tmpfs none data; cd data; for n in $(seq 40); do echo $n > file-$n; done
    sha256sum file-* > SHA256SUMS; find . -name 'file-*' -printf '- %s  %P\\n' > SIZES; cd \"$D\"";

fn checked(change: &str, options: &str) -> Checked {
    Sandbox::new(&format!("{DATA}; {change}")).with("TRAINIT_DATA", &format!("$D/data:{options}")).check()
}

#[test]
fn a_data_set_is_held_against_its_manifest() {
    if !possible(&["/usr/bin/sha256sum"]) {
        return;
    }
    let well = |options: &str, words: &str| {
        let checked = checked("", options);
        assert!(
            checked.only("data").1 == "ok" && checked.only("data").2.ends_with(words),
            "{}",
            checked.only("data").2
        );
    };
    well("manifest=SHA256SUMS", "16 files of the manifest checked");
    well("manifest=SHA256SUMS,verify=full", "all 40 files of the manifest checked");
    well("manifest=SIZES,verify=full", "all 40 files of the manifest checked (0 of them by content)");
}

#[test]
fn what_differs_from_the_manifest_is_named() {
    if !possible(&["/usr/bin/sha256sum"]) {
        return;
    }
    let wrong = |change: &str, options: &str, words: &str| {
        let checked = checked(change, options);
        let (check, _, what) = checked.only("data");
        assert!(check == "data.manifest" && checked.code == 111 && what.contains(words), "{check}: {what}");
    };
    wrong(
        "echo 9 > data/file-7",
        "manifest=SHA256SUMS,verify=full",
        "file-7 has another content than the manifest says",
    );
    wrong("echo 123 > data/file-7", "manifest=SIZES,verify=full", "file-7 has 4 bytes, the manifest says 2");
    wrong("rm data/file-*", "manifest=SHA256SUMS", "is not there; ");
    wrong("rm data/file-*", "manifest=SHA256SUMS,verify=5", "and 2 more");
    wrong("echo what > data/SIZES", "manifest=SIZES", "`what` is no line of a manifest: lines are `SHA256  NAME`");
    wrong("printf '%s\\n' '- 1  ../x' > data/SIZES", "manifest=SIZES", "names are below the directory");
    wrong("true", "manifest=MISSING", "MISSING does not exist");
}

#[test]
fn a_full_look_may_take_longer_than_the_deadline_while_it_goes_on() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let name = |n: usize| format!("file-{n}");
    let lines: String = (0..12).map(|n| format!("- 3  {}\n", name(n))).collect();
    let mut files: Vec<_> = (0..12).map(|n| (name(n), vec![0; 3])).collect();
    files.push(("SIZES".to_owned(), lines.into_bytes()));
    // Every look takes 0.6 s: together more than the deadline of 5 s.
    let manner = |code| if code == op::LOOKUP { Act::Late(Duration::from_millis(600)) } else { Act::Answer };
    let sandbox = Sandbox::new("").serves("far", "fuse.slow", Disk { files, manner, appends: true });
    let checked = sandbox.with("TRAINIT_DATA", "$D/far:rw,manifest=SIZES,verify=full,timeout=5s").check();
    assert_eq!((checked.only("data").0, checked.only("data").1), ("data.readable", "ok"), "{}", checked.only("data").2);
    assert!(checked.took > Duration::from_secs(5), "{:?}", checked.took);
}
