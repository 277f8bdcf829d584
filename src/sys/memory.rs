//! Giving memory back: PID 1 sleeps for weeks and should not keep what it needed only at the start.

/// Gives back what can be had again: pages of the program's file, and the part of the stack that is not in use.
pub fn give_back() {
    drop_touched_text();
    drop_unused_stack();
}

/// The stack below this call holds nothing any more; its pages come back as zeroes when they are needed. As far down as anything of
/// ours reaches: what is not mapped there is skipped by the kernel.
#[inline(never)]
fn drop_unused_stack() {
    const BELOW: usize = 128 << 10;
    const RED_ZONE: usize = 512;
    let here = 0u8;
    let top = (&raw const here as usize - RED_ZONE) & !4095;
    for page in (top.saturating_sub(BELOW)..top).step_by(4096).rev() {
        // SAFETY: the page lies wholly below the frames in use (and the red zone), so nobody's value is in it.
        if unsafe { libc::madvise(page as *mut libc::c_void, 4096, libc::MADV_DONTNEED) } != 0 {
            break;
        }
    }
}

/// Forgets the file pages of this program that were touched so far, in every segment that cannot be written; what is used
/// again comes back from the page cache (madvise(2), MADV_DONTNEED on a private file mapping).
fn drop_touched_text() {
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
        let (page, end) = (start & !4095, start + header.p_memsz as usize);
        // SAFETY: the range is a read-only segment of this program; dropped pages are read again from its file.
        unsafe { libc::madvise(page as *mut libc::c_void, end - page, libc::MADV_DONTNEED) };
    }
}
