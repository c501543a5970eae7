//! The payload of DUMP and RESTORE: one value, then the format's version and a checksum.
//!
//! ```text
//! type, value | version (2 bytes) | CRC-64 of all before it (8 bytes)      both lowest byte first
//! ```

use super::object::{read_object, write_object};
use super::{RdbError, VERSION};
use crabcache_store::algorithms::crc64;
use crabcache_store::{Entry, Limits};

const VERSION_BYTES: usize = 2;
const FOOTER_BYTES: usize = VERSION_BYTES + 8;

/// The payload of an entry's value; `compress`: strings may be compressed.
pub fn dump(entry: &Entry, compress: bool) -> Vec<u8> {
    let mut payload = Vec::new();
    write_object(&mut payload, entry, compress);
    seal(payload)
}

/// Adds version and checksum.
pub fn seal(mut payload: Vec<u8>) -> Vec<u8> {
    payload.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = crc64::checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// Checks version and, if it is to, checksum. Returns what stands before them.
///
/// # Errors
/// If one of them is wrong.
pub fn verify(payload: &[u8], skips_checksum: bool) -> Result<&[u8], RdbError> {
    let len = payload.len().checked_sub(FOOTER_BYTES).ok_or(RdbError::WrongChecksum)?;
    let (value, footer) = payload.split_at(len);
    let (version, checksum) = footer.split_at(VERSION_BYTES);
    if u16::from_le_bytes([version[0], version[1]]) > VERSION {
        return Err(RdbError::NewerVersion);
    }
    let is_right = || crc64::checksum(&payload[..len + VERSION_BYTES]).to_le_bytes() == checksum;
    if !skips_checksum && !is_right() {
        return Err(RdbError::WrongChecksum);
    }
    Ok(value)
}

/// Makes an entry of a value that [`verify`] gave.
///
/// # Errors
/// If the value is damaged, or followed by anything.
//
// Compat: the reference ignores bytes behind the value, and takes a value that reaches into the
// footer. It writes neither.
pub fn restore(
    mut value: &[u8],
    key: &[u8],
    expire_at_ms: Option<i64>,
    limits: &Limits,
) -> Result<Entry, RdbError> {
    let entry = read_object(&mut value, key, expire_at_ms, limits)?;
    if value.is_empty() { Ok(entry) } else { Err(RdbError::TrailingBytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crabcache_store::Str;
    use proptest::prelude::*;

    fn with_footer(value: &[u8], version: u16) -> Vec<u8> {
        let mut payload = value.to_vec();
        payload.extend_from_slice(&version.to_le_bytes());
        payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
        payload
    }

    fn read(payload: &[u8]) -> Result<Vec<u8>, RdbError> {
        Ok(restore(verify(payload, false)?, b"k", None, &Limits::default())?.string().to_vec())
    }

    #[test]
    fn payloads_are_the_references() {
        let dump = |value| dump(&Entry::new(b"k", value, None, 0), true);
        // DUMP of Redis 8.2.3.
        assert_eq!(dump(Str::Bytes(b"v")), b"\x00\x01v\x0c\x00Z~\xfar\xe3\x12\x14\x87");
        assert_eq!(dump(Str::Int(5)), b"\x00\xc0\x05\x0c\x00\xa8Yk\xa6y\x05-\x18");
        let compressed = b"\x00\xc3\x09\x40d\x01aa\xe0W\x00\x01aa\x0c\x00#\xd5\x81\xc7JGl8";
        assert_eq!(read(compressed), Ok(vec![b'a'; 100]));
    }

    #[test]
    fn footers_are_checked() {
        assert_eq!(read(&with_footer(b"\x00\x01v", 12)), Ok(b"v".to_vec()));
        assert_eq!(read(&with_footer(b"\x00\x01v", 0)), Ok(b"v".to_vec()));
        assert_eq!(read(&with_footer(b"\x00\x01v", 13)), Err(RdbError::NewerVersion));
        assert_eq!(read(&with_footer(b"\x00\x01v", 0x0100)), Err(RdbError::NewerVersion));
        assert_eq!(read(b"123456789"), Err(RdbError::WrongChecksum));
        let mut payload = with_footer(b"\x00\x01v", 12);
        payload[2] = b'w';
        assert_eq!(read(&payload), Err(RdbError::WrongChecksum));
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(read(&with_footer(b"\x00\x01vX", 12)), Err(RdbError::TrailingBytes));
        assert_eq!(read(&with_footer(b"\x00\x05v", 12)), Err(RdbError::Truncated));
        assert_eq!(read(&with_footer(b"", 12)), Err(RdbError::Truncated));
        assert_eq!(read(&with_footer(b"\xff", 12)), Err(RdbError::UnknownType(255)));
    }

    proptest! {
        #[test]
        fn any_value_is_taken(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&with_footer(&value, 12));
            let mut value = value;
            value.insert(0, 0);
            if let Ok(string) = read(&with_footer(&value, 12)) {
                prop_assert!(string.len() <= value.len() * 88);
            }
        }
    }
}
