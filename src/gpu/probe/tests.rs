use super::super::facts::{Fabric, Gpu};
use super::*;

fn gpu(change: impl FnOnce(&mut Gpu)) -> Facts {
    let mut gpu = Gpu { uuid: Some("GPU-1".to_owned()), handle: Some(0), ..Gpu::default() };
    change(&mut gpu);
    Facts { nvml: Nvml { gpus: vec![gpu], ..Nvml::default() }, ..Facts::default() }
}

fn refused(facts: Facts, code: i32) -> Facts {
    let proof =
        Proof { uuid: Some("GPU-1".to_owned()), refused: Some(("cuMemAlloc_v2".to_owned(), code)), ..Proof::default() };
    Facts { proofs: vec![proof], ..facts }
}

#[test]
fn a_fabric_that_is_being_set_up_is_waited_for_and_a_finished_one_is_not() {
    let fabric = |state| awaited(&gpu(|gpu| gpu.fabric = Some(Fabric { state, ..Fabric::default() }))).is_some();
    assert_eq!([0, 1, 2, 3].map(fabric), [false, true, true, false]);
    let cuda = Facts { cuda: Cuda { init: Some(802), ..Cuda::default() }, ..Facts::default() };
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
        probe(&Ask { level, helper, environment: &environment, timeout, wait, awaited: &awaited }, &mut |_| {})
    };
    assert_eq!(ask(Level::Presence, &GpuHelper::Auto).cuda.outcome, Outcome::NotAsked);
    assert_eq!(ask(Level::Full, &GpuHelper::Off).nvml.outcome, Outcome::NoHelper);
    let missing = GpuHelper::Path("/no/such/helper".into());
    assert_eq!(ask(Level::Driver, &missing).cuda.outcome, Outcome::NotExecuted { errno: Errno::ENOENT as i32 });
}
