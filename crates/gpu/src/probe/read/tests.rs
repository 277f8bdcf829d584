use super::super::transcript::parse;
use super::*;
use proptest::prelude::*;

/// Reads a report of these lines; `|` stands for a tab.
fn transcript(lines: &[&str]) -> Transcript {
    let text = format!("probe\t1\n{}\nend\n", lines.join("\n").replace('|', "\t"));
    parse(text.as_bytes())
}

#[test]
fn nvmls_facts_are_found_under_their_gpu() {
    let nvml = nvml(&transcript(&[
        "load|libnvidia-ml.so.1",
        "got|0|900|/usr/lib/libnvidia-ml.so.570.172.08",
        "lacks|nvmlDeviceGetGpuFabricInfoV",
        "call|nvmlInit_v2",
        "got|0|12000",
        "call|nvmlSystemGetDriverVersion",
        "got|0|3|570.172.08",
        "call|nvmlDeviceGetCount_v2",
        "got|0|3|2",
        "call|nvmlDeviceGetHandleByIndex_v2|0",
        "got|0|1",
        "call|nvmlDeviceGetUUID|0",
        "got|0|1|GPU-1",
        "call|nvmlDeviceGetMemoryInfo|0",
        "got|0|1|150754820096|4194304",
        "call|nvmlDeviceGetRemappedRows|0",
        "got|0|1|1|0|1|0",
        "call|nvmlDeviceGetRetiredPagesPendingStatus|0",
        "got|3|1",
        "call|nvmlDeviceGetEccMode|0",
        "got|0|1|1|0",
        "call|nvmlDeviceGetNvLinkState|0",
        "got|0|1|1|1|0",
        "call|nvmlDeviceGetGpuFabricInfoV|0",
        "got|0|1|2|0|0",
        "call|nvmlDeviceGetHandleByIndex_v2|1",
        "got|15|1|GPU is lost",
    ]));
    assert_eq!(nvml.library, LibraryState::Loaded("/usr/lib/libnvidia-ml.so.570.172.08".to_owned()));
    assert_eq!((nvml.init, nvml.count, nvml.init_took.as_millis()), (Some(0), Some(2), 12));
    assert_eq!(nvml.lacks, ["nvmlDeviceGetGpuFabricInfoV"]);
    let [first, second] = &nvml.gpus[..] else { panic!("{:?}", nvml.gpus) };
    assert_eq!(first.memory.unwrap().free(), 150_754_820_096 - 4_194_304);
    assert_eq!(first.remapped.unwrap(), Remapped { correctable: 1, uncorrectable: 0, pending: true, failed: false });
    assert_eq!((first.ecc.unwrap(), first.retired_pending), (ModeState { current: true, pending: false }, None));
    assert_eq!((first.nvlinks.as_slice(), first.fabric.unwrap().state), (&[true, true, false][..], 2));
    assert!(first.codes.is_empty() && first.condemned().is_none());
    assert_eq!((second.index, second.handle, second.condemned()), (1, Some(15), Some(15)));
}

#[test]
fn mig_instances_are_found_in_their_slots_and_empty_slots_are_none() {
    let nvml = nvml(&transcript(&[
        "call|nvmlDeviceGetMigMode|0",
        "got|0|1|1|1",
        "call|nvmlDeviceGetMigDeviceHandleByIndex|0.0",
        "got|6|1|Not Found",
        "call|nvmlDeviceGetMigDeviceHandleByIndex|0.1",
        "got|0|1",
        "call|nvmlDeviceGetUUID|0.1",
        "got|0|1|MIG-a",
        "call|nvmlDeviceGetGpuInstanceId|0.1",
        "got|0|1|7",
    ]));
    let instance =
        MigInstance { slot: 1, uuid: Some("MIG-a".to_owned()), gpu_instance: Some(7), ..MigInstance::default() };
    assert_eq!(nvml.gpus[0].instances, [instance]);
    assert!(nvml.gpus[0].mig.unwrap().current);
}

