//! End to end with the real Docker daemon: what a person sees who bakes trainit into an image and starts containers of it.
//! Without a daemon each test prints a line that begins with `SKIPPED:` and the reason.
#![allow(clippy::expect_used, reason = "a helper that cannot go on ends its test")]

mod compose;
mod corrections;
mod editors;
mod first_steps;
mod gpus;
mod harness;
mod images;
mod inject;
mod job;
mod job_history;
mod locks;
mod login_shells;
mod logins;
mod mistakes;
mod mpi;
mod nodes;
mod podman;
mod preparing;
mod refusals;
mod seccomp;
mod servers;
mod sessions;
mod stacks;
mod surroundings;
mod terminal;
mod users;
