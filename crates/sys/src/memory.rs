//! Giving memory back: PID 1 sleeps for weeks and does not keep the memory that it needed only at the start.

use std::ffi::c_void;

/// Bytes of the stack below the caller's frame that stay: more than the call that gives the stack back uses.
const MARGIN: usize = 1024;

/// How many bytes of the stack a deep call at the start may have touched.
const DEEP: usize = 128 << 10;

/// Gives back all the memory that sleeping does not need.
pub fn give_back() {
    give_back_data();
    give_back_text();
}

/// Gives back unused pages of the heap and of the stack below the caller.
#[inline(never)]
pub fn give_back_data() {
    let page = page_size();
    super::heap::give_back(page);
    give_back_stack(page);
}

fn page_size() -> usize {
    // SAFETY: sysconf(3) takes no pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Gives back the pages of the stack below this frame; they read as zero when a call goes that deep again.
fn give_back_stack(page: usize) {
    let here = 0u8;
    let end = (&raw const here as usize - MARGIN) & !(page - 1);
    // SAFETY: the frames in use end above `end`, so nothing below is alive. Where the stack is shorter than that, no memory is
    // mapped there (the kernel keeps a gap free).
    unsafe { libc::madvise((end - DEEP) as *mut c_void, DEEP, libc::MADV_DONTNEED) };
}

/// Gives back every segment of the program that cannot be written (madvise(2), MADV_DONTNEED on a private file mapping). Its pages come
/// back from the page cache, 16 at a time, when code there runs again: so it is a part of its caller, and the caller sleeps next.
#[inline(always)]
pub fn give_back_text() {
    let page = page_size();
    unsafe extern "C" {
        static __ehdr_start: libc::Elf64_Ehdr;
    }
    let base = &raw const __ehdr_start as usize;
    // SAFETY: the linker puts this symbol at the program's own ELF header, which is mapped and readable.
    let (table, count) = unsafe { (base + __ehdr_start.e_phoff as usize, usize::from(__ehdr_start.e_phnum)) };
    // SAFETY: the header gives the place and length of the table of segments, which lies in the same mapped page or the next.
    let headers = unsafe { std::slice::from_raw_parts(table as *const libc::Elf64_Phdr, count) };
    let load = |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD;
    let first = headers.iter().find(load).map_or(0, |header| header.p_vaddr as usize);
    for header in headers.iter().filter(load).filter(|header| header.p_flags & libc::PF_W == 0) {
        let start = base - first + header.p_vaddr as usize;
        let (begin, end) = (start & !(page - 1), start + header.p_memsz as usize);
        // SAFETY: the range is a read-only segment of this program, and dropped pages are read again from its file.
        unsafe { libc::madvise(begin as *mut c_void, end - begin, libc::MADV_DONTNEED) };
    }
}
