//! A reserve of memory for PID 1, used when the kernel gives no more: ENOMEM of brk(2) and mmap(2), because of a limit of address
//! space or strict overcommitting. A failed allocation aborts a Rust program, and without PID 1 the container's exit code would be
//! lost. The reserve is part of the program's zeroed data, which exists from exec on and takes memory only where it is touched.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::ptr;

/// Bytes of the reserve. A supervisor needs some tens of kilobytes; lists of thousands of processes fit in, too.
const SIZE: usize = 1 << 20;

/// Bytes of the smallest block; each larger class is twice as large as the one before.
const SMALLEST: usize = 32;

/// Number of classes: the largest is the whole reserve.
const CLASSES: usize = (SIZE / SMALLEST).trailing_zeros() as usize + 1;

/// The blocks, in classes of size. A freed block is kept for the next allocation of its class, so that the allocations that PID 1
/// repeats do not use the reserve up.
#[repr(C, align(4096))]
pub(super) struct Reserve {
    bytes: UnsafeCell<[u8; SIZE]>,
    state: UnsafeCell<FreeLists>,
}

struct FreeLists {
    /// How many bytes were given out at least once.
    used: usize,
    /// The first free block of each class, whose first word is the address of the next.
    free: [*mut u8; CLASSES],
    /// The class of each block, by the place where it begins.
    classes: [u8; SIZE / SMALLEST],
}

// SAFETY: only the first thread calls `take` and `give_back` (`heap.rs` makes sure of that); `has` only compares an address.
unsafe impl Sync for Reserve {}

impl Reserve {
    pub(super) const fn new() -> Self {
        let state = FreeLists { used: 0, free: [ptr::null_mut(); CLASSES], classes: [0; SIZE / SMALLEST] };
        Reserve { bytes: UnsafeCell::new([0; SIZE]), state: UnsafeCell::new(state) }
    }

    fn begin(&self) -> usize {
        self.bytes.get() as usize
    }

    /// Tells whether a block is one of the reserve's.
    pub(super) fn has(&self, at: *mut u8) -> bool {
        (self.begin()..self.begin() + SIZE).contains(&(at as usize))
    }

    /// Takes a block for this layout; null when the reserve is used up, too.
    ///
    /// # Safety
    /// Only one thread may call this and `give_back`.
    pub(super) unsafe fn take(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else { return ptr::null_mut() };
        // SAFETY: the caller promises that no other thread is here.
        let state = unsafe { &mut *self.state.get() };
        let Some(free) = state.free.get_mut(class) else { return ptr::null_mut() };
        if let Some(block) = ptr::NonNull::new(*free) {
            // SAFETY: a free block holds the address of the next in its first word, and blocks are aligned to their size.
            *free = unsafe { block.cast::<*mut u8>().read() };
            return block.as_ptr();
        }
        let size = SMALLEST << class;
        let at = state.used.next_multiple_of(size.min(4096));
        if at + size > SIZE {
            return ptr::null_mut();
        }
        state.used = at + size;
        if let Some(known) = state.classes.get_mut(at / SMALLEST) {
            *known = class as u8;
        }
        (self.begin() + at) as *mut u8
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// The block came from `take` and is not used any more; only one thread may call this and `take`.
    pub(super) unsafe fn give_back(&self, block: *mut u8) {
        // SAFETY: the caller promises that no other thread is here.
        let state = unsafe { &mut *self.state.get() };
        let class = state.classes.get((block as usize - self.begin()) / SMALLEST);
        if let Some(free) = class.and_then(|class| state.free.get_mut(usize::from(*class))) {
            // SAFETY: the block has no owner, is long enough for an address, and is aligned for one.
            unsafe { block.cast::<*mut u8>().write(*free) };
            *free = block;
        }
    }
}

/// Returns the smallest class whose blocks are long enough and aligned well enough.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(SMALLEST).checked_next_power_of_two()?;
    let class = (size / SMALLEST).trailing_zeros() as usize;
    (class < CLASSES && layout.align() <= 4096).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_long_enough_aligned_and_never_overlap() {
        static RESERVE: Reserve = Reserve::new();
        let reserve = &RESERVE;
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (size, align) in (1..200).map(|n| (n * 7, 1 << (n % 7))).chain([(4096, 4096), (40_000, 16)]) {
            // SAFETY: this thread alone has the reserve.
            let block = unsafe { reserve.take(layout(size, align)) };
            assert!(reserve.has(block) && (block as usize).is_multiple_of(align), "{size} {align}");
            // SAFETY: the block is that long.
            unsafe { block.write_bytes(7, size) };
            taken.push((block as usize, size));
        }
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }

    #[test]
    fn what_is_given_back_is_used_again_so_that_it_lasts_for_ever() {
        static RESERVE: Reserve = Reserve::new();
        let reserve = &RESERVE;
        for n in 0..100_000 {
            let layout = layout(1 + n % 5000, 8);
            // SAFETY: this thread alone has the reserve, and each block is given back once.
            unsafe {
                let block = reserve.take(layout);
                assert!(!block.is_null(), "{n}");
                reserve.give_back(block);
            }
        }
    }

    #[test]
    fn when_it_is_used_up_there_is_none() {
        static RESERVE: Reserve = Reserve::new();
        let reserve = &RESERVE;
        // SAFETY: this thread alone has the reserve.
        let take = |size| unsafe { reserve.take(layout(size, 8)) };
        assert!(take(SIZE + 1).is_null());
        assert!(take(usize::MAX / 4).is_null());
        assert!(!take(SIZE).is_null());
        assert!(take(1).is_null());
    }
}
