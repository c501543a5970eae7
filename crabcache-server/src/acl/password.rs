//! Passwords, of which only digests are kept.
//!
//! Comparing two digests takes the same time wherever they differ.

use sha2::{Digest, Sha256};

/// The SHA-256 of a password.
#[derive(Clone, Copy)]
pub(super) struct Password([u8; 32]);

impl Password {
    /// The digest of a password in clear.
    pub(super) fn of(clear: &[u8]) -> Password {
        Password(Sha256::digest(clear).into())
    }

    /// Reads a digest written as [`Password::to_hex`] does.
    pub(super) fn from_hex(digits: &[u8]) -> Option<Password> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if digits.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Password(digest))
    }

    /// 64 hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Looks at all bytes, so that the time does not tell how many agree.
    pub(super) fn is(&self, other: &Password) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

/// Digests are secrets too: a weak password can be found from its digest.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_and_read() {
        let password = Password::of(b"foobared");
        assert_eq!(password.to_hex().len(), 64);
        let read = Password::from_hex(password.to_hex().as_bytes()).unwrap();
        assert!(read.is(&password) && !read.is(&Password::of(b"foobare")));
        assert_eq!(
            Password::of(b"abc").to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let upper = password.to_hex().to_ascii_uppercase();
        for wrong in [&upper[..], "", &password.to_hex()[1..], "xyz"] {
            assert!(Password::from_hex(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
