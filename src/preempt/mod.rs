//! The clouds' notices that a machine is taken back: what to ask a metadata service, and what its answers mean. Pure.
//!
//! Each cloud is a `Dialog` from the last reply to the next step. Requests are sent by a helper of PID 1 (`helper/preemption.rs`).
//! Nothing is ever sent but questions: an event is not approved, and nothing is written.

mod aws;
mod azure;
mod dialog;
mod dmi;
mod gcp;
mod http;
mod question;
mod when;

pub use aws::{Aws, parse_action};
pub use azure::{Azure, parse_events};
pub use dialog::{Dialog, DialogStep, NoAnswer, Reply};
pub use dmi::recognised;
pub use gcp::{Gcp, GcpValue};
pub use http::{ANSWER_MAX, Answer, parse_answer, request};
pub use question::Question;

use protocol::handover::Cloud;

/// The address of every cloud's metadata service (link-local, RFC 3927).
pub const ADDRESS: &str = "169.254.169.254:80";

/// Returns the questions that a cloud is asked side by side.
pub fn dialogs(cloud: Cloud) -> Vec<Box<dyn Dialog>> {
    match cloud {
        Cloud::Aws => vec![Box::<Aws>::default()],
        Cloud::Gcp => vec![Box::new(Gcp::of(GcpValue::Preempted)), Box::new(Gcp::of(GcpValue::Maintenance))],
        Cloud::Azure => vec![Box::<Azure>::default()],
    }
}
