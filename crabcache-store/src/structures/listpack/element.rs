//! One element of a listpack: its encodings, and its length written backwards.

use crate::types::string::{StrRef, parse_int};

/// Longest text of an integer.
const INT_TEXT_BYTES_MAX: usize = 20;
/// Encoding and bytes of the longest integer, or encoding and length of the longest string.
const HEAD_BYTES_MAX: usize = 9;
/// Bytes of the longest element that is put together before it is written.
const SHORT_BYTES_MAX: usize = 32;

/// An element as it will be written, without the length behind it.
pub(super) struct Encoded<'v> {
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    /// The string; empty for an integer.
    tail: &'v [u8],
}

impl<'v> Encoded<'v> {
    pub(super) fn new(value: &'v [u8]) -> Encoded<'v> {
        let int = if value.len() <= INT_TEXT_BYTES_MAX { parse_int(value) } else { None };
        let mut encoded = Encoded { head: [0; HEAD_BYTES_MAX], head_len: 0, tail: b"" };
        match int {
            Some(int) => encoded.put_int(int),
            None => encoded.put_string(value),
        }
        encoded
    }

    pub(super) fn of_int(value: i64) -> Encoded<'static> {
        let mut encoded = Encoded { head: [0; HEAD_BYTES_MAX], head_len: 0, tail: b"" };
        encoded.put_int(value);
        encoded
    }

    fn put_int(&mut self, int: i64) {
        let bytes = int.to_le_bytes();
        match int {
            0..=127 => self.put_head(&[int as u8]),
            -4096..=4095 => {
                let bits = int as u16 & 0x1fff;
                self.put_head(&[0xc0 | (bits >> 8) as u8, bits as u8]);
            }
            -32_768..=32_767 => self.put_head(&[0xf1, bytes[0], bytes[1]]),
            -8_388_608..=8_388_607 => self.put_head(&[0xf2, bytes[0], bytes[1], bytes[2]]),
            -2_147_483_648..=2_147_483_647 => {
                self.put_head(&[0xf3, bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            _ => {
                self.put_head(&[0xf4]);
                self.head[1..].copy_from_slice(&bytes);
                self.head_len = HEAD_BYTES_MAX;
            }
        }
    }

    fn put_string(&mut self, value: &'v [u8]) {
        self.tail = value;
        let len = value.len() as u32;
        match value.len() {
            0..=63 => self.put_head(&[0x80 | len as u8]),
            64..=4095 => self.put_head(&[0xe0 | (len >> 8) as u8, len as u8]),
            _ => {
                let [a, b, c, d] = len.to_le_bytes();
                self.put_head(&[0xf0, a, b, c, d]);
            }
        }
    }

    fn put_head(&mut self, bytes: &[u8]) {
        self.head[..bytes.len()].copy_from_slice(bytes);
        self.head_len = bytes.len();
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    pub(super) fn tail(&self) -> &'v [u8] {
        self.tail
    }

    /// The whole element and its length in bytes, if it is a short string, which most are.
    #[inline]
    pub(super) fn as_short(&self) -> Option<([u8; SHORT_BYTES_MAX], usize)> {
        let len = self.tail.len();
        if !(1..=SHORT_BYTES_MAX - 2).contains(&len) {
            return None;
        }
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes[0] = self.head[0];
        bytes[1..=len].copy_from_slice(self.tail);
        bytes[len + 1] = (len + 1) as u8;
        Some((bytes, len + 2))
    }

    /// Bytes without the length behind.
    pub(super) fn data_len(&self) -> usize {
        self.head_len + self.tail.len()
    }

    /// Bytes with it.
    pub(super) fn n_bytes(&self) -> usize {
        self.data_len() + n_back_len_bytes(self.data_len())
    }
}

/// The element that `bytes` begin with, and how many bytes it takes without the length behind it.
/// The bytes must come from a well-formed listpack.
#[inline]
pub(super) fn element_at(bytes: &[u8]) -> (StrRef<'_>, usize) {
    let int = |n_bytes: usize| {
        let mut wide = [0; 8];
        wide[8 - n_bytes..].copy_from_slice(&bytes[1..=n_bytes]);
        // The sign comes along from the top.
        (StrRef::Int(i64::from_le_bytes(wide) >> (64 - 8 * n_bytes)), 1 + n_bytes)
    };
    let string = |head: usize, len: usize| (StrRef::Bytes(&bytes[head..head + len]), head + len);
    match bytes[0] {
        first @ 0..=0x7f => (StrRef::Int(i64::from(first)), 1),
        first @ 0x80..=0xbf => string(1, usize::from(first & 0x3f)),
        first @ 0xc0..=0xdf => {
            let bits = u16::from(first & 0x1f) << 8 | u16::from(bytes[1]);
            (StrRef::Int(i64::from((bits << 3) as i16 >> 3)), 2)
        }
        first @ 0xe0..=0xef => string(2, usize::from(first & 0x0f) << 8 | usize::from(bytes[1])),
        0xf0 => {
            let len = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
            string(5, len as usize)
        }
        0xf1 => int(2),
        0xf2 => int(3),
        0xf3 => int(4),
        0xf4 => int(8),
        _ => unreachable!("not an element of a listpack"),
    }
}

/// Bytes of the element that `bytes` begin with, without the length behind it; `None` if there is
/// no whole element, or that length is not its own.
pub(super) fn checked_len(bytes: &[u8]) -> Option<usize> {
    let data_len = match *bytes.first()? {
        0..=0x7f => 1,
        first @ 0x80..=0xbf => 1 + usize::from(first & 0x3f),
        0xc0..=0xdf => 2,
        first @ 0xe0..=0xef => 2 + (usize::from(first & 0x0f) << 8 | usize::from(*bytes.get(1)?)),
        0xf0 => {
            let len: [u8; 4] = bytes.get(1..5)?.try_into().ok()?;
            5usize.checked_add(u32::from_le_bytes(len) as usize)?
        }
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => return None,
    };
    let (back, n_back) = back_len(data_len);
    let written = bytes.get(data_len..data_len.checked_add(n_back)?)?;
    (written == &back[..n_back]).then_some(data_len)
}

/// Bytes that the length behind an element takes.
#[inline]
pub(super) fn n_back_len_bytes(data_len: usize) -> usize {
    match data_len {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        2_097_152..=268_435_455 => 4,
        _ => 5,
    }
}

/// The length behind an element: most significant bits first; all bytes but the first say that
/// another one stands before them.
pub(super) fn back_len(data_len: usize) -> ([u8; 5], usize) {
    let n_bytes = n_back_len_bytes(data_len);
    let mut bytes = [0; 5];
    for (index, byte) in bytes[..n_bytes].iter_mut().enumerate() {
        let bits = (data_len >> (7 * (n_bytes - 1 - index))) as u8 & 0x7f;
        *byte = bits | if index == 0 { 0 } else { 0x80 };
    }
    (bytes, n_bytes)
}

/// The length that `bytes` of a well-formed listpack end with.
#[inline]
pub(super) fn read_back_len(bytes: &[u8]) -> usize {
    let (mut len, mut shift) = (0, 0);
    for byte in bytes.iter().rev() {
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    len
}
