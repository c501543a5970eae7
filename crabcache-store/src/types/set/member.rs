//! A member of a large set: its bytes in one allocation, with their length where that is needed.
//!
//! ```text
//! u8 length, 255: it follows as a u64 | bytes
//! ```
//!
//! Lengths that fill an allocation to the last byte, such as 16, stand in the low bits of the
//! address instead: a length before the bytes would cost a larger allocation. Measured: a set of a
//! million members of 16 bytes takes 29 bytes a member, the table included.

use crate::structures::size_class::size_class;
use crate::structures::table::{Item, ItemRef};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Stands for "the length follows".
const LONG: u8 = u8::MAX;
const LONG_BYTES: usize = size_of::<u64>();

/// The low bits of an address: which of [`BARE_LENS`] the length is; 0: it stands in memory.
const TAG_MASK: usize = 7;
const BARE_LENS: [usize; TAG_MASK + 1] = [usize::MAX, 8, 16, 32, 48, 64, 80, 96];

/// See the module's text. The address carries the tag.
pub(super) struct Member(NonNull<u8>);

// SAFETY: a member owns its memory alone.
unsafe impl Send for Member {}
// SAFETY: `&Member` only reads.
unsafe impl Sync for Member {}

// SAFETY: user addresses are below 2^48 (the table checks it); the bytes are written once.
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
        self.bytes()
    }
}

impl Member {
    pub(super) fn new(bytes: &[u8]) -> Member {
        let tag = BARE_LENS.iter().position(|len| *len == bytes.len()).unwrap_or(0);
        let layout = layout_of(tag, bytes.len());
        // SAFETY: the size is not 0: a length or the bytes stand in it.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: a fresh allocation with room for the length, where it has one, and the bytes.
        unsafe {
            match u8::try_from(bytes.len()) {
                _ if tag != 0 => {}
                Ok(len) if len != LONG => memory.write(len),
                _ => {
                    memory.write(LONG);
                    let len = (bytes.len() as u64).to_ne_bytes();
                    memory.add(1).cast::<[u8; LONG_BYTES]>().write(len);
                }
            }
            let at = memory.add(bytes_at(tag, bytes.len()));
            at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            // SAFETY: not null, as was checked; the tag only adds to the address.
            Member(NonNull::new_unchecked(memory.map_addr(|address| address | tag)))
        }
    }

    /// The bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        let (memory, tag, len) = (self.memory(), self.tag(), self.len());
        // SAFETY: so many bytes were written there by `new`.
        unsafe { std::slice::from_raw_parts(memory.add(bytes_at(tag, len)), len) }
    }

    /// Bytes of memory.
    pub(super) fn mem_bytes(&self) -> usize {
        layout_of(self.tag(), self.len()).size()
    }

    #[inline]
    fn len(&self) -> usize {
        let tag = self.tag();
        if tag != 0 {
            return BARE_LENS[tag];
        }
        // SAFETY: without a tag, the memory begins with the length.
        unsafe {
            match self.memory().read() {
                LONG => {
                    let len = self.memory().add(1).cast::<[u8; LONG_BYTES]>().read();
                    u64::from_ne_bytes(len) as usize
                }
                len => usize::from(len),
            }
        }
    }

    #[inline]
    fn tag(&self) -> usize {
        self.0.as_ptr().addr() & TAG_MASK
    }

    #[inline]
    fn memory(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & !TAG_MASK)
    }
}

impl<'a> ItemRef<'a, Member> {
    /// The bytes, for as long as the table is borrowed.
    #[inline]
    pub(super) fn into_bytes(self) -> &'a [u8] {
        let bytes = self.bytes();
        // SAFETY: the table's member, not this reference to it, owns the bytes, and nobody writes to
        // them for `'a`.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let layout = layout_of(self.tag(), self.len());
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.memory(), layout) };
    }
}

/// Where the bytes begin.
#[inline]
fn bytes_at(tag: usize, len: usize) -> usize {
    if tag != 0 {
        0
    } else if len < usize::from(LONG) {
        1
    } else {
        1 + LONG_BYTES
    }
}

fn layout_of(tag: usize, len: usize) -> Layout {
    let bytes = size_class(bytes_at(tag, len) + len);
    Layout::from_size_align(bytes, TAG_MASK + 1).expect("members fit memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_their_bytes() {
        let (step, longest) = if cfg!(miri) { (7, 2000) } else { (1, 70_000) };
        for len in (0..300).step_by(step).chain([16, 1000, longest]) {
            let bytes: Vec<u8> = (0..len).map(|index| index as u8).collect();
            let member = Member::new(&bytes);
            assert_eq!((member.bytes(), member.key()), (&bytes[..], &bytes[..]));
            assert!(
                member.mem_bytes() >= len && (1000..).contains(&len) == (member.mem_bytes() > 1000)
            );
            // SAFETY: from `into_raw`, once.
            let member = unsafe { Member::from_raw(member.into_raw()) };
            assert_eq!(member.bytes(), bytes);
        }
        assert_eq!([16, 17, 64].map(|len| Member::new(&vec![0; len]).mem_bytes()), [16, 24, 64]);
    }
}
