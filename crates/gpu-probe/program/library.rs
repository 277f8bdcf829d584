//! A library of the driver: loads it and looks up its functions, each of which may be missing.

use crate::c;
use crate::said::Said;
use core::ffi::{CStr, c_void};

/// A loaded library.
#[derive(Clone, Copy)]
pub struct Library(*mut c_void);

impl Library {
    /// Loads the library, and reports the file that contains `known`, a function of every version.
    pub fn load(said: &mut Said, file: &CStr, known: &CStr) -> Option<Self> {
        said.load(file);
        let library = c::load(file);
        if library.is_null() {
            said.refused(1, c::loading_error());
            return None;
        }
        c::with_file_of(c::find(library, known), |path| said.got_text(0, path));
        Some(Library(library))
    }

    /// Returns the address of a function; `None` if the library lacks it.
    pub fn find(self, name: &CStr) -> Option<*mut c_void> {
        Some(c::find(self.0, name)).filter(|address| !address.is_null())
    }

    /// Returns the address of a function, and reports a missing one.
    pub fn find_or_say(self, said: &mut Said, name: &CStr) -> Option<*mut c_void> {
        let found = self.find(name);
        if found.is_none() {
            said.lacks(name);
        }
        found
    }
}

/// Looks up a function by name and type; the type is that of NVIDIA's header.
macro_rules! function {
    ($found:expr, $type:ty) => {
        // SAFETY: the header of the library gives the function of this name this type, in every version.
        $found.map(|address| unsafe { core::mem::transmute::<*mut core::ffi::c_void, $type>(address) })
    };
}
pub(crate) use function;
