//! Who the workload is: decided from what is asked for, who this process is, and the account files; then assumed, once and for good,
//! before anything is read that comes from a mount, checked, installed or run. Knows `config`, `environment` and `sys`; nothing of checks.
//!
//! `decide` is pure but for reading below a `Root`; `Identity::enter` and `Entered::at_home` have the side effects. Whoever stays what it is pays for one look
//! at HOME.

pub mod accounts;
mod assume;
mod chown;
mod decide;
mod groups;
mod home;
mod names;
mod refusal;
mod user_request;

pub use assume::{Assumed, Entered, UserDestination};
pub use decide::{Caller, CodeOwner, Switch, UserQuestion, WorkloadIdentity, decide, meant};
pub use groups::of_devices as groups_of_devices;
pub use names::KnownUser;
