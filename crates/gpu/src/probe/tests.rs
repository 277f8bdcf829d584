use super::super::facts::{Fabric, NvmlGpu};
use super::*;

fn gpu(change: impl FnOnce(&mut NvmlGpu)) -> GpuFacts {
    let mut gpu = NvmlGpu { uuid: Some("GPU-1".to_owned()), handle: Some(0), ..NvmlGpu::default() };
    change(&mut gpu);
    GpuFacts { nvml: Nvml { gpus: vec![gpu], ..Nvml::default() }, ..GpuFacts::default() }
}

fn refused(facts: GpuFacts, code: i32) -> GpuFacts {
    let proof =
        Proof { uuid: Some("GPU-1".to_owned()), refused: Some(("cuMemAlloc_v2".to_owned(), code)), ..Proof::default() };
    GpuFacts { proofs: vec![proof], ..facts }
}

#[test]
fn a_fabric_that_is_being_set_up_is_waited_for_and_a_finished_one_is_not() {
    let fabric = |state| awaited(&gpu(|gpu| gpu.fabric = Some(Fabric { state, ..Fabric::default() }))).is_some();
    assert_eq!([0, 1, 2, 3].map(fabric), [false, true, true, false]);
    let cuda = GpuFacts { cuda: Cuda { init: Some(802), ..Cuda::default() }, ..GpuFacts::default() };
    assert!(awaited(&cuda).unwrap().contains("fabric"));
}

#[test]
fn a_driver_that_starts_is_waited_for() {
    assert!(awaited(&gpu(|gpu| gpu.handle = Some(nvml_code::NOT_READY))).is_some());
    assert!(awaited(&gpu(|gpu| gpu.handle = Some(nvml_code::GPU_IS_LOST))).is_none());
}

#[test]
fn memory_that_somebody_still_holds_is_waited_for_but_not_a_prohibited_gpu() {
    assert!(awaited(&refused(gpu(|_| {}), 46)).is_some());
    assert!(awaited(&refused(gpu(|_| {}), 2)).is_some());
    assert!(awaited(&refused(gpu(|_| {}), 214)).is_none());
    assert!(awaited(&refused(gpu(|gpu| gpu.compute_mode = Some(2)), 46)).is_none());
}

#[test]
fn nothing_is_asked_where_nothing_is_wanted() {
    let environment = Environment::default();
    let ask = |level, helper| {
        let (timeout, wait) = (Duration::from_secs(60), Duration::ZERO);
        probe(&ProbeRequest { level, helper, environment: &environment, timeout, wait, awaited: &awaited }, &mut |_| {})
    };
    assert_eq!(ask(Level::Presence, &GpuHelper::Auto).cuda.outcome, ProbeOutcome::NotAsked);
    assert_eq!(ask(Level::Full, &GpuHelper::Off).nvml.outcome, ProbeOutcome::NoHelper);
    let missing = GpuHelper::Path("/no/such/helper".into());
    assert_eq!(ask(Level::Driver, &missing).cuda.outcome, ProbeOutcome::NotInstalled);
}

// The gpu-probe's pure modules, included from its sources.
#[allow(dead_code, reason = "the helper uses the rest")]
#[path = "../../../gpu-probe/program/arithmetic.rs"]
mod arithmetic;
#[allow(dead_code, reason = "the helper uses the rest")]
#[path = "../../../gpu-probe/program/pattern.rs"]
mod pattern;
#[allow(dead_code, reason = "the helper uses the rest")]
#[path = "../../../gpu-probe/program/report.rs"]
mod report;

/// Returns how a report of one call with these values is read.
fn read_back(values: impl FnOnce(&mut report::Report)) -> Vec<String> {
    let mut report = report::Report::new();
    report.raw(b"probe\t1\ncall\tf\ngot\t0\t1");
    values(&mut report);
    report.end();
    let transcript = transcript::parse(report.pending());
    transcript.calls.first().and_then(|call| call.values()).unwrap_or_default().to_vec()
}

#[test]
fn what_the_helper_writes_is_read_back() {
    let numbers = [0, 7, i64::MAX, i64::MIN, -1];
    let read = read_back(|report| numbers.iter().for_each(|number| report.number(*number)));
    assert_eq!(read, numbers.map(|number| number.to_string()));
    let uuid =
        read_back(|report| report.uuid(b"GPU-", b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff"));
    assert_eq!(uuid, ["GPU-00010203-0405-0607-0809-0a0b0c0d0eff"]);
}

#[test]
fn what_a_library_says_breaks_no_line_and_fills_no_room() {
    assert_eq!(read_back(|report| report.field(b"two\nlines\tand a tab")), ["two lines and a tab"]);
    let long = read_back(|report| report.field(&[b'x'; 9000]));
    assert_eq!(long.first().map(String::len), Some(report::LONGEST / 2));
    let mut full = report::Report::new();
    (0..20).for_each(|_| full.field(&[b'x'; 9000]));
    assert!(full.is_full() && full.pending().len() <= report::LONGEST * 4);
}

#[test]
fn every_word_of_the_pattern_differs_and_a_wrong_one_is_counted() {
    let mut piece = vec![0; 4096];
    pattern::fill(&mut piece, 5, 1 << 20);
    let distinct: std::collections::BTreeSet<u64> = piece.iter().copied().collect();
    assert_eq!((distinct.len(), pattern::differing(&piece, 5, 1 << 20)), (4096, 0));
    piece.swap(1, 2);
    assert_eq!(pattern::differing(&piece, 5, 1 << 20), 2, "memory that answers for another address");
    assert_eq!(pattern::differing(&piece, 6, 1 << 20), 4096, "what another GPU was sent");
}

#[test]
fn threads_of_one_kind_come_to_the_same_sum_and_others_to_others() {
    let sums: std::collections::BTreeSet<u32> = (0..arithmetic::KINDS as u32).map(arithmetic::expected).collect();
    assert_eq!(sums.len(), arithmetic::KINDS);
    assert_eq!(arithmetic::expected(3), arithmetic::expected(3 + 64 * 999));
    assert!(arithmetic::PROGRAMS.iter().all(|program| program.ends_with('\0') && program.is_ascii()));
}
