//! Data that is brought before the workload starts (`from=` of `data`): which paths, in a process of its own beside the other steps, and
//! the words about it. What bringing is, the crate `stage` knows. This module uses `config`, `engine` and `report`'s errors, and no check.

mod event;
mod keep;
mod process;
mod request;
mod words;

pub(crate) use event::StagingEvent;
pub(crate) use keep::keep;
pub(crate) use process::RunningStage;
pub(crate) use request::{StageContext, requests};
pub(crate) use words::{
    age_words, amount, died, error_of, error_of_crate, not_started, progress_words, row_words, wait_words,
};
