//! Releases what PID 1 inherited: the descriptors that its caller had open, and the working directory.
//!
//! PID 1 must not hold a pipe or a mount that others wait for. Its child has copies of its own.

use std::os::fd::RawFd;
use std::path::PathBuf;
use sys::process;
use sys::retry::retry;

/// Closes all descriptors above stderr except these, and leaves the working directory.
///
/// PID 1 must not have opened anything else yet. Returns the directory if `ask` is set.
pub(crate) fn release(keep: &[RawFd], ask: bool) -> Option<PathBuf> {
    process::close_all_but(keep);
    let workdir = ask.then(|| retry(nix::unistd::getcwd)).and_then(Result::ok);
    let _ = retry(|| nix::unistd::chdir("/"));
    workdir
}
