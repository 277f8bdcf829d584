//! NVML: the driver's facts about each GPU. Types and layouts are those of nvml.h; a structure that carries its own size identifies its
//! version by it.

use crate::library::{Library, function};
use crate::said::{Said, Whom};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr::null_mut;

type Device = *mut c_void;
type GetText = unsafe extern "C" fn(Device, *mut c_char, c_uint) -> c_int;
type GetNumber = unsafe extern "C" fn(Device, *mut c_uint) -> c_int;
type GetTwo = unsafe extern "C" fn(Device, *mut c_uint, *mut c_uint) -> c_int;
type GetFour = unsafe extern "C" fn(Device, *mut c_uint, *mut c_uint, *mut c_uint, *mut c_uint) -> c_int;
type GetLong = unsafe extern "C" fn(Device, *mut u64) -> c_int;
type GetBy = unsafe extern "C" fn(Device, c_uint, *mut c_uint) -> c_int;
type GetHandle = unsafe extern "C" fn(c_uint, *mut Device) -> c_int;
type GetSlot = unsafe extern "C" fn(Device, c_uint, *mut Device) -> c_int;
type GetErrors = unsafe extern "C" fn(Device, c_int, c_int, *mut u64) -> c_int;
type GetInto<T> = unsafe extern "C" fn(Device, *mut T) -> c_int;
type GetFields = unsafe extern "C" fn(Device, c_int, *mut FieldValue) -> c_int;
type GetList = unsafe extern "C" fn(Device, *mut c_uint, *mut c_void) -> c_int;

/// Size of a text buffer; NVML's longest texts have 96 bytes.
const TEXT: usize = 128;
/// Largest number of GPUs and slots.
const MOST: u32 = 128;
/// Largest number of NVLinks on a GPU (NVML_NVLINK_MAX_LINKS).
const LINKS: u32 = 18;
/// Returns the version field of a structure that carries its size.
const fn version<T>(number: u32) -> u32 {
    size_of::<T>() as u32 | (number << 24)
}

/// `nvmlMemory_t`.
#[repr(C)]
#[derive(Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// `nvmlMemory_v2_t`, which separates the driver's reserve.
#[repr(C)]
#[derive(Default)]
struct Memory2 {
    version: c_uint,
    total: u64,
    reserved: u64,
    free: u64,
    used: u64,
}

/// `nvmlPciInfo_t`.
#[repr(C)]
struct Pci {
    legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    id: c_uint,
    subsystem: c_uint,
    address: [c_char; 32],
}

/// `nvmlEccSramErrorStatus_v1_t`.
#[repr(C)]
#[derive(Default)]
struct Sram {
    version: c_uint,
    counters: [u64; 11],
    exceeded: c_uint,
}

/// `nvmlFieldValue_t`.
#[repr(C)]
#[derive(Default)]
struct FieldValue {
    field: c_uint,
    scope: c_uint,
    timestamp: i64,
    latency: i64,
    kind: c_uint,
    code: c_int,
    value: u64,
}

/// `nvmlGpuFabricInfo_t`, the first version.
#[repr(C)]
#[derive(Default)]
struct Fabric1 {
    cluster: [u8; 16],
    status: c_int,
    clique: u32,
    state: u8,
}

/// `nvmlGpuFabricInfo_v2_t`.
#[repr(C)]
#[derive(Default)]
struct Fabric2 {
    version: c_uint,
    cluster: [u8; 16],
    status: c_int,
    clique: u32,
    state: u8,
    health: u32,
}

// The sizes in nvml.h.
const _: () = assert!(size_of::<Memory>() == 24 && size_of::<Memory2>() == 40 && size_of::<Pci>() == 68);
const _: () = assert!(size_of::<Sram>() == 104 && size_of::<FieldValue>() == 40);
const _: () = assert!(size_of::<Fabric1>() == 28 && size_of::<Fabric2>() == 36);

/// The subject of the queries, and its handle.
#[derive(Clone, Copy)]
struct Asked {
    library: Library,
    device: Device,
    whom: Whom,
}

