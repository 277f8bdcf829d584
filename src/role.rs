//! stub
/// stub
pub fn run(_: crate::sys::Args) -> std::ffi::c_int { 0 }
