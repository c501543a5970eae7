//! Conditions of the whole server that make the dispatcher look twice.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Set of conditions, each a bit of one word: every command reads it.
#[derive(Debug, Default)]
pub struct Conditions {
    bits: AtomicU32,
    /// When the pause ends: Unix milliseconds.
    pause_until_ms: AtomicI64,
    /// Taken by whoever changes a pause.
    pause_lock: Mutex<()>,
}

const PAUSED_WRITE: u32 = 1;
const PAUSED_ALL: u32 = 1 << 1;
const BUSY: u32 = 1 << 4;
const PAUSED: u32 = PAUSED_WRITE | PAUSED_ALL;
const LOADING: u32 = 1 << 2;
const SAVE_FAILED: u32 = 1 << 3;
const LACKS_REPLICAS: u32 = 1 << 5;
const AOF_FAILED: u32 = 1 << 6;
const REPLICA: u32 = 1 << 7;
const FAILING_OVER: u32 = 1 << 8;
const ENDING: u32 = 1 << 9;
const AWAITING_END: u32 = 1 << 10;
/// A pause of writes without a time.
const WRITES_HELD: u32 = FAILING_OVER | AWAITING_END;

impl Conditions {
    /// Whether there is any. A pause whose time has come counts until somebody ends it.
    #[inline]
    pub fn any(&self) -> bool {
        self.bits.load(Ordering::Relaxed) != 0
    }

    /// Whether commands are paused (CLIENT PAUSE, a failover, the end of the server), or such as
    /// `may_replicate`.
    #[inline]
    pub fn is_paused(&self, may_replicate: bool, now_ms: i64) -> bool {
        let bits = self.bits.load(Ordering::Acquire);
        let is_meant = bits & PAUSED_ALL != 0 || (bits & PAUSED_WRITE != 0 && may_replicate);
        (bits & WRITES_HELD != 0 && may_replicate)
            || (is_meant && now_ms < self.pause_until_ms.load(Ordering::Relaxed))
    }

    /// Whether data is being loaded, so that there is none to work on.
    pub fn is_loading(&self) -> bool {
        self.bits.load(Ordering::Acquire) & LOADING != 0
    }

    /// Loading begins or ends.
    pub fn set_loading(&self, is_loading: bool) {
        self.set(LOADING, is_loading);
    }

    /// Whether the last snapshot has failed.
    pub fn has_save_failed(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & SAVE_FAILED != 0
    }

    /// A snapshot has failed or succeeded.
    pub fn set_save_failed(&self, has_failed: bool) {
        self.set(SAVE_FAILED, has_failed);
    }

    /// Whether fewer replicas are near than `min-replicas-to-write`.
    pub fn lacks_replicas(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & LACKS_REPLICAS != 0
    }

    /// Fewer replicas are near than there should be, or enough.
    pub fn set_lacks_replicas(&self, lacks: bool) {
        self.set(LACKS_REPLICAS, lacks);
    }

    /// Whether the append-only file cannot be written.
    pub fn has_aof_failed(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & AOF_FAILED != 0
    }

    /// Writing the append-only file has failed or succeeded.
    pub fn set_aof_failed(&self, has_failed: bool) {
        self.set(AOF_FAILED, has_failed);
    }

    /// Whether this server is a replica.
    pub fn is_replica(&self) -> bool {
        self.bits.load(Ordering::Acquire) & REPLICA != 0
    }

    /// This server is a replica, or a primary.
    pub fn set_replica(&self, is_replica: bool) {
        self.set(REPLICA, is_replica);
    }

    /// Whether the last snapshot was made and the process is about to end.
    pub fn is_ending(&self) -> bool {
        self.bits.load(Ordering::Acquire) & ENDING != 0
    }

    /// The last snapshot was made.
    pub fn set_ending(&self) {
        self.set(ENDING, true);
    }

