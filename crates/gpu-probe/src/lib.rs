//! The GPU probe: a small dynamic program that may load the driver's libraries, which a static one cannot. Its sources are in program/,
//! build.rs builds it, and this crate holds it as bytes.

/// The program's ELF file; empty where it could not be built.
pub static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gpu-helper"));
