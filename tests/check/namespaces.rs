//! Is this a container? In namespaces without any engine's mark: over the machine's own root, and over a root of their own.

use serde_json::Value;
use std::process::{Command, Stdio};

/// A machine's root is entered as it is; a directory of its file systems becomes another one, as bubblewrap makes it.
const OWN_ROOT: &str =
    "mkdir root; mount -t tmpfs none root; mkdir root/part; mount --bind root/part root/part; cd root/part
    mkdir proc old usr etc bin lib lib64 data; touch data/a trainit
    for name in usr bin lib lib64 etc; do mount --rbind /$name $name; done; mount --bind \"$TRAINIT\" trainit
    pivot_root . old; mount -t proc proc /proc; umount -l /old; exec /trainit check --json";

const MACHINE: &str = "mkdir data; touch data/a; exec \"$TRAINIT\" check --json";

/// The report of a check in a namespace of processes; `None`, with a reason, where none can be made.
fn checked(script: &str, more: &[(&str, &str)]) -> Option<Value> {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "-p", "-f", "--mount-proc", "sh", "-ec", script]).current_dir(directory.path());
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).stdin(Stdio::null());
    command.env("TRAINIT", env!("CARGO_BIN_EXE_trainit")).env("TRAINIT_DEPS_REQUIREMENTS", "off");
    command.env("TRAINIT_CHECKS", "gpu=off host=off code=off user=off").envs(more.iter().copied());
    let output = command.output().ok()?;
    let report = serde_json::from_slice(&output.stdout).ok();
    if report.is_none() {
        println!("SKIPPED: no such namespace here: {}", String::from_utf8_lossy(&output.stderr));
    }
    report
}

#[test]
fn over_the_machines_own_root_it_is_a_machine_and_a_note_says_what_is_not_asked() {
    let data = ("TRAINIT_DATA", "data");
    let Some(report) = checked(MACHINE, &[data]) else { return };
    let notes = report["notes"].to_string();
    assert_eq!((&report["place"], &report["exit"]), (&"host".into(), &0.into()), "{report}");
    assert!(notes.contains("data.mounted, data.access are not asked (container=yes asks them)"), "{notes}");
    let Some(told) = checked(MACHINE, &[data, ("container", "yes")]) else { return };
    assert_eq!((&told["place"], &told["exit"]), (&"container".into(), &111.into()), "{told}");
    let Some(nothing) = checked(MACHINE, &[]) else { return };
    assert!(!nothing["notes"].to_string().contains("namespace"), "{nothing}");
}

#[test]
fn over_a_root_of_its_own_it_is_a_container_without_any_mark() {
    let Some(report) = checked(OWN_ROOT, &[("TRAINIT_DATA", "/data")]) else { return };
    let notes = report["notes"].to_string();
    assert_eq!((&report["place"], &report["exit"]), (&"container".into(), &111.into()), "{report}");
    assert!(!notes.contains("namespace"), "{notes}");
}
