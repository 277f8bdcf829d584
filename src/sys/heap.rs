//! The heap. Its first bytes come from an area of the program's own, front to back, which costs no search, no call into the kernel
//! and no page for each size: PID 1 needs hardly more than that in its whole life. A process that only lives until it becomes
//! another program, or until it has answered, gets a larger area. When an area is used up, the C library's heap goes on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a supervisor needs while nothing special happens. Only what is touched becomes memory.
const FIRST: usize = 16 << 10;

/// What a start needs several times over; what is not touched costs nothing.
const BRIEF: usize = 1 << 20;

/// What nearly every start needs: its pages are fetched at once instead of by a fault each.
const AT_ONCE: usize = 32 << 10;

/// The program's allocator.
#[derive(Debug)]
pub struct Heap;

/// The area that every process begins with.
#[repr(align(16))]
struct Room(UnsafeCell<[u8; FIRST]>);

// SAFETY: nobody looks at it but through the pieces that `take` gives, each to one owner.
unsafe impl Sync for Room {}

static ROOM: Room = Room(UnsafeCell::new([0; FIRST]));

/// Where pieces are taken from: the first byte that is free and the one after the last. Both 0: from `ROOM`, nothing taken yet.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
/// The first byte of the larger area; 0: there is none.
static BRIEFLY: AtomicUsize = AtomicUsize::new(0);

/// From here on this process is one that lives for a moment. Without memory for an area it goes on as before.
pub fn live_briefly() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let area = unsafe { libc::mmap(std::ptr::null_mut(), BRIEF, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if area == libc::MAP_FAILED || BRIEFLY.load(Relaxed) != 0 {
        return;
    }
    // SAFETY: the range is the beginning of this mapping. Kernels before 5.14 do not know it, which costs only time.
    unsafe { libc::madvise(area, AT_ONCE, libc::MADV_POPULATE_WRITE) };
    let begin = area as usize;
    BRIEFLY.store(begin, Relaxed);
    END.store(begin + BRIEF, Relaxed);
    NEXT.store(begin, Relaxed);
}

fn room() -> usize {
    ROOM.0.get() as usize
}

fn is_ours(at: *mut u8) -> bool {
    let (at, room, briefly) = (at as usize, room(), BRIEFLY.load(Relaxed));
    (room..room + FIRST).contains(&at) || briefly != 0 && (briefly..briefly + BRIEF).contains(&at)
}

/// Moves the end of what is in use from one place to another, if nothing else was taken meanwhile.
fn moved(from: usize, to: usize) -> bool {
    NEXT.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
}

fn take(layout: Layout) -> Option<*mut u8> {
    loop {
        let (next, end) = (NEXT.load(Relaxed), END.load(Relaxed));
        let (from, end) = if end == 0 { (next.max(room()), room() + FIRST) } else { (next, end) };
        let at = from.checked_next_multiple_of(layout.align())?;
        let after = at.checked_add(layout.size()).filter(|after| *after <= end)?;
        if moved(next, after) {
            return Some(at as *mut u8);
        }
    }
}

/// Whether a piece may end here: within the area that is used now.
fn fits(after: usize) -> bool {
    let end = END.load(Relaxed);
    after <= if end == 0 { room() + FIRST } else { end }
}

// SAFETY: a block is either the C library's, and then only that handles it, or a piece of an area that `take` gave once: pieces
// never overlap, are aligned as asked, and areas are never unmapped. `NEXT` moves back only over the piece that is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout is passed on.
        take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if is_ours(at) {
            // The newest piece can be used again; others wait for the end.
            moved(at as usize + layout.size(), at as usize);
        } else {
            // SAFETY: what is not of the area came from `System`, with this layout.
            unsafe { System.dealloc(at, layout) };
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_ours(at) {
            // SAFETY: as above.
            return unsafe { System.realloc(at, layout, size) };
        }
        let begin = at as usize;
        let fits = begin.checked_add(size).is_some_and(fits);
        if fits && moved(begin + layout.size(), begin + size) || size <= layout.size() {
            return at;
        }
        // SAFETY: the size is the caller's, who promises that it is valid with this alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the old one, and do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(at, new, layout.size()) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::aside;

    /// In a child, because the area is for the rest of a process's life.
    fn in_a_brief_life(body: impl Fn() -> bool) -> bool {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let aside = aside::fork_aside(|| {
            live_briefly();
            let held = body();
            let _ = nix::unistd::write(&write, &[u8::from(held)]);
            0
        });
        drop((aside.unwrap(), write));
        let mut answer = [0];
        nix::unistd::read(&read, &mut answer) == Ok(1) && answer == [1]
    }

    #[test]
    fn what_is_taken_from_the_area_grows_in_place_moves_and_keeps_its_bytes() {
        assert!(in_a_brief_life(|| {
            let mut first: Vec<u8> = (0..100).collect();
            let second = vec![7u8; 50];
            first.extend(100..200); // no longer the newest: it moves
            let mut texts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
            texts.retain(|text| text.len() == 3);
            is_ours(first.as_mut_ptr())
                && first == (0..200).collect::<Vec<u8>>()
                && second == [7; 50]
                && texts.len() == 900
                && texts.iter().enumerate().all(|(n, text)| *text == (n + 100).to_string())
        }));
    }

    #[test]
    fn when_the_area_is_used_up_the_c_librarys_heap_goes_on() {
        assert!(in_a_brief_life(|| {
            let mut pieces: Vec<Vec<u64>> = (0..100u64).map(|n| vec![n; 4096]).collect();
            pieces.iter_mut().for_each(|piece| piece.push(1));
            let there =
                |n: usize, piece: &Vec<u64>| piece.len() == 4097 && piece.iter().take(4096).all(|m| *m == n as u64);
            pieces.iter().enumerate().all(|(n, piece)| there(n, piece))
                && pieces.iter_mut().any(|piece| !is_ours(piece.as_mut_ptr().cast()))
        }));
    }
}
