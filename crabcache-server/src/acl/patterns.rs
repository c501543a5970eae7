//! Patterns of keys and channels.

use crate::command::KeyFlags;
use bitflags::bitflags;
use crabcache_store::algorithms::glob::{self, Case};

bitflags! {
    /// What may be done with a key.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Access: u8 {
        /// Its value may be told or copied.
        const READ = 1;
        /// Its value may be changed, added to or removed.
        const WRITE = 1 << 1;
    }
}

impl Access {
    /// What a command needs that does this with a key. Nothing where it tells no user data, such as
    /// EXISTS: any pattern that matches is enough.
    pub fn needed_for(flags: KeyFlags) -> Access {
        let mut access = Access::empty();
        access.set(Access::READ, flags.contains(KeyFlags::ACCESS));
        let writes = KeyFlags::INSERT | KeyFlags::DELETE | KeyFlags::UPDATE;
        access.set(Access::WRITE, flags.intersects(writes));
        access
    }
}

/// A pattern of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPattern {
    /// What may be done with keys that match.
    pub(super) access: Access,
    /// The pattern.
    pub(super) glob: Vec<u8>,
}

impl KeyPattern {
    /// Whether it lets `needed` be done with `key`.
    pub(super) fn allows(&self, key: &[u8], needed: Access) -> bool {
        self.access.contains(needed) && glob::matches(&self.glob, key, Case::Sensitive)
    }

    /// Appends the rule that makes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let sign: &[u8] = match self.access {
            Access::READ => b"%R~",
            Access::WRITE => b"%W~",
            _ => b"~",
        };
        out.extend_from_slice(sign);
        out.extend_from_slice(&self.glob);
    }
}

/// Whether one of the patterns lets a channel be used. A pattern that a client subscribes to must
/// be one of them literally: which channels it will match cannot be told.
pub(super) fn allow_channel(patterns: &[Vec<u8>], channel: &[u8], is_pattern: bool) -> bool {
    patterns.iter().any(|pattern| {
        if is_pattern {
            pattern == channel
        } else {
            glob::matches(pattern, channel, Case::Sensitive)
        }
    })
}
