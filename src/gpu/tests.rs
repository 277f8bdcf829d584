use super::*;
use crate::environment::Environment;
use proptest::prelude::*;

/// A root directory with these files.
fn laid_out(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    for (path, text) in files {
        std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
        std::fs::write(root.path(path), text).unwrap();
    }
    (directory, root)
}

const H200: &str = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\nGPU UUID: \t GPU-1\nDevice Minor: \t ";

#[test]
fn nodes_are_counted_in_the_order_of_their_numbers() {
    let second = format!("{H200}10\n");
    let (_directory, root) = laid_out(&[
        ("/dev/nvidia10", ""),
        ("/dev/nvidia2", ""),
        ("/dev/nvidiactl", ""),
        ("/dev/nvidia-uvm", ""),
        ("/proc/driver/nvidia/gpus/0000:01:00.0/information", &second),
        (
            "/proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.172.08  Tue Jul\nGCC version:",
        ),
    ]);
    let presence = look(&root);
    let nodes: Vec<_> = presence.nodes.iter().map(|node| (node.path.as_str(), node.model.as_deref())).collect();
    assert_eq!(nodes, [("/dev/nvidia2", None), ("/dev/nvidia10", Some("NVIDIA H200"))]);
    assert_eq!(presence.driver.unwrap().version.unwrap(), "570.172.08");
    assert!(presence.nodes.iter().all(|node| node.refused.is_none()) && !presence.sliced);
}

#[test]
fn both_drivers_tell_their_version() {
    let open = b"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  595.45.04  Release Build";
    assert_eq!(parse_version(open).unwrap(), "595.45.04");
    assert_eq!(parse_version(b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57 x").unwrap(), "470.57");
    assert_eq!(parse_version(b"GCC version: 12.2.0\n"), None);
}

#[test]
fn the_hosts_gpus_are_seen_through_pci() {
    let (_directory, root) = laid_out(&[
        ("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
        ("/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n"),
        ("/sys/bus/pci/devices/0000:02:00.0/vendor", "0x10de\n"),
        ("/sys/bus/pci/devices/0000:02:00.0/class", "0x068000\n"), // an NVSwitch
        ("/sys/bus/pci/devices/0000:03:00.0/vendor", "0x8086\n"),
        ("/sys/bus/pci/devices/0000:03:00.0/class", "0x030000\n"),
    ]);
    assert_eq!(host_count(&root), Some(1));
    assert_eq!(host_count(&Root::at("/no/such/root")), None);
}

#[test]
fn amds_render_nodes_follow_the_topology() {
    let (_directory, root) = laid_out(&[
        ("/dev/kfd", ""),
        ("/dev/dri/renderD128", ""),
        ("/dev/dri/renderD129", ""),
        ("/sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\nsimd_count 0\ndrm_render_minor 0\n"),
        ("/sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 1216\ndrm_render_minor 129\n"),
        ("/sys/class/kfd/kfd/topology/nodes/2/properties", "simd_count 1216\ndrm_render_minor 130\n"),
    ]);
    let presence = look(&root);
    assert_eq!(presence.nodes.iter().map(|node| node.path.as_str()).collect::<Vec<_>>(), ["/dev/dri/renderD129"]);
}

#[test]
fn what_cannot_be_counted_is_named() {
    let (_directory, root) = laid_out(&[("/dev/dxg", "")]);
    assert_eq!(look(&root).uncounted, Some("WSL2 (/dev/dxg)"));
    assert_eq!(look(&Root::at("/no/such/root")), Presence::default());
}

#[test]
fn mig_instances_are_noticed() {
    let (_directory, root) =
        laid_out(&[("/proc/driver/nvidia/capabilities/gpu0/mig/gi7/access", "DeviceFileMinor: 12\n")]);
    assert!(look(&root).sliced);
}

fn promised(variables: &[(&str, &str)]) -> Option<(&'static str, Promised)> {
    let environment: Environment = variables.iter().copied().collect();
    Promise::of(&environment).map(|promise| (promise.variable, promise.promised))
}

#[test]
fn schedulers_and_explicit_lists_promise() {
    assert_eq!(promised(&[("RUNAI_NUM_OF_GPUS", "2")]), Some(("RUNAI_NUM_OF_GPUS", Promised::Exactly(2))));
    assert_eq!(promised(&[("RUNAI_NUM_OF_GPUS", "0.5")]), Some(("RUNAI_NUM_OF_GPUS", Promised::Some)));
    assert_eq!(promised(&[("SM_NUM_GPUS", "0"), ("NVIDIA_VISIBLE_DEVICES", "all")]), Some((VISIBLE, Promised::Wish)));
    assert_eq!(promised(&[(VISIBLE, "0,3")]), Some((VISIBLE, Promised::Exactly(2))));
    assert_eq!(promised(&[(VISIBLE, "GPU-a,GPU-b,GPU-c")]), Some((VISIBLE, Promised::Exactly(3))));
    assert_eq!(promised(&[(VISIBLE, "nvidia.com/gpu=all")]), Some((VISIBLE, Promised::Wish)));
    assert_eq!(promised(&[(VISIBLE, "MIG-1,MIG-2")]), Some((VISIBLE, Promised::Some)));
    for nothing in ["", "none", "void"] {
        assert_eq!(promised(&[(VISIBLE, nothing)]), None);
    }
}

const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

#[test]
fn cuda_shows_what_its_list_says() {
    let shown = |value: Option<&str>, count| {
        let environment: Environment = value.map(|value| ("CUDA_VISIBLE_DEVICES", value)).into_iter().collect();
        visible_to_cuda(&environment, count)
    };
    assert_eq!([shown(None, 4), shown(Some(""), 4), shown(Some("-1"), 4), shown(Some("NoDevFiles"), 4)], [4, 0, 0, 0]);
    assert_eq!([shown(Some("0, 2"), 4), shown(Some("0,9,1"), 4), shown(Some("GPU-a,GPU-b"), 4)], [2, 1, 2]);
}

proptest! {
    #[test]
    fn any_text_is_taken(text in proptest::collection::vec(any::<u8>(), 0..200), line in ".{0,40}") {
        parse_version(&text);
        promised(&[("RUNAI_NUM_OF_GPUS", &line)]);
        promised(&[(VISIBLE, &line)]);
    }
}
