//! Lengths and strings: integers in as few bytes as they need, long strings compressed.

use super::{RdbError, opcodes};
use crabcache_store::algorithms::lzf;
use crabcache_store::types::string::parse_int;
use std::io::Read;

/// Shorter strings are never compressed.
const COMPRESSED_LEN_MIN: usize = 21;
/// Compression must save so many bytes at least.
const SAVING_MIN: usize = 4;
/// Longer strings are not looked at as integers.
const INT_LEN_MAX: usize = 11;
/// Buffers grow by so much at most before the bytes have come.
const RESERVE_BYTES_MAX: usize = 64 * 1024;

/// A string that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RdbString {
    /// The decimal text of an integer.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl RdbString {
    /// The bytes; an integer is written out.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            RdbString::Int(value) => itoa::Buffer::new().format(value).as_bytes().to_vec(),
            RdbString::Bytes(bytes) => bytes,
        }
    }
}

/// A length, or what stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// A length.
    Plain(u64),
    /// The number of an encoding.
    Encoding(u8),
}

/// Writes a length.
pub fn write_len(out: &mut Vec<u8>, len: u64) {
    match len {
        0..=0x3f => out.push(opcodes::LEN_6_BITS << 6 | len as u8),
        0x40..=0x3fff => {
            out.extend_from_slice(&[opcodes::LEN_14_BITS << 6 | (len >> 8) as u8, len as u8])
        }
        0x4000..=0xffff_ffff => {
            out.push(opcodes::LEN_32_BITS);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(opcodes::LEN_64_BITS);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

/// Writes a string in the shortest way; `compress`: LZF is allowed.
pub fn write_string(out: &mut Vec<u8>, bytes: &[u8], compress: bool) {
    if bytes.len() <= INT_LEN_MAX
        && let Some(value) = parse_int(bytes)
        && write_small_int(out, value)
    {
        return;
    }
    if compress
        && bytes.len() >= COMPRESSED_LEN_MIN
        && let Some(compressed) = lzf::compress(bytes, bytes.len() - SAVING_MIN)
    {
        return write_compressed(out, &compressed, bytes.len());
    }
    write_len(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a string of `len` bytes of which LZF has made `block`.
pub fn write_compressed(out: &mut Vec<u8>, block: &[u8], len: usize) {
    out.push(opcodes::LEN_ENCODED << 6 | opcodes::ENCODING_LZF);
    write_len(out, block.len() as u64);
    write_len(out, len as u64);
    out.extend_from_slice(block);
}

/// Writes an integer as a string.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    if !write_small_int(out, value) {
        let mut text = itoa::Buffer::new();
        let text = text.format(value).as_bytes();
        write_len(out, text.len() as u64);
        out.extend_from_slice(text);
    }
}

/// Writes an integer that fits 32 bits; `false` if it does not.
fn write_small_int(out: &mut Vec<u8>, value: i64) -> bool {
    let encoded = |encoding| opcodes::LEN_ENCODED << 6 | encoding;
    if let Ok(value) = i8::try_from(value) {
        out.push(encoded(opcodes::ENCODING_INT8));
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(encoded(opcodes::ENCODING_INT16));
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(encoded(opcodes::ENCODING_INT32));
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        return false;
    }
    true
}

/// Reads a length.
///
/// # Errors
/// If the input ends or the length has no known form.
pub fn read_len(input: &mut impl Read) -> Result<Length, RdbError> {
    let [first] = read_array(input)?;
    let low = first & 0x3f;
    Ok(match first >> 6 {
        opcodes::LEN_6_BITS => Length::Plain(low.into()),
        opcodes::LEN_14_BITS => {
            let [second] = read_array(input)?;
            Length::Plain(u64::from(low) << 8 | u64::from(second))
        }
        opcodes::LEN_ENCODED => Length::Encoding(low),
        _ => match first {
            opcodes::LEN_32_BITS => Length::Plain(u32::from_be_bytes(read_array(input)?).into()),
            opcodes::LEN_64_BITS => Length::Plain(u64::from_be_bytes(read_array(input)?)),
            _ => return Err(RdbError::UnknownLength(first)),
        },
    })
}

/// Reads a length where no encoding may stand.
///
/// # Errors
/// As [`read_len`]; or if an encoding stands there.
pub fn read_plain_len(input: &mut impl Read) -> Result<u64, RdbError> {
    match read_len(input)? {
        Length::Plain(len) => Ok(len),
        Length::Encoding(encoding) => Err(RdbError::UnknownEncoding(encoding)),
    }
}

/// Reads a string.
///
/// # Errors
/// If the input ends, the string has no known form, or what was compressed is damaged.
pub fn read_string(input: &mut impl Read) -> Result<RdbString, RdbError> {
    Ok(match read_len(input)? {
        Length::Plain(len) => RdbString::Bytes(read_bytes(input, len)?),
        Length::Encoding(opcodes::ENCODING_INT8) => {
            RdbString::Int(i8::from_le_bytes(read_array(input)?).into())
        }
        Length::Encoding(opcodes::ENCODING_INT16) => {
            RdbString::Int(i16::from_le_bytes(read_array(input)?).into())
        }
        Length::Encoding(opcodes::ENCODING_INT32) => {
            RdbString::Int(i32::from_le_bytes(read_array(input)?).into())
        }
        Length::Encoding(opcodes::ENCODING_LZF) => {
            let compressed_len = read_plain_len(input)?;
            let len = read_plain_len(input)?;
            let compressed = read_bytes(input, compressed_len)?;
            let len = usize::try_from(len).map_err(|_| RdbError::BadCompression)?;
            let bytes = lzf::decompress(&compressed, len).ok_or(RdbError::BadCompression)?;
            RdbString::Bytes(bytes)
        }
        Length::Encoding(encoding) => return Err(RdbError::UnknownEncoding(encoding)),
    })
}

/// Reads a string and forgets it, without keeping more of it than a buffer.
///
/// # Errors
/// If the input ends or the string has no known form.
pub fn skip_string(input: &mut impl Read) -> Result<(), RdbError> {
    let len = match read_len(input)? {
        Length::Plain(len) => len,
        Length::Encoding(opcodes::ENCODING_INT8) => 1,
        Length::Encoding(opcodes::ENCODING_INT16) => 2,
        Length::Encoding(opcodes::ENCODING_INT32) => 4,
        Length::Encoding(opcodes::ENCODING_LZF) => {
            let compressed_len = read_plain_len(input)?;
            read_plain_len(input)?;
            compressed_len
        }
        Length::Encoding(encoding) => return Err(RdbError::UnknownEncoding(encoding)),
    };
    let skipped = std::io::copy(&mut input.take(len), &mut std::io::sink())?;
    if skipped == len { Ok(()) } else { Err(RdbError::Truncated) }
}

/// Reads exactly `N` bytes.
///
/// # Errors
/// If the input ends before.
pub fn read_array<const N: usize>(input: &mut impl Read) -> Result<[u8; N], RdbError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads exactly `len` bytes. Takes memory as they come.
fn read_bytes(input: &mut impl Read, len: u64) -> Result<Vec<u8>, RdbError> {
    let wanted = usize::try_from(len).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(wanted.min(RESERVE_BYTES_MAX));
    input.take(len).read_to_end(&mut bytes)?;
    if bytes.len() == wanted { Ok(bytes) } else { Err(RdbError::Truncated) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(bytes: &[u8], compress: bool) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, bytes, compress);
        out
    }

    fn read(mut input: &[u8]) -> Result<(RdbString, usize), RdbError> {
        let string = read_string(&mut input)?;
        Ok((string, input.len()))
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_need() {
        let cases: &[(u64, &[u8])] = &[
            (0, b"\x00"),
            (63, b"\x3f"),
            (64, b"\x40\x40"),
            (16383, b"\x7f\xff"),
            (16384, b"\x80\x00\x00\x40\x00"),
            (u32::MAX.into(), b"\x80\xff\xff\xff\xff"),
            (1 << 32, b"\x81\x00\x00\x00\x01\x00\x00\x00\x00"),
        ];
        for (len, bytes) in cases {
            let mut out = Vec::new();
            write_len(&mut out, *len);
            assert_eq!(out, *bytes);
            assert_eq!(read_len(&mut &**bytes), Ok(Length::Plain(*len)));
        }
        assert_eq!(read_len(&mut &b"\x82"[..]), Err(RdbError::UnknownLength(0x82)));
        assert_eq!(read_len(&mut &b"\x40"[..]), Err(RdbError::Truncated));
    }

    #[test]
    fn integers_are_kept_as_integers() {
        let cases: &[(&str, &[u8])] = &[
            ("0", b"\xc0\x00"),
            ("-128", b"\xc0\x80"),
            ("128", b"\xc1\x80\x00"),
            ("-32769", b"\xc2\xff\x7f\xff\xff"),
            ("2147483647", b"\xc2\xff\xff\xff\x7f"),
            ("2147483648", b"\x0a2147483648"),
            ("007", b"\x03007"),
            ("", b"\x00"),
        ];
        for (text, bytes) in cases {
            assert_eq!(written(text.as_bytes(), true), *bytes, "{text}");
            if let Ok(value) = text.parse::<i64>()
                && value.to_string() == *text
            {
                let mut out = Vec::new();
                write_int(&mut out, value);
                assert_eq!(out, *bytes);
            }
        }
    }

    #[test]
    fn long_strings_are_compressed_if_that_pays() {
        let long = [b'a'; 21];
        assert_eq!(written(&long, true)[0], 0xc3);
        assert_eq!(written(&long, false)[0], 21);
        assert_eq!(written(&long[1..], true)[0], 20);
        assert_eq!(written(b"abcdefghijklmnopqrstuvwxyz", true)[0], 26);
        assert_eq!(read(&written(&long, true)), Ok((RdbString::Bytes(long.to_vec()), 0)));
    }

    #[test]
    fn damage_is_found() {
        let cases: &[(&[u8], RdbError)] = &[
            (b"", RdbError::Truncated),
            (b"\x02a", RdbError::Truncated),
            (b"\x81\xff\xff\xff\xff\xff\xff\xff\xffa", RdbError::Truncated),
            (b"\xc4", RdbError::UnknownEncoding(4)),
            (b"\xc2\x00\x00\x00", RdbError::Truncated),
            (b"\xc3\x02\x02\x00v", RdbError::BadCompression),
            (b"\xc3\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00v", RdbError::BadCompression),
            (b"\xc3\xc0\x01\x00v", RdbError::UnknownEncoding(0)),
        ];
        for (input, error) in cases {
            assert_eq!(read(input).as_ref(), Err(error), "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                "[ab]{0,300}".prop_map(String::into_bytes),
                any::<i64>().prop_map(|value| value.to_string().into_bytes()),
            ],
            compress: bool,
        ) {
            let mut input = written(&bytes, compress);
            input.extend_from_slice(b"tail");
            let (string, n_left) = read(&input).unwrap();
            let string = match string {
                RdbString::Int(value) => value.to_string().into_bytes(),
                RdbString::Bytes(bytes) => bytes,
            };
            prop_assert_eq!((string, n_left), (bytes, 4));
        }

        #[test]
        fn any_input_is_taken(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((RdbString::Bytes(bytes), _)) = read(&input) {
                prop_assert!(bytes.len() <= input.len() * 88);
            }
        }
    }
}