    /// Whether this server and a replica are about to change places.
    pub fn is_failing_over(&self) -> bool {
        self.bits.load(Ordering::Acquire) & FAILING_OVER != 0
    }

    /// A failover begins, which pauses writes whatever CLIENT PAUSE says, or ends.
    pub fn set_failing_over(&self, is_failing_over: bool) {
        self.set(FAILING_OVER, is_failing_over);
    }

    /// Writes are paused before the server ends, whatever CLIENT PAUSE says, or go on.
    pub fn set_awaiting_end(&self, is_awaiting: bool) {
        self.set(AWAITING_END, is_awaiting);
    }

    /// Whether writes are paused until something happens.
    pub fn are_writes_held(&self) -> bool {
        self.bits.load(Ordering::Acquire) & WRITES_HELD != 0
    }

    fn set(&self, bit: u32, is_set: bool) {
        if is_set {
            self.bits.fetch_or(bit, Ordering::AcqRel);
        } else {
            self.bits.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Whether a script is over its time.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.bits.load(Ordering::Acquire) & BUSY != 0
    }

    /// Says whether a script is over its time.
    pub fn set_busy(&self, is_busy: bool) {
        self.set(BUSY, is_busy);
    }

    /// When CLIENT PAUSE ends: Unix milliseconds.
    pub fn pause_until_ms(&self) -> i64 {
        self.pause_until_ms.load(Ordering::Relaxed)
    }

    /// Pauses commands until `until_ms`: all, or only those that may replicate. A pause in force
    /// is never shortened or narrowed.
    pub fn pause(&self, until_ms: i64, all: bool, now_ms: i64) {
        let _changing = self.pause_lock.lock();
        let old_until_ms = self.pause_until_ms();
        let kept = if old_until_ms > now_ms { PAUSED } else { 0 };
        let added = if all { PAUSED_ALL } else { PAUSED_WRITE };
        self.pause_until_ms.store(until_ms.max(old_until_ms), Ordering::Relaxed);
        let new_bits = |bits: u32| Some(bits & (!PAUSED | kept) | added);
        // The closure always gives a value.
        let _ = self.bits.fetch_update(Ordering::Release, Ordering::Relaxed, new_bits);
    }

    /// Ends a pause. Returns whether there was one; its clients are to go on.
    pub fn unpause(&self) -> bool {
        let _changing = self.pause_lock.lock();
        self.pause_until_ms.store(0, Ordering::Relaxed);
        self.bits.fetch_and(!PAUSED, Ordering::Relaxed) & PAUSED != 0
    }

    /// Ends a pause whose time has come. As [`Conditions::unpause`].
    pub fn unpause_if_due(&self, now_ms: i64) -> bool {
        let is_paused = self.bits.load(Ordering::Relaxed) & PAUSED != 0;
        is_paused && self.pause_until_ms() <= now_ms && self.unpause()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_only_grow_until_they_end() {
        let conditions = Conditions::default();
        assert!(!conditions.any());
        conditions.pause(100, false, 10);
        assert!(conditions.is_paused(true, 99) && !conditions.is_paused(false, 99));
        conditions.pause(50, true, 20);
        assert!(conditions.is_paused(false, 99) && !conditions.is_paused(true, 100));
        assert!(!conditions.unpause_if_due(99));
        assert!(conditions.unpause_if_due(100) && !conditions.any());
        conditions.set_failing_over(true);
        conditions.pause(200, false, 100);
        assert!(conditions.unpause() && conditions.is_paused(true, i64::MAX));
        assert!(!conditions.is_paused(false, 100));
        conditions.set_failing_over(false);
        assert!(!conditions.any());
    }

    #[test]
    fn a_pause_that_has_ended_does_not_widen_the_next() {
        let conditions = Conditions::default();
        conditions.pause(100, true, 10);
        conditions.pause(200, false, 150);
        assert!(conditions.is_paused(true, 199) && !conditions.is_paused(false, 199));
    }
}
