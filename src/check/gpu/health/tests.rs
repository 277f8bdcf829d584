use super::*;
use crate::config::{CudaVersion, FreeMemory, GpuCount, Loaded, OriginValue, Size, ValueOrigin};
use gpu::VersionText;
use gpu::facts::*;
use std::collections::BTreeSet;
use sys::Root;
use sys::environment::Environment;

const GIB: u64 = 1 << 30;

/// Returns the facts of two healthy GPUs.
pub(crate) fn well() -> GpuFacts {
    let gpu = |index: u32| NvmlGpu {
        index,
        handle: Some(0),
        uuid: Some(format!("GPU-{index}")),
        name: Some("NVIDIA H200".to_owned()),
        pci: Some(format!("00000000:1{index}:00.0")),
        memory: Some(Memory { total: 140 * GIB, used: GIB / 2 }),
        capability: Some((9, 0)),
        ecc: Some(ModeState { current: true, pending: true }),
        pcie_width: Some((16, 16)),
        pcie_generation: Some((1, 5)),
        nvlinks: vec![true; 18],
        fabric: Some(Fabric { state: 3, ..Fabric::default() }),
        throttle: Some(1),
        ..NvmlGpu::default()
    };
    let device = |ordinal: u32| CudaDevice { ordinal, uuid: Some(format!("GPU-{ordinal}")), ..CudaDevice::default() };
    let nvml = Nvml { outcome: ProbeOutcome::Complete, init: Some(0), gpus: vec![gpu(0), gpu(1)], ..Nvml::default() };
    let cuda = Cuda {
        outcome: ProbeOutcome::Complete,
        init: Some(0),
        version: Some(12080),
        count: Some(2),
        devices: vec![device(0), device(1)],
        ..Cuda::default()
    };
    GpuFacts { nvml, cuda, ..GpuFacts::default() }
}

