//! Kubernetes' indexed Jobs, JobSet and LeaderWorkerSet: the host's name tells the job, and the domain how pods are found.

use crate::input::Input;
use crate::known::Known;
use crate::world::World;

/// Returns the name of node 0's host: that of this host with so many numbers at its end set to 0, in its domain.
///
/// `None` where the name does not end with numbers, or where pods have no names in a domain (no headless service).
pub(crate) fn master_of(input: &Input<'_>, zeros: usize) -> Option<Known<String>> {
    let mut parts: Vec<&str> = input.host.rsplitn(zeros + 1, '-').collect();
    let base = parts.pop().filter(|base| !base.is_empty())?;
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if zeros == 0 || parts.len() != zeros || !parts.iter().all(is_number) || input.domain.is_empty() {
        return None;
    }
    Some(Known::new(format!("{base}{}.{}", "-0".repeat(zeros), input.domain), "the host's name"))
}

/// Completes the world of a pod of an indexed Job: the name without the index is the job's.
pub(crate) fn indexed(world: &mut World, input: &Input<'_>) -> bool {
    let index = world.node.as_ref().map(|node| format!("-{}", node.value));
    let job = index.and_then(|index| input.host.strip_suffix(index.as_str()));
    world.job = job.map(|job| Known::new(job.to_owned(), "the host's name"));
    true
}

/// Completes the world of a pod of a JobSet, which is `JOBSET-REPLICATED-JOB-POD` in the domain of the JobSet's name.
pub(crate) fn job_set(world: &mut World, input: &Input<'_>) -> bool {
    let Some(set) = input.domain.split('.').next().filter(|set| !set.is_empty()) else { return false };
    let rest = input.host.strip_prefix(set).and_then(|rest| rest.strip_prefix('-'));
    let mut numbers = rest.into_iter().flat_map(|rest| rest.rsplitn(3, '-'));
    let (pod, job) = (numbers.next(), numbers.next().and_then(|job| job.parse::<u32>().ok()));
    let pod = pod.and_then(|pod| pod.parse::<u32>().ok());
    let (Some(job), Some(_), Some(_)) = (job, pod, numbers.next()) else { return false };
    // How many pods each of the jobs before this one has is told nowhere.
    if job > 0 {
        world.node = None;
    }
    world.job = Some(Known::new(set.to_owned(), "the host's name"));
    true
}

/// Completes the world of a LeaderWorkerSet: the leader's address tells the group.
pub(crate) fn leader(world: &mut World, _: &Input<'_>) -> bool {
    world.job.clone_from(&world.master);
    true
}
