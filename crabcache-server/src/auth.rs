//! Users, their passwords, and the proof that a client knows one.
//!
//! There is one user, `default`, and `requirepass` is its password. Nothing outside this file sees
//! or compares passwords: commands ask [`Users::authenticate`].
//!
//! Passwords are kept as digests, and comparing two digests takes the same time wherever they
//! differ.
//!
//! A client that has authenticated stays so when the password changes, as in the reference.

use crate::error::CommandError;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of the user that clients are before they authenticate.
pub const DEFAULT_USER: &str = "default";

type PasswordDigest = [u8; 32];

/// A user.
#[derive(Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Any password will do, and none is needed.
    is_open: AtomicBool,
    passwords: RwLock<Vec<PasswordDigest>>,
}

impl Default for User {
    /// The user `default`, without a password.
    fn default() -> Self {
        User {
            name: DEFAULT_USER.to_string(),
            is_open: AtomicBool::new(true),
            passwords: RwLock::default(),
        }
    }
}

impl User {
    /// Whether the user needs no password.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    fn accepts(&self, password: &[u8]) -> bool {
        let digest = digest(password);
        self.is_open() || self.passwords.read().iter().any(|own| are_equal(own, &digest))
    }
}

fn digest(password: &[u8]) -> PasswordDigest {
    Sha256::digest(password).into()
}

/// Looks at all bytes, so that the time does not tell how many agree.
fn are_equal(left: &PasswordDigest, right: &PasswordDigest) -> bool {
    let difference = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    std::hint::black_box(difference) == 0
}

/// All users.
#[derive(Debug, Default)]
pub struct Users {
    default: Arc<User>,
}

impl Users {
    /// The user that clients are before they authenticate.
    #[inline]
    pub fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    /// The user of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        (name == self.default.name.as_bytes()).then_some(&self.default)
    }

    /// Makes `password` the only one of the default user, or none if it is empty (`requirepass`).
    pub fn set_requirepass(&self, password: &[u8]) {
        let is_open = password.is_empty();
        *self.default.passwords.write() = if is_open { vec![] } else { vec![digest(password)] };
        self.default.is_open.store(is_open, Ordering::Relaxed);
    }

    /// The user of this name, if `password` is right.
    ///
    /// # Errors
    /// [`CommandError::WrongPassword`], also where there is no such user.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Result<Arc<User>, CommandError> {
        let user = self.get(name).filter(|user| user.accepts(password));
        user.cloned().ok_or(CommandError::WrongPassword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_user_takes_any_password() {
        let users = Users::default();
        assert!(users.default_user().is_open());
        assert!(users.authenticate(b"default", b"anything").is_ok());
        assert!(users.authenticate(b"Default", b"").is_err());
    }

    #[test]
    fn requirepass_is_the_only_password() {
        let users = Users::default();
        users.set_requirepass(b"a\0b");
        assert!(!users.default_user().is_open());
        assert!(users.authenticate(b"default", b"a\0b").is_ok());
        for wrong in [&b""[..], b"a", b"a\0c", b"a\0b "] {
            assert_eq!(
                users.authenticate(b"default", wrong).err(),
                Some(CommandError::WrongPassword)
            );
        }
        users.set_requirepass(b"x");
        assert!(users.authenticate(b"default", b"a\0b").is_err());
        users.set_requirepass(b"");
        assert!(users.authenticate(b"default", b"y").is_ok());
    }
}