#[test]
fn processes_are_counted_without_a_list() {
    let count = |got: &str| {
        let nvml = nvml(&transcript(&["call|nvmlDeviceGetComputeRunningProcesses_v3|0", got]));
        (nvml.gpus[0].processes, nvml.gpus[0].codes.len())
    };
    assert_eq!(
        [count("got|0|1|0"), count("got|7|1|3"), count("got|4|1|No permission")],
        [(Some(0), 0), (Some(3), 0), (None, 1)]
    );
}

#[test]
fn what_cuda_shows_is_in_its_own_order() {
    let cuda = cuda(&transcript(&[
        "load|libcuda.so.1",
        "got|0|900|/usr/lib/libcuda.so.570.172.08",
        "call|cuInit",
        "got|0|200000",
        "call|cuDriverGetVersion",
        "got|0|1|12080",
        "call|cuDeviceGetCount",
        "got|0|1|1",
        "call|cuDeviceGetUuid|0",
        "got|0|1|GPU-1",
        "call|cuDeviceGetAttribute/capability|0",
        "got|0|1|9|0",
    ]));
    assert_eq!((cuda.init, cuda.count, cuda.version), (Some(0), Some(1), Some(12080)));
    assert_eq!((cuda.devices[0].uuid.as_deref(), cuda.devices[0].capability), (Some("GPU-1"), Some((9, 0))));
    let refused = super::cuda(&transcript(&[
        "load|libcuda.so.1",
        "got|1|9|cannot open",
        "call|cuInit",
        "got|802|1|system not yet initialized",
    ]));
    assert_eq!(refused.library, LibraryState::Missing("cannot open".to_owned()));
    assert_eq!((refused.init, refused.init_words.as_deref()), (Some(802), Some("system not yet initialized")));
}

#[test]
fn a_proof_names_the_first_call_that_was_refused() {
    let proof = proof(&transcript(&[
        "call|cuInit|0",
        "got|0|100000",
        "call|cuDevicePrimaryCtxRetain|0",
        "got|0|50000",
        "call|cuMemGetInfo_v2|0",
        "got|0|1|1000|10",
        "call|cuMemAlloc_v2|0",
        "got|2|1|out of memory",
        "call|cuDevicePrimaryCtxRelease_v2|0",
        "got|999|1|unknown",
    ]));
    assert_eq!((proof.refused, proof.wrong), (Some(("cuMemAlloc_v2".to_owned(), 2)), None));
    assert_eq!((proof.context_took.as_millis(), proof.memory.unwrap().total), (150, 1000));
    let full = super::proof(&transcript(&[
        "call|compare|0",
        "got|0|1|3",
        "call|cuModuleLoadData|0",
        "got|221|1|no compiler",
        "call|bandwidth/to_host|0",
        "got|0|1|50000",
    ]));
    assert_eq!((full.wrong, full.to_host, full.refused), (Some(3), Some(50000), None));
    assert_eq!(full.beside, Some(("cuModuleLoadData".to_owned(), 221)));
}

#[test]
fn peer_copies_are_told_pair_by_pair() {
    let peers = peers(&transcript(&[
        "call|cuDeviceCanAccessPeer|0>1",
        "got|0|1|1",
        "call|cuMemcpyPeer|0>1",
        "got|0|1|300000",
        "call|compare|0>1",
        "got|0|1|0",
        "call|cuDeviceCanAccessPeer|1>0",
        "got|0|1|0",
        "call|cuMemcpyPeer|1>0",
        "got|719|1|launch failure",
    ]));
    let first = Pair { from: 0, to: 1, direct: Some(true), code: Some(0), wrong: Some(0), rate: Some(300_000) };
    assert_eq!(peers.pairs, [first, Pair { from: 1, to: 0, direct: Some(false), code: Some(719), ..Pair::default() }]);
}

proptest! {
    #[test]
    fn any_transcript_is_understood(
        names in proptest::collection::vec(("(nvml|cu|bandwidth/|compare)[A-Za-z_]{0,20}", "[0-9.>]{0,4}", "-?[0-9]{1,3}", "[0-9]{0,12}"), 0..30)
    ) {
        let lines: Vec<String> = names.iter().flat_map(|(name, whom, code, value)| [format!("call|{name}|{whom}"), format!("got|{code}|1|{value}")]).collect();
        let transcript = transcript(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let _ = (nvml(&transcript), cuda(&transcript), proof(&transcript), peers(&transcript));
    }
}
