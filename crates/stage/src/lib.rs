//! Brings data to a node once: from a path, an object store or a program, into a directory that a workload reads. One start of many brings
//! it, the others wait; a start that finds it whole does nothing; a start that is killed costs the next one little.
//!
//! `run` is one path from its source to the workload, `bring` the work of the start that was elected. The crate knows neither configuration
//! nor exit codes, and writes no line: what happens is told as `StageEvent`, and an error is data with its words in `words`.
#![warn(unreachable_pub)]

mod bring;
mod command;
mod error;
mod fetch;
mod item;
mod journal;
mod key;
mod limit;
mod link;
mod list;
mod mover;
mod objects;
mod only;
mod path;
mod place;
mod plan;
mod prune;
mod publish;
mod request;
mod reuse;
mod room;
mod run;
mod source;
mod space;
mod stamp;
mod sum;
mod words;

/// What a start reads that a store, or an earlier start, wrote: parsers of bytes, which touch nothing. The fuzzer reads with them, too.
pub mod formats {
    pub use super::item::{Item, ItemKind};
    pub use super::journal::Written;
    pub use super::key::{BadKey, KeyPath, path_of};
}

pub use error::{ObjectFailure, StageError};
pub use list::{Part, Totals};
pub use only::Only;
pub use plan::{Plan, plan};
pub use prune::{Kept, chosen, inventory, remove, sweep};
pub use request::{How, Progress, Refresh, StageEvent, StageRequest, TransferChoice};
pub use run::{Staged, look, stage, touch};
pub use source::{NoSource, Source};
pub use space::{SharedRoom, look as look_at_room};
pub use stamp::Stamp;
