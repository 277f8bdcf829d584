//! The heap. Its first bytes come from an area of the program's own, front to back, which costs no search, no call into the kernel
//! and no page for each size: PID 1 needs hardly more than that in its whole life. A process that only lives until it becomes
//! another program, or until it has answered, may take far more of it. When that is used up, and for all threads but the first, the C
//! library's heap goes on: so nothing here has to be locked, which would be most of what it costs. Where that has nothing any more
//! either, the first thread has a reserve.

use super::reserve::Reserve;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a supervisor needs while nothing special happens.
const FIRST: usize = 16 << 10;

/// What a start needs several times over. Only what is touched becomes memory.
const BRIEF: usize = 1 << 20;

/// What every start needs.
const AT_LEAST: usize = 20 << 10;

/// The smallest page there is. Where pages are larger the kernel refuses what is asked for in these, and only time is lost.
const PAGE: usize = 4 << 10;

/// The alignment of every block of malloc(3) that is long enough, in bytes.
const MALLOC_ALIGN: usize = 16;

/// The program's allocator.
#[derive(Debug)]
pub struct Heap;

/// The area. Not a mapping of its own: to make, to fork and to drop one costs more than what is taken from it.
#[repr(align(16))]
struct Area(UnsafeCell<[u8; BRIEF]>);

// SAFETY: nobody looks at it but through the pieces that `take` gives, each to one owner.
unsafe impl Sync for Area {}

static ROOM: Area = Area(UnsafeCell::new([0; BRIEF]));

static RESERVE: Reserve = Reserve::new();

thread_local! {
    /// Whether this thread may take from the area.
    static FIRST_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// The first byte that is free; 0: nothing was taken yet. Only the first thread changes it.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// How much of the area this process may take.
static SIZE: AtomicUsize = AtomicUsize::new(FIRST);

/// The process begins, with this thread.
pub fn begin() {
    FIRST_THREAD.set(true);
}

/// From here on this process is one that lives for a moment, and may take all of the area. What it is going to need in any case is got
/// at once (Linux 5.14), which is cheaper than a fault for each page.
pub fn expect_short_life() {
    SIZE.store(BRIEF, Relaxed);
    let begin = NEXT.load(Relaxed).max(area_size()).next_multiple_of(PAGE);
    // SAFETY: the range lies in the area; nothing in it changes.
    unsafe { libc::madvise(begin as *mut libc::c_void, AT_LEAST, libc::MADV_POPULATE_WRITE) };
}

/// Gives back the pages of the area in which nothing is any more.
pub fn give_back(page: usize) {
    let free = NEXT.load(Relaxed).max(area_size()).next_multiple_of(page);
    let end = (area_size() + BRIEF) & !(page - 1);
    if free < end {
        // SAFETY: the range lies in the area, behind all that was taken of it. Only what is taken is used, and nobody expects it to be zero
        // or anything else.
        unsafe { libc::madvise(free as *mut libc::c_void, end - free, libc::MADV_DONTNEED) };
    }
}

fn area_size() -> usize {
    ROOM.0.get() as usize
}

fn is_ours(at: *mut u8) -> bool {
    (area_size()..area_size() + BRIEF).contains(&(at as usize))
}

/// Moves the end of what is in use from one place to another, if nothing else was taken meanwhile.
fn moved(from: usize, to: usize) -> bool {
    let moves = NEXT.load(Relaxed) == from && FIRST_THREAD.get();
    if moves {
        NEXT.store(to, Relaxed);
    }
    moves
}

fn take(layout: Layout) -> Option<*mut u8> {
    let next = NEXT.load(Relaxed);
    let align = alignment(layout);
    // Alignments are powers of two, and addresses lie far below the largest number.
    let at = (next.max(area_size()) + align - 1) & !(align - 1);
    let after = at.checked_add(layout.size()).filter(|after| fits(*after))?;
    moved(next, after).then_some(at as *mut u8)
}

/// The alignment of a piece: at least what malloc(3) gives. The unwinder takes an exception for so aligned, although its type asks for
/// less, and a panic of PID 1 would end in a fault of its own.
fn alignment(layout: Layout) -> usize {
    if layout.size() < MALLOC_ALIGN { layout.align() } else { layout.align().max(MALLOC_ALIGN) }
}

/// Whether a piece may end here.
fn fits(after: usize) -> bool {
    after <= area_size() + SIZE.load(Relaxed)
}

/// A block of the C library's heap, or of the reserve where that has none.
fn take_elsewhere(layout: Layout) -> *mut u8 {
    // SAFETY: the layout is the caller's of `alloc`, whose size is not zero.
    let block = unsafe { System.alloc(layout) };
    if block.is_null() && FIRST_THREAD.get() {
        // SAFETY: only the first thread comes here.
        return unsafe { RESERVE.take(layout) };
    }
    block
}

// SAFETY: a block is the C library's or the reserve's, and then only that handles it, or a piece of the area that `take` gave once:
// pieces never overlap, because only one thread moves `NEXT`, are aligned as asked, and the area is there for ever. `NEXT` moves back
// only over the piece that is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout).unwrap_or_else(|| take_elsewhere(layout))
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if is_ours(at) {
            // The newest piece can be used again; others wait for the end.
            moved(at as usize + layout.size(), at as usize);
        } else if !RESERVE.has(at) {
            // SAFETY: what is neither of the area nor of the reserve came from `System`, with this layout.
            unsafe { System.dealloc(at, layout) };
        } else if FIRST_THREAD.get() {
            // SAFETY: only the first thread comes here, and the caller is done with the block.
            unsafe { RESERVE.give_back(at, layout) };
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let begin = at as usize;
        let fits = begin.checked_add(size).is_some_and(fits);
        if is_ours(at) && (fits && moved(begin + layout.size(), begin + size) || size <= layout.size()) {
            return at;
        }
        if !is_ours(at) && !RESERVE.has(at) {
            // SAFETY: as above.
            let new = unsafe { System.realloc(at, layout, size) };
            if !new.is_null() {
                return new;
            }
        }
        // SAFETY: the caller promises that the size is valid with this alignment, and is done with the old block.
        unsafe { self.moved_to_new(at, layout, size) }
    }
}

