//! Safe wrappers of the C library's functions that this program uses.

use core::ffi::{CStr, c_char, c_int, c_long, c_void};

#[link(name = "c")]
unsafe extern "C" {
    fn write(fd: c_int, bytes: *const u8, length: usize) -> isize;
    fn _exit(code: c_int) -> !;
    fn syscall(number: c_long, ...) -> c_long;
    fn realpath(path: *const c_char, room: *mut c_char) -> *mut c_char;
}

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
    fn dladdr(address: *const c_void, information: *mut Information) -> c_int;
}

/// `Dl_info` of dlfcn.h.
#[repr(C)]
struct Information {
    file: *const c_char,
    base: *mut c_void,
    name: *const c_char,
    address: *mut c_void,
}

/// Longest path (limits.h).
const PATH_MAX: usize = 4096;

/// Ends the process without exit handlers.
pub fn exit(code: c_int) -> ! {
    // SAFETY: it takes no pointers and does not return.
    unsafe { _exit(code) }
}

/// Writes all bytes. A failure cannot be reported.
pub fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes outlive the call.
        let written = unsafe { write(fd, bytes.as_ptr(), bytes.len()) };
        match usize::try_from(written).ok().and_then(|written| bytes.get(written..)) {
            Some(rest) if written > 0 => bytes = rest,
            _ => return,
        }
    }
}

/// Returns the microseconds of the monotonic clock, by a system call, because clock_gettime(3) has moved between two libraries of glibc.
pub fn microseconds() -> u64 {
    #[cfg(target_arch = "x86_64")]
    const CLOCK_GETTIME: c_long = 228;
    #[cfg(target_arch = "aarch64")]
    const CLOCK_GETTIME: c_long = 113;
    const CLOCK_MONOTONIC: c_int = 1;
    let mut time = [0i64; 2];
    // SAFETY: `time` has the layout of a struct timespec of 64-bit machines and outlives the call.
    unsafe { syscall(CLOCK_GETTIME, CLOCK_MONOTONIC, time.as_mut_ptr()) };
    time[0] as u64 * 1_000_000 + time[1] as u64 / 1000
}

/// Loads a library, whose initialisation runs during the call.
pub fn load(file: &CStr) -> *mut c_void {
    const RTLD_NOW: c_int = 2;
    // SAFETY: the name ends with NUL.
    unsafe { dlopen(file.as_ptr(), RTLD_NOW) }
}

/// Returns a library's function; null if the library lacks it.
pub fn find(library: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the library was loaded and is never unloaded; the name ends with NUL.
    unsafe { dlsym(library, name.as_ptr()) }
}

/// Returns the reason why the last library could not be loaded.
pub fn loading_error<'a>() -> &'a [u8] {
    // SAFETY: it takes nothing and gives NULL or a string that lives until the next call of its family, which none follows before
    // this one is written.
    unsafe { text(dlerror()) }
}

/// Returns the bytes of a C string from a library.
///
/// # Safety
/// Null, or a string that ends with NUL and lives for as long as the bytes are used.
pub unsafe fn text<'a>(string: *const c_char) -> &'a [u8] {
    if string.is_null() {
        return b"";
    }
    // SAFETY: as promised above.
    unsafe { CStr::from_ptr(string) }.to_bytes()
}

/// Calls `then` with the real path of the file that contains a function.
pub fn with_file_of(function: *mut c_void, then: impl FnOnce(&[u8])) {
    let nothing = core::ptr::null_mut();
    let mut information = Information { file: core::ptr::null(), base: nothing, name: core::ptr::null(), address: nothing };
    // SAFETY: `Information` has the layout of a Dl_info and outlives the call.
    let known = unsafe { dladdr(function, &raw mut information) } != 0;
    let mut room = [0 as c_char; PATH_MAX];
    // SAFETY: dladdr(3) returned a string of the loader's; the buffer has the length that realpath(3) requires.
    let real = known && !unsafe { realpath(information.file, room.as_mut_ptr()) }.is_null();
    // SAFETY: both are strings that end with NUL, or null.
    then(unsafe { text(if real { room.as_ptr() } else { information.file }) });
}
