//! Giving memory back: PID 1 sleeps for weeks and should not keep what it needed only at the start.

use std::ffi::c_void;

/// More than the call that gives the stack back uses of it.
const MARGIN: usize = 1024;

/// What a deep call at the start may have touched of the stack.
const DEEP: usize = 128 << 10;

/// Forgets what was touched so far and is not needed for sleeping: file pages of this program, which come back from the page cache
/// when they are used again, and what holds nothing any more of the heap and of the stack below the caller.
#[inline(never)]
pub fn forget_the_past() {
    // SAFETY: sysconf(3) takes no pointers.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    super::heap::give_back(page);
    forget_stack(page);
    forget_text(page);
}

/// Pages of the stack below this frame; they read as zero when a call goes that deep again.
fn forget_stack(page: usize) {
    let here = 0u8;
    let end = (&raw const here as usize - MARGIN) & !(page - 1);
    // SAFETY: below the frames in use, which end above `end`, nothing is alive. Where the stack ends earlier there is nothing (the kernel keeps a gap free).
    unsafe { libc::madvise((end - DEEP) as *mut c_void, DEEP, libc::MADV_DONTNEED) };
}

/// Every segment that cannot be written (madvise(2), MADV_DONTNEED on a private file mapping).
fn forget_text(page: usize) {
    unsafe extern "C" {
        static __ehdr_start: libc::Elf64_Ehdr;
    }
    let base = &raw const __ehdr_start as usize;
    // SAFETY: the linker puts this symbol at the program's own ELF header, which is mapped and readable.
    let (table, count) = unsafe { (base + __ehdr_start.e_phoff as usize, usize::from(__ehdr_start.e_phnum)) };
    // SAFETY: the header says where its table of segments is and how long; it lies in the same mapped page or the next.
    let headers = unsafe { std::slice::from_raw_parts(table as *const libc::Elf64_Phdr, count) };
    let load = |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD;
    let first = headers.iter().find(load).map_or(0, |header| header.p_vaddr as usize);
    for header in headers.iter().filter(load).filter(|header| header.p_flags & libc::PF_W == 0) {
        let start = base - first + header.p_vaddr as usize;
        let (begin, end) = (start & !(page - 1), start + header.p_memsz as usize);
        // SAFETY: the range is a read-only segment of this program; dropped pages are read again from its file.
        unsafe { libc::madvise(begin as *mut c_void, end - begin, libc::MADV_DONTNEED) };
    }
}
