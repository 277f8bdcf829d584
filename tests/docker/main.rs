//! End to end with the real Docker daemon: what a person sees who bakes trainit into an image and starts containers of it.
//! Without a daemon each test prints a line that begins with `SKIPPED:` and the reason.
#![allow(clippy::expect_used, reason = "a helper that cannot go on ends its test")]

mod corrections;
mod gpus;
mod harness;
mod images;
mod job;
mod locks;
mod preparing;
mod refusals;
mod seccomp;
mod sessions;
mod surroundings;
mod terminal;
mod users;
