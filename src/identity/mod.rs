//! The workload's user: decided from the request, this process's user and the account files, then assumed once and for good.
//!
//! That comes before any file of a mount is read, checked, installed or run. The module depends on `config`, `environment` and `sys`, and
//! not on the checks.
//!
//! `decide` only reads below a `Root`; `WorkloadIdentity::enter` and `Entered::at_home` have the side effects. A user that stays the same
//! costs one look at HOME.

mod account_files;
pub mod accounts;
mod assume;
mod chown;
mod code_owner;
mod decide;
mod groups;
mod home;
mod home_link;
mod left_out;
mod names;
mod refusal;
mod user_request;

pub use assume::{Assumed, Entered, UserDestination};
pub use code_owner::{CodeOwner, NoOwner, OwnerDoubt};
pub use decide::{Caller, Switch, UserQuestion, WorkloadIdentity, decide, meant};
pub use groups::of_devices as groups_of_devices;
pub use left_out::{LeftOutQuestion, left_out};
pub use names::KnownUser;
