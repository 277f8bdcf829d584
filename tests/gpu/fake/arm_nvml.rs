//! A libnvidia-ml.so.1 for another architecture, with core alone, whose driver refuses.
#![no_std]
#![allow(non_snake_case, reason = "NVIDIA's names")]

use core::ffi::c_char;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> i32 {
    18
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(_code: i32) -> *const c_char {
    c"Driver/library version mismatch".as_ptr()
}
