//! What a path is, exactly: which mount, whose volume, which type, where its links lead.

use crate::sandbox::{Checked, Sandbox, possible};
use serde_json::Value;

fn data(script: &str, path: &str) -> Checked {
    Sandbox::new(script).with("TRAINIT_DATA", path).check()
}

fn facts(checked: &Checked) -> &Value {
    let finding = checked.findings.iter().find(|finding| finding["family"] == "data").unwrap();
    &finding["facts"]
}

#[test]
fn where_a_path_lies_is_told_by_the_id_of_its_mount() {
    if !possible(&[]) {
        return;
    }
    let script =
        "mkdir -p a own; mount -t tmpfs lower own; mount -t tmpfs upper own; mkdir own/sub; touch own/x own/sub/x
        echo x > source; touch file; mount --bind source file; ln -sfn own/sub link; mkdir image; touch image/x";
    let told = |path: &str| {
        let checked = data(script, &format!("{path}:mounted=no"));
        let facts = facts(&checked);
        format!("{} {} {} {}", facts["mounted"], facts["mount_root"], facts["hidden_mounts"], facts["source"])
    };
    assert_eq!(told("$D/own"), "true true 1 \"upper\"");
    assert_eq!(told("$D/own/sub"), "true false 1 \"upper\"");
    assert_eq!(told("$D/link"), "true false 1 \"upper\"");
    assert!(told("$D/file").starts_with("true true 0 "));
    assert!(told("$D/image").starts_with("false false "));
}

#[test]
fn volumes_of_engines_and_pods_are_called_by_their_names() {
    if !possible(&[]) {
        return;
    }
    let pods = "kubelet/pods/1/volumes/kubernetes.io~";
    let cases = [
        ("volumes/runs/_data", "volume runs"),
        (&format!("{pods}configmap/cfg"), "ConfigMap cfg"),
        (&format!("{pods}configmap/cfg/..2026/train"), "ConfigMap cfg, subPath"),
        (&format!("{pods}empty-dir/tmp"), "emptyDir tmp"),
        (&format!("{pods}csi/pvc-1/mount"), "volume pvc-1"),
    ];
    for (root, name) in cases {
        let checked = data(&format!("mkdir -p {root} data; touch {root}/x; mount --bind {root} data"), "$D/data:rw");
        let (_, status, what) = checked.only("data");
        assert!(status == "ok" && what.contains(&format!(" ({name}), writable, 1 file")), "{what}");
        assert_eq!(facts(&checked)["volume"], name);
    }
}

#[test]
fn why_there_is_nothing_is_told_by_what_is_mounted() {
    if !possible(&[]) {
        return;
    }
    let pods = "kubelet/pods/1/volumes/kubernetes.io~";
    let cases = [
        ("srv/dtaa", "for a misspelled source the engine makes an empty directory: the source ends in "),
        ("volumes/rusn/_data", "for a misspelled name the engine makes a new volume; this one is called rusn"),
        (&format!("{pods}empty-dir/data"), "data is an emptyDir, which begins empty with each pod"),
        (&format!("{pods}csi/pvc-1/mount/dtaa"), "the volume pvc-1 holds nothing there"),
    ];
    for (root, because) in cases {
        let checked = data(&format!("mkdir -p {root} data; mount --bind {root} data"), "$D/data");
        let (check, _, what) = checked.only("data");
        assert!(check == "data.empty" && what.contains(because), "{what}");
        assert_eq!(what.contains("/srv/dtaa, made "), root == "srv/dtaa", "{what}");
    }
}

#[test]
fn an_empty_dir_ends_with_its_pod() {
    if !possible(&[]) {
        return;
    }
    let root = "pods/1/volumes/kubernetes.io~empty-dir/out";
    let script = format!("mkdir -p {root} out; mount --bind {root} out");
    let checked = Sandbox::new(&script).with("TRAINIT_OUTPUT", "$D/out").check();
    let (check, status, what) = checked.only("output");
    assert_eq!((check, status), ("output.mounted", "warn"));
    assert!(what.contains("is an emptyDir, which ends with the pod"), "{what}");
}

#[test]
fn data_that_a_mistake_could_delete_is_a_warning_unless_it_is_meant() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p real data; touch real/x; mount --bind real data";
    let warned = data(script, "$D/data");
    assert_eq!((warned.only("data").0, warned.only("data").1, warned.code), ("data.access", "warn", 0));
    assert!(warned.remedy("data").contains("data:ro …"), "{}", warned.remedy("data"));
    assert_eq!(data(script, "$D/data:rw").only("data").1, "ok");
    let asked =
        Sandbox::new(script).with("TRAINIT_DATA", "$D/data").with("TRAINIT_CHECKS", "code=off data.access=fail");
    assert_eq!(asked.check().code, 111);
    // By its options alone: nothing was written, and the files are what they were.
    assert_eq!(data(&format!("{script}; mount -o remount,bind,ro data"), "$D/data").only("data").1, "ok");
}

#[test]
fn a_file_and_a_directory_are_not_taken_for_each_other() {
    if !possible(&[]) {
        return;
    }
    let directory = "mkdir -p made train.json; mount --bind made train.json";
    let checked = data(directory, "$D/train.json:type=file");
    assert_eq!((checked.only("data").0, checked.code), ("data.type", 111));
    assert!(checked.only("data").2.contains("the engine makes a directory"), "{}", checked.only("data").2);
    assert!(data(directory, "$D/train.json").only("data").2.contains("for a missing file the engine makes"));
    let file = "echo x > source; touch data; mount --bind source data";
    assert_eq!(data(file, "$D/data:type=dir").only("data").0, "data.type");
    assert_eq!(data(file, "$D/data:contains=train").only("data").0, "data.type");
    assert_eq!(data(file, "$D/data:type=file,rw").only("data").1, "ok");
}

#[test]
fn links_that_lead_nowhere_or_into_the_image_are_told() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p data; mount -t tmpfs none data; mkdir data/real; touch data/real/x; ln -s real data/well
        ln -s /home/me/train data/train; ln -s /usr data/usr; ln -s ..data/x data/key; mkdir data/..data; touch data/..data/x";
    let checked = data(script, "$D/data");
    let (check, status, what) = checked.only("data");
    assert_eq!((check, status, checked.code), ("data.links", "warn", 0));
    assert!(what.contains("/data/train is a link to /home/me/train, which is not there"), "{what}");
    assert!(what.contains("/data/usr leads out of the mount: to /usr of the image"), "{what}");
    assert!(!what.contains("well") && !what.contains("key"), "{what}");
    let missing = data(script, "$D/data:contains=train/");
    assert!(missing.only("data").2.contains("does not contain train/ (a link to /home/me/train)"));
}

#[test]
fn what_was_deleted_on_the_host_is_told() {
    if !possible(&[]) {
        return;
    }
    let script = "mkdir -p real place; mount --bind real place; rmdir real";
    let read = data(script, "$D/place");
    assert!(read.only("data").2.contains("what is mounted there was deleted on the host"), "{}", read.only("data").2);
    let written = Sandbox::new(script).with("TRAINIT_OUTPUT", "$D/place").check();
    assert_eq!(written.only("output").0, "output.writable");
    assert!(written.only("output").2.contains("what is mounted there was deleted"), "{}", written.only("output").2);
}
