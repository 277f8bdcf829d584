//! A libcuda.so.1 for another architecture, with core alone: one GPU that has everything that is asked before a context.
#![no_std]
#![allow(non_snake_case, reason = "NVIDIA's names")]
#![allow(clippy::missing_safety_doc, reason = "cuda.h says what each takes")]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
pub extern "C" fn cuInit(_flags: u32) -> i32 {
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDriverGetVersion(version: *mut i32) -> i32 {
    unsafe { *version = 13000 };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut i32) -> i32 {
    unsafe { *count = 1 };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut i32, _ordinal: i32) -> i32 {
    unsafe { *device = 7 };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: i32) -> i32 {
    unsafe { *bytes = 480 << 30 };
    if device == 7 { 0 } else { 101 }
}
