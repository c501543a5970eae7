//! Laps: how long commands take, measured with as few looks at the clock as are needed.
//!
//! A look costs 10 ns, a tenth of what a short command takes, so several short commands of one kind are
//! measured together, and each is taken to have lasted as long as the others. Sums stay what they were.
//! Any command that may have taken longer is measured by itself, or is the last of its lap and is taken
//! for the one that did.
//!
//! What this is not: it does not know what the times are for.

use super::{CommandRow, Ctx, Flags};

/// Commands that are measured together at the most.
const N_CALLS_MAX: u64 = 8;
/// Nothing longer than this in a request or its reply, in bytes, takes a short time only.
const SHORT_BYTES_MAX: usize = 512;
/// Where calls are slow that take less, each is measured by itself.
const SLOW_NS_MIN: u64 = 1_000_000;

/// Commands since the last look at the clock.
pub(super) struct Lap {
    /// When it began, by [`crate::clock::Clock::elapsed_ns`].
    pub(super) began_ns: u64,
    /// Calls that have run.
    pub(super) n_calls: u64,
}

impl Lap {
    pub(super) fn begin(at_ns: u64) -> Lap {
        Lap { began_ns: at_ns, n_calls: 0 }
    }

    /// Whether the clock need not be looked at between a call that has run and the next one, of the row
    /// number `next`.
    #[inline]
    pub(super) fn goes_on(
        &self,
        ctx: &Ctx<'_>,
        row: &CommandRow,
        n_request_bytes: usize,
        next: Option<usize>,
    ) -> bool {
        row.flags.contains(Flags::LIGHT)
            && next == Some(row.id)
            && self.n_calls < N_CALLS_MAX
            && n_request_bytes <= SHORT_BYTES_MAX
            && ctx.reply.len() - ctx.mark <= SHORT_BYTES_MAX
            && ctx.slow_ns >= SLOW_NS_MIN
    }
}
