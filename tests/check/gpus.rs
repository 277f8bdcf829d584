//! GPUs through the binary: device nodes of their own, a driver's files over /proc/driver, libraries by name. Devices without a driver
//! behind them can be looked at, and be refused by a real control group; they cannot be opened.

use crate::sandbox::{Sandbox, possible};
use crate::support::group::Group;
use serde_json::Value;
use std::path::Path;

/// /dev with two GPUs and what belongs to them.
const NODES: &str = "mkdir -p dev; mount -t tmpfs none dev; mknod -m 666 dev/null c 1 3
    for N in 0 1; do mknod -m 666 dev/nvidia$N c 195 $N; done
    mknod -m 666 dev/nvidiactl c 195 255; mknod -m 666 dev/nvidia-uvm c 510 0";
/// The rest of the machine, and /dev in its place.
const MACHINE: &str = "mount -t tmpfs none /proc/driver; mkdir -p /proc/driver/nvidia/gpus
    echo \"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  $DRIVER  Release Build\" > /proc/driver/nvidia/version
    for N in 0 1; do
        mkdir /proc/driver/nvidia/gpus/0000:1$N:00.0
        printf 'Model: \\t\\t NVIDIA H200\\nGPU UUID: \\t GPU-%s\\nDevice Minor: \\t %s\\n' $N $N \\
            > /proc/driver/nvidia/gpus/0000:1$N:00.0/information
    done
    mount -t tmpfs none /usr/local; mkdir -p lib
    library() { truncate -s 28M $1/$2.so.$3; ln -s $2.so.$3 $1/$2.so.1; }
    for L in libcuda libnvidia-ml libnvidia-ptxjitcompiler; do library lib $L $DRIVER; done
    mount --move dev /dev";

fn machine(before: &str) -> Sandbox {
    let script = format!("DRIVER=${{DRIVER:-550.90.07}}\n{NODES}\n{before}\n{MACHINE}");
    Sandbox::new(&script)
        .with("TRAINIT_CHECKS", "host=off code=off user=off")
        .with("LD_LIBRARY_PATH", "$D/lib")
        .with("TRAINIT_GPU_PROBE", "presence")
}

#[test]
fn gpus_are_counted_by_their_nodes() {
    if !possible(&["/proc/driver"]) {
        return;
    }
    let asked = |count| machine("").with("TRAINIT_GPU_COUNT", count).check();
    assert_eq!(asked("2").only("gpu").2, "2 × NVIDIA H200, driver 550.90.07");
    let three = asked("3");
    assert_eq!((three.only("gpu").0, three.code), ("gpu.count", 110));
    assert!(three.only("gpu").2.starts_with("2 GPUs, 3 asked for by TRAINIT_GPU_COUNT"));
    assert_eq!(asked("none").code, 110);
}

#[test]
fn a_device_that_the_control_group_refuses_is_told() {
    if !possible(&["/sys/fs/cgroup/devices/cgroup.procs", "/proc/driver"]) {
        return;
    }
    let group = Group::below(Path::new("/sys/fs/cgroup/devices"), "gpus").unwrap();
    group.set("devices.deny", "c 195:* rwm").unwrap();
    let joins = format!("echo $$ > {}", group.members().display());
    let checked = machine("").with("TRAINIT_GPU_COUNT", "1").then(&joins).check();
    assert_eq!((checked.only("gpu").0, checked.code), ("gpu.access", 210));
    assert!(checked.only("gpu").2.contains("/dev/nvidia0 is refused by the container's device control group"));
}

#[test]
fn a_user_without_the_devices_group_is_told_which() {
    if !possible(&["/usr/bin/setpriv", "/proc/driver"]) {
        return;
    }
    let closed = machine("chmod 660 dev/nvidia1; chgrp 4242 dev/nvidia1").user(12345).with("HOME", "$D");
    let checked = closed.with("TRAINIT_GPU_COUNT", "2").check();
    assert_eq!((checked.only("gpu").0, checked.code), ("gpu.access", 110));
    let remedy = checked.remedies("gpu.access");
    assert_eq!(remedy, "docker run --group-add 4242 …", "{:?}", checked.only("gpu"));
}

#[test]
fn a_group_that_a_rootless_container_cannot_name_is_not_added() {
    if !possible(&["/usr/bin/setpriv", "/proc/driver"]) {
        return;
    }
    let closed = |engine: &str| {
        let closed = machine("chgrp 4242 dev/nvidia?; chmod 660 dev/nvidia?").user(12345).with("HOME", "$D");
        let checked = closed.under("unshare -U -r").with("TRAINIT_GPU_COUNT", "2").with("container", engine).check();
        assert_eq!((checked.only("gpu").0, checked.code), ("gpu.access", 110));
        let remedies = checked.remedies("gpu.access");
        assert!(!remedies.contains("65534"), "{remedies}");
        remedies
    };
    let (by_docker, by_podman) = (closed("docker"), closed("podman"));
    assert!(by_docker.starts_with("on the host: chmod 0666") && by_docker.contains("keep-groups"), "{by_docker}");
    assert!(by_podman.starts_with("podman run --group-add keep-groups"), "{by_podman}");
    let open = machine("").user(12345).under("unshare -U -r").with("TRAINIT_GPU_COUNT", "2").with("HOME", "$D").check();
    assert_eq!((open.only("gpu").1, open.code), ("ok", 0));
}

#[test]
fn root_without_its_capability_is_not_told_to_be_root() {
    if !possible(&["/usr/bin/setpriv", "/proc/driver"]) {
        return;
    }
    let weak = machine("chown 4242 dev/nvidia?; chmod 600 dev/nvidia?").with("TRAINIT_GPU_COUNT", "2");
    let checked = weak.under("setpriv --bounding-set -dac_override,-dac_read_search").check();
    let remedies = checked.remedies("gpu.access");
    assert!(remedies.starts_with("docker run --security-opt label=disable … | "), "{remedies}");
    assert!(remedies.contains("--cap-add DAC_OVERRIDE") && !remedies.contains("as root"), "{remedies}");
}