/// Asks for all facts. The library is not shut down: the end of the process has the same effect.
pub fn ask(said: &mut Said) {
    let Some(library) = Library::load(said, c"libnvidia-ml.so.1", c"nvmlInit_v2") else { return };
    said.words = function!(library.find(c"nvmlErrorString"), crate::said::Words);
    let Some(init) = function!(library.find_or_say(said, c"nvmlInit_v2"), unsafe extern "C" fn() -> c_int) else { return };
    said.call(b"nvmlInit_v2", Whom::Driver);
    // SAFETY: it takes nothing.
    let code = unsafe { init() };
    said.got(code, &[]);
    if code == 0 {
        of_driver(said, library);
        (0..count(said, library).min(MOST)).for_each(|index| of_gpu(said, library, index));
    }
}

fn of_driver(said: &mut Said, library: Library) {
    type SystemText = unsafe extern "C" fn(*mut c_char, c_uint) -> c_int;
    for name in [c"nvmlSystemGetDriverVersion", c"nvmlSystemGetNVMLVersion"] {
        if let Some(get) = function!(library.find_or_say(said, name), SystemText) {
            said.call(name.to_bytes(), Whom::Driver);
            let mut text = [0; TEXT];
            // SAFETY: the buffer has the length that is passed.
            let code = unsafe { get(text.as_mut_ptr(), TEXT as c_uint) };
            said.got_text(code, bytes(&text));
        }
    }
    let name = c"nvmlSystemGetCudaDriverVersion_v2";
    if let Some(get) = function!(library.find_or_say(said, name), unsafe extern "C" fn(*mut c_int) -> c_int) {
        said.call(name.to_bytes(), Whom::Driver);
        let mut number = 0;
        // SAFETY: the number outlives the call.
        let code = unsafe { get(&raw mut number) };
        said.got(code, &[number as u64]);
    }
}

fn count(said: &mut Said, library: Library) -> u32 {
    let name = c"nvmlDeviceGetCount_v2";
    let Some(get) = function!(library.find_or_say(said, name), unsafe extern "C" fn(*mut c_uint) -> c_int) else { return 0 };
    said.call(name.to_bytes(), Whom::Driver);
    let mut count = 0;
    // SAFETY: the number outlives the call.
    let code = unsafe { get(&raw mut count) };
    said.got(code, &[u64::from(count)]);
    if code == 0 { count } else { 0 }
}

/// Reports one GPU. A GPU that fell off the bus has no handle; the others are queried all the same.
fn of_gpu(said: &mut Said, library: Library, index: u32) {
    let name = c"nvmlDeviceGetHandleByIndex_v2";
    let Some(get) = function!(library.find_or_say(said, name), GetHandle) else { return };
    let whom = Whom::Gpu(index);
    said.call(name.to_bytes(), whom);
    let mut device = null_mut();
    // SAFETY: the handle outlives the call.
    let code = unsafe { get(index, &raw mut device) };
    said.got(code, &[]);
    if code != 0 {
        return;
    }
    let gpu = Asked { library, device, whom };
    gpu.identity(said);
    gpu.memory(said);
    gpu.health(said);
    gpu.links(said);
    gpu.slots(said, index);
}

impl Asked {
    fn identity(self, said: &mut Said) {
        self.text(said, c"nvmlDeviceGetUUID");
        self.text(said, c"nvmlDeviceGetName");
        self.pci(said);
        self.number(said, c"nvmlDeviceGetMinorNumber");
        self.number(said, c"nvmlDeviceGetBrand");
        self.text(said, c"nvmlDeviceGetVbiosVersion");
        self.two(said, c"nvmlDeviceGetCudaComputeCapability");
        self.two(said, c"nvmlDeviceGetMigMode");
        self.number(said, c"nvmlDeviceGetComputeMode");
        self.number(said, c"nvmlDeviceGetPersistenceMode");
        self.processes(said);
    }

    fn health(self, said: &mut Said) {
        self.two(said, c"nvmlDeviceGetEccMode");
        self.errors(said, b"nvmlDeviceGetTotalEccErrors/volatile", 0);
        self.errors(said, b"nvmlDeviceGetTotalEccErrors/aggregate", 1);
        self.sram(said);
        self.remapped(said);
        self.number(said, c"nvmlDeviceGetRetiredPagesPendingStatus");
        self.recovery(said);
        self.throttle(said);
    }

