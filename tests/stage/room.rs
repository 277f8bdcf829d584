//! Places that are too small: told before the first byte, or made larger by what nobody uses. Each in a mount namespace of its own.

use crate::bucket::Bucket;
use crate::site::{Site, text};
use crate::support::fault_proxy::Fault;
use crate::support::{TRAINIT, skip};
use std::process::{Command, Output};

/// Runs a script in a mount namespace, with trainit as `$T` and a directory as `$D`; `None` where that cannot be.
fn alone(mut command: Command, directory: &std::path::Path, script: &str) -> Option<Output> {
    command.args(["--mount", "sh", "-c", script]).env("T", TRAINIT).env("D", directory);
    let output = command.output().unwrap();
    if output.status.code() == Some(99) || text(&output).contains("unshare failed") {
        skip("no mount namespace can be made here");
        return None;
    }
    Some(output)
}

fn of(site: &Site) -> Command {
    let mut command = Command::new("unshare");
    command.env("TRAINIT_DATA", site.wanted()).env("TRAINIT_GPU_COUNT", "none").current_dir("/");
    command
}

#[test]
fn case_8_a_place_that_is_too_small_is_told_before_the_first_byte() {
    let Some(bucket) = Bucket::behind(|_| Fault::Pass) else { return };
    (0..30).for_each(|n| bucket.put(&format!("set/{n}"), &"x".repeat(100_000)));
    std::fs::create_dir(bucket.data()).unwrap();
    for (options, words) in [
        ("size=1m", ["needs 2.8 MiB, ", " KiB free"]),
        ("size=4m", ["is memory, which counts to the container's limit", "at most half of it is taken"]),
        ("size=64m,nr_inodes=20", ["needs 30 inodes, ", "free"]),
    ] {
        let script = format!("mount -t tmpfs -o {options} none \"$D\" || exit 99; \"$T\" stage");
        let Some(output) = alone(bucket.environment("unshare", "s3://bucket/set/"), &bucket.data(), &script) else {
            return;
        };
        let said = text(&output);
        assert!(
            output.status.code() == Some(111) && words.iter().all(|words| said.contains(words)),
            "{options}: {said}"
        );
    }
    assert_eq!(bucket.gets("set/"), 0);
}

#[test]
fn what_nobody_used_for_long_makes_room_and_what_is_in_use_stays() {
    let site = Site::new();
    let store = site.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let small = site.path().join("small");
    std::fs::create_dir(&small).unwrap();
    (0..30).for_each(|n| std::fs::write(small.join(n.to_string()), "x").unwrap());
    let set_up = "mount -t tmpfs -o size=130m,nr_inodes=64 none \"$D\" || exit 99; cd \"${D%/store}\"; set -e\n\
                  export TRAINIT_STAGE_STORE=\"$D\"\n\
                  other() { TRAINIT_DATA=\"$PWD/$1:only=$2,from=$PWD/source\" \"$T\" stage; }\n\
                  small() { TRAINIT_DATA=\"$PWD/$1:from=$PWD/small\" \"$T\" stage; }\n\
                  old() { touch -d '2 hours ago' \"$D\"/*.used \"$D\"/*.json; rm -f \"$D\"/*.failed; }\n";
    let bytes = "\"$T\" stage; other b big && exit 3; old; other b big; cat b/big | wc -c; ! test -e data/big";
    let inodes = "small c; \"$T\" stage && exit 4; old; \"$T\" stage; test -e data/train/3; ! test -e c/3";
    for (script, words) in [(bytes, "52428800"), (inodes, "removed from stage.store: ")] {
        let Some(output) = alone(of(&site), &store, &format!("{set_up}{script}")) else { return };
        let said = text(&output);
        assert!(output.status.success() && said.contains(words), "{script}: {said}");
        assert!(said.contains("removed from stage.store: ") && said.contains("unused for 2 h"), "{said}");
    }
}

#[test]
fn a_disk_that_others_fill_meanwhile_is_told_and_the_next_start_goes_on() {
    let site = Site::new();
    std::fs::create_dir(site.data()).unwrap();
    let script = "mount -t tmpfs -o size=120m none \"$D\" || exit 99; cd \"$D\"\n\
                  export TRAINIT_STAGE_LIMIT=16MiB\n\
                  \"$T\" stage & while ! test -s .trainit-stage.part-*/journal; do sleep 0.05; done\n\
                  head -c 200m /dev/zero >.trainit-test 2>/dev/null; wait $!; echo \"code $?\"\n\
                  rm .trainit-test; unset TRAINIT_STAGE_LIMIT; \"$T\" stage && cmp \"${D%/data}/source/big\" big";
    let Some(output) = alone(of(&site), &site.data(), script) else { return };
    let said = text(&output);
    assert!(output.status.success() && said.contains("No space left on device"), "{said}");
    assert!(said.contains("code 111") || said.contains("code 211"), "{said}");
}
