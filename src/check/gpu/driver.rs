//! Asks the driver (`gpu::probe`) in parallel to the rest of a start, and lets `health` judge the answers. Runs only where there is a GPU
//! of NVIDIA's, so that other starts do not pay for it.

use super::GpuTarget;
use super::health::{self, STEPS};
use crate::check::progress::TaskProgress;
use crate::check::rules::Rules;
use crate::check::task::CheckTask;
use crate::check::{CheckContext, HostFacts};
use gpu;
use gpu::facts::GpuFacts;
use gpu::probe::Level;
use gpu::probe::{self, ProbeRequest};
use std::rc::Rc;
use std::time::Duration;

/// Extra time for the processes around the probe.
const MARGIN: Duration = Duration::from_secs(10);

/// Plans one task in a process of its own.
pub(crate) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    if !is_asked(context, &GpuTarget::of(context, host_facts)) {
        return Vec::new();
    }
    let (context, rules) = (context.clone(), *rules);
    let deadline = probe::longest(&ask(&context, &|_| None)) + MARGIN;
    let work = move |mut pulse: TaskProgress| {
        let awaited = |facts: &GpuFacts| probe::awaited(facts).or_else(|| health::awaited(&context, facts));
        let facts = probe::probe(&ask(&context, &awaited), &mut |reason| pulse(&format!("waiting: {reason}")));
        health::judge(&context, &rules, facts)
    };
    let first = STEPS.first().map(|step| CheckTask::beside(&step.check, &rules, deadline, Box::new(work)));
    first.into_iter().collect()
}

/// Returns whether the driver is asked.
pub(crate) fn is_asked(context: &CheckContext, gpus: &GpuTarget) -> bool {
    context.settings.gpu_probe.value != Level::Presence && gpus.can_be_asked()
}

fn ask<'a>(context: &'a CheckContext, awaited: &'a dyn Fn(&GpuFacts) -> Option<String>) -> ProbeRequest<'a> {
    let settings = &context.settings;
    ProbeRequest {
        level: settings.gpu_probe.value,
        helper: &settings.gpu_helper.value,
        environment: &context.environment,
        timeout: settings.gpu_timeout.value,
        wait: settings.gpu_wait.value.unwrap_or_default(),
        awaited,
    }
}

impl GpuTarget {
    /// Returns whether NVIDIA's libraries can be asked; under WSL2 one device stands for all GPUs.
    fn can_be_asked(&self) -> bool {
        let devices = self.host_facts.devices();
        !self.demand.is_none() && (gpu::has_nvidia(devices) || gpu::uncounted(devices).is_some())
    }
}
