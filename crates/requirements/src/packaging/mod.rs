//! Parses the terms of Python packaging: names (PEP 503), versions and specifiers (PEP 440), markers and requirements (PEP 508). Pure.
//! Everything is interpreted exactly as by `packaging`, pip's own library. Rare or old syntax is deliberately not understood: the answer
//! is then `None`, and the caller leaves the matter to an installer.

mod marker;
mod name;
mod release;
mod requirement;
mod specifier;
mod version;

pub use marker::{Marker, MarkerEnvironment};
pub use name::Name;
pub use requirement::{ProjectSource, Requirement, RequirementParts};
pub use specifier::Specifiers;
pub use version::Version;
