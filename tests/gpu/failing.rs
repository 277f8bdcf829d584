//! What becomes of libraries that are not well.

use super::fakes::fakes;
use super::{Level, Question, SHORT, asked, asked_shortly};
use gpu::facts::{CallStep, GpuFacts, LibraryState, ProbeOutcome, ProbeStop};
use std::time::{Duration, Instant};

/// Stopped at this call about this GPU.
fn stopped(call: &str, gpu: Option<u32>, how: ProbeStop) -> ProbeOutcome {
    ProbeOutcome::Stopped { at: Some(CallStep { call: call.to_owned(), gpu }), how, waits: None }
}

/// The same, whatever it was at then.
pub fn outcome(outcome: ProbeOutcome) -> ProbeOutcome {
    match outcome {
        ProbeOutcome::Stopped { at, how, .. } => ProbeOutcome::Stopped { at, how, waits: None },
        outcome => outcome,
    }
}

fn failing(at: &str, what: &str) -> Option<GpuFacts> {
    Some(asked_shortly(fakes()?, Level::Driver, &[("FAKE_AT", at), ("FAKE_DO", what), ("FAKE_GPUS", "4")]))
}

#[test]
fn codes_of_the_first_call_are_told_with_the_librarys_words() {
    for (code, words) in [(18, "Driver/library version mismatch"), (9, "Driver Not Loaded"), (999, "Unknown Error")] {
        let Some(facts) = failing("nvmlInit_v2", &code.to_string()) else { return };
        assert_eq!((facts.nvml.init, facts.nvml.init_words.as_deref()), (Some(code), Some(words)));
        assert_eq!((facts.nvml.outcome, facts.nvml.gpus.len()), (ProbeOutcome::Complete, 0));
        assert_eq!(facts.cuda.count, Some(4), "CUDA is asked all the same");
    }
}

#[test]
fn a_gpu_that_is_lost_does_not_hide_the_others() {
    let Some(facts) = failing("nvmlDeviceGetHandleByIndex_v2:2", "15") else { return };
    let handles: Vec<_> = facts.nvml.gpus.iter().map(|gpu| gpu.handle).collect();
    assert_eq!(handles, [Some(0), Some(0), Some(15), Some(0)]);
    assert_eq!((facts.nvml.gpus[2].condemned(), facts.nvml.gpus[3].name.as_deref()), (Some(15), Some("NVIDIA H200")));
    let Some(later) = failing("nvmlDeviceGetName:1", "16") else { return };
    assert_eq!((later.nvml.gpus[1].condemned(), later.nvml.gpus[1].minor), (Some(16), Some(1)));
}

#[test]
fn a_hang_names_the_call_and_the_gpu_and_what_was_told_before_it_is_kept() {
    let began = Instant::now();
    let Some(facts) = failing("nvmlDeviceGetPciInfo_v3:2", "hang") else { return };
    let ProbeOutcome::Stopped { waits: Some(waits), .. } = &facts.nvml.outcome else {
        panic!("{:?}", facts.nvml.outcome)
    };
    assert_eq!(waits.state, 'S', "it can be woken: {waits:?}");
    assert_eq!(outcome(facts.nvml.outcome), stopped("nvmlDeviceGetPciInfo_v3", Some(2), ProbeStop::Overdue));
    assert_eq!(
        (facts.nvml.driver.as_deref(), facts.nvml.gpus[2].name.as_deref()),
        (Some("570.172.08"), Some("NVIDIA H200"))
    );
    assert_eq!((facts.cuda.outcome, facts.cuda.count), (ProbeOutcome::Complete, Some(4)));
    assert!(facts.nvml.took >= SHORT && began.elapsed() < SHORT + Duration::from_secs(10));
}

#[test]
fn a_hang_that_ignores_sigterm_is_killed() {
    let Some(facts) = failing("nvmlInit_v2", "hangterm") else { return };
    assert_eq!(outcome(facts.nvml.outcome), stopped("nvmlInit_v2", None, ProbeStop::Overdue));
    assert!(facts.nvml.took >= SHORT + Duration::from_secs(2), "{:?}", facts.nvml.took);
    let Some(cuda) = failing("cuInit", "hang") else { return };
    assert_eq!(outcome(cuda.cuda.outcome), stopped("cuInit", None, ProbeStop::Overdue));
    assert_eq!(cuda.nvml.outcome, ProbeOutcome::Complete);
}

