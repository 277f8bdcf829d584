//! See targets.rs.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trainit_fuzz::run("listing", bytes));