    fn links(self, said: &mut Said) {
        const WIDTH: (&CStr, &CStr) = (c"nvmlDeviceGetCurrPcieLinkWidth", c"nvmlDeviceGetMaxPcieLinkWidth");
        const GENERATION: (&CStr, &CStr) =
            (c"nvmlDeviceGetCurrPcieLinkGeneration", c"nvmlDeviceGetMaxPcieLinkGeneration");
        self.now_and_most(said, b"nvmlDeviceGetPcieLinkWidth", WIDTH);
        self.now_and_most(said, b"nvmlDeviceGetPcieLinkGeneration", GENERATION);
        self.nvlinks(said);
        self.fabric(said);
    }

    fn find(self, said: &mut Said, name: &CStr) -> Option<*mut c_void> {
        // A missing function is reported once, not for every GPU.
        if matches!(self.whom, Whom::Gpu(0)) { self.library.find_or_say(said, name) } else { self.library.find(name) }
    }

    fn text(self, said: &mut Said, name: &CStr) {
        if let Some(get) = function!(self.find(said, name), GetText) {
            said.call(name.to_bytes(), self.whom);
            let mut text = [0; TEXT];
            // SAFETY: the buffer has the length that is passed.
            let code = unsafe { get(self.device, text.as_mut_ptr(), TEXT as c_uint) };
            said.got_text(code, bytes(&text));
        }
    }

    fn number(self, said: &mut Said, name: &CStr) {
        if let Some(get) = function!(self.find(said, name), GetNumber) {
            said.call(name.to_bytes(), self.whom);
            let mut number = 0;
            // SAFETY: the number outlives the call; NVML's enumerations are as wide.
            let code = unsafe { get(self.device, &raw mut number) };
            said.got(code, &[u64::from(number)]);
        }
    }

    fn two(self, said: &mut Said, name: &CStr) {
        if let Some(get) = function!(self.find(said, name), GetTwo) {
            said.call(name.to_bytes(), self.whom);
            let (mut first, mut second) = (0, 0);
            // SAFETY: the numbers outlive the call.
            let code = unsafe { get(self.device, &raw mut first, &raw mut second) };
            said.got(code, &[u64::from(first), u64::from(second)]);
        }
    }

    /// Reports the results of two functions under one name.
    fn now_and_most(self, said: &mut Said, name: &[u8], (now, most): (&CStr, &CStr)) {
        let now = function!(self.find(said, now), GetNumber);
        let Some((now, most)) = now.zip(function!(self.find(said, most), GetNumber)) else { return };
        said.call(name, self.whom);
        let mut numbers = [0; 2];
        // SAFETY: the numbers outlive the calls.
        let codes = unsafe { [now(self.device, &raw mut numbers[0]), most(self.device, &raw mut numbers[1])] };
        said.got(if codes[0] == 0 { codes[1] } else { codes[0] }, &numbers.map(u64::from));
    }

    fn pci(self, said: &mut Said) {
        let name = c"nvmlDeviceGetPciInfo_v3";
        if let Some(get) = function!(self.find(said, name), GetInto<Pci>) {
            said.call(name.to_bytes(), self.whom);
            let (legacy, address) = ([0; 16], [0; 32]);
            let mut pci = Pci { legacy, domain: 0, bus: 0, device: 0, id: 0, subsystem: 0, address };
            // SAFETY: the structure has the layout of the header's and outlives the call.
            let code = unsafe { get(self.device, &raw mut pci) };
            said.got_text(code, bytes(&pci.address));
        }
    }

    /// Reports the memory. The second version separates the driver's reserve; old libraries and some sandboxes have only the first.
    fn memory(self, said: &mut Said) {
        const NAME: &[u8] = b"nvmlDeviceGetMemoryInfo";
        let second = function!(self.find(said, c"nvmlDeviceGetMemoryInfo_v2"), GetInto<Memory2>);
        let mut memory = Memory2 { version: version::<Memory2>(2), ..Memory2::default() };
        said.call(NAME, self.whom);
        // SAFETY: the structure has the layout of the header's and outlives the call.
        let code = second.map(|get| unsafe { get(self.device, &raw mut memory) }).filter(|code| *code == 0);
        match code {
            Some(code) => said.got(code, &[memory.total, memory.used]),
            None => self.memory_of_old(said),
        }
        let name = c"nvmlDeviceGetBAR1MemoryInfo";
        if let Some(get) = function!(self.find(said, name), GetInto<Memory>) {
            said.call(name.to_bytes(), self.whom);
            let mut memory = Memory::default();
            // SAFETY: as above.
            let code = unsafe { get(self.device, &raw mut memory) };
            said.got(code, &[memory.total, memory.used]);
        }
    }

