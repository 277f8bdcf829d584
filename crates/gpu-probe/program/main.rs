//! The gpu-probe: a small dynamic program that asks the driver's libraries for trainit, which is static and cannot load them. Its report
//! on descriptor 3 is a transcript of the calls (`report.rs`; parsed by `crates/gpu/src/probe/transcript.rs`). Each call is announced
//! before it is made, so that the last line names a library that hangs, crashes or calls exit(3). The program judges nothing.
//!
//! build.rs compiles it for the target and links it against stand-ins of glibc's oldest libraries (`build/helper.rs`), so it runs with
//! every glibc. It does not allocate, format or panic; every function of the driver may be missing.
//!
//!     gpu-helper nvml                      NVML's facts
//!     gpu-helper cuda                      cuInit, and what CUDA shows
//!     gpu-helper proof|full ORDINAL NUMBER a context and a memory round trip on CUDA's device NUMBER, reported as ORDINAL
//!     gpu-helper peers                     copies between all GPUs that CUDA shows
#![no_std]
#![no_main]

mod arithmetic;
mod c;
mod cuda;
mod library;
mod nvml;
mod pattern;
mod peers;
mod proof;
mod report;
mod said;

use core::ffi::{CStr, c_char, c_int};
use said::Said;

/// The descriptor of the report.
const REPORT: c_int = 3;
/// The exit code for invalid arguments.
const USAGE: c_int = 64;

/// The entry point that the C library calls, with its threads and exit handlers set up: NVIDIA's libraries need both.
extern "C" fn main(count: c_int, words: *const *const c_char, _environment: *const *const c_char) -> c_int {
    let word = |at: c_int| -> &[u8] {
        if at >= count {
            return b"";
        }
        // SAFETY: the kernel passes `count` pointers to NUL-terminated strings that live as long as the process.
        unsafe { CStr::from_ptr(*words.add(at as usize)) }.to_bytes()
    };
    let mut said = Said::new(REPORT);
    match word(1) {
        b"nvml" => nvml::ask(&mut said),
        b"cuda" => cuda::ask(&mut said),
        b"proof" => proof::prove(&mut said, number(word(2)), number(word(3)), false),
        b"full" => proof::prove(&mut said, number(word(2)), number(word(3)), true),
        b"peers" => peers::copy(&mut said),
        _ => c::exit(USAGE),
    }
    said.end();
    // Exit handlers are skipped: those of the libraries have hung before, and the report is complete.
    c::exit(0)
}

fn number(word: &[u8]) -> u32 {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0u32, |number, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    c::exit(101)
}

// The entry point of the kernel's loader: it hands over to the C library, as in every program that a compiler links.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",      // the outermost frame
    "mov r9, rdx",       // what the dynamic loader wants called at the end
    "pop rsi",           // argc
    "mov rdx, rsp",      // argv
    "and rsp, -16",
    "push rax",
    "push rsp",          // where the stack begins
    "xor r8d, r8d",      // no fini
    "xor ecx, ecx",      // no init
    "lea rdi, [rip + {main}]",
    "call __libc_start_main@PLT",
    "hlt",
    main = sym main,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",       // the outermost frame
    "mov x30, #0",
    "mov x5, x0",        // what the dynamic loader wants called at the end
    "ldr x1, [sp]",      // argc
    "add x2, sp, #8",    // argv
    "mov x6, sp",        // where the stack begins
    "adrp x0, {main}",
    "add x0, x0, :lo12:{main}",
    "mov x3, #0",        // no init
    "mov x4, #0",        // no fini
    "bl __libc_start_main",
    "brk #0",
    main = sym main,
);
