//! A member of a large sorted set: its score and its bytes in one allocation.
//!
//! ```text
//! f64 score | u32 length | bytes
//! ```
//!
//! The hash table of the set owns it; the tree keeps copies of its address ([`MemberRef`]).

use crate::structures::size_class::size_class;
use crate::structures::table::Item;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

const LEN_AT: usize = 8;
const BYTES_AT: usize = 12;

/// See the module's text.
pub(super) struct Member(NonNull<u8>);

// SAFETY: a member owns its memory alone.
unsafe impl Send for Member {}
// SAFETY: `&Member` only reads.
unsafe impl Sync for Member {}

// SAFETY: allocations are aligned to 8 and user addresses are below 2^48 (the table checks it); the
// bytes are written once.
unsafe impl Item for Member {
    #[inline]
    fn into_raw(self) -> *mut u8 {
        ManuallyDrop::new(self).0.as_ptr()
    }

    #[inline]
    unsafe fn from_raw(raw: *mut u8) -> Self {
        // SAFETY: comes from `into_raw`, which never gives null.
        Member(unsafe { NonNull::new_unchecked(raw) })
    }

    #[inline]
    fn key(&self) -> &[u8] {
        // SAFETY: `self` keeps its memory alive as long as the slice.
        unsafe { MemberRef(self.0).bytes() }
    }
}

impl Member {
    pub(super) fn new(bytes: &[u8], score: f64) -> Member {
        let layout = layout_of(bytes.len());
        let len = u32::try_from(bytes.len()).expect("members are below 4 GB");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: a fresh allocation of this layout, aligned to 8, with room for all three.
        unsafe {
            memory.cast::<f64>().write(score);
            memory.add(LEN_AT).cast::<u32>().write(len);
            memory.add(BYTES_AT).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
        Member(memory)
    }

    /// Its score.
    #[inline]
    pub(super) fn score(&self) -> f64 {
        // SAFETY: every member begins with its score.
        unsafe { self.0.cast::<f64>().read() }
    }

    /// Gives it another score.
    pub(super) fn set_score(&mut self, score: f64) {
        // SAFETY: every member begins with its score, and it is borrowed mutably.
        unsafe { self.0.cast::<f64>().write(score) }
    }

    /// Its address.
    #[inline]
    pub(super) fn as_ref(&self) -> MemberRef {
        MemberRef(self.0)
    }

    /// Bytes of the allocation of a member of so many bytes.
    pub(super) fn mem_bytes(len: usize) -> usize {
        size_class(BYTES_AT + len)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let layout = layout_of(self.key().len());
        // SAFETY: allocated with this layout in `new`.
        unsafe { dealloc(self.0.as_ptr(), layout) };
    }
}

fn layout_of(len: usize) -> Layout {
    Layout::from_size_align(Member::mem_bytes(len), 8).expect("members are below 4 GB")
}

/// The address of a member that somebody else owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberRef(NonNull<u8>);

// SAFETY: an address; who reads behind it answers for that (`bytes`).
unsafe impl Send for MemberRef {}
// SAFETY: as above.
unsafe impl Sync for MemberRef {}

impl MemberRef {
    /// Stands where no member is.
    pub(super) const NONE: MemberRef = MemberRef(NonNull::dangling());

    /// The bytes of the member.
    ///
    /// # Safety
    /// The member must live for `'a`.
    #[inline]
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: `Member::new` wrote length and bytes, which never change; the caller vouches for
        // the rest.
        unsafe {
            let len = self.0.add(LEN_AT).cast::<u32>().read() as usize;
            std::slice::from_raw_parts(self.0.add(BYTES_AT).as_ptr(), len)
        }
    }
}
