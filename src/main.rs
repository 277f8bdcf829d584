//! The C entry point. Rust's own runtime start-up is left out: it sets SIGPIPE to ignore, opens /dev/null on closed descriptors and
//! installs fault handlers. The caller's settings would then be lost for the workload.
#![no_main]

sys::entry_point!(trainit::role::run);
