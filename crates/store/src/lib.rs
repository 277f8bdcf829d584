//! Shares directories that are built once, between the replicas of a job and its later starts. A directory on a common volume contains
//! each environment as one file. Of several starts that want the same one, one builds it and the others wait.
//!
//! `election` decides which start builds. Other starts see its decision as `lease`, `failed` and the packed file. `archive`, `pack` and
//! `unpack` handle that file, and `garbage` keeps the store small. The crate knows bytes, paths and a clock. It does not know what an
//! environment is for, and writes no line: a start that waits gets a `WaitEvent`, and all else is returned.
#![warn(unreachable_pub)]

mod answer;
pub mod archive;
pub mod digest;
mod election;
mod entry;
mod error;
pub mod failed;
mod garbage;
pub mod lease;
mod names;
mod pack;
mod packed;
mod queue;
mod shared_work;
mod store_dir;
mod unpack;

pub use answer::StoreAnswer;
pub use entry::{EntryState, PublishedSize, StoreEntry};
pub use error::{FileError, StoreError};
pub use garbage::{GarbageCandidate, RemovedFile, RemovedKind, chosen, inventory, prune};
pub use names::EntryNames;
pub use packed::Packed;
pub use shared_work::{SharedWork, WaitEvent, WorkAnswer};
pub use unpack::below;
