//! The proof on one GPU: a context, and 64 MiB written, copied, read back and compared; the full proof adds bandwidths and a sum.

use crate::cuda::{Cuda, Device};
use crate::library::function;
use crate::said::{Said, Whom};
use crate::{arithmetic, c, pattern};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr::null_mut;

/// An address in a GPU's memory, `CUdeviceptr`.
pub type Place = u64;
/// `CUcontext`, `CUmodule`, `CUfunction`.
pub type Handle = *mut c_void;

/// Bytes that are written, copied and read.
const BYTES: usize = 64 << 20;
/// Number of pieces.
const PIECES: u64 = (BYTES / PIECE) as u64;
const PIECE: usize = pattern::WORDS * 8;
/// Number of repetitions of a timed copy.
const TIMES: u64 = 4;

/// The buffer for one piece in the host's memory. It is not on the stack, which may be small.
static mut ROOM: [u64; pattern::WORDS] = [0; pattern::WORDS];

/// Returns the only buffer in host memory.
pub fn room() -> &'static mut [u64; pattern::WORDS] {
    // SAFETY: this program has one thread of its own, and each caller drops it before the next call.
    unsafe { &mut *&raw mut ROOM }
}

/// A context on a device.
#[derive(Clone, Copy)]
pub struct Context {
    /// The initialised library.
    pub cuda: Cuda,
    /// The subject of the calls.
    pub whom: Whom,
    /// The context's handle.
    pub handle: Handle,
}

/// Proves device `number`, which the report calls `ordinal`.
pub fn prove(said: &mut Said, ordinal: u32, number: u32, full: bool) {
    let whom = Whom::Gpu(ordinal);
    let Some(cuda) = Cuda::start(said, whom) else { return };
    let Some(device) = cuda.open(said, number as c_int, whom) else { return };
    let Some(context) = Context::make(said, cuda, device, whom) else { return };
    let _ = context.round_trip(said, full);
    context.release(said, device);
}

impl Context {
    /// Makes the primary context, which the frameworks' runtime also uses.
    pub fn make(said: &mut Said, cuda: Cuda, device: Device, whom: Whom) -> Option<Self> {
        type Retain = unsafe extern "C" fn(*mut Handle, Device) -> c_int;
        let name = c"cuDevicePrimaryCtxRetain";
        let retain = function!(cuda.library.find_or_say(said, name), Retain)?;
        said.call(name.to_bytes(), whom);
        let mut handle = null_mut();
        // SAFETY: the handle outlives the call.
        let code = unsafe { retain(&raw mut handle, device) };
        cuda.came(said, code, &[])?;
        let context = Context { cuda, whom, handle };
        context.enter(said)?;
        Some(context)
    }

    /// Makes the context current for this thread.
    pub fn enter(self, said: &mut Said) -> Option<()> {
        let set = function!(self.find(said, c"cuCtxSetCurrent"), unsafe extern "C" fn(Handle) -> c_int)?;
        // SAFETY: a context that was given and not released.
        self.make_call(said, c"cuCtxSetCurrent", || unsafe { set(self.handle) })
    }

    fn release(self, said: &mut Said, device: Device) {
        let name = c"cuDevicePrimaryCtxRelease_v2";
        if let Some(release) = function!(self.find(said, name), unsafe extern "C" fn(Device) -> c_int) {
            // SAFETY: the context of this device was retained once.
            let _ = self.make_call(said, name, || unsafe { release(device) });
        }
    }

    fn find(self, said: &mut Said, name: &CStr) -> Option<*mut c_void> {
        self.cuda.library.find_or_say(said, name)
    }

    /// Announces a call, makes it, and reports its result; `None` if it was refused.
    fn make_call(self, said: &mut Said, name: &CStr, call: impl FnOnce() -> c_int) -> Option<()> {
        said.call(name.to_bytes(), self.whom);
        let code = call();
        self.cuda.came(said, code, &[])
    }

    fn round_trip(self, said: &mut Said, full: bool) -> Option<()> {
        self.memory(said)?;
        let (from, to) = (self.allocate(said, BYTES)?, self.allocate(said, BYTES)?);
        self.write(said, from, BYTES as u64, 0)?;
        self.copy_within(said, to, from)?;
        self.compare(said, to, BYTES as u64, 0)?;
        if full {
            let _ = self.bandwidths(said, to, from);
            let _ = self.sum(said, to);
        }
        self.free(said, from)?;
        self.free(said, to)
    }

    fn memory(self, said: &mut Said) -> Option<()> {
        type GetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;
        let name = c"cuMemGetInfo_v2";
        let get = function!(self.find(said, name), GetInfo)?;
        said.call(name.to_bytes(), self.whom);
        let (mut free, mut total) = (0, 0);
        // SAFETY: the numbers outlive the call.
        let code = unsafe { get(&raw mut free, &raw mut total) };
        self.cuda.came(said, code, &[total as u64, total.saturating_sub(free) as u64])
    }

