//! Python's requirements: what requirements.txt says, what versions and markers mean (PEP 440 and 508), what is installed, and whether
//! that satisfies what is required. It runs no program and installs nothing.
#![warn(unreachable_pub)]

pub mod file;
pub mod installed;
pub mod packaging;
mod satisfied;

pub use satisfied::{Question, RequestedBy, Satisfaction, answer};
