//! Whether this process is the one of its processes that writes for all, by the variables of what started it.

use sys::environment::Environment;
use world::TABLE;

/// Returns whether no engine's variables say that this is another process or node of the job than the first.
///
/// The names that are every engine's, such as `RANK`, count wherever they are set; an engine's own only where it started this process.
pub fn is_first_rank(environment: &Environment) -> bool {
    let is_set = |name: &&str| environment.get(name).is_some();
    let rows = TABLE.iter().filter(|row| row.engine == "variables" || row.marks.iter().all(is_set));
    let number = |name: &&str| environment.text(name)?.trim().parse::<u64>().ok();
    rows.flat_map(|row| row.rank.iter().chain(row.node)).filter_map(number).all(|number| number == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_processes_one_is_the_first() {
        let first = |variables: &[(&str, &str)]| is_first_rank(&variables.iter().copied().collect());
        assert!(first(&[]) && first(&[("RANK", "0"), ("SLURM_PROCID", "0")]) && first(&[("RANK", "none")]));
        let step =
            [("SLURM_JOB_ID", "7"), ("SLURM_STEP_NODELIST", "n[1-2]"), ("SLURM_PROCID", "0"), ("SLURM_NODEID", "1")];
        assert!(!first(&[("RANK", "3")]) && !first(&step) && !first(&[("JOB_COMPLETION_INDEX", "1")]));
        assert!(first(&[("PROCESS_ID", "4711")]), "that is no number of JAXJob alone");
    }
}
