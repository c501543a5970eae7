//! Where the parts of an entry are, and how its header says so.
//!
//! All that follows from a shape is arithmetic: the size of the allocation, and the place of each part
//! in it. What this is not: it reads and writes no memory.

use super::Kind;
use crate::structures::size_class::size_class;
use crate::types::collection::by_kind;
use crate::types::string::Str;
use std::alloc::Layout;

pub(super) const HEADER_BYTES: usize = 8;
/// The length of the key; its low byte, where long lengths stand behind the header.
pub(super) const KEY_LEN_AT: usize = 4;
/// The length of an embedded value.
pub(super) const VALUE_LEN_AT: usize = 5;

/// Where the fourth byte of the header stands in its first word.
pub(super) const META_SHIFT: u32 = 24;

/// The low bits of the fourth byte: a [`Body`].
const BODY_MASK: u8 = 15;
pub(super) const HAS_EXPIRE: u8 = 1 << 4;
pub(super) const LONG: u8 = 1 << 5;
pub(super) const RAW: u8 = 1 << 6;

/// Entries up to this size hold their string value themselves.
const EMBEDDED_TOTAL_BYTES_MAX: usize = 512;

/// Where the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Body(u8);

impl Body {
    /// Behind the key, in the same allocation.
    pub(super) const EMBEDDED: Body = Body(0);
    /// 24 bits in the header.
    pub(super) const SMALL_INT: Body = Body(1);
    /// Eight bytes before the key.
    pub(super) const INT: Body = Body(2);
    /// A `Vec<u8>` before the key.
    pub(super) const HEAP: Body = Body(3);

    /// Bytes of each before the key.
    const BYTES: [u8; BODY_MASK as usize + 1] = {
        let mut bytes = [0; BODY_MASK as usize + 1];
        bytes[Body::INT.0 as usize] = size_of::<i64>() as u8;
        bytes[Body::HEAP.0 as usize] = size_of::<Vec<u8>>() as u8;
        let mut number = Kind::List as u8;
        while number <= Kind::VectorSet as u8 {
            let size = by_kind!(Kind::from_number(number), 0, C => size_of::<C>());
            bytes[(Body::HEAP.0 + number) as usize] = size.next_multiple_of(8) as u8;
            number += 1;
        }
        bytes
    };

    /// A collection of this kind before the key.
    pub(super) const fn collection(kind: Kind) -> Body {
        Body(Body::HEAP.0 + kind as u8)
    }

    #[inline]
    pub(super) fn of(meta: u8) -> Body {
        Body(meta & BODY_MASK)
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        Kind::from_number(self.0.saturating_sub(Body::HEAP.0))
    }

    /// What it takes before the key.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        usize::from(Body::BYTES[usize::from(self.0 & BODY_MASK)])
    }
}

/// All that decides the size of an entry and where its parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) body: Body,
    pub(super) has_expire: bool,
    pub(super) key_len: usize,
    /// 0 unless embedded.
    pub(super) value_len: usize,
}

impl Shape {
    /// What a value needs beside a key of `key_len` bytes.
    pub(super) fn of_value(key_len: usize, value: &Str<'_>, has_expire: bool) -> Shape {
        match value {
            Str::Int(value) => {
                let body = if is_small(*value) { Body::SMALL_INT } else { Body::INT };
                Shape { body, has_expire, key_len, value_len: 0 }
            }
            value => Shape::of_len(key_len, value.as_bytes().len(), has_expire),
        }
    }

    /// What a string of so many bytes needs.
    pub(super) fn of_len(key_len: usize, value_len: usize, has_expire: bool) -> Shape {
        let embedded = Shape { body: Body::EMBEDDED, has_expire, key_len, value_len };
        if value_len == 0 || embedded.total() <= EMBEDDED_TOTAL_BYTES_MAX {
            embedded
        } else {
            Shape { body: Body::HEAP, has_expire, key_len, value_len: 0 }
        }
    }

    pub(super) fn is_long(self) -> bool {
        self.key_len > 255 || self.value_len > 255
    }

    pub(super) fn lengths_at(self) -> usize {
        HEADER_BYTES + if self.has_expire { 8 } else { 0 }
    }

    pub(super) fn body_at(self) -> usize {
        self.lengths_at() + if self.is_long() { 8 } else { 0 }
    }

    pub(super) fn key_at(self) -> usize {
        self.body_at() + self.body.bytes()
    }

    pub(super) fn value_at(self) -> usize {
        self.key_at() + self.key_len
    }

    pub(super) fn total(self) -> usize {
        self.value_at() + self.value_len
    }

    /// The fourth byte of the header.
    pub(super) fn meta(self, raw: bool) -> u8 {
        self.body.0
            | (if self.has_expire { HAS_EXPIRE } else { 0 })
            | (if self.is_long() { LONG } else { 0 })
            | (if raw { RAW } else { 0 })
    }

    pub(super) fn layout(self) -> Layout {
        Layout::from_size_align(size_class(self.total()), 8).expect("keys are below 4 GB")
    }
}

/// The header's second word with an integer that [`is_small`], above the length of the key.
pub(super) fn with_small(key_len: usize, value: i64) -> u32 {
    (value as u32) << 8 | u32::from(key_len as u8)
}

/// The integer that [`with_small`] was given.
pub(super) fn small(word: u32) -> i64 {
    i64::from(word.cast_signed() >> 8)
}

fn is_small(value: i64) -> bool {
    (-(1 << 23)..1 << 23).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_integers() {
        for value in [0, 1, -1, 255, 256, -256, 8_388_607, -8_388_608] {
            assert!(is_small(value));
            assert_eq!(small(with_small(16, value)), value);
            assert_eq!(with_small(0x1ff, value) as u8, 0xff);
        }
        for value in [8_388_608, -8_388_609, 1 << 32, i64::MAX, i64::MIN] {
            assert!(!is_small(value));
        }
    }

    #[test]
    fn bodies() {
        assert_eq!([Body::EMBEDDED, Body::SMALL_INT].map(Body::bytes), [0, 0]);
        assert_eq!([Body::INT, Body::HEAP].map(Body::bytes), [8, 24]);
        for number in 1..=6 {
            let body = Body::collection(Kind::from_number(number));
            assert_eq!(body.kind() as u8, number);
            assert!([8, 16].contains(&body.bytes()));
        }
        let strings = [Body::EMBEDDED, Body::SMALL_INT, Body::INT, Body::HEAP];
        assert!(strings.iter().all(|body| body.kind() == Kind::String));
    }
}
