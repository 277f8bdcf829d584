//! A library of the driver's: loaded, and asked for its functions one by one, each of which it may not have.

use crate::c;
use crate::said::Said;
use core::ffi::{CStr, c_void};

/// A library that is loaded.
#[derive(Clone, Copy)]
pub struct Library(*mut c_void);

impl Library {
    /// Loads it, and says from where: the file in which `known`, a function that every version has, is found.
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

    /// A function's address; none: it does not have it.
    pub fn find(self, name: &CStr) -> Option<*mut c_void> {
        Some(c::find(self.0, name)).filter(|address| !address.is_null())
    }

    /// The same; a function that is not there is told.
    pub fn find_or_say(self, said: &mut Said, name: &CStr) -> Option<*mut c_void> {
        let found = self.find(name);
        if found.is_none() {
            said.lacks(name);
        }
        found
    }
}

/// A function of a library by its name and type; the type is the one of NVIDIA's header.
macro_rules! function {
    ($found:expr, $type:ty) => {
        // SAFETY: the header of the library gives the function of this name this type, in every version.
        $found.map(|address| unsafe { core::mem::transmute::<*mut core::ffi::c_void, $type>(address) })
    };
}
pub(crate) use function;