/// Lays out the same two GPUs as files.
fn machine() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let information = |number: u32| format!("Model: \t NVIDIA H200\nDevice Minor: \t {number}\n");
    let gpu = |number: u32| (format!("proc/driver/nvidia/gpus/0000:1{number}:00.0/information"), information(number));
    let version = ("proc/driver/nvidia/version".to_owned(), "NVRM version: Module  570.172.08  x".to_owned());
    let nodes = ["dev/nvidia0", "dev/nvidia1"].map(|node| (node.to_owned(), String::new()));
    for (path, text) in nodes.into_iter().chain([gpu(0), gpu(1), version]) {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

/// Returns the findings for these facts if `least` GPUs are required.
fn told(least: u32, amend: impl FnOnce(&mut Loaded), spoil: impl FnOnce(&mut GpuFacts)) -> Vec<String> {
    let mut loaded = Loaded::default();
    loaded.settings.gpu_count = OriginValue {
        value: GpuCount::AtLeast(least),
        origin: ValueOrigin::Environment("TRAINIT_GPU_COUNT".to_owned()),
    };
    amend(&mut loaded);
    let mut context =
        CheckContext::of(loaded, [("container", "docker")].into_iter().collect::<Environment>(), Vec::new());
    let machine = machine();
    context.root = Root::at(machine.path());
    let mut facts = well();
    spoil(&mut facts);
    let line = |finding: Finding| {
        let status = format!("{:?}", finding.status).to_lowercase();
        format!("{status} {} {}: {}", finding.check, finding.exit.code(), finding.what)
    };
    judged(&context, facts).into_iter().map(line).collect()
}

fn judged(context: &CheckContext, facts: GpuFacts) -> Vec<Finding> {
    judge(context, &Rules::new(&context.settings.checks, None), facts)
}

/// Returns the cause of the first finding.
fn cause(spoil: impl FnOnce(&mut GpuFacts)) -> String {
    let (mut facts, machine) = (well(), machine());
    let mut context = CheckContext::of(Loaded::default(), [("container", "docker")].into_iter().collect(), Vec::new());
    context.root = Root::at(machine.path());
    spoil(&mut facts);
    judged(&context, facts).remove(0).because.unwrap()
}

fn spoilt(spoil: impl FnOnce(&mut GpuFacts)) -> String {
    told(2, |_| (), spoil).join(" | ")
}

fn first(spoil: impl FnOnce(&mut NvmlGpu)) -> String {
    spoilt(|facts| spoil(&mut facts.nvml.gpus[0]))
}

#[test]
fn gpus_that_are_well_are_told_in_one_line() {
    assert_eq!(spoilt(|_| ()), "ok gpu.init 110: 2 × NVIDIA H200, 140 GiB each, driver 570.172.08, CUDA 12.8");
    let waited = |facts: &mut GpuFacts| facts.waited = Some(("the fabric".into(), std::time::Duration::from_secs(3)));
    assert!(spoilt(waited).ends_with(", after 3 s of waiting (the fabric)"));
    let none = |loaded: &mut Loaded| loaded.settings.gpu_count.value = GpuCount::None;
    assert_eq!(told(0, none, |facts| facts.nvml.gpus.clear()), Vec::<String>::new());
}

#[test]
fn a_driver_that_does_not_answer_is_named_by_its_call() {
    let stopped = |how| {
        let at = Some(CallStep { call: "nvmlDeviceGetMemoryInfo".to_owned(), gpu: Some(3) });
        spoilt(|facts| facts.nvml.outcome = ProbeOutcome::Stopped { at, how, waits: None })
    };
    let hung =
        "fail gpu.hung 210: the driver does not answer: nvmlDeviceGetMemoryInfo of GPU 3 did not come back (NVML)";
    assert_eq!(stopped(ProbeStop::Overdue), hung);
    assert_eq!(stopped(ProbeStop::Unkillable), hung);
    assert_eq!(
        stopped(ProbeStop::Killed(11)),
        "fail gpu.crash 210: the driver's library ended its process in nvmlDeviceGetMemoryInfo of GPU 3, with signal 11 (NVML)"
    );
    let at_once =
        spoilt(|facts| facts.cuda.outcome = ProbeOutcome::Stopped { at: None, how: ProbeStop::Exited(1), waits: None });
    assert_eq!(
        at_once,
        "fail gpu.crash 210: the driver's library ended its process in its start, with exit code 1 (CUDA)"
    );
}

#[test]
fn what_a_hanging_process_was_at_and_what_it_wrote_is_the_evidence() {
    let hung = |how, state, function: Option<&str>| {
        let waits = Some(ProbeWait { state, function: function.map(str::to_owned) });
        cause(|facts| facts.nvml.outcome = ProbeOutcome::Stopped { at: None, how, waits })
    };
    assert_eq!(
        hung(ProbeStop::Unkillable, 'D', Some("rpcRmApiControl_GSP")),
        "its process waits in the kernel (state D in rpcRmApiControl_GSP) and cannot even be killed"
    );
    assert_eq!(
        hung(ProbeStop::Unkillable, 'D', None),
        "its process waits in the kernel (state D) and cannot even be killed"
    );
    assert_eq!(
        hung(ProbeStop::Overdue, 'S', Some("futex_wait")),
        "a GPU, or its firmware, hangs (Xid 119 in the host's kernel log); its process was in state S in futex_wait"
    );
    let died = |stderr: &str| {
        cause(|facts| {
            facts.cuda.outcome = ProbeOutcome::Stopped { at: None, how: ProbeStop::Exited(127), waits: None };
            facts.cuda.stderr = Some(stderr.to_owned());
        })
    };
    let began = "the library does not fit the kernel's driver, or is damaged; it wrote: ";
    assert_eq!(died("one\n\ntwo\x1b[2J\nthree\n"), format!("{began}one … three"));
    assert_eq!(died("a \x1b[2J bell"), format!("{began}a \\x1b[2J bell"));
    assert!(died(&"long ".repeat(100)).len() < began.len() + 200);
}

#[test]
fn a_process_that_cannot_be_killed_is_named_before_one_that_could() {
    let both = |facts: &mut GpuFacts| {
        let stopped = |how| ProbeOutcome::Stopped { at: None, how, waits: None };
        (facts.nvml.outcome, facts.cuda.outcome) = (stopped(ProbeStop::Overdue), stopped(ProbeStop::Unkillable));
    };
    assert!(spoilt(both).ends_with("(CUDA)"), "{}", spoilt(both));
}

#[test]
fn a_helper_that_cannot_run_is_told_and_no_failure() {
    let memory = |loaded: &mut Loaded| loaded.settings.gpu_memory.value = Some(Size(GIB));
    let alpine = |facts: &mut GpuFacts| {
        let outcome = ProbeOutcome::NotExecuted { errno: 2 };
        *facts = GpuFacts { nvml: Nvml { outcome, ..Nvml::default() }, ..GpuFacts::default() };
    };
    assert_eq!(
        told(1, memory, alpine),
        ["warn gpu.asked 110: the driver was not asked; gpu.memory cannot be held against it"]
    );
    assert_eq!(told(1, |_| (), alpine), ["warn gpu.asked 110: the driver was not asked"]);
    let off = |facts: &mut GpuFacts| *facts = GpuFacts::default();
    let by_files = "ok gpu.init 110: 2 × NVIDIA H200, driver 570.172.08";
    assert_eq!(told(1, |_| (), off), [by_files], "where nobody was asked nothing more is claimed");
}

#[test]
fn codes_of_the_libraries_are_explained() {
    let cuda = |code| spoilt(|facts| (facts.cuda.init, facts.cuda.init_words) = (Some(code), Some("words".into())));
    for (code, exit) in [(35, 110), (100, 110), (803, 110), (804, 110), (802, 210), (999, 210), (46, 210), (4711, 210)]
    {
        assert_eq!(cuda(code), format!("fail gpu.init {exit}: CUDA does not begin (cuInit: {code}: words)"));
    }
    let nvml = |code| spoilt(|facts| facts.nvml.init = Some(code));
    assert_eq!(nvml(18), "warn gpu.init 210: NVML does not begin (nvmlInit: 18)", "CUDA works all the same");
    let both = spoilt(|facts| (facts.nvml.init, facts.cuda.init) = (Some(9), None));
    assert_eq!(both, "fail gpu.init 210: NVML does not begin (nvmlInit: 9)");
}

#[test]
fn a_library_that_is_there_and_cannot_be_loaded_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libcuda.so.1"), "x").unwrap();
    let mut context = CheckContext::of(Loaded::default(), Environment::default(), Vec::new());
    context.root = Root::at("/");
    context.environment.set("LD_LIBRARY_PATH", directory.path());
    let mut facts = well();
    facts.cuda = Cuda {
        outcome: ProbeOutcome::Complete,
        library: LibraryState::Missing("file too short".into()),
        ..Cuda::default()
    };
    let findings = judge(&context, &Rules::new(&context.settings.checks, None), facts);
    assert_eq!(
        (findings[0].check.as_str(), findings[0].what.ends_with("cannot be loaded: file too short")),
        ("gpu.libcuda", true)
    );
}