#[test]
fn a_user_that_trainit_switches_to_joins_the_group_of_the_gpus() {
    if !possible(&["/usr/bin/setpriv", "/proc/driver"]) {
        return;
    }
    // /etc is a mount of its own, so that the machine's account files stay as they are.
    let closed = machine("mount --bind /etc /etc; chgrp 4242 dev/nvidia*; chmod 660 dev/nvidia*");
    let closed = closed.with("TRAINIT_USER", "12345");
    let checked = closed.with("TRAINIT_GPU_COUNT", "2").check();
    assert_eq!((checked.only("gpu").1, checked.code), ("ok", 0));
}

#[test]
fn the_display_of_a_jetson_is_no_gpu_without_memory() {
    if !possible(&["/proc/driver"]) {
        return;
    }
    let jetson = "rm dev/nvidia1 dev/nvidia-uvm; mkdir dev/nvgpu; mknod -m 666 dev/nvmap c 10 61";
    let checked = machine(jetson).with("TRAINIT_GPU_COUNT", "1").check();
    assert_eq!(checked.only("gpu").2, "through Jetson (/dev/nvgpu), driver 550.90.07");
    assert_eq!(checked.code, 0);
}

#[test]
fn the_table_of_gpus_is_read_by_people_and_by_programs() {
    if !possible(&["/proc/driver"]) {
        return;
    }
    let gpus = machine("").with("CUDA_VERSION", "12.4.1").with("CUDA_VISIBLE_DEVICES", "1");
    let (output, _) = gpus.start("gpu");
    let text = String::from_utf8(output.stdout).unwrap().replace(&gpus.path("lib"), "LIB");
    let expected = "\
GPU  NAME         BUS           STATE
0    NVIDIA H200  0000:10:00.0  here
1    NVIDIA H200  0000:11:00.0  here

driver             550.90.07
image              for CUDA 12.4.1 (CUDA_VERSION)
libcuda.so.1       LIB/libcuda.so.550.90.07
libnvidia-ml.so.1  LIB/libnvidia-ml.so.550.90.07
shown to programs  1 (CUDA_VISIBLE_DEVICES=1)
";
    assert_eq!(text, expected);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("2 × NVIDIA H200, driver 550.90.07, 1 shown to CUDA"), "{told}");
    let json: Value = serde_json::from_slice(&gpus.again().start("gpu --json").0.stdout).unwrap();
    assert_eq!(json["gpus"]["devices"][1]["path"], "/dev/nvidia1");
    assert_eq!((&json["exit"], &json["gpus"]["shown"][0]), (&Value::from(0), &Value::from(1)));
}

/// What a workload gets as LD_LIBRARY_PATH on a machine with this driver, under an image for CUDA 12.8 with cuda-compat.
fn compat(driver: &str, choice: &str, words: &str) -> String {
    let image = "DIR=/usr/local/cuda/compat; mkdir -p $DIR; library $DIR libcuda 570.86.15";
    let sandbox = machine("").then(image).with("DRIVER", driver).with("TRAINIT_GPU_COMPAT", choice);
    let sandbox = sandbox.with("CUDA_VERSION", "12.8.1");
    let (output, _) = sandbox.start(words);
    let [out, told] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(
        told.contains("CUDA's forward compatibility"),
        words.starts_with("exec") && out.contains("compat"),
        "{told}"
    );
    out.trim().replace(&sandbox.path("lib"), "LIB")
}

#[test]
fn forward_compatibility_is_set_up_where_it_is_right() {
    if !possible(&["/proc/driver"]) {
        return;
    }
    const SAY: &str = "exec -- sh -c 'echo $LD_LIBRARY_PATH'";
    assert_eq!(compat("550.90.07", "auto", SAY), "/usr/local/cuda/compat:LIB");
    assert_eq!(compat("580.95.05", "auto", SAY), "LIB", "never older than the driver");
    assert_eq!(compat("550.90.07", "off", SAY), "LIB");
    let exported = compat("550.90.07", "auto", "env");
    assert!(exported.contains("export LD_LIBRARY_PATH='/usr/local/cuda/compat:LIB'"), "{exported}");
}

#[test]
fn a_start_without_gpus_pays_for_one_look() {
    if !possible(&["/usr/bin/strace"]) {
        return;
    }
    let calls = |gpu: &str| {
        let sandbox = Sandbox::new("").with("TRAINIT_CHECKS", &format!("code=off data=off gpu={gpu}"));
        let strace = "strace -f -o $D/calls ./trainit exec -- true";
        let sandbox = sandbox.then(&format!("{strace}; exec cat $D/calls"));
        // A call during which another process runs has a second line.
        let is_call = |line: &&str| !line.contains(" resumed>");
        let said = String::from_utf8_lossy(&sandbox.start("").0.stdout).into_owned();
        said.lines().filter(is_call).map(str::to_owned).collect::<Vec<_>>()
    };
    let (on, off) = (calls("warn"), calls("off"));
    assert!(off.len() > 50, "strace says nothing: {off:?}");
    let device =
        |line: &&String| line.contains("\"/dev/") && !line.contains("\"/dev/null\"") || line.contains("/proc/driver");
    let devices: Vec<_> = on.iter().filter(device).collect();
    assert!(devices.iter().all(|line| line.contains("shm") || line.contains("infiniband")), "{devices:?}");
    let more = on.len().saturating_sub(off.len());
    assert!(more <= 40, "{more} system calls more");
}
