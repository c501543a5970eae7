//! An allocator whose small sizes come in steps of 8 bytes, made safe for what is aligned to 16.
//!
//! Entries, elements and buffers need an alignment of 8, so that sizes of 24, 40 and 56 bytes save them
//! memory. An allocator that has such sizes gives addresses that are aligned to 8 only, in these sizes;
//! the standard library's hash maps read 16 bytes at once. What asks for an alignment of 16 or more gets
//! a multiple of 16 therefore: the allocator aligns what it has of such a size.
//!
//! What this is not: it allocates nothing itself, and knows no sizes (`structures/size_class.rs`).

use std::alloc::{GlobalAlloc, Layout};

/// The alignment that sizes in steps of 8 bytes do not give by themselves.
const ALIGN: usize = 16;

/// See the module's text. The allocator within must align what has a size that is a multiple of 16 to
/// 16 bytes, whatever it is asked for.
#[derive(Debug)]
pub struct ByEight<A>(pub A);

#[inline]
fn padded(layout: Layout) -> Layout {
    if layout.align() < ALIGN { layout } else { layout.pad_to_align() }
}

// SAFETY: all calls are those of the allocator within, with layouts that are as large at least, aligned
// the same, and the same for the same block each time.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ByEight<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise; padding leaves no size at 0 that was not.
        unsafe { self.0.alloc(padded(layout)) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(padded(layout)) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was allocated with the same padding.
        unsafe { self.0.dealloc(block, padded(layout)) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() < ALIGN {
            // SAFETY: the caller's promise.
            return unsafe { self.0.realloc(block, layout, new_size) };
        }
        let new_size = new_size.next_multiple_of(layout.align());
        // SAFETY: the block was allocated with the same padding; the caller promises that the new size,
        // rounded up to the alignment, is one of a layout.
        unsafe { self.0.realloc(block, layout.pad_to_align(), new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::sync::Mutex;

    /// Notes the layouts that it is asked for.
    #[derive(Default)]
    struct Noted(Mutex<Vec<(&'static str, usize, usize)>>);

    impl Noted {
        fn note(&self, call: &'static str, layout: Layout) {
            self.0.lock().unwrap().push((call, layout.size(), layout.align()));
        }
    }

    // SAFETY: all calls are the system's.
    unsafe impl GlobalAlloc for Noted {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.note("alloc", layout);
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            self.note("alloc_zeroed", layout);
            // SAFETY: the caller's promise.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            self.note("dealloc", layout);
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            self.note("realloc", Layout::from_size_align(new_size, layout.align()).unwrap());
            // SAFETY: the caller's promise.
            unsafe { System.realloc(block, layout, new_size) }
        }
    }

    /// The sizes asked for when a block of `size` bytes is grown to `new_size` and freed.
    fn sizes(size: usize, align: usize, new_size: usize) -> Vec<usize> {
        let layout = Layout::from_size_align(size, align).unwrap();
        let grown = Layout::from_size_align(new_size, align).unwrap();
        let allocator = ByEight(Noted::default());
        // SAFETY: sizes are not 0, and each block is given back with the layout it has.
        unsafe {
            let block = allocator.alloc(layout);
            let block = allocator.realloc(block, layout, new_size);
            allocator.dealloc(block, grown);
            let block = allocator.alloc_zeroed(layout);
            assert!(std::slice::from_raw_parts(block, size).iter().all(|&byte| byte == 0));
            allocator.dealloc(block, layout);
        }
        let noted = allocator.0.0.into_inner().unwrap();
        assert!(noted.iter().all(|noted| noted.2 == align));
        noted.iter().map(|noted| noted.1).collect()
    }

    #[test]
    fn only_what_is_aligned_to_16_is_padded() {
        assert_eq!(sizes(24, 8, 40), [24, 40, 40, 24, 24]);
        assert_eq!(sizes(3, 1, 5), [3, 5, 5, 3, 3]);
        assert_eq!(sizes(24, 16, 40), [32, 48, 48, 32, 32]);
        assert_eq!(sizes(8, 64, 100), [64, 128, 128, 64, 64]);
    }
}
