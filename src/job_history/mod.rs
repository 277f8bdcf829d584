//! The history of a job on disk, and its sum in words. `crates/history` knows the lines; this module opens files, and knows neither the
//! settings nor who writes.

mod file;
mod packages;
mod words;

pub(crate) use file::{HistoryFile, WriteOutcome};
pub(crate) use packages::let_list_wait;
pub(crate) use words::{duration, percent, sum, sum_line, sum_words};
