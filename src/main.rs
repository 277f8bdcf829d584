//! The C entry point. Rust's own runtime start-up is left out: it would set SIGPIPE to ignore, open /dev/null on closed
//! descriptors and install fault handlers, and what the caller had set could no longer be passed on to the workload.
#![no_main]

sys::entry_point!(trainit::role::run);
