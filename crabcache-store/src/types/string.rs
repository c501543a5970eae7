//! The string type: bytes, or an integer that is kept as one.
//!
//! Encodings, as OBJECT ENCODING names them: `int` (canonical decimal in 64 bits), `embstr` (short
//! together with its key, and not edited in place since), `raw`. Where the bytes stand is
//! `entry.rs`'s business.

use std::borrow::Cow;

/// A string to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Str<'a> {
    /// An integer.
    Int(i64),
    /// Bytes, copied when stored.
    Bytes(&'a [u8]),
    /// A buffer that was edited: reported as `raw`, and kept if it is long.
    Raw(Vec<u8>),
}

impl<'a> Str<'a> {
    /// The cheapest form of `bytes`: an integer if they are its canonical text.
    #[inline]
    pub fn encode(bytes: &'a [u8]) -> Str<'a> {
        // The text of an i64 has 20 bytes at most, and begins with a digit or a sign.
        match bytes {
            [b'0'..=b'9' | b'-', ..] if bytes.len() <= 20 => {
                parse_int(bytes).map_or(Str::Bytes(bytes), Str::Int)
            }
            _ => Str::Bytes(bytes),
        }
    }

    /// The bytes; empty for an integer, which has none of its own.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Str::Int(_) => b"",
            Str::Bytes(bytes) => bytes,
            Str::Raw(buffer) => buffer,
        }
    }
}

/// A stored string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrRef<'a> {
    /// An integer; its bytes are its decimal text.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> StrRef<'a> {
    /// The bytes; an integer is written out.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            StrRef::Int(value) => Cow::Owned(itoa::Buffer::new().format(value).as_bytes().to_vec()),
            StrRef::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// What `then` makes of the bytes. Allocates nothing.
    #[inline]
    pub fn with_bytes<T>(self, then: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            StrRef::Int(value) => then(itoa::Buffer::new().format(value).as_bytes()),
            StrRef::Bytes(bytes) => then(bytes),
        }
    }

    /// A copy of the bytes.
    pub fn to_vec(self) -> Vec<u8> {
        self.bytes().into_owned()
    }

    /// Length in bytes. O(1).
    pub fn len(self) -> usize {
        match self {
            StrRef::Int(value) => itoa::Buffer::new().format(value).len(),
            StrRef::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there is no byte.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the string is `bytes`.
    pub fn is(self, bytes: &[u8]) -> bool {
        match self {
            StrRef::Int(value) => itoa::Buffer::new().format(value).as_bytes() == bytes,
            StrRef::Bytes(own) => own == bytes,
        }
    }

    /// The integer that the string is the canonical text of.
    pub fn to_int(self) -> Option<i64> {
        match self {
            StrRef::Int(value) => Some(value),
            StrRef::Bytes(bytes) => parse_int(bytes),
        }
    }

    /// The form to store a copy in.
    pub fn to_str(self) -> Str<'a> {
        match self {
            StrRef::Int(value) => Str::Int(value),
            StrRef::Bytes(bytes) => Str::Bytes(bytes),
        }
    }
}

/// What OBJECT ENCODING answers for a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// An integer.
    Int,
    /// A short string.
    Embstr,
    /// A long or edited string.
    Raw,
}

impl Encoding {
    /// Most that the reference puts into one allocation, and so calls `embstr`.
    const EMBSTR_TOTAL_BYTES_MAX: usize = 64;
    /// What it needs beside the bytes of key and value, and for an expiry.
    const EMBSTR_OVERHEAD_BYTES: usize = 23;
    const EMBSTR_EXPIRE_BYTES: usize = 8;

    /// The encoding of bytes that were stored and not edited since.
    // Compat: before 8.2 only the value's length counted, up to 44 bytes; since then the key and an
    // expiry stand in the same 64 bytes. (Where its allocator happens to have 8 bytes to spare behind
    // a key of 32 bytes and more, the reference finds room for the expiry; that is not imitated.)
    pub fn of_bytes(key_len: usize, value_len: usize, has_expire: bool) -> Encoding {
        let expire_bytes = if has_expire { Self::EMBSTR_EXPIRE_BYTES } else { 0 };
        let total = key_len + value_len + Self::EMBSTR_OVERHEAD_BYTES + expire_bytes;
        if total <= Self::EMBSTR_TOTAL_BYTES_MAX { Encoding::Embstr } else { Encoding::Raw }
    }

    /// The encoding's name.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
        }
    }
}

/// Reads a canonical decimal integer: no `+`, no leading zero, no space, no overflow.
pub fn parse_int(text: &[u8]) -> Option<i64> {
    match text {
        // `parse` would take "+1", "007" and "-0" as well.
        [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..] => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// How much room a buffer gets that must grow to `len` bytes: enough that growing step by step
/// copies each byte a bounded number of times, and never more than twice what is needed.
pub(crate) fn grown_capacity(len: usize) -> usize {
    const DOUBLED_BYTES_MAX: usize = 1 << 20;
    len + len.min(DOUBLED_BYTES_MAX.max(len / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_kept_as_integers() {
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            let stored = Str::encode(text.as_bytes());
            assert!(matches!(stored, Str::Int(_)), "{text}");
        }
        for text in ["", "-", "+1", "01", "-0", "1.0", " 1", "9223372036854775808", "1a", "٣"] {
            assert_eq!(Str::encode(text.as_bytes()), Str::Bytes(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn integers_read_as_their_text() {
        assert_eq!(StrRef::Int(-12).to_vec(), b"-12");
        assert_eq!((StrRef::Int(-12).len(), StrRef::Int(-12).to_int()), (3, Some(-12)));
        assert_eq!(StrRef::Bytes(b"12").to_int(), Some(12));
        assert_eq!(StrRef::Bytes(b"12x").to_int(), None);
        assert!(StrRef::Int(-12).is(b"-12") && !StrRef::Int(12).is(b"012"));
        assert!(StrRef::Bytes(b"a").is(b"a") && !StrRef::Bytes(b"a").is(b"ab"));
    }

    #[test]
    fn embstr_is_what_fits_64_bytes_with_its_key() {
        // Read off Redis 8.2.3: SET, then OBJECT ENCODING, before and after EXPIRE.
        let cases = [
            (1, 40, Encoding::Embstr, Encoding::Raw),
            (1, 32, Encoding::Embstr, Encoding::Embstr),
            (1, 33, Encoding::Embstr, Encoding::Raw),
            (1, 41, Encoding::Raw, Encoding::Raw),
            (30, 11, Encoding::Embstr, Encoding::Raw),
            (42, 0, Encoding::Raw, Encoding::Raw),
        ];
        for (key_len, value_len, plain, expiring) in cases {
            assert_eq!(Encoding::of_bytes(key_len, value_len, false), plain);
            assert_eq!(Encoding::of_bytes(key_len, value_len, true), expiring);
        }
    }

    #[test]
    fn buffers_grow_by_a_part_of_themselves() {
        assert_eq!(grown_capacity(100), 200);
        assert_eq!(grown_capacity(1 << 20), 2 << 20);
        assert_eq!(grown_capacity(4 << 20), 5 << 20);
        assert_eq!(grown_capacity(512 << 20), 576 << 20);
    }
}
