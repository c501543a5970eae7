//! The hash of keys, fields and members: keyed, so that no client can provoke collisions.
//!
//! One function for the whole process, seeded once at start. Bits 0.. choose a bucket, the top
//! eight are the tag, bits 32.. choose the stripe of a key.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

static STATE: OnceLock<RandomState> = OnceLock::new();

/// Sets the seed. Has an effect only before the first hash; tests leave it out and are repeatable.
pub fn seed(seed: [u64; 4]) {
    let [a, b, c, d] = seed;
    STATE.get_or_init(|| RandomState::with_seeds(a, b, c, d));
}

/// The hash of `bytes`.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    let state = STATE.get_or_init(|| RandomState::with_seeds(1, 2, 3, 4));
    let mut hasher = state.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
