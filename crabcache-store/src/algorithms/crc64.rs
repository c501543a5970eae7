//! The checksum of snapshots and DUMP payloads: CRC-64 with the Jones polynomial, as the reference
//! computes it.

use crc::{CRC_64_REDIS, Crc, Table};

const CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The checksum of `bytes`.
pub fn checksum(bytes: &[u8]) -> u64 {
    CRC.checksum(bytes)
}

/// The checksum of what had the checksum `crc`, followed by `bytes`.
pub fn update(crc: u64, bytes: &[u8]) -> u64 {
    // The crate takes the register as it stands before its bits are reversed.
    let mut digest = CRC.digest_with_initial(crc.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        // The DUMP payload of the integer 5, without its checksum.
        assert_eq!(checksum(b"\x00\xc0\x05\x0c\x00"), 0x182d_0579_a66b_59a8);
    }

    #[test]
    fn agrees_with_the_definition() {
        // Bit by bit: the polynomial reflected, for input and output are.
        let bitwise = |bytes: &[u8]| {
            bytes.iter().fold(0u64, |crc, byte| {
                (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
                    (crc >> 1) ^ if crc & 1 == 1 { 0x95ac_9329_ac4b_c9b5 } else { 0 }
                })
            })
        };
        let bytes: Vec<u8> = (0..1000u32).map(|i| ((i * 31) >> 3) as u8).collect();
        for len in (0..64).chain([999, 1000]) {
            assert_eq!(checksum(&bytes[..len]), bitwise(&bytes[..len]), "{len}");
            let (head, tail) = bytes[..len].split_at(len / 3);
            assert_eq!(update(checksum(head), tail), bitwise(&bytes[..len]), "{len}");
        }
    }
}
