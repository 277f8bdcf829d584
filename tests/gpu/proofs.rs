//! Contexts, memory, bandwidths, sums and copies between GPUs, each GPU for itself.

use super::fakes::fakes;
use super::{Level, asked, asked_shortly};
use gpu::facts::{CallStep, GpuFacts, Pair, ProbeOutcome, ProbeStop};

fn proved(level: Level, more: &[(&str, &str)]) -> Option<GpuFacts> {
    let variables: Vec<_> = more.iter().copied().chain([("FAKE_GPUS", "3")]).collect();
    Some(asked(fakes()?, level, &variables))
}

#[test]
fn every_gpu_that_cuda_shows_is_proved_under_its_own_uuid() {
    let Some(facts) = proved(Level::Cuda, &[("CUDA_VISIBLE_DEVICES", "2,0")]) else { return };
    let proofs: Vec<_> =
        facts.proofs.iter().map(|proof| (proof.ordinal, proof.uuid.as_deref().unwrap(), proof.wrong)).collect();
    let (third, first) = ("GPU-00000002-0000-0000-0000-000000000000", "GPU-00000000-0000-0000-0000-000000000000");
    assert_eq!(proofs, [(0, third, Some(0)), (1, first, Some(0))]);
    let proof = &facts.proofs[0];
    assert_eq!((&proof.outcome, &proof.refused, proof.to_host), (&ProbeOutcome::Complete, &None, None));
    assert_eq!(proof.memory.unwrap().free(), 149_000_000_000);
    assert_eq!(facts.peers.outcome, ProbeOutcome::NotAsked);
}

#[test]
fn one_wrong_bit_on_one_gpu_is_seen() {
    let Some(facts) = proved(Level::Cuda, &[("FAKE_AT", "cuMemcpyDtoH_v2:1"), ("FAKE_DO", "flip")]) else { return };
    // One in each of the sixteen pieces that are read back.
    assert_eq!(facts.proofs.iter().map(|proof| proof.wrong).collect::<Vec<_>>(), [Some(0), Some(16), Some(0)]);
}

#[test]
fn a_gpu_that_hangs_or_has_no_memory_does_not_keep_the_others_from_their_proof() {
    let Some(fakes) = fakes() else { return };
    let failing =
        |at, what| asked_shortly(fakes, Level::Cuda, &[("FAKE_AT", at), ("FAKE_DO", what), ("FAKE_GPUS", "3")]);
    let memory = asked(fakes, Level::Cuda, &[("FAKE_AT", "cuMemAlloc_v2:0"), ("FAKE_DO", "2"), ("FAKE_GPUS", "3")]);
    assert_eq!(memory.proofs[0].refused, Some(("cuMemAlloc_v2".to_owned(), 2)));
    assert_eq!(memory.proofs[0].refused_words.as_deref(), Some("a CUDA error"));
    assert_eq!((memory.proofs[1].wrong, memory.proofs[2].wrong), (Some(0), Some(0)));
    let hung = failing("cuDevicePrimaryCtxRetain:2", "hang");
    let at = CallStep { call: "cuDevicePrimaryCtxRetain".to_owned(), gpu: Some(2) };
    assert_eq!(
        crate::failing::outcome(hung.proofs[2].outcome.clone()),
        ProbeOutcome::Stopped { at: Some(at), how: ProbeStop::Overdue, waits: None }
    );
}

#[test]
fn all_of_it_measures_calculates_and_copies_between_gpus() {
    let Some(facts) = proved(Level::Full, &[]) else { return };
    for proof in &facts.proofs {
        assert!(
            proof.to_device.is_some_and(|rate| rate > 0) && proof.to_host.is_some_and(|rate| rate > 0),
            "{proof:?}"
        );
        assert_eq!((proof.miscalculated, &proof.beside, proof.within.is_some()), (Some(0), &None, true));
    }
    assert_eq!((&facts.peers.outcome, facts.peers.pairs.len()), (&ProbeOutcome::Complete, 6));
    let reached: Vec<_> = facts.peers.pairs.iter().map(|pair| (pair.from, pair.to, pair.direct, pair.wrong)).collect();
    assert_eq!(reached[0], (0, 1, Some(true), Some(0)));
    assert_eq!(reached[1], (0, 2, Some(false), Some(0)));
    assert!(facts.peers.pairs.iter().all(|pair| pair.code == Some(0) && pair.rate.is_some()));
}

#[test]
fn a_wrong_sum_and_a_missing_compiler_are_told_and_do_not_hide_the_rest() {
    let full = |at, what| {
        Some(asked(fakes()?, Level::Full, &[("FAKE_AT", at), ("FAKE_DO", what), ("FAKE_GPUS", "1")]).proofs.remove(0))
    };
    let Some(wrong) = full("cuLaunchKernel", "sum") else { return };
    assert_eq!((wrong.miscalculated, wrong.wrong), (Some(1), Some(0)));
    let Some(compiler) = full("cuModuleLoadData", "221") else { return };
    assert_eq!(compiler.beside, Some(("cuModuleLoadData".to_owned(), 221)));
    assert_eq!((compiler.refused, compiler.miscalculated, compiler.to_host.is_some()), (None, None, true));
}

#[test]
fn garbage_between_two_gpus_is_seen() {
    let Some(facts) = proved(Level::Full, &[("FAKE_AT", "cuMemcpyPeer:1"), ("FAKE_DO", "garbage")]) else { return };
    let wrong: Vec<&Pair> = facts.peers.pairs.iter().filter(|pair| pair.wrong != Some(0)).collect();
    assert_eq!(
        wrong.iter().map(|pair| (pair.from, pair.to, pair.wrong)).collect::<Vec<_>>(),
        [(1, 0, Some(512)), (1, 2, Some(512))]
    );
}
