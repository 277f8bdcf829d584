//! Clusters that forbid one way or another to execute the helper: how a whole start finds another, and what it says where there is none.

use super::fakes::{Fakes, fakes};
use super::skip;
use super::starts::{CHECK, Machine, reported, told};
use serde_json::Value;

/// Since Linux 6.3 each pid namespace has its own.
const NO_MEMORY: &str = "echo 2 >/proc/sys/vm/memfd_noexec";
/// Nothing can be executed where files without a name are tried. What lies there already, and is needed, is bound elsewhere before.
const NO_FILES: &str = r#"
mount -t tmpfs none /usr/local
mkdir /usr/local/fakes /usr/local/bin
mount --bind "$LD_LIBRARY_PATH" /usr/local/fakes
export LD_LIBRARY_PATH=/usr/local/fakes
cp "$TRAINIT" /usr/local/trainit; TRAINIT=/usr/local/trainit
mkdir "$D/shm"; mount --rbind "$D" /dev
for place in /run /dev/shm /tmp /var/tmp; do mount -t tmpfs -o noexec none "$place"; done
"#;

fn is_there() -> bool {
    let there = std::path::Path::new("/proc/sys/vm/memfd_noexec").exists();
    if !there {
        skip("this kernel's memory files can always be executed (vm.memfd_noexec came with Linux 6.3)");
    }
    there
}

/// The report where this is done to the machine.
fn asked(fakes: &Fakes, before: &str, after: &str, helper: &str) -> Option<(i32, Value)> {
    let variables = [("BEFORE", before), ("AFTER", after), ("TRAINIT_GPU_HELPER", helper)];
    reported(&Machine::new(fakes, &CHECK, &variables).with_own_pids())
}

fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check).unwrap_or(&Value::Null)
}

#[test]
fn where_the_kernel_forbids_to_execute_memory_a_file_without_a_name_is_executed() {
    let Some(fakes) = fakes().filter(|_| is_there()) else { return };
    let Some((code, report)) = asked(fakes, NO_MEMORY, "", "auto") else { return };
    assert_eq!((code, &told(&report)["way"]), (0, &"unnamed".into()), "{report:#}");
    assert_eq!(told(&report)["cuda"]["count"], 2);
    let Some((code, report)) = asked(fakes, NO_MEMORY, "", "memfd") else { return };
    let warning = finding(&report, "gpu.asked");
    assert_eq!((code, &warning["status"]), (0, &"warn".into()), "{report:#}");
    let because = warning["because"].as_str().unwrap();
    assert!(because.contains("Permission denied") && because.contains("vm.memfd_noexec"), "{because}");
    assert!(warning["remedy"][0].as_str().unwrap().contains("install-probe"), "{warning:#}");
}

#[test]
fn the_installed_helper_is_executed_where_nothing_else_may_be() {
    let Some(fakes) = fakes().filter(|_| is_there()) else { return };
    let installs = format!("{NO_MEMORY}\n{NO_FILES}\n\"$TRAINIT\" gpu install-probe >/dev/null");
    for helper in ["auto", "file"] {
        let Some((code, report)) = asked(fakes, "", &installs, helper) else { return };
        assert_eq!((code, &told(&report)["way"]), (0, &"file".into()), "{helper}: {report:#}");
        assert_eq!((&told(&report)["cuda"]["count"], &told(&report)["nvml"]["count"]), (&2.into(), &2.into()));
    }
}

#[test]
fn nvidia_smi_is_asked_where_no_helper_may_be_executed_and_without_it_that_is_told() {
    let Some(fakes) = fakes().filter(|_| is_there()) else { return };
    let nothing = format!("{NO_MEMORY}\n{NO_FILES}\nPATH=/usr/local/bin:$PATH");
    let answer = "570.172.08, 0, GPU-0, 00000000:1B:00.0, NVIDIA H200, 143771, 600, Default, Enabled, Enabled, 0, 0, Disabled, 9.0, 16, 16";
    let smi = format!(
        "{nothing}\nprintf '#!/bin/sh\\necho \"{answer}\"\\n' >/usr/local/bin/nvidia-smi\nchmod 755 /usr/local/bin/nvidia-smi"
    );
    let Some((code, report)) = asked(fakes, "", &smi, "auto") else { return };
    assert_eq!((code, &told(&report)["way"]), (0, &"smi".into()), "{report:#}");
    assert_eq!(
        (&told(&report)["nvml"]["driver"], &told(&report)["cuda"]["count"]),
        (&"570.172.08".into(), &Value::Null)
    );
    let Some((_, report)) = asked(fakes, "", &nothing, "auto") else { return };
    let warning = finding(&report, "gpu.asked");
    assert!(warning["because"].as_str().is_some_and(|because| because.contains("noexec")), "{report:#}");
}

#[test]
fn a_file_is_used_only_if_it_is_this_trainits_own() {
    let Some(fakes) = fakes() else { return };
    const INSTALL: &str = r#"
mount -t tmpfs none /usr/local
"$TRAINIT" gpu install-probe >/dev/null
"#;
    let Some((code, report)) = asked(fakes, INSTALL, "", "file") else { return };
    assert_eq!((code, &told(&report)["way"]), (0, &"file".into()), "{report:#}");
    let changed = format!("{INSTALL}\nprintf x >>/usr/local/libexec/trainit/gpu-helper");
    let Some((_, report)) = asked(fakes, &changed, "", "file") else { return };
    let because = finding(&report, "gpu.asked")["because"].as_str().unwrap().to_owned();
    assert!(because.contains("of another version"), "{because}");
    let Some((_, report)) = asked(fakes, &changed, "", "auto") else { return };
    assert_eq!(told(&report)["way"], "memory", "auto goes on to the next way");
    let Some((_, report)) = asked(fakes, "mount -t tmpfs none /usr/local", "", "file") else { return };
    let warning = finding(&report, "gpu.asked");
    assert!(warning["because"].as_str().unwrap().contains("not installed"), "{warning:#}");
}
