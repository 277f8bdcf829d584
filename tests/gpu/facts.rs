//! What libraries that are well tell.

use super::fakes::{fakes, old};
use super::{Level, asked};
use gpu::facts::{Fabric, LibraryState, Memory, ModeState, ProbeOutcome, ProbePath, Remapped};

#[test]
fn every_fact_of_eight_gpus_is_read() {
    let Some(fakes) = fakes() else { return };
    let facts = asked(fakes, Level::Driver, &[]);
    let nvml = &facts.nvml;
    assert_eq!((&nvml.outcome, nvml.init, nvml.count), (&ProbeOutcome::Complete, Some(0), Some(8)));
    let path = fakes.path().join("libnvidia-ml.so.1").canonicalize().unwrap();
    assert_eq!(nvml.library, LibraryState::Loaded(path.to_str().unwrap().to_owned()));
    assert_eq!((nvml.driver.as_deref(), nvml.version.as_deref()), (Some("570.172.08"), Some("12.570.172.08")));
    assert_eq!((nvml.cuda_version, nvml.lacks.as_slice()), (Some(12080), &[][..]));
    assert_eq!((facts.way, facts.waited), (Some(ProbePath::Memory), None));
    let gpu = &nvml.gpus[1];
    assert_eq!((gpu.index, gpu.minor, gpu.handle, gpu.brand), (1, Some(1), Some(0), Some(14)));
    assert_eq!(gpu.uuid.as_deref(), Some("GPU-00000001-0000-0000-0000-000000000000"));
    assert_eq!((gpu.name.as_deref(), gpu.pci.as_deref()), (Some("NVIDIA H200"), Some("00000000:1C:00.0")));
    assert_eq!(gpu.vbios.as_deref(), Some("96.00.BC.00.01"));
    // Of the second version: what the driver keeps for itself is not counted as used.
    assert_eq!(gpu.memory, Some(Memory { total: 150_754_820_096, used: 4 << 20 }));
    assert_eq!(gpu.bar1, Some(Memory { total: 256 << 30, used: 1 << 30 }));
    assert_eq!((gpu.capability, gpu.compute_mode, gpu.persistence), (Some((9, 0)), Some(0), Some(true)));
    assert!(gpu.codes.is_empty(), "{:?}", gpu.codes);
}

#[test]
fn every_sign_of_health_is_read() {
    let Some(fakes) = fakes() else { return };
    let gpus = asked(fakes, Level::Driver, &[]).nvml.gpus;
    let gpu = &gpus[1];
    assert_eq!(gpu.ecc, Some(ModeState { current: true, pending: true }));
    assert_eq!((gpu.ecc_volatile, gpu.ecc_aggregate, gpu.sram_threshold), (Some(0), Some(3), Some(true)));
    assert_eq!(gpu.remapped, Some(Remapped { correctable: 1, uncorrectable: 2, pending: true, failed: false }));
    assert_eq!((gpu.retired_pending, gpu.recovery, gpu.throttle), (None, Some(3), Some(1)));
    assert_eq!((gpu.pcie_width, gpu.pcie_generation), (Some((16, 16)), Some((1, 5))));
    assert_eq!((gpu.nvlinks.len(), gpu.nvlinks.iter().position(|active| !active)), (18, Some(17)));
    assert_eq!(gpu.fabric, Some(Fabric { state: 3, status: 0, health: Some(0x15) }));
    assert_eq!((gpus[0].processes, gpus[1].processes), (Some(2), Some(0)));
}

#[test]
fn a_library_that_lacks_what_came_later_tells_the_rest() {
    let Some(fakes) = old() else { return };
    let nvml = asked(fakes, Level::Driver, &[("FAKE_GPUS", "2")]).nvml;
    let gpu = &nvml.gpus[1];
    assert_eq!((&nvml.outcome, nvml.gpus.len(), gpu.throttle), (&ProbeOutcome::Complete, 2, Some(4)));
    // Of the first version.
    assert_eq!(gpu.memory, Some(Memory { total: 150_754_820_096, used: 600 << 20 }));
    assert_eq!((gpu.fabric, gpu.remapped, gpu.recovery, gpu.mig, gpu.processes), (None, None, None, None, None));
    assert!(nvml.lacks.iter().any(|name| name == "nvmlDeviceGetRemappedRows"), "{:?}", nvml.lacks);
    assert!(gpu.codes.is_empty(), "{:?}", gpu.codes);
}

#[test]
fn mig_instances_are_found() {
    let Some(fakes) = fakes() else { return };
    let nvml = asked(fakes, Level::Driver, &[("FAKE_GPUS", "2"), ("FAKE_MIG", "1")]).nvml;
    assert_eq!((nvml.gpus[0].instances.len(), nvml.gpus[0].mig), (0, Some(ModeState::default())));
    let [instance] = &nvml.gpus[1].instances[..] else { panic!("{:?}", nvml.gpus[1].instances) };
    assert_eq!((instance.slot, instance.gpu_instance, instance.compute_instance), (2, Some(9), Some(0)));
    assert!(instance.uuid.as_deref().is_some_and(|uuid| uuid.starts_with("MIG-")));
    assert_eq!(nvml.gpus[1].mig, Some(ModeState { current: true, pending: true }));
}

#[test]
fn cuda_shows_what_the_workloads_environment_lets_it_show() {
    let Some(fakes) = fakes() else { return };
    let cuda = |visible| asked(fakes, Level::Driver, &[("CUDA_VISIBLE_DEVICES", visible)]).cuda;
    let two = cuda("3,GPU-00000001-0000-0000-0000-000000000000,99,0");
    assert_eq!((two.init, two.count, two.version), (Some(0), Some(2), Some(12080)));
    let uuids: Vec<_> = two.devices.iter().filter_map(|device| device.uuid.as_deref()).collect();
    assert_eq!(uuids, ["GPU-00000003-0000-0000-0000-000000000000", "GPU-00000001-0000-0000-0000-000000000000"]);
    let device = &two.devices[0];
    assert_eq!(
        (device.capability, device.multiprocessors, device.memory),
        (Some((9, 0)), Some(132), Some(150_000_000_000))
    );
    assert_eq!((device.name.as_deref(), device.pci.as_deref()), (Some("NVIDIA H200"), Some("0000:1E:00.0")));
    for nothing in ["", "-1", "NoDevFiles"] {
        let none = cuda(nothing);
        assert_eq!((none.init, none.count), (Some(100), None), "{nothing:?}");
        assert_eq!(none.init_words.as_deref(), Some("no CUDA-capable device is detected"));
    }
}
