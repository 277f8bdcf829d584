//! Copies between all pairs of GPUs that CUDA shows. The result is compared, because a wrong IOMMU setting of the host corrupts direct
//! copies without an error.

use crate::c;
use crate::cuda::{Cuda, Device};
use crate::library::function;
use crate::proof::{Context, Handle, Place, rate};
use crate::said::{Said, Whom};
use core::ffi::{c_int, c_uint};

/// Largest number of GPUs.
const MOST: usize = 16;
/// Bytes of each copy.
const BYTES: usize = 16 << 20;

type CanAccess = unsafe extern "C" fn(*mut c_int, Device, Device) -> c_int;
type Enable = unsafe extern "C" fn(Handle, c_uint) -> c_int;
type Copy = unsafe extern "C" fn(Place, Handle, Place, Handle, usize) -> c_int;

/// A GPU of the test.
#[derive(Clone, Copy)]
struct Peer {
    number: u32,
    device: Device,
    context: Context,
    from: Place,
    to: Place,
}

/// Copies from each GPU to each other one.
pub fn copy(said: &mut Said) {
    let Some(cuda) = Cuda::start(said, Whom::Driver) else { return };
    let count = cuda.count(said).clamp(0, MOST as c_int) as usize;
    let mut peers = [None; MOST];
    for (number, place) in (0..count).zip(&mut peers) {
        *place = Peer::make(said, cuda, number as u32);
    }
    for from in peers.iter().flatten() {
        for to in peers.iter().flatten().filter(|to| to.number != from.number) {
            let _ = from.send(said, *to);
        }
    }
}

impl Peer {
    fn make(said: &mut Said, cuda: Cuda, number: u32) -> Option<Self> {
        let whom = Whom::Gpu(number);
        let device = cuda.open(said, number as c_int, whom)?;
        let context = Context::make(said, cuda, device, whom)?;
        let (from, to) = (context.allocate(said, BYTES)?, context.allocate(said, BYTES)?);
        context.write(said, from, BYTES as u64, u64::from(number) + 1)?;
        Some(Peer { number, device, context, from, to })
    }

    fn send(self, said: &mut Said, to: Peer) -> Option<()> {
        let cuda = self.context.cuda;
        let whom = Whom::Pair(self.number, to.number);
        self.reach(said, to, whom);
        let copy = function!(cuda.library.find_or_say(said, c"cuMemcpyPeer"), Copy)?;
        said.call(b"cuMemcpyPeer", whom);
        let began = c::microseconds();
        // SAFETY: both addresses have this many bytes in the contexts that are passed with them.
        let code = unsafe { copy(to.to, to.context.handle, self.from, self.context.handle, BYTES) };
        let code = if code == 0 { to.context.finish() } else { code };
        cuda.came(said, code, &[rate(BYTES as u64, c::microseconds() - began)])?;
        let arrived = Context { whom, ..to.context };
        arrived.enter(said)?;
        arrived.compare(said, to.to, BYTES as u64, u64::from(self.number) + 1)
    }

    /// Returns whether the GPUs reach each other directly, and enables direct access, so that the copy uses it.
    fn reach(self, said: &mut Said, to: Peer, whom: Whom) {
        let cuda = self.context.cuda;
        let name = c"cuDeviceCanAccessPeer";
        let Some(can_access) = function!(cuda.library.find_or_say(said, name), CanAccess) else { return };
        said.call(name.to_bytes(), whom);
        let mut can = 0;
        // SAFETY: the number outlives the call.
        let code = unsafe { can_access(&raw mut can, self.device, to.device) };
        if cuda.came(said, code, &[can as u64]).is_none() || can == 0 {
            return;
        }
        let Some(enable) = function!(cuda.library.find_or_say(said, c"cuCtxEnablePeerAccess"), Enable) else { return };
        let from = Context { whom, ..self.context };
        if from.enter(said).is_some() {
            said.call(b"cuCtxEnablePeerAccess", whom);
            // SAFETY: a context that was given and not released; the flags have to be 0.
            let _ = cuda.came(said, unsafe { enable(to.context.handle, 0) }, &[]);
        }
    }
}
