//! What PID 1 inherited: the descriptors that its caller had open, and the working directory. PID 1 lets go of both, so that it keeps
//! neither a pipe nor a mount that others wait for. The child has copies of its own.

use std::os::fd::RawFd;
use std::path::PathBuf;
use sys::process;
use sys::retry::retry;

/// Lets go of everything above stderr but these, and of the working directory. PID 1 must not have opened anything else yet. Answers
/// with the directory if it is going to be asked for.
pub fn release(keep: &[RawFd], ask: bool) -> Option<PathBuf> {
    process::close_all_but(keep);
    let workdir = ask.then(|| retry(nix::unistd::getcwd)).and_then(Result::ok);
    let _ = retry(|| nix::unistd::chdir("/"));
    workdir
}
