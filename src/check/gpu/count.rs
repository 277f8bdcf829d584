//! The number of GPUs that are here, and the number that is required. Device nodes decide, never one variable alone.

use super::surroundings::fault_words;
use super::{GpuTarget, VisibleGpus};
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use gpu::{Vendor, pci};

impl GpuTarget {
    pub(super) fn enough(&mut self) -> CheckResult {
        let least = self.least_here();
        if self.counted_devices() < least && !(self.presence().uncounted.is_some() && least > 0) {
            return if self.presence().nodes.is_empty() { self.none_given().found() } else { self.too_few().found() };
        }
        match self.demand.most {
            Some(most) if !self.demand.promise && self.shown() > most as usize && !self.is_vague() => {
                self.too_many(most).found()
            }
            _ => Ok(()),
        }
    }

    /// Returns the least number of devices that have to be here. Promised instances count where instances are seen.
    fn least_here(&self) -> usize {
        let instances = self.demand.instances.filter(|_| self.presence().is_sliced());
        instances.unwrap_or(self.demand.least) as usize
    }

    /// Returns the number of devices that the demand is held against. A promise is one of devices that are given; only where a person wrote
    /// a number do devices count that the person's variables hide.
    fn counted_devices(&self) -> usize {
        if self.demand.promise { self.presence().devices() } else { self.shown() }
    }

    /// Returns the least number of devices that CUDA has to show.
    pub(super) fn least_shown(&self) -> u32 {
        let shown = self.selection().filter(|_| self.demand.promise).map(|selection| selection.shown);
        shown
            .and_then(|shown| u32::try_from(shown).ok())
            .map_or(self.demand.least, |shown| shown.min(self.demand.least))
    }

    /// Returns whether variables hide all GPUs from CUDA, and no person asked for a number.
    pub(super) fn may_be_without(&self) -> bool {
        let hidden = self.selection().is_some_and(|selection| selection.shown == 0);
        (self.demand.least == 0 || self.demand.promise) && (hidden || gpu::hidden_from_cuda(&self.environment))
            || self.is_of_others()
    }

    /// Returns whether all GPUs belong to other jobs, and this one was promised none.
    pub(super) fn is_of_others(&self) -> bool {
        self.demand.least == 0 && self.is_job() && self.presence().is_closed()
    }

    /// Returns whether the number is ambiguous: GPUs without nodes are not counted, and MIG instances may outnumber GPUs.
    fn is_vague(&self) -> bool {
        self.presence().uncounted.is_some() || self.presence().is_sliced()
    }

    fn none_given(&self) -> Failure {
        let host = pci::of_the_host(&self.root);
        let failure = Failure::new(format!("no GPU in this container, {}", self.demand.words()));
        let failure = match host {
            Some((_, 0)) => failure.because("this machine has no NVIDIA GPU").advice("run it on a machine that has"),
            Some((Vendor::Amd, number)) => {
                let failure = failure.because(format!("the machine has {}", text::count(number as u64, "AMD GPU")));
                ["/dev/kfd", "/dev/dri"]
                    .into_iter()
                    .fold(failure, |failure, path| failure.remedy(self.give_device(path)))
            }
            Some((_, number)) => failure
                .because(self.none_of(number))
                .remedy(self.give(self.demand.most.filter(|_| !self.demand.promise))),
            None => failure.because("no device was given to the container").remedy(self.give(None)),
        };
        failure.passing(self.demand.scheduler && host.is_some_and(|(_, count)| count == 0))
    }

    /// Explains why the container has none of the machine's GPUs, if a variable says so.
    fn none_of(&self, host: usize) -> String {
        let machine = format!("the machine has {}", text::count(host as u64, "NVIDIA GPU"));
        match self.environment.text("NVIDIA_VISIBLE_DEVICES") {
            Some(word @ ("none" | "void")) => format!("{machine}, and NVIDIA_VISIBLE_DEVICES={word} asks for none"),
            _ => format!("{machine}, none was given to the container"),
        }
    }

    fn too_few(&self) -> Failure {
        let here = self.presence().devices();
        let failure = Failure::new(format!("{}, {}", self.number(self.counted_devices()), self.demand.words()));
        let hides = |selection: &VisibleGpus| !self.demand.promise && selection.shown < here;
        if let Some(selection) = self.selection().filter(hides) {
            let variable = selection.variable;
            let hidden = format!("{variable} shows {} of the {here} that are here", selection.shown);
            return match selection.fault {
                Some(fault) if !selection.is_empty() => failure
                    .because(format!("{hidden}: {}", fault_words(&fault)))
                    .advice(format!("unset {variable}, or list valid devices")),
                _ => failure.because(hidden).advice(format!("unset {variable}, or ask for fewer with gpu.count")),
            };
        }
        let failure = failure.because("fewer were given to the container; one may have fallen out of the node");
        let failure = match self.presence().nvidia().next() {
            _ if self.demand.instances.is_some() => failure.advice(
                "give the container each instance by its UUID (MIG-…), or the cluster's resource nvidia.com/mig-…",
            ),
            Some(_) => failure.remedy(self.give(None)),
            None => failure.advice("give the container the other devices, too"),
        };
        failure.passing(self.demand.scheduler)
    }

    fn too_many(&self, most: u32) -> Failure {
        let failure = Failure::new(format!("{}, {}", self.number(self.shown()), self.demand.words()));
        match most {
            0 => failure
                .because("this job is meant to run without")
                .advice("start it without GPUs, or with CUDA_VISIBLE_DEVICES empty"),
            most => failure
                .because("other jobs may count on the others")
                .remedy(self.give(Some(most)))
                .advice(format!("or gpu.count: >={most}, where more are fine")),
        }
    }

    /// Suggests how to give the container GPUs.
    pub(super) fn give(&self, count: Option<u32>) -> Remedy {
        Remedy::Start(Change::Gpus { count })
    }

    /// Suggests how to give the container a device.
    pub(super) fn give_device(&self, path: &str) -> Remedy {
        Remedy::Start(Change::Device(path.to_owned()))
    }

    pub(super) fn requested(&mut self) -> CheckResult {
        if !self.demand.user_request || !self.presence().nodes.is_empty() || self.presence().uncounted.is_some() {
            return Ok(());
        }
        let host = pci::of_the_host(&self.root);
        let because = match host {
            Some((Vendor::Nvidia, number @ 1..)) => {
                format!("the machine has {}", text::count(number as u64, "NVIDIA GPU"))
            }
            _ => "this image is made for GPUs (NVIDIA_VISIBLE_DEVICES=all)".to_owned(),
        };
        self.found(Failure::new("no GPU in this container").because(because).remedy(self.give(None)))
    }

    pub(super) fn not_more(&mut self) -> CheckResult {
        match self.demand.most {
            Some(most) if self.demand.promise && self.shown() > most as usize && !self.is_vague() => self.found(
                Failure::new(format!("{}, {}", self.number(self.shown()), self.demand.words()))
                    .because("the others may belong to other jobs")
                    .advice("set CUDA_VISIBLE_DEVICES to the promised ones, or gpu.count: any"),
            ),
            _ => Ok(()),
        }
    }

    /// Formats a number of devices: `3 GPUs`, `2 TPU chips`.
    pub(super) fn number(&self, number: usize) -> String {
        let noun = self.presence().nodes.first().map_or(Vendor::default(), |node| node.vendor).noun();
        let noun = if self.presence().is_sliced() { "MIG instance" } else { noun };
        text::count(number as u64, noun)
    }
}
