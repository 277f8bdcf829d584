//! Reads and evaluates Python requirements: requirement files, versions and markers (PEP 440 and 508), the installed packages, and whether
//! those satisfy the requirements. The crate runs no program and installs nothing.
#![warn(unreachable_pub)]

pub mod file;
pub mod installed;
pub mod mistake;
pub mod packaging;

mod satisfied;

pub use satisfied::{Question, RequestedBy, Satisfaction, Unmet, absent, answer};
