//! The program's allocator: a bump area for the first thread, and the C library's heap behind it. The area is part of the program,
//! so a piece of it costs no search, no system call and no page for each size. PID 1 needs little more than the area in its whole
//! life. A process with a short life, one that soon becomes another program or only answers a question, may take far more of the
//! area.
//!
//! When the area is used up, and for all other threads, the C library's heap serves. No lock is needed for that reason, and a lock
//! would be most of the cost. Where the C library's heap has nothing either, the first thread has a reserve (`reserve.rs`).
//!
//! All of it is 9 kB of the binary.

use super::reserve::Reserve;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of the area that a supervisor may take, which are enough while nothing special happens.
const FIRST: usize = 16 << 10;

/// Bytes of the area that a process with a short life may take: several times the need of a start. Only touched pages take memory.
const BRIEF: usize = 1 << 20;

/// Bytes that every start needs.
const AT_LEAST: usize = 20 << 10;

/// The smallest page size there is. Where pages are larger, the kernel refuses the range of `expect_short_life`, and only time is
/// lost.
const PAGE: usize = 4 << 10;

/// Bytes in front of each piece, which hold its length. A piece that is given back could be told its length by the caller. But then every
/// one of some thousand callers would compute it, which makes the binary 110 kB larger.
const HEADER: usize = size_of::<u32>();

/// The alignment of every block of malloc(3) that is long enough, in bytes.
const MALLOC_ALIGN: usize = 16;

/// The program's allocator.
#[derive(Debug)]
pub struct Heap;

/// The area. It is no mapping of its own, because to make, to fork and to drop a mapping costs more than the use of it saves.
#[repr(align(16))]
struct Area(UnsafeCell<[u8; BRIEF]>);

// SAFETY: the bytes are reached only through the pieces that `take` gives, each to one owner.
unsafe impl Sync for Area {}

static ROOM: Area = Area(UnsafeCell::new([0; BRIEF]));

static RESERVE: Reserve = Reserve::new();

thread_local! {
    /// Whether this thread may take from the area.
    static FIRST_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// The address of the first free byte; 0 where nothing was taken yet. Only the first thread changes it.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// How many bytes of the area this process may take.
static SIZE: AtomicUsize = AtomicUsize::new(FIRST);

/// Marks this thread as the first one, which may take from the area.
pub fn begin() {
    FIRST_THREAD.set(true);
}

/// Lets this process take all of the area, because it lives only for a moment. The pages that it needs in any case are populated in
/// one call (Linux 5.14), which costs less than a fault for each page.
pub fn expect_short_life() {
    SIZE.store(BRIEF, Relaxed);
    let begin = NEXT.load(Relaxed).max(area_size()).next_multiple_of(PAGE);
    // SAFETY: the range lies in the area, and the call does not change its content.
    unsafe { libc::madvise(begin as *mut libc::c_void, AT_LEAST, libc::MADV_POPULATE_WRITE) };
}

/// Gives back the pages of the area in which no piece lies.
pub fn give_back(page: usize) {
    let free = NEXT.load(Relaxed).max(area_size()).next_multiple_of(page);
    let end = (area_size() + BRIEF) & !(page - 1);
    if free < end {
        // SAFETY: the range lies in the area, behind all pieces that were taken. Code uses only pieces that were taken, and expects
        // no value in a new one.
        unsafe { libc::madvise(free as *mut libc::c_void, end - free, libc::MADV_DONTNEED) };
    }
}

fn area_size() -> usize {
    ROOM.0.get() as usize
}

fn is_ours(at: *mut u8) -> bool {
    (area_size()..area_size() + BRIEF).contains(&(at as usize))
}

/// Moves the end of the used part from one address to another, and tells whether it did: only if no piece was taken in between.
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
    let at = (next.max(area_size()) + HEADER + align - 1) & !(align - 1);
    let after = at.checked_add(layout.size()).filter(|after| fits(*after))?;
    moved(next, after).then(|| {
        set_length(at, layout.size());
        at as *mut u8
    })
}

/// Records the length of a piece in front of it.
fn set_length(at: usize, length: usize) {
    // SAFETY: the bytes in front of a piece belong to it. A piece fits in the area, whose length fits in the number.
    unsafe { (at as *mut u32).sub(1).write_unaligned(length as u32) };
}

/// Returns the length of a piece.
fn length(at: usize) -> usize {
    // SAFETY: `take` and `realloc` have written the bytes in front of a piece.
    unsafe { (at as *const u32).sub(1).read_unaligned() as usize }
}

/// Returns the alignment of a piece: at least that of malloc(3). The unwinder requires that alignment for an exception, although
/// the exception's type asks for less. Without it, a panic of PID 1 would end in a fault of its own.
fn alignment(layout: Layout) -> usize {
    if layout.size() < MALLOC_ALIGN { layout.align() } else { layout.align().max(MALLOC_ALIGN) }
}

/// Tells whether a piece may end at this address.
fn fits(after: usize) -> bool {
    after <= area_size() + SIZE.load(Relaxed)
}

/// Takes a block of the C library's heap, or of the reserve where that heap has none.
fn take_elsewhere(layout: Layout) -> *mut u8 {
    // SAFETY: the layout comes from the caller of `alloc`, so its size is not zero.
    let block = unsafe { System.alloc(layout) };
    if block.is_null() && FIRST_THREAD.get() {
        // SAFETY: only the first thread reaches this call.
        return unsafe { RESERVE.take(layout) };
    }
    block
}

// SAFETY: a block comes from the C library or from the reserve, which then alone handles it, or it is a piece of the area that
// `take` gave once. Pieces never overlap, because only one thread moves `NEXT`. Pieces are aligned as asked, and the area exists as
// long as the process. `NEXT` moves back only over the piece that is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout).unwrap_or_else(|| take_elsewhere(layout))
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if is_ours(at) {
            // The newest piece can be used again; older ones stay used until the process ends.
            moved(at as usize + length(at as usize), at as usize - HEADER);
        } else if !RESERVE.has(at) {
            // SAFETY: a block that is neither of the area nor of the reserve came from `System`, with this layout.
            unsafe { System.dealloc(at, layout) };
        } else if FIRST_THREAD.get() {
            // SAFETY: only the first thread reaches this call, and the caller is done with the block.
            unsafe { RESERVE.give_back(at) };
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let begin = at as usize;
        let fits = begin.checked_add(size).is_some_and(fits);
        if is_ours(at) && fits && moved(begin + length(begin), begin + size) {
            set_length(begin, size);
            return at;
        }
        if is_ours(at) && size <= layout.size() {
            return at;
        }
        if !is_ours(at) && !RESERVE.has(at) {
            // SAFETY: the block came from `System` with this layout, and the caller promises that the size is valid.
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
    /// Moves a block to a new one of another size.
    ///
    /// # Safety
    /// The caller keeps the promises of `realloc`.
    unsafe fn moved_to_new(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is valid with this alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the copied part and do not overlap; the caller is done with the old
            // block.
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

    /// Runs the test in a child, because a change of the area lasts as long as the process.
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
            first.extend(100..200); // not the newest piece any more: it moves
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
            // The memory that the C library's heap still has is used up first.
            let is_reserved = |n: u64| {
                let piece = std::mem::ManuallyDrop::new(vec![n; 2000]);
                RESERVE.has(piece.as_ptr().cast_mut().cast())
            };
            let passing = |n: u64| vec![n; 8000].iter().sum::<u64>() == 8000 * n;
            limited && (0..10_000).any(is_reserved) && (0..1000).all(passing)
        }));
    }
}
