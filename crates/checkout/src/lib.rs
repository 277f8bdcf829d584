//! Brings a commit of a git repository into a directory, by the git of the image.
//!
//! The crate decides what is fetched, keeps what somebody changed, and heals what a killed start left. It does not know the
//! configuration, the modes or exit codes of trainit. git runs no hook, asks nobody, and gets a token only by asking trainit for it
//! (`askpass`).
#![warn(unreachable_pub)]

mod access;
mod address;
mod askpass;
mod bring;
mod changes;
mod failure;
mod git;
mod place;
mod pointers;
mod reference;
mod ssh_command;
mod stamp;

pub use access::Access;
pub use address::{Address, AddressError, is_commit};
pub use askpass::{TokenSource, answer, is_question};
pub use bring::{Brought, Progress, Request, bring, held};
pub use changes::{Changes, changed_names};
pub use failure::{Failure, FailureKind};
pub use git::GitProgress;
pub use reference::{Named, NamedBy};