#[test]
fn an_empty_list_of_visible_gpus_is_somebodys_wish() {
    let hidden = |loaded: &mut Loaded| {
        let value = crate::config::EnvValue { value: String::new(), ..crate::config::EnvValue::default() };
        loaded.settings.env.value.insert("CUDA_VISIBLE_DEVICES".to_owned(), value);
    };
    let none = |facts: &mut GpuFacts| (facts.cuda.init, facts.cuda.count) = (Some(100), None);
    assert!(told(0, hidden, none).iter().all(|line| line.starts_with("ok ")), "{:?}", told(0, hidden, none));
    assert!(told(1, hidden, none)[0].starts_with("fail gpu.init"));
}

#[test]
fn a_gpu_that_is_lost_or_wants_a_reset_condemns_the_node() {
    let lost = |facts: &mut GpuFacts| {
        facts.nvml.gpus[0].handle = Some(15);
        (facts.cuda.count, _) = (Some(1), facts.cuda.devices.remove(0));
    };
    assert_eq!(spoilt(lost), "fail gpu.lost 210: the driver cannot talk to GPU 0 (0000:10:00.0): lost");
    let enough = told(1, |_| (), lost);
    assert_eq!(enough, ["warn gpu.lost 210: the driver cannot talk to GPU 0 (0000:10:00.0): lost"]);
    assert_eq!(
        first(|gpu| gpu.recovery = Some(1)),
        "fail gpu.reset 210: the driver wants GPU 0 (0000:10:00.0): a reset"
    );
    let code = |gpu: &mut NvmlGpu| _ = gpu.codes.insert("nvmlDeviceGetEccMode".into(), 16);
    assert_eq!(first(code), "fail gpu.reset 210: the driver wants GPU 0 (0000:10:00.0): a reset");
    assert_eq!(
        first(|gpu| gpu.recovery = Some(3)),
        "warn gpu.recovery 110: the driver wants GPU 0 (0000:10:00.0): a drain of its peers"
    );
}