#[test]
fn a_crash_inside_the_library_names_the_call_and_the_gpu() {
    let Some(facts) = failing("nvmlDeviceGetName:3", "crash") else { return };
    assert_eq!(facts.nvml.outcome, stopped("nvmlDeviceGetName", Some(3), ProbeStop::Killed(11)));
    let Some(cuda) = failing("cuDeviceGetName:1", "crash") else { return };
    assert_eq!(cuda.cuda.outcome, stopped("cuDeviceGetName", Some(1), ProbeStop::Killed(11)));
}

#[test]
fn an_exit_inside_the_library_is_no_success() {
    let Some(facts) = failing("nvmlDeviceGetCount_v2", "exit") else { return };
    assert_eq!(facts.nvml.outcome, stopped("nvmlDeviceGetCount_v2", None, ProbeStop::Exited(0)));
}

#[test]
fn what_a_library_prints_is_not_in_the_report() {
    let Some(facts) = failing("nvmlInit_v2", "noise") else { return };
    assert_eq!((facts.nvml.outcome, facts.nvml.count), (ProbeOutcome::Complete, Some(4)));
    assert_eq!((facts.nvml.stderr.as_deref(), facts.cuda.stderr), (Some("noise"), None), "it is kept beside");
}

#[test]
fn what_a_dying_library_and_the_loader_complain_of_is_kept() {
    let Some(facts) = failing("cuInit", "abort") else { return };
    assert_eq!(outcome(facts.cuda.outcome), stopped("cuInit", None, ProbeStop::Killed(6)));
    assert_eq!(facts.cuda.stderr.as_deref(), Some("libcuda: assertion failed"));
    let Some(fakes) = fakes() else { return };
    let facts = asked(fakes, Level::Driver, &[("FAKE_GPUS", "1"), ("LD_PRELOAD", "/no/such/library.so")]);
    let complaint = facts.nvml.stderr.unwrap_or_default();
    assert!(complaint.contains("/no/such/library.so"), "{complaint}");
    assert_eq!(facts.nvml.outcome, ProbeOutcome::Complete);
}

#[test]
fn missing_libraries_are_told_with_the_loaders_words() {
    let Some(fakes) = fakes() else { return };
    let facts = asked(fakes, Level::Cuda, &[("LD_LIBRARY_PATH", "/no/such/directory")]);
    let missing =
        |library: &LibraryState| matches!(library, LibraryState::Missing(words) if words.contains("cannot open"));
    let real = ["libcuda.so.1", "libnvidia-ml.so.1"]
        .iter()
        .any(|name| std::path::Path::new("/usr/lib/x86_64-linux-gnu").join(name).exists());
    if real {
        return crate::skip("this machine has a GPU's driver, so its libraries are not missing");
    }
    assert!(missing(&facts.nvml.library) && missing(&facts.cuda.library), "{facts:?}");
    assert_eq!((facts.nvml.outcome, facts.nvml.init, facts.proofs.len()), (ProbeOutcome::Complete, None, 0));
}

#[test]
fn what_is_going_to_pass_is_waited_for_and_told() {
    let Some(fakes) = fakes() else { return };
    let directory = tempfile::tempdir().unwrap();
    let waits = |name: &str, later: &str, wait| {
        let count = directory.path().join(name);
        let variables = [("FAKE_COUNT", count.to_str().unwrap()), ("FAKE_LATER", later), ("FAKE_GPUS", "1")];
        Question { wait, ..Question::new(fakes, Level::Driver, &variables) }.ask()
    };
    // Counted together by both libraries: nvmlInit (27), the fabric's state (2), cuInit (802).
    let passed = waits("passes", "4", Duration::from_secs(30));
    assert_eq!((passed.nvml.init, passed.cuda.init), (Some(0), Some(0)));
    let (reason, time) = passed.waited.unwrap();
    assert!(time >= Duration::from_secs(1) && !reason.is_empty());
    let stays = waits("stays", "1000", Duration::from_millis(1500));
    assert_eq!(stays.cuda.init, Some(802));
    assert!(stays.waited.is_some() && stays.took < Duration::from_secs(20));
    assert_eq!(waits("at once", "1000", Duration::ZERO).waited, None);
}