    fn memory_of_old(self, said: &mut Said) {
        let mut memory = Memory::default();
        let first = function!(self.find(said, c"nvmlDeviceGetMemoryInfo"), GetInto<Memory>);
        // SAFETY: as above. 13 is NVML's code for a function that is not there.
        let code = first.map_or(13, |get| unsafe { get(self.device, &raw mut memory) });
        said.got(code, &[memory.total, memory.used]);
    }

    /// Reports the number of processes without a buffer for their list.
    fn processes(self, said: &mut Said) {
        let name = c"nvmlDeviceGetComputeRunningProcesses_v3";
        if let Some(get) = function!(self.find(said, name), GetList) {
            said.call(name.to_bytes(), self.whom);
            let mut count = 0;
            // SAFETY: with a count of 0 the list may be NULL.
            let code = unsafe { get(self.device, &raw mut count, null_mut()) };
            said.got_anyhow(code, u64::from(count));
        }
    }

    /// Reports uncorrected errors; `counter` is 0 since the driver was loaded, 1 over the GPU's life.
    fn errors(self, said: &mut Said, name: &[u8], counter: c_int) {
        const UNCORRECTED: c_int = 1;
        if let Some(get) = function!(self.find(said, c"nvmlDeviceGetTotalEccErrors"), GetErrors) {
            said.call(name, self.whom);
            let mut count = 0;
            // SAFETY: the number outlives the call.
            let code = unsafe { get(self.device, UNCORRECTED, counter, &raw mut count) };
            said.got(code, &[count]);
        }
    }

    fn sram(self, said: &mut Said) {
        let name = c"nvmlDeviceGetSramEccErrorStatus";
        if let Some(get) = function!(self.find(said, name), GetInto<Sram>) {
            said.call(name.to_bytes(), self.whom);
            let mut sram = Sram { version: version::<Sram>(1), ..Sram::default() };
            // SAFETY: the structure has the layout of the header's and outlives the call.
            let code = unsafe { get(self.device, &raw mut sram) };
            said.got(code, &[u64::from(sram.exceeded)]);
        }
    }

    fn remapped(self, said: &mut Said) {
        let name = c"nvmlDeviceGetRemappedRows";
        if let Some(get) = function!(self.find(said, name), GetFour) {
            said.call(name.to_bytes(), self.whom);
            let mut rows = [0; 4];
            let [correctable, uncorrectable, pending, failed] = rows.each_mut().map(|row| &raw mut *row);
            // SAFETY: the numbers outlive the call.
            let code = unsafe { get(self.device, correctable, uncorrectable, pending, failed) };
            said.got(code, &rows.map(u64::from));
        }
    }

    /// Reports the recovery action that the driver requests (NVML_FI_DEV_GET_GPU_RECOVERY_ACTION).
    fn recovery(self, said: &mut Said) {
        const RECOVERY_ACTION: c_uint = 230;
        const NOT_SUPPORTED: c_int = 3;
        if let Some(get) = function!(self.find(said, c"nvmlDeviceGetFieldValues"), GetFields) {
            said.call(b"nvmlDeviceGetFieldValues/recovery", self.whom);
            let mut value = FieldValue { field: RECOVERY_ACTION, ..FieldValue::default() };
            // SAFETY: one structure of the header's layout, as is passed.
            let code = unsafe { get(self.device, 1, &raw mut value) };
            // The driver returns *invalid argument* for an unknown field.
            let field = if value.code == 2 { NOT_SUPPORTED } else { value.code };
            said.got(if code == 0 { field } else { code }, &[value.value & 0xffff_ffff]);
        }
    }