#[test]
fn memory_that_is_bad_is_told_by_how_bad() {
    let rows = |failed, pending| {
        move |gpu: &mut NvmlGpu| gpu.remapped = Some(Remapped { failed, pending, ..Remapped::default() })
    };
    assert!(
        first(rows(true, false)).starts_with("fail gpu.remap 210: rows of memory that are bad could not be replaced")
    );
    assert!(first(rows(false, true)).starts_with("warn gpu.pending 210: bad memory is replaced at the next reset"));
    assert!(first(|gpu| gpu.retired_pending = Some(true)).starts_with("warn gpu.pending 210"));
    assert!(first(|gpu| gpu.sram_threshold = Some(true)).starts_with("fail gpu.sram 210"));
    assert!(first(|gpu| gpu.ecc_volatile = Some(3)).ends_with("GPU 0 (0000:10:00.0): 3 errors"));
    assert!(
        first(|gpu| gpu.ecc = Some(ModeState::default())).starts_with("warn gpu.ecc_off 110: error correction is off")
    );
    let geforce =
        first(|gpu| (gpu.ecc, gpu.name) = (Some(ModeState::default()), Some("NVIDIA GeForce RTX 4090".into())));
    assert!(geforce.starts_with("ok "), "{geforce}");
}

#[test]
fn links_clocks_modes_and_the_fabric() {
    let begun = Fabric { state: 2, ..Fabric::default() };
    let before = spoilt(|facts| (facts.nvml.gpus[0].fabric, facts.cuda.init) = (Some(begun), Some(802)));
    assert!(before.starts_with("fail gpu.fabric 210"), "{before}");
    assert!(first(|gpu| gpu.fabric = Some(begun)).starts_with("ok "), "CUDA begins without it");
    let failed = Fabric { state: 3, status: 999, health: None };
    assert!(first(|gpu| gpu.fabric = Some(failed)).starts_with("warn gpu.fabric"));
    assert!(first(|gpu| gpu.nvlinks[4] = false).ends_with("GPU 0 (0000:10:00.0): 1 of 18 down"));
    assert!(first(|gpu| gpu.nvlinks = vec![false; 18]).starts_with("ok "), "a machine without a bridge");
    let bridges = |gpu: &mut NvmlGpu| gpu.nvlinks = [true, false].repeat(6);
    assert!(spoilt(|facts| facts.nvml.gpus.iter_mut().for_each(bridges)).starts_with("ok "), "some of the bridges");
    assert!(first(|gpu| gpu.throttle = Some(0x48)).ends_with("hardware slowdown, heat (hardware)"));
    assert!(first(|gpu| gpu.throttle = Some(0x7)).starts_with("ok "), "idle, and limits that somebody set");
    assert!(first(|gpu| gpu.compute_mode = Some(2)).starts_with("fail gpu.mode 210"));
    assert!(first(|gpu| gpu.pcie_width = Some((4, 16))).ends_with(": 4 of 16 lanes)"));
    let used = Some(Memory { total: 140 * GIB, used: 20 * GIB });
    assert!(first(|gpu| gpu.memory = used).starts_with("warn gpu.busy 210: another process uses memory of a GPU"));
    let cut = Some(ModeState { current: true, pending: true });
    assert!(first(|gpu| (gpu.memory, gpu.mig) = (used, cut)).starts_with("ok "), "other instances use it");
    let imex = first(|gpu| gpu.recovery = Some(5));
    assert!(imex.starts_with("ok "), "one node needs no IMEX: {imex}");
    assert!(first(|gpu| gpu.recovery = Some(3)).starts_with("warn gpu.recovery"));
}

