//! The words of Python packaging: names (PEP 503), versions and specifiers (PEP 440), markers and requirements (PEP 508). Pure.
//! What is read here is read exactly as `packaging`, pip's own library, reads it; rare or old ways of writing are not understood
//! on purpose: the answer is then none, and whoever asked leaves the matter to an installer.

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