impl Heap {
    /// # Safety
    /// As for `realloc`.
    unsafe fn moved_to_new(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as what is copied, and do not overlap; nobody uses the old one any more.
            unsafe {
                std::ptr::copy_nonoverlapping(at, new, layout.size().min(size));
                self.dealloc(at, layout);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork_detached;

    /// In a child, because the area is for the rest of a process's life.
    fn in_a_brief_life(body: impl Fn() -> bool) -> bool {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let aside = fork_detached::fork_detached(|| {
            begin();
            expect_short_life();
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
    fn what_the_unwinder_may_get_is_aligned_as_mallocs_blocks_are() {
        assert!(in_a_brief_life(|| {
            (0..100).all(|n| {
                let odd = std::mem::ManuallyDrop::new(vec![1u8; 1 + n % 15]);
                let object = std::mem::ManuallyDrop::new(Box::new([n; 6]));
                let at = object.as_ptr() as usize;
                is_ours(odd.as_ptr().cast_mut()) && is_ours(at as *mut u8) && at.is_multiple_of(16)
            })
        }));
    }

    #[test]
    fn a_panic_is_caught_wherever_its_exception_lies() {
        assert!(in_a_brief_life(|| {
            (0..20).all(|n| {
                let _moves = std::mem::ManuallyDrop::new(vec![1u8; n]);
                std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(n))).is_err()
            })
        }));
    }

    #[test]
    fn another_thread_takes_nothing_from_the_area_and_gives_nothing_back_to_it() {
        assert!(in_a_brief_life(|| {
            let own = vec![1u8; 100];
            let theirs = std::thread::spawn(move || {
                let same = is_ours(own.as_ptr().cast_mut());
                drop(own);
                (same, vec![2u8; 100])
            });
            let (same, theirs) = theirs.join().unwrap();
            same && !is_ours(theirs.as_ptr().cast_mut()) && theirs == [2; 100]
        }));
    }

    #[test]
    fn what_is_given_back_is_nothing_that_is_in_use() {
        assert!(in_a_brief_life(|| {
            let kept: Vec<u8> = (0..200).collect();
            let freed = vec![7u8; 64 << 10];
            let at = freed.as_ptr() as usize;
            let resident = || {
                let (page, mut answer) = (at.next_multiple_of(4096), 0u8);
                // SAFETY: the page is mapped, and the answer for one page is one byte.
                unsafe { libc::mincore(page as *mut libc::c_void, 4096, &raw mut answer) };
                answer & 1
            };
            let before = resident();
            drop(freed);
            give_back(4096);
            let after = resident();
            let again = vec![8u8; 64 << 10];
            (before, after, kept) == (1, 0, (0..200).collect()) && again.iter().all(|byte| *byte == 8)
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

    #[test]
    fn when_the_kernel_gives_no_memory_the_reserve_goes_on() {
        use nix::sys::resource::{Resource, setrlimit};
        assert!(in_a_brief_life(|| {
            SIZE.store(FIRST, Relaxed);
            let limit = |kind| setrlimit(kind, 0, 0).is_ok();
            let limited = limit(Resource::RLIMIT_AS) && limit(Resource::RLIMIT_DATA);
            // What the C library's heap has left is used up first.
            let is_reserved = |n: u64| {
                let piece = std::mem::ManuallyDrop::new(vec![n; 2000]);
                RESERVE.has(piece.as_ptr().cast_mut().cast())
            };
            let passing = |n: u64| vec![n; 8000].iter().sum::<u64>() == 8000 * n;
            limited && (0..10_000).any(is_reserved) && (0..1000).all(passing)
        }));
    }
}