#[test]
fn what_is_asked_of_each_gpu_is_held() {
    let asked = |amend: fn(&mut Loaded)| told(2, amend, |_| ()).join(" | ");
    let memory = asked(|loaded| loaded.settings.gpu_memory.value = Some(Size(160 * GIB)));
    assert!(
        memory.starts_with("fail gpu.memory 110: gpu.memory asks for 160 GiB: GPU 0 (0000:10:00.0): 140 GiB, GPU 1")
    );
    let near = asked(|loaded| loaded.settings.gpu_memory.value = Some(Size(141 * GIB)));
    assert!(near.starts_with("ok "), "what is written on the card is meant: {near}");
    let free = asked(|loaded| loaded.settings.gpu_free_memory.value = Some(FreeMemory::Percent(100)));
    assert!(free.starts_with("fail gpu.free_memory 210"), "{free}");
    let capability = asked(|loaded| loaded.settings.gpu_capability.value = VersionText::of("10.0"));
    assert!(capability.starts_with("fail gpu.capability 110: gpu.capability asks for 10.0: GPU 0 (0000:10:00.0): 9.0"));
    let cuda = asked(|loaded| loaded.settings.gpu_cuda.value = VersionText::of("13.0").map(CudaVersion::AtLeast));
    assert_eq!(cuda, "fail gpu.cuda 110: the driver has CUDA 12.8, gpu.cuda asks for 13.0");
    let strict = |loaded: &mut Loaded| loaded.settings.gpu_strict.value = true;
    assert!(told(0, strict, |facts| facts.nvml.gpus[0].throttle = Some(8))[0].starts_with("fail gpu.throttle 210"));
}

#[test]
fn what_others_are_shown_does_not_matter() {
    let other = |facts: &mut GpuFacts| {
        facts.cuda.devices.truncate(1);
        facts.cuda.count = Some(1);
        facts.nvml.gpus[1].throttle = Some(8);
    };
    assert!(told(1, |_| (), other)[0].starts_with("ok "));
    assert_eq!(
        told(2, |_| (), other)[0],
        "fail gpu.shown 210: CUDA shows 1 GPU, at least 2 asked for by TRAINIT_GPU_COUNT"
    );
}

#[test]
fn proofs_speak_for_themselves() {
    let proof = |spoil: fn(&mut Proof)| {
        let mut proof =
            Proof { ordinal: 1, uuid: Some("GPU-1".into()), outcome: ProbeOutcome::Complete, ..Proof::default() };
        spoil(&mut proof);
        spoilt(|facts| facts.proofs.push(proof))
    };
    assert!(proof(|proof| proof.wrong = Some(7)).starts_with("fail gpu.proof 210: cuda:1 gives back other memory"));
    assert!(proof(|proof| proof.miscalculated = Some(7)).starts_with("fail gpu.proof 210: cuda:1 comes to wrong sums"));
    let busy = proof(|proof| proof.refused = Some(("cuDevicePrimaryCtxRetain".into(), 2)));
    assert_eq!(busy, "fail gpu.proof 210: cuda:1 cannot be used (cuDevicePrimaryCtxRetain: 2)");
    assert!(proof(|proof| proof.beside = Some(("cuModuleLoadData".into(), 221))).starts_with("warn gpu.ptx 110"));
    let slow = proof(|proof| (proof.to_device, proof.to_host) = (Some(50_000), Some(10_000)));
    assert_eq!(slow, "warn gpu.bandwidth 210: copies between host and GPU are slow (cuda:1: 10000 MiB/s of 60096)");
    let pair = |pair| spoilt(|facts| facts.peers.pairs.push(pair));
    let wrong = pair(Pair { from: 0, to: 1, code: Some(0), wrong: Some(5), ..Pair::default() });
    assert_eq!(wrong, "fail gpu.peers 210: a copy from cuda:0 to cuda:1 arrives wrong");
}

#[test]
fn memory_that_is_still_held_is_waited_for() {
    let mut loaded = Loaded::default();
    let context = |loaded: &Loaded| CheckContext::of(loaded.clone(), Environment::default(), Vec::new());
    assert_eq!(awaited(&context(&loaded), &well()), None);
    loaded.settings.gpu_free_memory.value = Some(FreeMemory::Percent(100));
    assert!(awaited(&context(&loaded), &well()).is_some());
}

#[test]
fn rows_that_files_can_answer_too_have_their_entry_there() {
    let of_files: BTreeSet<&str> = super::super::STEPS.iter().map(|step| step.check.id).collect();
    for step in STEPS {
        let entry = super::super::STEPS.iter().find(|other| other.check.id == step.check.id);
        assert_eq!(of_files.contains(step.check.id), step.check.about.is_empty(), "{}", step.check.id);
        let same = |other: &crate::check::step::Step<GpuTarget>| {
            (other.check.severity, other.check.passing) == (step.check.severity, step.check.passing)
        };
        assert!(entry.is_none_or(same), "{} differs", step.check.id);
    }
}