    fn throttle(self, said: &mut Said) {
        // The function has this name since 535, and an older one before.
        let name = c"nvmlDeviceGetCurrentClocksEventReasons";
        let found = self.library.find(name).or_else(|| self.find(said, c"nvmlDeviceGetCurrentClocksThrottleReasons"));
        if let Some(get) = function!(found, GetLong) {
            said.call(name.to_bytes(), self.whom);
            let mut reasons = 0;
            // SAFETY: the number outlives the call.
            let code = unsafe { get(self.device, &raw mut reasons) };
            said.got(code, &[reasons]);
        }
    }

    /// Reports each NVLink up to the first that the GPU lacks.
    fn nvlinks(self, said: &mut Said) {
        let name = c"nvmlDeviceGetNvLinkState";
        let Some(get) = function!(self.find(said, name), GetBy) else { return };
        said.call(name.to_bytes(), self.whom);
        let mut states = [0; LINKS as usize];
        let (mut count, mut code) = (0, 0);
        for (link, place) in (0..LINKS).zip(&mut states) {
            let mut state = 0;
            // SAFETY: the number outlives the call.
            code = unsafe { get(self.device, link, &raw mut state) };
            if code != 0 {
                break;
            }
            (*place, count) = (u64::from(state), count + 1);
        }
        said.got(if count > 0 { 0 } else { code }, states.get(..count).unwrap_or_default());
    }

    fn fabric(self, said: &mut Said) {
        const NAME: &[u8] = b"nvmlDeviceGetGpuFabricInfoV";
        if let Some(get) = function!(self.find(said, c"nvmlDeviceGetGpuFabricInfoV"), GetInto<Fabric2>) {
            said.call(NAME, self.whom);
            let mut fabric = Fabric2 { version: version::<Fabric2>(2), ..Fabric2::default() };
            // SAFETY: the structure has the layout of the header's second version, as it says itself, and outlives the call.
            let code = unsafe { get(self.device, &raw mut fabric) };
            said.got(code, &[u64::from(fabric.state), fabric.status as u64, u64::from(fabric.health)]);
        } else if let Some(get) = function!(self.library.find(c"nvmlDeviceGetGpuFabricInfo"), GetInto<Fabric1>) {
            said.call(NAME, self.whom);
            let mut fabric = Fabric1::default();
            // SAFETY: the structure has the layout of the header's first version and outlives the call.
            let code = unsafe { get(self.device, &raw mut fabric) };
            said.got(code, &[u64::from(fabric.state), fabric.status as u64]);
        }
    }

    /// Reports MIG instances. A GPU without MIG answers the first call with no slots.
    fn slots(self, said: &mut Said, index: u32) {
        let name = c"nvmlDeviceGetMaxMigDeviceCount";
        let Some(get) = function!(self.find(said, name), GetNumber) else { return };
        said.call(name.to_bytes(), self.whom);
        let mut count = 0;
        // SAFETY: the number outlives the call.
        let code = unsafe { get(self.device, &raw mut count) };
        said.got(code, &[u64::from(count)]);
        if code == 0 {
            (0..count.min(MOST)).for_each(|slot| self.slot(said, index, slot));
        }
    }

    fn slot(self, said: &mut Said, index: u32, slot: u32) {
        let name = c"nvmlDeviceGetMigDeviceHandleByIndex";
        let Some(get) = function!(self.find(said, name), GetSlot) else { return };
        let whom = Whom::Slot(index, slot);
        said.call(name.to_bytes(), whom);
        let mut device = null_mut();
        // SAFETY: the handle outlives the call.
        let code = unsafe { get(self.device, slot, &raw mut device) };
        said.got(code, &[]);
        if code == 0 {
            let instance = Asked { device, whom, ..self };
            instance.text(said, c"nvmlDeviceGetUUID");
            instance.text(said, c"nvmlDeviceGetName");
            instance.number(said, c"nvmlDeviceGetGpuInstanceId");
            instance.number(said, c"nvmlDeviceGetComputeInstanceId");
            instance.memory(said);
        }
    }
}

/// Returns the text in a buffer that a library filled.
fn bytes(room: &[c_char]) -> &[u8] {
    let length = room.iter().position(|byte| *byte == 0).unwrap_or(room.len());
    // SAFETY: c_char and u8 have the same size and no invalid values; the length is at most the buffer's.
    unsafe { core::slice::from_raw_parts(room.as_ptr().cast(), length) }
}
