//! The requirements for each GPU that only the driver's facts can answer.

use super::{GpuHealthTarget, cuda};
use crate::check::step::{CheckResult, Failure};
use crate::config::CudaVersion;
use gpu::VersionText;
use gpu::facts::NvmlGpu;
use gpu::{Unfit, unfit};

impl GpuHealthTarget {
    pub(super) fn is_large(&mut self) -> CheckResult {
        let Some(wanted) = self.gpus.wanted.memory else { return Ok(()) };
        let least = self.gpus.wanted.least_memory();
        let little = |gpu: &NvmlGpu| {
            let total = gpu.memory?.total;
            (total < least).then(|| text::size(total))
        };
        match self.those(little) {
            None => Ok(()),
            Some(those) => Failure::new(format!("gpu.memory asks for {}: {those}", text::size(wanted.0)))
                .because("the GPUs are smaller than what is asked for")
                .advice("choose a node with larger GPUs")
                .found(),
        }
    }

    pub(super) fn has_free_memory(&mut self) -> CheckResult {
        let Some(wanted) = self.gpus.wanted.free_memory else { return Ok(()) };
        let little = |gpu: &NvmlGpu| {
            let memory = gpu.memory?;
            (memory.free() < wanted.of(memory.total)).then(|| format!("{} free", text::size(memory.free())))
        };
        match self.those(little) {
            None => Ok(()),
            Some(those) => Failure::new(format!("less memory is free than gpu.free_memory asks for: {those}"))
                .because("another process uses the GPU, or what ran before still ends")
                .advice("nvidia-smi on the host names the process; gpu.wait waits longer; try another node")
                .passing(true)
                .found(),
        }
    }

    pub(super) fn is_capable(&mut self) -> CheckResult {
        let Some(wanted) = self.gpus.wanted.capability.clone() else { return Ok(()) };
        let little = |gpu: &NvmlGpu| {
            let (major, minor) = gpu.capability?;
            let has = VersionText::new(major, minor);
            (has < wanted).then(|| has.to_string())
        };
        match self.those(little) {
            None => Ok(()),
            Some(those) => Failure::new(format!("gpu.capability asks for {wanted}: {those}"))
                .because("programs that are built for newer GPUs fail with error 209")
                .advice("choose a node with newer GPUs")
                .found(),
        }
    }

    /// Checks the major compute capability: a binary runs on all later minor versions. PTX may help if there is some.
    pub(super) fn is_known_to_cuda(&mut self) -> CheckResult {
        let Some(image) = self.gpus.image().cloned() else { return Ok(()) };
        let capability = |(major, minor): (u32, u32)| format!("compute capability {major}.{minor}");
        let unknown = |gpu: &NvmlGpu| unfit(&image.version, gpu.capability?).and(gpu.capability).map(capability);
        let Some(those) = self.those(unknown) else { return Ok(()) };
        let why = self.shown().find_map(|gpu| unfit(&image.version, gpu.capability?));
        let advice = match why {
            Some(Unfit::TooNew(first)) => format!("an image, or wheels, for CUDA {first} or newer"),
            _ => "an image, or wheels, for an older CUDA; a node with newer GPUs".to_owned(),
        };
        let (version, from) = (&image.version, text::line(&image.from));
        self.found_mild(
            Failure::new(format!("CUDA {version}, which the image is for ({from}), does not compile for {those}"))
                .because("`no kernel image is available for execution on the device` (209), unless it brings PTX")
                .advice(advice),
        )
    }

    /// Checks the CUDA of the library that a program finds; with cuda-compat it is newer than the kernel driver's.
    pub(super) fn has_cuda(&mut self) -> CheckResult {
        let Some(CudaVersion::AtLeast(wanted)) = self.gpus.wanted.cuda.clone() else { return Ok(()) };
        let version = self.facts.cuda.version.or(self.facts.nvml.cuda_version);
        match version.map(cuda).and_then(|text| VersionText::of(&text)) {
            Some(has) if has < wanted.short() => {
                Failure::new(format!("the driver has CUDA {has}, gpu.cuda asks for {wanted}"))
                    .advice("a node with a newer driver, or cuda-compat in the image")
                    .found()
            }
            _ => Ok(()),
        }
    }
}
