//! Pages of memory, about which the kernel takes advice: 512 of 4 KB can become a huge one of 2 MB, and
//! what of the program nobody needs any more need not stay.
//!
//! All that is in memory stays what and where it is. What this is not: it decides nothing, neither which
//! pages are worth it nor when (that is the server's), and it allocates nothing for others.

use libc::{
    MADV_COLLAPSE, MADV_DONTNEED, MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE,
};
use libc::{PROT_READ, PROT_WRITE, c_int, c_void};
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes of a huge page, and what its address is a multiple of.
pub const HUGE_BYTES: usize = 2 << 20;

/// Has the kernel join the pages from `address` on into a huge one, at once, whatever its settings say
/// about huge pages given by itself. Pages that are not there are, afterwards. Costs the kernel a copy
/// of 2 MB, in which nobody gets at this memory.
///
/// # Errors
/// `InvalidInput` from kernels before 6.1, and where the process is not to have huge pages; others where
/// there is no memory there, or none for a huge page.
pub fn join(address: usize) -> io::Result<()> {
    advise(address..address.saturating_add(HUGE_BYTES), MADV_COLLAPSE)
}

/// Allows the kernel to give a huge page where `range` is touched for the first time, in whole pages.
///
/// # Errors
/// Where there is no memory, or a kernel knows no huge pages.
pub fn allow(range: Range<usize>) -> io::Result<()> {
    advise(range, MADV_HUGEPAGE)
}

fn advise(range: Range<usize>, advice: c_int) -> io::Result<()> {
    let (start, n_bytes) = (ptr::without_provenance_mut(range.start), range.len());
    // SAFETY: neither of the two kinds of advice changes what stands in memory, or who may use it; where
    // no memory is, the kernel says so.
    to_result(unsafe { libc::madvise(start, n_bytes, advice) })
}

fn to_result(code: c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the calling thread run only while a processor has nothing else to do.
///
/// # Errors
/// Where the system forbids it.
pub fn step_back() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: it concerns when this thread runs, nothing else.
    to_result(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) })
}

/// Lets go of what was read of the program's file: its code and constants. What runs from now on comes
/// back from the system's cache, sixteen pages at a time; what was for the start alone does not.
pub fn let_go_of_program() {
    unsafe extern "C" {
        /// The first byte of the program, and the first behind its code: by the linker.
        static __executable_start: u8;
        static etext: u8;
    }
    let (start, end) = (&raw const __executable_start, &raw const etext);
    // SAFETY: from its first byte to the end of its code, the program is as in its file, and nobody
    // writes there; the kernel reads it anew when it is asked for. Nothing is lost if it refuses.
    unsafe {
        libc::madvise(start.cast_mut().cast(), end.addr() - start.addr(), MADV_DONTNEED);
    }
}

/// Room for a huge page that holds nothing.
///
/// To touch it and give it back brings forth a page that is the first which the kernel hands out next,
/// and that a virtual machine's host has found memory for. Without, [`join`] waits for that, and
/// everybody else for `join`.
#[derive(Debug)]
pub struct Spare {
    mapping: NonNull<c_void>,
}

// SAFETY: nobody else knows of the mapping.
unsafe impl Send for Spare {}
// SAFETY: what threads do with it at once is atomic.
unsafe impl Sync for Spare {}

impl Spare {
    /// Takes addresses, and no memory yet.
    ///
    /// # Errors
    /// Where the process may not have more addresses.
    pub fn new() -> io::Result<Spare> {
        let (protection, flags) =
            (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
        // SAFETY: a new mapping, anywhere.
        let mapping =
            unsafe { libc::mmap(ptr::null_mut(), 2 * HUGE_BYTES, protection, flags, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let spare = Spare { mapping: NonNull::new(mapping).ok_or(io::ErrorKind::OutOfMemory)? };
        let page = spare.page().addr().get();
        allow(page..page + HUGE_BYTES)?;
        Ok(spare)
    }

    fn page(&self) -> NonNull<c_void> {
        let offset =
            self.mapping.addr().get().next_multiple_of(HUGE_BYTES) - self.mapping.addr().get();
        // SAFETY: less than a page on, in a mapping of two.
        unsafe { self.mapping.byte_add(offset) }
    }

    /// Takes a page from the kernel, a huge one if there is one. Costs what it takes to clear 2 MB.
    pub fn touch(&self) {
        // SAFETY: within the mapping, which lives as long as this value; read and written here alone.
        let byte: &AtomicU8 = unsafe { self.page().cast().as_ref() };
        byte.store(1, Ordering::Relaxed);
    }

    /// Gives the page back to the kernel.
    pub fn give_back(&self) {
        // SAFETY: the page is the mapping's, and what is in it is of no matter. All that can go wrong is
        // that it stays until it is given back again.
        unsafe {
            libc::madvise(self.page().as_ptr(), HUGE_BYTES, MADV_DONTNEED);
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // SAFETY: as it was mapped, and nobody has an address in it.
        unsafe {
            libc::munmap(self.mapping.as_ptr(), 2 * HUGE_BYTES);
        }
    }
}

// Not under Miri, which has no kernel to give advice to.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn joining_changes_nothing_that_stands_there() {
        let spare = Spare::new().unwrap();
        spare.touch();
        spare.give_back();
        let bytes: Vec<u8> = (0..4 * HUGE_BYTES).map(|i| (i / 4096) as u8).collect();
        let page = bytes.as_ptr().addr().next_multiple_of(HUGE_BYTES);
        // Kernels before 6.1 do not know it, and there may be no huge page.
        let _ = join(page);
        allow(page..page + HUGE_BYTES).unwrap();
        assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == (i / 4096) as u8));
    }

    #[test]
    fn a_program_goes_on_without_what_it_had_read() {
        let_go_of_program();
        assert_eq!(format!("{:?}", [1.5, f64::NAN]), "[1.5, NaN]");
    }

    #[test]
    fn a_thread_can_step_back() {
        std::thread::spawn(|| step_back().unwrap()).join().unwrap();
    }

    #[test]
    fn where_no_memory_is_the_kernel_says_so() {
        assert!(join(0).is_err());
        assert!(allow(0..HUGE_BYTES).is_err());
        assert!(join(usize::MAX - HUGE_BYTES + 1).is_err());
    }
}
