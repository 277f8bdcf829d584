//! The sub-commands that start nothing: check, config, deps, gpu, env, status, health. One file each.
use crate::sys::Args;
use std::ffi::c_int;
/// stub
pub fn main(_: Args) -> c_int {
    0
}
/// Root's rights must not reach whoever may execute a file.
pub fn refuse_set_uid() -> c_int {
    115
}
