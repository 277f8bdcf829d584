//! The mirror of checkpoints at work: the program that carries the bytes, and the mark that tells which run a directory belongs to.
//! A start restores from it (`prepare/restore.rs`), and a helper uploads to it (`helper/mirror.rs`). The job's history goes with them.

mod carried;
mod history;
mod mark;

pub(crate) use carried::CarriedStore;
pub(crate) use history::MirroredHistory;
pub(crate) use mark::{new_id, read_mark, write_mark};