    /// Allocates memory on the GPU.
    pub fn allocate(self, said: &mut Said, bytes: usize) -> Option<Place> {
        let name = c"cuMemAlloc_v2";
        let allocate = function!(self.find(said, name), unsafe extern "C" fn(*mut Place, usize) -> c_int)?;
        let mut place = 0;
        // SAFETY: the number outlives the call.
        self.make_call(said, name, || unsafe { allocate(&raw mut place, bytes) })?;
        Some(place)
    }

    fn free(self, said: &mut Said, place: Place) -> Option<()> {
        let name = c"cuMemFree_v2";
        let free = function!(self.find(said, name), unsafe extern "C" fn(Place) -> c_int)?;
        // SAFETY: memory of this context that was allocated and not freed.
        self.make_call(said, name, || unsafe { free(place) })
    }

    /// Writes the pattern of this seed piece by piece.
    pub fn write(self, said: &mut Said, to: Place, bytes: u64, seed: u64) -> Option<()> {
        let name = c"cuMemcpyHtoD_v2";
        let copy = function!(self.find(said, name), unsafe extern "C" fn(Place, *const c_void, usize) -> c_int)?;
        self.make_call(said, name, || {
            (0..bytes / PIECE as u64).fold(0, |code, piece| {
                let room = room();
                pattern::fill(room, seed, piece * pattern::WORDS as u64);
                // SAFETY: the buffer has the bytes of a piece, and so has the allocated memory from there on.
                if code == 0 { unsafe { copy(to + piece * PIECE as u64, room.as_ptr().cast(), PIECE) } } else { code }
            })
        })
    }

    /// Reads the pattern of this seed back, and reports how many words differ.
    pub fn compare(self, said: &mut Said, from: Place, bytes: u64, seed: u64) -> Option<()> {
        let name = c"cuMemcpyDtoH_v2";
        let copy = function!(self.find(said, name), unsafe extern "C" fn(*mut c_void, Place, usize) -> c_int)?;
        let mut wrong = 0;
        self.make_call(said, name, || {
            (0..bytes / PIECE as u64).fold(0, |code, piece| {
                let room = room();
                room.fill(0);
                // SAFETY: as for writing.
                let code =
                    if code == 0 { unsafe { copy(room.as_mut_ptr().cast(), from + piece * PIECE as u64, PIECE) } } else { code };
                wrong += pattern::differing(room, seed, piece * pattern::WORDS as u64);
                code
            })
        })?;
        said.call(b"compare", self.whom);
        said.got(0, &[wrong]);
        Some(())
    }

    fn copy_within(self, said: &mut Said, to: Place, from: Place) -> Option<()> {
        let name = c"cuMemcpyDtoD_v2";
        let copy = function!(self.find(said, name), unsafe extern "C" fn(Place, Place, usize) -> c_int)?;
        // SAFETY: both were allocated with this many bytes.
        self.make_call(said, name, || unsafe { copy(to, from, BYTES) })
    }

    /// Waits until the GPU has finished all work.
    pub fn finish(self) -> c_int {
        type Finish = unsafe extern "C" fn() -> c_int;
        // SAFETY: it takes nothing.
        function!(self.cuda.library.find(c"cuCtxSynchronize"), Finish).map_or(0, |finish| unsafe { finish() })
    }

    /// Reports bandwidths in MiB/s: to and from the host's pinned memory, and within the GPU.
    fn bandwidths(self, said: &mut Said, to: Place, from: Place) -> Option<()> {
        type Pin = unsafe extern "C" fn(*mut *mut c_void, usize, c_uint) -> c_int;
        type Up = unsafe extern "C" fn(Place, *const c_void, usize) -> c_int;
        type Down = unsafe extern "C" fn(*mut c_void, Place, usize) -> c_int;
        type Within = unsafe extern "C" fn(Place, Place, usize) -> c_int;
        let within = function!(self.find(said, c"cuMemcpyDtoD_v2"), Within)?;
        // SAFETY: both were allocated with this many bytes.
        self.timed(said, b"bandwidth/within", &mut || unsafe { within(to, from, BYTES) });
        let pin = function!(self.find(said, c"cuMemHostAlloc"), Pin)?;
        let mut host = null_mut();
        // SAFETY: the pointer outlives the call. The memory is given back when the process ends.
        self.make_call(said, c"cuMemHostAlloc", || unsafe { pin(&raw mut host, BYTES, 0) })?;
        let up = function!(self.find(said, c"cuMemcpyHtoD_v2"), Up)?;
        // SAFETY: both have this many bytes.
        self.timed(said, b"bandwidth/to_device", &mut || unsafe { up(to, host, BYTES) });
        let down = function!(self.find(said, c"cuMemcpyDtoH_v2"), Down)?;
        // SAFETY: both have this many bytes.
        self.timed(said, b"bandwidth/to_host", &mut || unsafe { down(host, to, BYTES) });
        Some(())
    }

