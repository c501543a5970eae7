//! The access clock of entries: how recently (LRU) or how often (LFU) a key was used.
//!
//! Twenty-four bits, as in the reference. LRU: seconds modulo 2^24. LFU: sixteen bits of minutes at
//! the last decay, then an eight-bit logarithmic counter.

/// Bits of the clock that are its value.
const CLOCK_MASK: u32 = 0x00ff_ffff;
/// Counter of a new key: it must not be the first to go.
const LFU_INITIAL: u8 = 5;

/// What a use of a key leaves behind. One of these holds for a whole batch of commands.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    /// The clock is when the key was last used.
    Lru {
        /// Seconds, modulo 2^24.
        clock: u32,
    },
    /// The clock is how often the key was used.
    Lfu {
        /// Minutes, modulo 2^16.
        minutes: u16,
        /// `lfu-log-factor`: the larger, the slower the counter grows.
        log_factor: u32,
        /// `lfu-decay-time`: minutes after which the counter sinks by one; 0 is never.
        decay_minutes: u32,
    },
}

impl Access {
    /// The clock of a new entry.
    pub fn initial(&self) -> u32 {
        match self {
            Access::Lru { clock } => clock & CLOCK_MASK,
            Access::Lfu { minutes, .. } => u32::from(*minutes) << 8 | u32::from(LFU_INITIAL),
        }
    }

    /// The clock of an entry after a use. `chance` is a random number in 0..1.
    #[inline]
    pub fn used(&self, clock: u32, chance: impl FnOnce() -> f64) -> u32 {
        match self {
            Access::Lru { clock } => clock & CLOCK_MASK,
            Access::Lfu { minutes, log_factor, .. } => {
                let counter = self.frequency(clock);
                // Morris's approximate counting: the higher, the rarer a step.
                let base = f64::from(counter.saturating_sub(LFU_INITIAL));
                let grows =
                    counter < u8::MAX && chance() < 1.0 / (base * f64::from(*log_factor) + 1.0);
                u32::from(*minutes) << 8 | u32::from(counter + u8::from(grows))
            }
        }
    }

    /// The clock of an entry that comes from elsewhere with what is known about its use (RESTORE).
    /// `None` if that is nothing of interest here.
    pub fn restored(&self, idle_s: Option<i64>, frequency: Option<u8>) -> Option<u32> {
        match self {
            Access::Lru { clock } => idle_s.map(|idle_s| {
                // Compat: whatever overflows there, overflows here.
                let idle_s = idle_s.wrapping_mul(1000) / 1000;
                let clock = i64::from(*clock).wrapping_sub(idle_s);
                let clock = if clock < 0 { clock.wrapping_add(CLOCK_MASK.into()) } else { clock };
                clock as u32 & CLOCK_MASK
            }),
            Access::Lfu { minutes, .. } => {
                frequency.map(|frequency| u32::from(*minutes) << 8 | u32::from(frequency))
            }
        }
    }

    /// Seconds since the last use, by an LRU clock.
    pub fn idle_s(&self, clock: u32) -> u32 {
        match self {
            Access::Lru { clock: now } if *now >= clock => now - clock,
            // Compat: a second is lost where the clock begins anew.
            Access::Lru { clock: now } => now + (CLOCK_MASK - clock),
            Access::Lfu { .. } => 0,
        }
    }

    /// The use counter, after the decay that is due.
    pub fn frequency(&self, clock: u32) -> u8 {
        let counter = clock as u8;
        match self {
            Access::Lfu { minutes, decay_minutes, .. } if *decay_minutes > 0 => {
                let elapsed = minutes.wrapping_sub((clock >> 8) as u16);
                let steps = u32::from(elapsed) / decay_minutes;
                counter.saturating_sub(u8::try_from(steps).unwrap_or(u8::MAX))
            }
            _ => counter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lru_clock_wraps() {
        let access = Access::Lru { clock: 5 };
        assert_eq!((access.initial(), access.used(0, || 0.0)), (5, 5));
        assert_eq!((access.idle_s(3), access.idle_s(0x00ff_ffff)), (2, 5));
    }

    #[test]
    fn clocks_are_restored() {
        let lru = Access::Lru { clock: 100 };
        assert_eq!(lru.restored(Some(30), None), Some(70));
        assert_eq!(lru.restored(Some(101), None), Some(0x00ff_fffe));
        assert_eq!(lru.restored(None, Some(7)), None);
        assert!(lru.restored(Some(i64::MAX), None).is_some());
        let lfu = Access::Lfu { minutes: 3, log_factor: 10, decay_minutes: 1 };
        assert_eq!(lfu.restored(None, Some(7)).map(|clock| lfu.frequency(clock)), Some(7));
        assert_eq!(lfu.restored(Some(7), None), None);
    }

    #[test]
    fn lfu_counter_grows_by_chance_and_decays_with_time() {
        let at = |minutes| Access::Lfu { minutes, log_factor: 10, decay_minutes: 1 };
        let new = at(100).initial();
        assert_eq!(at(100).frequency(new), 5);
        let used = at(100).used(new, || 0.5);
        assert_eq!(at(100).frequency(used), 6);
        assert_eq!(at(100).frequency(at(100).used(used, || 0.5)), 6);
        assert_eq!(at(102).frequency(used), 4);
        assert_eq!(at(99).frequency(used), 0);
        let never = Access::Lfu { minutes: 999, log_factor: 10, decay_minutes: 0 };
        assert_eq!(never.frequency(used), 6);
        assert_eq!(at(100).frequency(at(100).used(100 << 8 | 255, || 0.0)), 255);
    }
}
