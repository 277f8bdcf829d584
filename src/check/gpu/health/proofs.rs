//! The results of the proofs: a context and a memory round trip on each GPU, arithmetic, bandwidths, copies between GPUs.

use super::GpuHealthTarget;
use super::answers::written;
use super::codes::{self, explained};
use crate::check::step::{CheckResult, Failure};
use gpu::facts::{NvmlGpu, Pair, Proof};

/// Throughput of one PCI Express lane in MiB/s, by generation from the first (after its encoding).
const LANE: [u64; 6] = [238, 476, 939, 1878, 3756, 7211];
/// Percentage of the link's throughput that has to be reached.
const SHARE: u64 = 60;

impl GpuHealthTarget {
    pub(super) fn proves_itself(&mut self) -> CheckResult {
        let wrong = |proof: &&Proof| proof.wrong.unwrap_or(0) + proof.miscalculated.unwrap_or(0) > 0;
        if let Some(proof) = self.facts.proofs.iter().find(wrong) {
            let failure = match proof.wrong.filter(|words| *words > 0) {
                Some(words) => {
                    format!("gives back other memory than was written: {}", text::count(words, "wrong word"))
                }
                None => "comes to wrong sums".to_owned(),
            };
            return self.found(
                Failure::new(format!("{} {failure}", device(proof)))
                    .because("what is trained on it would be wrong, without an error")
                    .advice("try another node, and have this GPU replaced")
                    .passing(true),
            );
        }
        let refused = |proof: &&Proof| proof.refused.is_some();
        let Some(proof) = self.facts.proofs.iter().find(refused) else { return Ok(()) };
        let Some((call, code)) = &proof.refused else { return Ok(()) };
        let device = device(proof);
        let words = proof.refused_words.as_ref().map(|words| format!(": {}", text::line(words))).unwrap_or_default();
        let failure = Failure::new(format!("{device} cannot be used ({}: {code}{words})", text::line(call)));
        self.found(explained(failure, codes::CUDA, *code).adding(written(proof.stderr.as_ref())))
    }

    pub(super) fn compiles(&mut self) -> CheckResult {
        let beside = |proof: &Proof| Some((device(proof), proof.beside.clone()?));
        let Some((device, (call, code))) = self.facts.proofs.iter().find_map(beside) else { return Ok(()) };
        let failure = Failure::new(format!("{device}: {} is refused with {code}", text::line(&call)));
        self.found_mild(explained(failure, codes::CUDA, code))
    }

    pub(super) fn copies_fast(&mut self) -> CheckResult {
        let slow = |proof: &Proof| {
            let could = could_carry(self.gpu_of(proof)?)?;
            let slowest = [proof.to_device, proof.to_host].into_iter().flatten().min()?;
            (slowest * 100 < could * SHARE).then(|| format!("{}: {} MiB/s of {could}", device(proof), slowest))
        };
        let slow: Vec<String> = self.facts.proofs.iter().filter_map(slow).collect();
        if slow.is_empty() {
            return Ok(());
        }
        self.found_mild(
            Failure::new(format!("copies between host and GPU are slow ({})", slow.join(", ")))
                .because("the process is far from the GPU (NUMA), the link has errors, or the machine is busy")
                .advice("bind the process near its GPU; have the node looked at")
                .passing(true),
        )
    }

    pub(super) fn peers_agree(&mut self) -> CheckResult {
        let wrong = |pair: &&Pair| pair.wrong.unwrap_or(0) > 0 || pair.code.unwrap_or(0) != 0;
        let Some(pair) = self.facts.peers.pairs.iter().find(wrong) else { return Ok(()) };
        let between = format!("from cuda:{} to cuda:{}", pair.from, pair.to);
        self.found(match pair.code.filter(|code| *code != 0) {
            Some(code) => {
                explained(Failure::new(format!("a copy {between} is refused with {code}")), codes::CUDA, code)
            }
            None => Failure::new(format!("a copy {between} arrives wrong"))
                .because(
                    "an IOMMU or PCIe's access control is in the way of direct copies: NCCL hangs or computes nonsense",
                )
                .advice("turn IOMMU and ACS off in the firmware; NCCL_P2P_DISABLE=1 until then")
                .passing(true),
        })
    }

    fn gpu_of(&self, proof: &Proof) -> Option<&NvmlGpu> {
        self.facts.gpu_of(proof.uuid.as_deref()?)
    }
}

/// Returns the throughput of a GPU's link in MiB/s at its current width; the generation rises under load.
fn could_carry(gpu: &NvmlGpu) -> Option<u64> {
    let ((lanes, _), (_, generation)) = (gpu.pcie_width?, gpu.pcie_generation?);
    let lane = LANE.get(usize::try_from(generation).ok()?.checked_sub(1)?)?;
    Some(lane * u64::from(lanes))
}

fn device(proof: &Proof) -> String {
    format!("cuda:{}", proof.ordinal)
}