    /// Runs a copy once to warm up, then times it.
    fn timed(self, said: &mut Said, name: &[u8], copy: &mut dyn FnMut() -> c_int) {
        said.call(name, self.whom);
        let warm = (copy(), self.finish());
        let began = c::microseconds();
        let code = (0..TIMES).fold(warm.0.max(warm.1), |code, _| if code == 0 { copy() } else { code });
        let code = if code == 0 { self.finish() } else { code };
        let _ = self.cuda.came(said, code, &[rate(BYTES as u64 * TIMES, c::microseconds() - began)]);
    }

    /// Runs the same computation in every thread of a large grid, and compares the sums with the host's.
    fn sum(self, said: &mut Said, place: Place) -> Option<()> {
        let function = self.program(said)?;
        let threads = arithmetic::GRID * arithmetic::BLOCK;
        self.launch(said, function, place)?;
        said.call(b"arithmetic", self.whom);
        let wrong = self.wrong_sums(place, threads);
        self.cuda.came(said, wrong.map_or_else(|code| code, |_| 0), &[wrong.unwrap_or(0)])
    }

    /// Loads the first program text that this GPU and this driver accept.
    fn program(self, said: &mut Said) -> Option<Handle> {
        type Load = unsafe extern "C" fn(*mut Handle, *const c_void) -> c_int;
        type Get = unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> c_int;
        let load = function!(self.find(said, c"cuModuleLoadData"), Load)?;
        let get = function!(self.find(said, c"cuModuleGetFunction"), Get)?;
        let (mut module, mut function) = (null_mut(), null_mut());
        self.make_call(said, c"cuModuleLoadData", || {
            arithmetic::PROGRAMS.iter().fold(1, |code, program| match code {
                0 => 0,
                // SAFETY: the text ends with NUL.
                _ => unsafe { load(&raw mut module, program.as_ptr().cast()) },
            })
        })?;
        // SAFETY: the module was loaded; the name ends with NUL.
        self.make_call(said, c"cuModuleGetFunction", || unsafe { get(&raw mut function, module, c"trainit_sum".as_ptr()) })?;
        Some(function)
    }

    fn launch(self, said: &mut Said, function: Handle, place: Place) -> Option<()> {
        type Launch = unsafe extern "C" fn(
            Handle,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            Handle,
            *mut *mut c_void,
            *mut *mut c_void,
        ) -> c_int;
        let launch = function!(self.find(said, c"cuLaunchKernel"), Launch)?;
        let (mut place, mut rounds) = (place, arithmetic::ROUNDS);
        let mut parameters: [*mut c_void; 2] = [(&raw mut place).cast(), (&raw mut rounds).cast()];
        let (grid, block) = (arithmetic::GRID, arithmetic::BLOCK);
        self.make_call(said, c"cuLaunchKernel", || {
            // SAFETY: the parameters are those that the program declares and outlive the call; it writes 4 bytes a thread, less
            // than was allocated.
            let code =
                unsafe { launch(function, grid, 1, 1, block, 1, 1, 0, null_mut(), parameters.as_mut_ptr(), null_mut()) };
            if code == 0 { self.finish() } else { code }
        })
    }

    /// Returns how many of the sums are wrong.
    fn wrong_sums(self, place: Place, threads: u32) -> Result<u64, c_int> {
        type Down = unsafe extern "C" fn(*mut c_void, Place, usize) -> c_int;
        let down = function!(self.cuda.library.find(c"cuMemcpyDtoH_v2"), Down).ok_or(1)?;
        let mut expected = [0u32; arithmetic::KINDS];
        expected.iter_mut().zip(0..).for_each(|(sum, thread)| *sum = arithmetic::expected(thread));
        let room = room();
        let words = (threads / 2) as usize;
        let Some(sums) = room.get_mut(..words) else { return Err(1) };
        // SAFETY: this many bytes were allocated on both sides.
        match unsafe { down(sums.as_mut_ptr().cast(), place, words * 8) } {
            0 => {}
            code => return Err(code),
        }
        let two = |word: u64| [word as u32, (word >> 32) as u32];
        let found = sums.iter().flat_map(|word| two(*word));
        Ok(found.zip(expected.iter().cycle()).filter(|(found, expected)| found != *expected).count() as u64)
    }
}

/// Returns MiB per second.
pub fn rate(bytes: u64, microseconds: u64) -> u64 {
    (bytes >> 20) * 1_000_000 / microseconds.max(1)
}
