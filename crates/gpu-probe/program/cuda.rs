//! CUDA's driver: whether it initialises in this environment, and which GPUs it shows to a program. It makes no context.

use crate::library::{Library, function};
use crate::said::{Said, Whom};
use core::ffi::{CStr, c_char, c_int, c_uint};

/// Largest number of devices.
const MOST: c_int = 128;
/// Size of a text buffer.
const TEXT: usize = 128;

/// `CUdevice`.
pub type Device = c_int;
type GetAttribute = unsafe extern "C" fn(*mut c_int, c_int, Device) -> c_int;

/// The initialised library.
#[derive(Clone, Copy)]
pub struct Cuda {
    /// The loaded library.
    pub library: Library,
}

/// Asks for all facts.
pub fn ask(said: &mut Said) {
    let Some(cuda) = Cuda::start(said, Whom::Driver) else { return };
    cuda.version(said);
    (0..cuda.count(said).min(MOST)).for_each(|ordinal| cuda.device(said, ordinal));
}

impl Cuda {
    /// Loads and initialises the library.
    pub fn start(said: &mut Said, whom: Whom) -> Option<Self> {
        let library = Library::load(said, c"libcuda.so.1", c"cuInit")?;
        let init = function!(library.find_or_say(said, c"cuInit"), unsafe extern "C" fn(c_uint) -> c_int)?;
        said.call(b"cuInit", whom);
        // SAFETY: it takes a number, which has to be 0.
        let code = unsafe { init(0) };
        // The library returns the text of an error code through a pointer, unlike NVML.
        match code {
            0 => said.got(0, &[]),
            code => said.refused(code, words(library, code)),
        }
        (code == 0).then_some(Cuda { library })
    }

    fn version(self, said: &mut Said) {
        let name = c"cuDriverGetVersion";
        if let Some(get) = function!(self.library.find_or_say(said, name), unsafe extern "C" fn(*mut c_int) -> c_int) {
            said.call(name.to_bytes(), Whom::Driver);
            let mut number = 0;
            // SAFETY: the number outlives the call.
            let code = unsafe { get(&raw mut number) };
            said.got(code, &[number as u64]);
        }
    }

    /// Returns the number of devices.
    pub fn count(self, said: &mut Said) -> c_int {
        let name = c"cuDeviceGetCount";
        let found = self.library.find_or_say(said, name);
        let Some(get) = function!(found, unsafe extern "C" fn(*mut c_int) -> c_int) else { return 0 };
        said.call(name.to_bytes(), Whom::Driver);
        let mut count = 0;
        // SAFETY: the number outlives the call.
        let code = unsafe { get(&raw mut count) };
        said.got(code, &[count as u64]);
        if code == 0 { count } else { 0 }
    }

    /// Returns the device with this number.
    pub fn open(self, said: &mut Said, number: c_int, whom: Whom) -> Option<Device> {
        let name = c"cuDeviceGet";
        let get = function!(self.library.find_or_say(said, name), unsafe extern "C" fn(*mut Device, c_int) -> c_int)?;
        said.call(name.to_bytes(), whom);
        let mut device = 0;
        // SAFETY: the handle outlives the call.
        let code = unsafe { get(&raw mut device, number) };
        self.came(said, code, &[])?;
        Some(device)
    }

    fn device(self, said: &mut Said, ordinal: c_int) {
        let whom = Whom::Gpu(ordinal as u32);
        let Some(device) = self.open(said, ordinal, whom) else { return };
        self.uuid(said, device, whom);
        self.text(said, c"cuDeviceGetName", device, whom);
        self.text(said, c"cuDeviceGetPCIBusId", device, whom);
        self.memory(said, device, whom);
        self.attributes(said, device, whom);
    }

    /// Reports the UUID; since MIG a second function returns an instance's own.
    fn uuid(self, said: &mut Said, device: Device, whom: Whom) {
        let found = self.library.find(c"cuDeviceGetUuid_v2").or_else(|| self.library.find(c"cuDeviceGetUuid"));
        if let Some(get) = function!(found, unsafe extern "C" fn(*mut [u8; 16], Device) -> c_int) {
            said.call(b"cuDeviceGetUuid", whom);
            let mut uuid = [0; 16];
            // SAFETY: 16 bytes, as a CUuuid has.
            let code = unsafe { get(&raw mut uuid, device) };
            said.got_uuid(code, b"GPU-", &uuid);
        }
    }

    fn text(self, said: &mut Said, name: &CStr, device: Device, whom: Whom) {
        type GetText = unsafe extern "C" fn(*mut c_char, c_int, Device) -> c_int;
        if let Some(get) = function!(self.library.find_or_say(said, name), GetText) {
            said.call(name.to_bytes(), whom);
            let mut room = [0 as c_char; TEXT];
            // SAFETY: the last byte stays 0, as the library gets a length of one less.
            let code = unsafe { get(room.as_mut_ptr(), TEXT as c_int - 1, device) };
            // SAFETY: the buffer ends with a 0.
            said.got_text(code, unsafe { crate::c::text(room.as_ptr()) });
        }
    }

    fn memory(self, said: &mut Said, device: Device, whom: Whom) {
        let name = c"cuDeviceTotalMem_v2";
        let found = self.library.find_or_say(said, name);
        if let Some(get) = function!(found, unsafe extern "C" fn(*mut usize, Device) -> c_int) {
            said.call(name.to_bytes(), whom);
            let mut bytes = 0;
            // SAFETY: the number outlives the call.
            let code = unsafe { get(&raw mut bytes, device) };
            said.got(code, &[bytes as u64]);
        }
    }

    /// Reports attributes by the numbers of cuda.h's `CUdevice_attribute`: compute capability, multiprocessors.
    fn attributes(self, said: &mut Said, device: Device, whom: Whom) {
        const CAPABILITY: [c_int; 2] = [75, 76];
        const MULTIPROCESSORS: [c_int; 1] = [16];
        let Some(get) = function!(self.library.find_or_say(said, c"cuDeviceGetAttribute"), GetAttribute) else { return };
        let mut ask = |name: &[u8], attributes: &[c_int]| {
            said.call(name, whom);
            let mut values = [0u64; 2];
            let mut code = 0;
            for (attribute, value) in attributes.iter().zip(&mut values) {
                let mut number = 0;
                // SAFETY: the number outlives the call.
                code = unsafe { get(&raw mut number, *attribute, device) };
                *value = number as u64;
            }
            said.got(code, values.get(..attributes.len()).unwrap_or_default());
        };
        ask(b"cuDeviceGetAttribute/capability", &CAPABILITY);
        ask(b"cuDeviceGetAttribute/multiprocessors", &MULTIPROCESSORS);
    }

    /// Reports the result of a call; `None` if it was refused.
    pub fn came(self, said: &mut Said, code: c_int, values: &[u64]) -> Option<()> {
        match code {
            0 => said.got(0, values),
            code => said.refused(code, words(self.library, code)),
        }
        (code == 0).then_some(())
    }
}

/// Returns the library's text for an error code.
fn words<'a>(library: Library, code: c_int) -> &'a [u8] {
    type GetWords = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;
    let mut text = core::ptr::null();
    if let Some(get) = function!(library.find(c"cuGetErrorString"), GetWords) {
        // SAFETY: the pointer outlives the call.
        unsafe { get(code, &raw mut text) };
    }
    // SAFETY: null, or a constant string of the library's.
    unsafe { crate::c::text(text) }
}
