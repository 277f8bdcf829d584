//! The job that an engine can be asked to start again, by the rows of the table.

use crate::input::Variables;
use crate::row::{Row, number_of};
use crate::table::TABLE;

/// A job that can be started again (`requeue`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeueable {
    /// The number of the job.
    pub job: u64,
    /// Whether this process is the one of its job that asks: the first of its step, or the only one.
    pub asks: bool,
    /// Whether this is the only process of its step, or the batch process.
    pub alone: bool,
}

impl Requeueable {
    /// Finds the job by its variables; `None` where no engine that starts jobs again has started this process.
    pub fn of(variables: &dyn Variables) -> Option<Self> {
        let starts_again = |row: &&Row| !row.requeue.is_empty() && row.is_marked(variables);
        let row = TABLE.iter().find(starts_again)?;
        let number = |names| number_of::<u32>(variables, names).map(|known| known.value);
        Some(Requeueable {
            job: number_of(variables, row.requeue)?.value,
            asks: number(row.rank).is_none_or(|rank| rank == 0),
            alone: number(row.size).is_none_or(|size| size == 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<(u64, bool, bool)> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Requeueable::of(&variables).map(|found| (found.job, found.asks, found.alone))
    }

    #[test]
    fn the_first_process_of_a_step_asks_and_so_does_the_batch_process() {
        let step = |rank, tasks| {
            of(&[
                ("SLURM_JOB_ID", "7"),
                ("SLURM_STEP_NODELIST", "n[1-2]"),
                ("SLURM_PROCID", rank),
                ("SLURM_STEP_NUM_TASKS", tasks),
            ])
        };
        assert_eq!((step("0", "1"), step("0", "3")), (Some((7, true, true)), Some((7, true, false))));
        assert_eq!(step("1", "3"), Some((7, false, false)));
        assert_eq!(of(&[("SLURM_JOB_ID", "7"), ("SLURM_PROCID", "0")]), Some((7, true, true)));
    }

    #[test]
    fn other_engines_and_odd_numbers_give_none() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("SLURM_JOB_ID", "x7")]), None);
        assert_eq!(of(&[("LSB_JOBID", "7")]), None);
    }
}
