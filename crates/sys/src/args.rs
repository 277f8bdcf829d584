//! The arguments in the memory where the kernel put them, without copies and without the heap.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;

/// The argument vector of this process, or a tail of it.
#[derive(Clone, Copy)]
pub struct Args(*const *const c_char);

impl Args {
    /// Wraps the vector that the C `main` was given.
    ///
    /// # Safety
    /// `argv` is the vector of `main`: pointers to NUL-terminated strings that live as long as the process, then NULL.
    pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> Self {
        const NOTHING: &usize = &0;
        Args(if argc > 0 && !argv.is_null() { argv } else { std::ptr::from_ref(NOTHING).cast() })
    }

    /// Makes a vector of words that is never freed, for tests.
    pub fn of(line: &str) -> Self {
        let word = |word| std::ffi::CString::new(word).map_or(std::ptr::null(), |word| word.into_raw().cast_const());
        let vector: Vec<*const c_char> = line.split_whitespace().map(word).chain([std::ptr::null()]).collect();
        Args(vector.leak().as_ptr())
    }

    /// Returns the first word.
    pub fn first(self) -> Option<&'static CStr> {
        // SAFETY: the vector ends with NULL, and `after` never goes beyond it.
        let word = unsafe { *self.0 };
        // SAFETY: a word that is not NULL is a NUL-terminated string of the kernel's, there for ever.
        (!word.is_null()).then(|| unsafe { CStr::from_ptr(word) })
    }

    /// Returns the vector without its first `count` words.
    pub fn after(self, count: usize) -> Self {
        let mut at = self;
        for _ in 0..count {
            if at.first().is_none() {
                break;
            }
            // SAFETY: the current slot is not the closing NULL, so there is a next one.
            at = Args(unsafe { at.0.add(1) });
        }
        at
    }

    /// Returns the vector itself, with the NULL at its end.
    pub fn pointers(self) -> &'static [*const c_char] {
        // SAFETY: the vector has one slot for each word and one for NULL, and lives as long as the process.
        unsafe { std::slice::from_raw_parts(self.0, self.count() + 1) }
    }

    /// Copies all words to owned strings, for code that may use the heap.
    pub fn to_vec(self) -> Vec<OsString> {
        self.map(|word| OsString::from_vec(word.to_bytes().to_vec())).collect()
    }
}

impl Iterator for Args {
    type Item = &'static CStr;
    fn next(&mut self) -> Option<&'static CStr> {
        let word = self.first();
        *self = self.after(1);
        word
    }
}

/// Defines the C `main` of a binary without Rust's runtime; the function that it runs returns the exit code.
#[macro_export]
macro_rules! entry_point {
    ($run:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(argc: std::ffi::c_int, argv: *const *const std::ffi::c_char) -> std::ffi::c_int {
            $crate::heap::begin();
            // SAFETY: these are the arguments of the C `main`.
            u8::into($run(unsafe { $crate::Args::from_main(argc, argv) }))
        }
    };
}
