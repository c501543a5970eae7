//! A growable byte buffer behind a single pointer. Its first four bytes are its own length (little
//! endian), as in the formats that are kept in it; its capacity is the size class of the length.

use super::size_class::size_class;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes that hold the length.
const LEN_BYTES: usize = size_of::<u32>();
/// Allocations up to this size are moved by hand when they change it: an allocator's `realloc` takes
/// several times as long to find out that they must.
const MOVED_BYTES_MAX: usize = 4096;

/// See the module's text. Takes one allocation.
#[repr(transparent)]
pub(crate) struct ThinBuffer(NonNull<u8>);

// SAFETY: a buffer owns its memory alone.
unsafe impl Send for ThinBuffer {}
// SAFETY: `&ThinBuffer` only reads.
unsafe impl Sync for ThinBuffer {}

impl ThinBuffer {
    /// A buffer with these bytes, whose first four are replaced by its length.
    ///
    /// # Panics
    /// If there are fewer than four, or as many as 4 GB.
    pub(crate) fn new(bytes: &[u8]) -> ThinBuffer {
        ThinBuffer::of_parts(&[bytes])
    }

    /// As [`ThinBuffer::new`], of bytes in several parts.
    ///
    /// # Panics
    /// If there are fewer than four in all, or as many as 4 GB.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> ThinBuffer {
        let len = parts.iter().map(|part| part.len()).sum();
        assert!(len >= LEN_BYTES, "a buffer holds its length");
        let layout = layout_of(len);
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc(layout) };
        let mut buffer =
            ThinBuffer(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout)));
        let mut to = memory;
        for part in parts {
            // SAFETY: the allocation has room for all parts, and nobody else knows it.
            unsafe {
                to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                to = to.add(part.len());
            }
        }
        buffer.write_len(len);
        buffer
    }

    /// Gives up ownership.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut u8 {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `raw` comes from `into_raw` and was not taken back since.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: *mut u8) -> ThinBuffer {
        // SAFETY: `into_raw` never gives null.
        ThinBuffer(unsafe { NonNull::new_unchecked(raw) })
    }

    /// Length in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: every buffer begins with its length; the allocation is aligned for it.
        u32::from_le(unsafe { self.0.cast::<u32>().read() }) as usize
    }

    /// Bytes of the allocation.
    pub(crate) fn capacity(&self) -> usize {
        size_class(self.len())
    }

    /// Puts `parts`, one behind the other, into the place of the `removed` bytes at `at`. Costs a
    /// move of what stands behind them.
    ///
    /// # Panics
    /// If the place is not in the buffer, touches the length, or the buffer would reach 4 GB.
    #[inline(always)] // the parts are known where they are put together
    pub(crate) fn splice(&mut self, at: usize, removed: usize, parts: &[&[u8]]) {
        let old_len = self.len();
        let tail_at = at.checked_add(removed).filter(|end| *end <= old_len).expect("in the buffer");
        assert!(at >= LEN_BYTES, "the length stays");
        let n_added: usize = parts.iter().map(|part| part.len()).sum();
        let new_len = old_len - removed + n_added;
        u32::try_from(new_len).expect("buffers are below 4 GB");
        let capacity = size_class(old_len);
        if new_len > capacity {
            self.reallocate(old_len, new_len);
        }
        let memory = self.0.as_ptr();
        // SAFETY: all ranges lie in the allocation, which has room for the longer of both lengths;
        // the parts are borrowed from elsewhere, as `self` is borrowed mutably.
        unsafe {
            if n_added != removed {
                memory.add(at + n_added).copy_from(memory.add(tail_at), old_len - tail_at);
            }
            let mut to = memory.add(at);
            for part in parts {
                to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                to = to.add(part.len());
            }
        }
        if new_len < old_len && size_class(new_len) < capacity {
            self.reallocate(old_len, new_len);
        }
        self.write_len(new_len);
    }

    /// Gives the allocation the size of another length. The bytes of the shorter one stay.
    #[cold]
    fn reallocate(&mut self, old_len: usize, new_len: usize) {
        let (old, new) = (layout_of(old_len), layout_of(new_len));
        let memory = if old.size().max(new.size()) <= MOVED_BYTES_MAX {
            // SAFETY: the new size is not 0.
            let memory = unsafe { alloc(new) };
            if !memory.is_null() {
                // SAFETY: both are allocations of their own with room for the shorter length; the old
                // one was allocated with its layout, and nobody uses it any more.
                unsafe {
                    memory.copy_from_nonoverlapping(self.0.as_ptr(), old_len.min(new_len));
                    dealloc(self.0.as_ptr(), old);
                }
            }
            memory
        } else {
            // SAFETY: allocated with the layout of the old length; the new size is not 0.
            unsafe { realloc(self.0.as_ptr(), old, new.size()) }
        };
        self.0 = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(new));
    }

    fn write_len(&mut self, len: usize) {
        let len = u32::try_from(len).expect("buffers are below 4 GB");
        // SAFETY: every allocation has room for the length and is aligned for it.
        unsafe { self.0.cast::<u32>().write(len.to_le()) };
    }
}

impl Deref for ThinBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `new` and `splice` initialise all bytes up to the length.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.len()) }
    }
}

impl DerefMut for ThinBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len();
        // SAFETY: as in `deref`, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), len) }
    }
}

impl Clone for ThinBuffer {
    fn clone(&self) -> Self {
        ThinBuffer::new(self)
    }
}

impl Drop for ThinBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated with the layout of its length; `splice` keeps that true.
        unsafe { dealloc(self.0.as_ptr(), layout_of(self.len())) };
    }
}

fn layout_of(len: usize) -> Layout {
    Layout::from_size_align(size_class(len), 8).expect("buffers are below 4 GB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 10 } else { 300 }))]

        #[test]
        fn splices_are_those_of_a_vec(
            steps in proptest::collection::vec((any::<(u16, u8)>(), 0..200usize, any::<u8>()), 0..20),
        ) {
            let mut buffer = ThinBuffer::new(&[0; LEN_BYTES]);
            let mut model = vec![0u8; LEN_BYTES];
            for ((at, removed), n_added, byte) in steps {
                let at = LEN_BYTES + usize::from(at) % (model.len() - LEN_BYTES + 1);
                let removed = usize::from(removed).min(model.len() - at);
                let added = vec![byte; n_added];
                model.splice(at..at + removed, added.iter().copied().chain([1, 2]));
                buffer.splice(at, removed, &[&added, &[1, 2]]);
                prop_assert_eq!(&buffer[LEN_BYTES..], &model[LEN_BYTES..]);
                prop_assert_eq!(buffer[..LEN_BYTES].to_vec(), (model.len() as u32).to_le_bytes());
                prop_assert_eq!(&buffer.clone()[..], &buffer[..]);
                prop_assert!(buffer.capacity() >= buffer.len());
            }
        }
    }
}
