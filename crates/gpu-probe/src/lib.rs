//! The gpu-probe: a small dynamic program that can load the driver's libraries, which a static program cannot. program/ has its sources,
//! build.rs builds it, and this crate contains it as bytes.

/// The program's ELF file; empty if it could not be built.
pub static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gpu-helper"));
