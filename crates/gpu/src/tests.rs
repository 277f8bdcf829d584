use super::*;
use proptest::prelude::*;
use sys::environment::Environment;

/// Makes a root directory with these files.
pub(crate) fn laid_out(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    for (path, text) in files {
        std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
        std::fs::write(root.path(path), text).unwrap();
    }
    (directory, root)
}

/// Returns the GPUs that this root shows.
fn seen(root: &Root) -> GpuPresence {
    let devices = names(root, "/dev");
    let presence = look(root, &devices);
    assert_eq!(count(root, &devices), presence.nodes.len(), "the count is that of the nodes");
    assert_eq!(has_nvidia(&devices), presence.nvidia().next().is_some());
    presence
}

const H200: &str = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\nGPU UUID: \t GPU-1\nDevice Minor: \t ";

#[test]
fn nodes_are_counted_in_the_order_of_their_numbers() {
    let second = format!("{H200}10\n");
    let (_directory, root) = laid_out(&[
        ("/dev/nvidia10", ""),
        ("/dev/nvidia2", ""),
        ("/dev/nvidiactl", ""),
        ("/proc/driver/nvidia/gpus/0000:1B:00.0/information", &second),
        (
            "/proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.172.08  Tue Jul\nGCC version:",
        ),
    ]);
    let presence = seen(&root);
    let nodes: Vec<_> = presence.nodes.iter().map(|node| (node.path.as_str(), node.model.as_deref())).collect();
    assert_eq!(nodes, [("/dev/nvidia2", None), ("/dev/nvidia10", Some("NVIDIA H200"))]);
    let last = presence.nodes.last().unwrap();
    assert_eq!((last.uuid.as_deref(), last.bus.as_deref()), (Some("GPU-1"), Some("0000:1b:00.0")));
    assert_eq!(presence.driver.as_ref().unwrap().version.as_ref().unwrap().to_string(), "570.172.08");
    assert!(presence.nodes.iter().all(|node| node.refused.is_none()) && !presence.is_sliced());
    assert_eq!(presence.controls.iter().map(Control::is_missing).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn both_drivers_tell_their_version() {
    let told = |text: &[u8]| parse_version(text).map(|version| version.to_string());
    let open = b"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  595.45.04  Release Build";
    assert_eq!(told(open).unwrap(), "595.45.04");
    assert_eq!(told(b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57 x").unwrap(), "470.57");
    assert_eq!(told(b"GCC version: 12.2.0\n"), None);
}

#[test]
fn a_sandbox_has_devices_and_no_version() {
    let (_directory, root) = laid_out(&[("/dev/nvidia0", ""), ("/proc/driver/nvidia/params", "")]);
    assert_eq!(seen(&root).driver, Some(Driver { version: None }));
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
    assert_eq!(pci::of_the_host(&root), Some((Vendor::Nvidia, 1)));
    assert_eq!(pci::of_the_host(&Root::at("/no/such/root")), None);
    let (_directory, root) = laid_out(&[
        ("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x1002\n"),
        ("/sys/bus/pci/devices/0000:01:00.0/class", "0x120000\n"),
    ]);
    assert_eq!(pci::of_the_host(&root), Some((Vendor::Amd, 1)));
}

#[test]
fn amds_render_nodes_follow_the_topology_which_tells_their_memory() {
    let gpu = "simd_count 1216\ndrm_render_minor 129\ngfx_target_version 90402\n";
    let (_directory, root) = laid_out(&[
        ("/dev/kfd", ""),
        ("/dev/dri/renderD128", ""),
        ("/dev/dri/renderD129", ""),
        ("/sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\nsimd_count 0\ndrm_render_minor 0\n"),
        ("/sys/class/kfd/kfd/topology/nodes/1/properties", gpu),
        ("/sys/class/kfd/kfd/topology/nodes/1/mem_banks/0/properties", "heap_type 1\nsize_in_bytes 206141652992\n"),
        ("/sys/class/kfd/kfd/topology/nodes/1/mem_banks/1/properties", "heap_type 0\nsize_in_bytes 1\n"),
        ("/sys/class/kfd/kfd/topology/nodes/2/properties", "simd_count 1216\ndrm_render_minor 130\n"),
    ]);
    let nodes = seen(&root).nodes;
    assert_eq!(nodes.iter().map(|node| node.path.as_str()).collect::<Vec<_>>(), ["/dev/dri/renderD129"]);
    assert_eq!((nodes[0].model.as_deref(), nodes[0].memory), (Some("AMD GPU (gfx942)"), Some(206_141_652_992)));
}

#[test]
fn amds_render_nodes_without_kfd_are_noticed() {
    let (_directory, root) = laid_out(&[
        ("/dev/dri/renderD128", ""),
        ("/dev/dri/renderD129", ""),
        ("/sys/class/drm/renderD128/device/vendor", "0x1002\n"),
        ("/sys/class/drm/renderD129/device/vendor", "0x10de\n"),
    ]);
    assert_eq!((seen(&root).without_kfd, seen(&root).nodes.len()), (1, 0));
}

#[test]
fn intels_cards_count_and_graphics_of_processors_do_not() {
    let (_directory, root) = laid_out(&[
        ("/dev/dri/renderD128", ""),
        ("/dev/dri/renderD129", ""),
        ("/sys/class/drm/renderD128/device/vendor", "0x8086\n"),
        ("/sys/class/drm/renderD128/device/class", "0x030000\n"),
        ("/sys/class/drm/renderD128/device/uevent", "DRIVER=i915\nPCI_SLOT_NAME=0000:00:02.0\n"),
        ("/sys/class/drm/renderD129/device/vendor", "0x8086\n"),
        ("/sys/class/drm/renderD129/device/class", "0x038000\n"),
        ("/sys/class/drm/renderD129/device/uevent", "PCI_SLOT_NAME=0000:4d:00.0\n"),
        ("/sys/class/drm/renderD129/device/drm/card1/lmem_total_bytes", "17179869184\n"),
    ]);
    let nodes = seen(&root).nodes;
    assert_eq!(
        nodes.iter().map(|node| (node.vendor, node.memory)).collect::<Vec<_>>(),
        [(Vendor::Intel, Some(16 << 30))]
    );
}

#[test]
fn accelerators_are_counted_and_gaudi_tells_its_state() {
    let (_directory, root) = laid_out(&[
        ("/dev/accel/accel0", ""),
        ("/dev/accel/accel_controlD0", ""),
        ("/dev/accel/accel1", ""),
        ("/sys/class/accel/accel0/device/status", "Operational\n"),
        ("/sys/class/accel/accel1/device/status", "In reset\n"),
    ]);
    let nodes = seen(&root).nodes;
    assert_eq!(nodes.iter().map(|node| node.ill.as_deref()).collect::<Vec<_>>(), [None, Some("In reset")]);
    let (_directory, root) = laid_out(&[("/dev/neuron0", ""), ("/dev/neuron1", "")]);
    assert_eq!(seen(&root).nodes.len(), 2);
    let chip = [("/dev/vfio/vfio", ""), ("/dev/vfio/0", ""), ("/sys/bus/pci/devices/0000:00:05.0/vendor", "0x1ae0\n")];
    let model = ("/sys/bus/pci/devices/0000:00:05.0/device", "0x0063\n");
    let (_directory, root) = laid_out(&[chip[0], chip[1], chip[2], model]);
    assert_eq!(seen(&root).nodes.iter().map(|node| node.vendor).collect::<Vec<_>>(), [Vendor::Tpu]);
    let (_directory, root) = laid_out(&chip);
    assert_eq!(seen(&root).nodes, [], "a virtual machine's other devices come through VFIO, too");
}

#[test]
fn what_cannot_be_counted_is_named() {
    let (_directory, root) = laid_out(&[("/dev/dxg", "")]);
    assert_eq!(seen(&root).uncounted, Some("WSL2 (/dev/dxg)"));
    assert_eq!(seen(&Root::at("/no/such/root")), GpuPresence::default());
}

#[test]
fn mig_instances_are_usable_where_their_nodes_are() {
    const MIG: &str = "/proc/driver/nvidia/capabilities/gpu0/mig";
    let access: Vec<(String, &str)> = [
        ("gi1/access", "DeviceFileMinor: 12\nDeviceFileMode: 444\n"),
        ("gi1/ci0/access", "DeviceFileMinor: 13\n"),
        ("gi2/access", "DeviceFileMinor: 21\n"),
        ("gi2/ci0/access", "DeviceFileMinor: 22\n"),
    ]
    .map(|(path, text)| (format!("{MIG}/{path}"), text))
    .into();
    let nodes =
        ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"].map(|path| (path, ""));
    let files: Vec<(&str, &str)> = access.iter().map(|(path, text)| (path.as_str(), *text)).chain(nodes).collect();
    let (_directory, root) = laid_out(&files);
    let presence = seen(&root);
    let instances: Vec<_> =
        presence.nodes[0].instances.iter().map(|one| (one.gpu, one.compute, one.is_usable())).collect();
    assert_eq!(instances, [(1, 0, true), (2, 0, false)]);
    assert!(presence.is_sliced() && presence.devices() == 1);
}

fn promised(variables: &[(&str, &str)]) -> Option<(&'static str, Promised)> {
    let environment: Environment = variables.iter().copied().collect();
    Promise::of(&environment).map(|promise| (promise.variable, promise.promised))
}

#[test]
fn schedulers_and_explicit_lists_promise() {
    assert_eq!(promised(&[("RUNAI_NUM_OF_GPUS", "2")]), Some(("RUNAI_NUM_OF_GPUS", Promised::Exactly(2))));
    assert_eq!(promised(&[("RUNAI_NUM_OF_GPUS", "0.5")]), Some(("RUNAI_NUM_OF_GPUS", Promised::Some)));
    assert_eq!(
        promised(&[("SM_NUM_GPUS", "0"), ("NVIDIA_VISIBLE_DEVICES", "all")]),
        Some((VISIBLE, Promised::NoNumber))
    );
    let list = |text: &str| promised(&[(VISIBLE, text)]).map(|(_, promised)| promised);
    assert_eq!(list("0,3"), Some(Promised::Exactly(2)));
    assert_eq!(list("GPU-a,GPU-b,GPU-c"), Some(Promised::Exactly(3)));
    assert_eq!(list("nvidia.com/gpu=all"), Some(Promised::NoNumber));
    assert_eq!(list("nvidia.com/gpu=gpu1,k8s.device-plugin.nvidia.com/gpu=3"), Some(Promised::Exactly(2)));
    assert_eq!(list("nvidia.com/gpu=mig0:1,nvidia.com/gds=all"), Some(Promised::Instances(1)));
    for nothing in ["", " ", "none", "void", "nvidia.com/gds=all"] {
        assert_eq!(list(nothing), None, "{nothing}");
    }
}

#[test]
fn a_device_that_is_named_twice_is_promised_once() {
    let list = |text: &str| promised(&[(VISIBLE, text)]).map(|(_, promised)| promised);
    for one in ["GPU-a1,GPU-a1", "GPU-a1,gpu-A1", "GPU-a1::0,GPU-a1::3", "GPU-a,GPU-a1-22", "0,0", "0,,0,"] {
        assert_eq!(list(one), Some(Promised::Exactly(1)), "{one}");
    }
    assert_eq!(list("MIG-1,MIG-2,MIG-1"), Some(Promised::Instances(2)));
    assert_eq!(list("0:0,0:1"), Some(Promised::Instances(2)));
    assert_eq!(list("0,GPU-a1"), Some(Promised::Between(1, 2)), "both may be one GPU");
}

#[test]
fn a_path_or_a_mark_of_a_device_plugin_promises_nothing() {
    for text in
        ["/var/run/nvidia-container-devices", "no-gpu-has-10MiB-to-run", "runai-sh-gpu-x", "\"0,1\"", "-2", "0,/dev"]
    {
        assert_eq!(promised(&[(VISIBLE, text)]), None, "{text}");
    }
}

#[test]
fn a_scheduler_that_counts_slices_promises_the_gpus_below_them() {
    let pod = |list| promised(&[("SKYPILOT_NUM_GPUS_PER_NODE", "4"), (VISIBLE, list)]).map(|(_, promised)| promised);
    assert_eq!(pod("GPU-a,GPU-a,GPU-a,GPU-a"), Some(Promised::Exactly(1)));
    assert_eq!(pod("GPU-a"), Some(Promised::Exactly(4)), "nothing is sliced, so three are missing");
}

#[test]
fn a_tasks_own_share_goes_before_its_nodes() {
    let of_four = |share: &[(&'static str, &'static str)]| promised(&[&[("SLURM_GPUS_ON_NODE", "4")], share].concat());
    let one = |variable| Some((variable, Promised::Exactly(1)));
    assert_eq!(of_four(&[("CUDA_VISIBLE_DEVICES", "2")]), one("CUDA_VISIBLE_DEVICES"));
    assert_eq!(of_four(&[("ROCR_VISIBLE_DEVICES", "2")]), one("ROCR_VISIBLE_DEVICES"));
    assert_eq!(of_four(&[("SLURM_STEP_GPUS", "3")]), one("SLURM_STEP_GPUS"));
    let bound = [("SLURM_STEP_GPUS", "0-3"), ("CUDA_VISIBLE_DEVICES", "0")];
    assert_eq!(of_four(&bound), one("CUDA_VISIBLE_DEVICES"));
    assert_eq!(of_four(&[("SLURM_STEP_GPUS", "0-1,3")]), Some(("SLURM_STEP_GPUS", Promised::Exactly(3))));
    for whole in
        [[("CUDA_VISIBLE_DEVICES", "0,1,2,3")], [("CUDA_VISIBLE_DEVICES", "\"0\"")], [("SLURM_STEP_GPUS", "0-3")]]
    {
        assert_eq!(of_four(&whole), Some(("SLURM_GPUS_ON_NODE", Promised::Exactly(4))), "{whole:?}");
    }
    let instances = [("CUDA_VISIBLE_DEVICES", "MIG-a")];
    assert_eq!(of_four(&instances), Some(("CUDA_VISIBLE_DEVICES", Promised::Instances(1))));
    for none in ["", "NoDevFiles", "-1"] {
        assert_eq!(of_four(&[("CUDA_VISIBLE_DEVICES", none)]), None, "{none}");
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
    assert_eq!([shown(Some("1,1"), 4), shown(Some("MIG-a,MIG-b"), 1)], [0, 1]);
}

fn selected(vendor: Vendor, uuids: [&str; 2], variables: &[(&str, &str)]) -> Option<(usize, Option<ListFault>)> {
    let node = |uuid: &str| DeviceNode {
        vendor,
        uuid: Some(uuid.to_owned()).filter(|_| !uuid.is_empty()),
        ..DeviceNode::default()
    };
    let presence = GpuPresence { nodes: uuids.map(node).into(), ..GpuPresence::default() };
    let selection = VisibleGpus::of(&variables.iter().copied().collect(), &presence)?;
    Some((selection.shown, selection.fault))
}

#[test]
fn a_list_of_names_is_held_against_the_gpus_that_are_here() {
    let cuda = |value| selected(Vendor::Nvidia, ["GPU-aa1", "GPU-bb2"], &[("CUDA_VISIBLE_DEVICES", value)]).unwrap();
    assert_eq!(cuda("GPU-bb,GPU-aa1"), (2, None));
    assert_eq!(cuda("GPU-cc,GPU-aa1"), (0, Some(ListFault::Cut("GPU-cc".into()))));
    assert_eq!(cuda("GPU-,GPU-aa1"), (0, Some(ListFault::Cut("GPU-".into()))), "two UUIDs begin so");
    assert_eq!(cuda("GPU-aa,1"), (1, Some(ListFault::Cut("1".into()))), "a list is of one kind");
    let unknown = selected(Vendor::Nvidia, ["", "GPU-bb2"], &[("CUDA_VISIBLE_DEVICES", "GPU-cc")]);
    assert_eq!(unknown, Some((1, None)), "where not all names are known, nothing is claimed");
}

#[test]
fn a_list_is_read_as_cudas_driver_reads_it() {
    let cuda = |value| selected(Vendor::Nvidia, ["GPU-aa1", "GPU-bb2"], &[("CUDA_VISIBLE_DEVICES", value)]).unwrap();
    for twice in ["0,0", "1,0,1", "0,+0", "0,0x", "GPU-aa1,GPU-aa"] {
        let (shown, fault) = cuda(twice);
        assert!(shown == 0 && matches!(fault, Some(ListFault::Repeated(_))), "{twice}: {fault:?}");
    }
    for (nonsense, shown) in
        [("\"0,1\"", 0), ("'0'", 0), ("all", 0), ("0,all", 1), ("0,2,1", 1), ("0,-1,1", 1), ("0,,1", 1)]
    {
        let (number, fault) = cuda(nonsense);
        assert!(number == shown && matches!(fault, Some(ListFault::Cut(_))), "{nonsense}: {number} {fault:?}");
    }
    for one in ["0;1", "0 1", "0:1", "0x1"] {
        assert_eq!(cuda(one), (1, Some(ListFault::Misread(one.into(), 0))), "{one}");
    }
    assert_eq!(cuda("1, 0"), (2, None));
}

#[test]
fn each_vendor_has_variables_of_its_own() {
    let amd = |variables: &[(&str, &str)]| selected(Vendor::Amd, ["", ""], variables);
    assert_eq!(amd(&[("HIP_VISIBLE_DEVICES", "1")]), Some((1, None)));
    assert_eq!(amd(&[("ROCR_VISIBLE_DEVICES", "0,1"), ("HIP_VISIBLE_DEVICES", "1")]), Some((1, None)));
    assert_eq!(selected(Vendor::Gaudi, ["", ""], &[("CUDA_VISIBLE_DEVICES", "")]), None);
}

#[test]
fn hips_list_counts_what_rocrs_list_leaves() {
    let amd = |rocr, hip: &[(&'static str, &'static str)]| {
        selected(Vendor::Amd, ["", ""], &[&[("ROCR_VISIBLE_DEVICES", rocr)], hip].concat()).unwrap()
    };
    let cut = |entry: &str| Some(ListFault::Cut(entry.into()));
    assert_eq!(amd("1", &[("HIP_VISIBLE_DEVICES", "0")]), (1, None));
    assert_eq!(amd("1", &[("HIP_VISIBLE_DEVICES", "1")]), (0, cut("1")), "one is left, and its number is 0");
    assert_eq!(amd("1", &[("CUDA_VISIBLE_DEVICES", "1")]), (0, cut("1")), "HIP reads CUDA's, too");
    assert_eq!(amd("0,1", &[("CUDA_VISIBLE_DEVICES", "7"), ("HIP_VISIBLE_DEVICES", "1")]), (1, None));
    assert_eq!(amd("2,0", &[("HIP_VISIBLE_DEVICES", "0")]), (0, cut("2")));
    assert_eq!(amd("GPU-12ab", &[]), (1, None));
}

/// Judges an image with cuda-compat on a machine with this driver and this GPU.
fn forward(driver: &str, model: &str, variables: &[(&str, &str)]) -> Compat {
    let version = format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  x");
    let information = format!("Model: \t {model}\nDevice Minor: \t 0\n");
    let (_directory, root) = laid_out(&[
        ("/usr/local/cuda/compat/libcuda.so.570.86.15", "x"),
        ("/dev/nvidia0", ""),
        ("/proc/driver/nvidia/version", &version),
        ("/proc/driver/nvidia/gpus/0000:01:00.0/information", &information),
    ]);
    std::os::unix::fs::symlink("libcuda.so.570.86.15", root.path("/usr/local/cuda/compat/libcuda.so.1")).unwrap();
    let environment: Environment = variables.iter().copied().collect();
    compat(&root, &environment, || seen(&root), || image_cuda(&root, &environment))
}

#[test]
fn libraries_that_are_no_newer_than_the_kernels_module_need_no_word_of_the_driver() {
    let told = |module: Option<&str>| {
        let library = ("/usr/local/cuda/compat/libcuda.so.570.86.15", "x");
        let module = module.map(|version| ("/sys/module/nvidia/version", version));
        let (_directory, root) = laid_out(&[library].into_iter().chain(module).collect::<Vec<_>>());
        std::os::unix::fs::symlink("libcuda.so.570.86.15", root.path("/usr/local/cuda/compat/libcuda.so.1")).unwrap();
        compat_may_be_right(&root, &Environment::default())
    };
    assert_eq!([told(Some("580.65.06\n")), told(Some("570.172.08\n"))], [false, false]);
    assert_eq!([told(Some("550.54.14\n")), told(Some("?")), told(None)], [true, true, true]);
    assert!(!compat_may_be_right(&Root::at("/no/such/root"), &Environment::default()));
}

#[test]
fn forward_compatibility_is_right_on_an_older_driver_under_a_data_centres_gpu() {
    const IMAGE: (&str, &str) = ("CUDA_VERSION", "12.8.1");
    let (old, h200) = ("535.183.01", "NVIDIA H200");
    let Compat::Right { set: false, version, .. } = forward(old, h200, &[IMAGE]) else { panic!("not right") };
    assert_eq!(version.to_string(), "570.86.15");
    let first = ("LD_LIBRARY_PATH", "/usr/local/cuda/compat:/x");
    assert!(matches!(forward(old, h200, &[IMAGE, first]), Compat::Right { set: true, .. }));
    assert_eq!(forward("570.172.08", h200, &[IMAGE]), forward("580.1", h200, &[IMAGE]), "never older than the driver");
    assert!(matches!(forward("580.1", h200, &[IMAGE]), Compat::Wrong { .. }));
    assert!(matches!(forward(old, "NVIDIA GeForce RTX 4090", &[IMAGE]), Compat::Wrong { .. }));
    assert_eq!(forward(old, h200, &[("CUDA_VERSION", "12.2.0")]), Compat::Unneeded);
    let branches = ("NVIDIA_REQUIRE_CUDA", "cuda>=12.8 brand=tesla,driver>=550,driver<551");
    assert!(matches!(forward(old, h200, &[IMAGE, branches]), Compat::Wrong { .. }), "no package for this branch");
}

proptest! {
    #[test]
    fn any_text_is_taken(text in proptest::collection::vec(any::<u8>(), 0..200), line in ".{0,40}") {
        parse_version(&text);
        cache::find(&text, "libcuda.so.1");
        promised(&[("RUNAI_NUM_OF_GPUS", &line)]);
        promised(&[(VISIBLE, &line)]);
    }

    #[test]
    fn a_damaged_cache_is_no_trap(at in 0usize..200, byte in any::<u8>()) {
        let mut cache = cache::written(&[("libcuda.so.1", "/usr/lib/libcuda.so.1")]);
        let length = cache.len();
        cache[at % length] = byte;
        cache::find(&cache, "libcuda.so.1");
    }
}
