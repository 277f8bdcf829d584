//! The effects of `host.*` on the workload: limits that it inherits through exec, and variables with a number of threads.

use crate::check::{self, CheckContext};
use crate::config::{LockedMemory, Settings};
use sys::environment::Environment;
use sys::limits::{LimitedResource, raise};

/// OpenMP's variable; if it is set, trainit decides nothing here, because the other libraries follow it.
const OPENMP: &str = "OMP_NUM_THREADS";
/// All variables that are set: libraries that were built without OpenMP read their own.
const VARIABLES: [&str; 4] = [OPENMP, "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"];

/// Raises the configured limits as far as permitted; the checks report a limit that cannot be raised.
pub(super) fn raise_limits(settings: &Settings) {
    let locked = settings.host_memlock.map(LockedMemory::bytes);
    for (kind, wanted) in
        [(LimitedResource::Files, settings.host_nofile.wanted()), (LimitedResource::LockedMemory, locked)]
    {
        let _ = wanted.and_then(|wanted| raise(kind, wanted));
    }
}

/// Sets the number of threads for the workload, if that is wanted and not set yet; returns a line about it.
pub(super) fn share_cpus(context: &CheckContext, environment: &mut Environment) -> Option<String> {
    let locked = context.settings.lock_of("host.threads").is_some();
    if environment.get(OPENMP).is_some() && !locked {
        return None;
    }
    let (threads, cpus) = check::threads(context, environment)?;
    VARIABLES.iter().for_each(|name| match locked {
        true => environment.set(*name, threads.to_string()),
        false => environment.set_default(*name, threads.to_string()),
    });
    let each = if cpus.ranks == 1 { String::new() } else { format!(" for each of {} ranks", cpus.ranks) };
    let may = text::count(cpus.millis.div_ceil(1000), "CPU");
    Some(format!("{OPENMP}: {threads}{each}, of {may} here (host.threads)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Threads};

    fn shared(threads: Threads, given: &[(&str, &str)]) -> (Vec<Option<String>>, Option<String>) {
        let mut loaded = Loaded::default();
        loaded.settings.host_threads.value = threads;
        let context = CheckContext::of(loaded, given.iter().copied().collect(), vec!["python".into()]);
        let mut environment = context.environment.clone();
        let line = share_cpus(&context, &mut environment);
        (VARIABLES.iter().map(|name| environment.text(name).map(str::to_owned)).collect(), line)
    }

    #[test]
    fn ranks_that_only_the_workloads_own_variables_tell_share_the_cpus() {
        let mut loaded = Loaded::default();
        loaded.settings.host_threads.value = Threads::Auto;
        let context = CheckContext::of(loaded, Environment::default(), vec!["torchrun".into()]);
        let mut environment: Environment = [("PET_NPROC_PER_NODE", "64")].into_iter().collect();
        let line = share_cpus(&context, &mut environment).unwrap();
        assert!(line.contains(" for each of 64 ranks"), "{line}");
    }

    #[test]
    fn threads_are_told_where_it_is_wanted_and_nobody_has_said_it() {
        let three = Some("3".to_owned());
        let (set, line) = shared(Threads::Exactly(3), &[("LOCAL_WORLD_SIZE", "2"), ("MKL_NUM_THREADS", "1")]);
        assert_eq!(set, [three.clone(), Some("1".to_owned()), three.clone(), three]);
        assert!(line.unwrap().starts_with("OMP_NUM_THREADS: 3 for each of 2 ranks, of "));
        let inherited = vec![Some("7".to_owned()), None, None, None];
        assert_eq!(shared(Threads::Auto, &[("OMP_NUM_THREADS", "7")]), (inherited, None));
        assert_eq!(shared(Threads::Off, &[]), (vec![None; 4], None));
    }
}
