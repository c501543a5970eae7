//! One field of a large hash: its name, its value and perhaps an expiry, in one allocation.
//!
//! ```text
//! 0..4   length of it all (the buffer's)
//! 4      flags: expiry, long name
//! 5      length of the name, as one byte, or as a u32 if it is long
//! [8]    expiry in Unix milliseconds, if there is one
//! ...    the name, then the value
//! ```
//!
//! A field of 12 bytes with a value of 16 takes 40 bytes.

use super::FieldRef;
use crate::structures::table::{Item, ItemRef};
use crate::structures::thin_buffer::ThinBuffer;
use crate::types::string::StrRef;

const FLAGS_AT: usize = 4;
const NAME_LEN_AT: usize = 5;
const EXPIRE_BYTES: usize = 8;

const HAS_EXPIRE: u8 = 1;
const LONG: u8 = 1 << 1;

/// Longest beginning: all that can stand before the name.
const HEAD_BYTES_MAX: usize = NAME_LEN_AT + 4 + EXPIRE_BYTES;

/// See the module's text.
#[derive(Clone)]
pub(super) struct Field(ThinBuffer);

// SAFETY: the buffer's address is aligned to 8 and below 2^48 (the table checks it); the name is
// written once.
unsafe impl Item for Field {
    #[inline]
    fn into_raw(self) -> *mut u8 {
        self.0.into_raw()
    }

    #[inline]
    unsafe fn from_raw(raw: *mut u8) -> Self {
        // SAFETY: comes from `into_raw`, by the caller's promise.
        Field(unsafe { ThinBuffer::from_raw(raw) })
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let (name_at, name_len) = self.name_range();
        &self.0[name_at..name_at + name_len]
    }
}

impl Field {
    pub(super) fn new(name: &[u8], value: &[u8], expire_at_ms: Option<i64>) -> Field {
        let mut head = [0; HEAD_BYTES_MAX];
        let mut head_len = NAME_LEN_AT;
        if let Ok(len) = u8::try_from(name.len()) {
            head[NAME_LEN_AT] = len;
            head_len += 1;
        } else {
            head[FLAGS_AT] |= LONG;
            let len = u32::try_from(name.len()).expect("fields are below 4 GB");
            head[NAME_LEN_AT..NAME_LEN_AT + 4].copy_from_slice(&len.to_le_bytes());
            head_len += 4;
        }
        if let Some(at_ms) = expire_at_ms {
            head[FLAGS_AT] |= HAS_EXPIRE;
            head[head_len..head_len + EXPIRE_BYTES].copy_from_slice(&at_ms.to_le_bytes());
            head_len += EXPIRE_BYTES;
        }
        Field(ThinBuffer::of_parts(&[&head[..head_len], name, value]))
    }

    /// The value.
    #[inline]
    pub(super) fn value(&self) -> &[u8] {
        let (name_at, name_len) = self.name_range();
        &self.0[name_at + name_len..]
    }

    /// When the field expires.
    #[inline]
    pub(super) fn expire_at_ms(&self) -> Option<i64> {
        if self.0[FLAGS_AT] & HAS_EXPIRE == 0 {
            return None;
        }
        let at = self.expire_at();
        let bytes = self.0[at..at + EXPIRE_BYTES].try_into().expect("eight bytes");
        Some(i64::from_le_bytes(bytes))
    }

    /// Puts another value in. Keeps the allocation where the size allows it.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        let (name_at, name_len) = self.name_range();
        let at = name_at + name_len;
        self.0.splice(at, self.0.len() - at, &[value]);
    }

    /// Sets or ends the expiry.
    pub(super) fn set_expire(&mut self, expire_at_ms: Option<i64>) {
        let at = self.expire_at();
        let old_len = if self.0[FLAGS_AT] & HAS_EXPIRE == 0 { 0 } else { EXPIRE_BYTES };
        match expire_at_ms {
            Some(at_ms) => {
                self.0[FLAGS_AT] |= HAS_EXPIRE;
                self.0.splice(at, old_len, &[&at_ms.to_le_bytes()]);
            }
            None => {
                self.0[FLAGS_AT] &= !HAS_EXPIRE;
                self.0.splice(at, old_len, &[]);
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn mem_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Where the expiry stands, or would.
    #[inline]
    fn expire_at(&self) -> usize {
        NAME_LEN_AT + if self.0[FLAGS_AT] & LONG == 0 { 1 } else { 4 }
    }

    /// Where the name begins, and its length.
    #[inline]
    fn name_range(&self) -> (usize, usize) {
        let bytes = &*self.0;
        let flags = bytes[FLAGS_AT];
        let expire_bytes = if flags & HAS_EXPIRE == 0 { 0 } else { EXPIRE_BYTES };
        if flags & LONG == 0 {
            return (NAME_LEN_AT + 1 + expire_bytes, usize::from(bytes[NAME_LEN_AT]));
        }
        let len = bytes[NAME_LEN_AT..NAME_LEN_AT + 4].try_into().expect("four bytes");
        (NAME_LEN_AT + 4 + expire_bytes, u32::from_le_bytes(len) as usize)
    }
}

impl<'a> ItemRef<'a, Field> {
    /// What the field holds, for as long as its table is borrowed.
    #[inline]
    pub(super) fn into_parts(self) -> FieldRef<'a> {
        let (name, value): (*const [u8], *const [u8]) = (self.key(), self.value());
        // SAFETY: the table's field, not this reference to it, owns the bytes, and nobody writes to
        // them for `'a`.
        let (name, value) = unsafe { (&*name, &*value) };
        let expire_at_ms = self.expire_at_ms();
        FieldRef { name: StrRef::Bytes(name), value: StrRef::Bytes(value), expire_at_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_change_without_touching_the_others() {
        for name_len in [0, 1, 255, 256, 1000] {
            let name = vec![b'n'; name_len];
            for expire_at_ms in [None, Some(7), Some(i64::MAX)] {
                let mut field = Field::new(&name, b"value", expire_at_ms);
                for (value, at_ms) in
                    [(&b"a longer value"[..], Some(1)), (b"", None), (b"v", None), (b"w", Some(-1))]
                {
                    assert_eq!(field.key(), name);
                    field.set_value(value);
                    assert_eq!(field.value(), value);
                    field.set_expire(at_ms);
                    assert_eq!((field.key(), field.value()), (&name[..], value));
                    assert_eq!(field.expire_at_ms(), at_ms);
                }
                assert!(field.mem_bytes() >= name_len);
            }
        }
        assert_eq!(Field::new(b"field:123456", &[0; 16], None).mem_bytes(), 40);
    }
}
