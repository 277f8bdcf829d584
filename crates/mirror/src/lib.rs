//! Checkpoints in an object store. A checkpoint's objects come first and its manifest last, and only manifests are read, so half an
//! upload does not exist. The crate plans, verifies and keeps account; `Store` carries the bytes. It knows no trainer, no setting and
//! no exit code.
#![warn(unreachable_pub)]

mod account;
mod budget;
mod digest;
mod fetch;
mod manifest;
mod names;
mod parts;
mod pointer;
mod publish;
mod records;
mod runs;
mod snapshot;
mod store;
mod unfinished;
mod upload;

pub use account::newest_first;
pub use budget::{Rate, wanted_grace};
pub use fetch::{FetchError, fetch};
pub use manifest::{Manifest, MirroredFile, Part, Unreadable};
pub use names::MirrorUrl;
pub use parts::Found;
pub use pointer::pointer;
pub use publish::{point, publish};
pub use records::Records;
pub use runs::{Attempt, Clash};
pub use snapshot::Snapshot;
pub use store::Store;
pub use upload::{Announced, Facts, UploadError, Uploaded, Uploader};

#[cfg(test)]
mod tests;
