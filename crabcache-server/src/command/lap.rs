//! Laps: how long commands take, measured with as few looks at the clock as are needed.
//!
//! A look costs 10 ns, a tenth of what a short command takes, so several short commands of one kind are
//! measured together, and each is taken to have lasted as long as the others. Sums stay what they were.
//! Where a request or its reply is longer, the lap ends. If one of a lap took long for another reason, the
//! last one is taken for it.
//!
//! What this is not: it does not know what the times are for.

use super::{Ctx, Flags};

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
        n_request_bytes: usize,
        next: Option<usize>,
    ) -> bool {
        ctx.row.flags.contains(Flags::LIGHT)
            && next == Some(ctx.row.id)
            && self.n_calls < N_CALLS_MAX
            && n_request_bytes <= SHORT_BYTES_MAX
            && ctx.reply.len().saturating_sub(ctx.mark) <= SHORT_BYTES_MAX
            && ctx.slow_ns >= SLOW_NS_MIN
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    /// What INFO tells of the calls of some commands.
    fn calls(t: &mut TestServer) -> Vec<String> {
        let info = t.run("INFO commandstats");
        let lines = info.split(r"\r\n").filter(|line| !line.contains("_info"));
        let parts = lines.filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(",usec"));
        let mut calls: Vec<String> = parts.map(|(calls, _)| calls.to_string()).collect();
        calls.sort_unstable();
        calls
    }

    #[test]
    fn every_call_is_counted_once_wherever_a_lap_ends() {
        let mut t = TestServer::new();
        let mut client = t.client();
        // More than a lap, another command, one that is refused, and one that fails.
        let lines = ["GET k\r\n".repeat(20), "SET k v\r\n".repeat(3), "GET k\r\n".repeat(2)];
        let lines = lines.concat() + "GET\r\nGET k\r\nLPUSH k v\r\nLPUSH l v\r\n";
        let (out, _) = t.send_as(&mut client, lines.as_bytes());
        assert_eq!(out.iter().filter(|byte| **byte == b'-').count(), 20 + 2);
        assert_eq!(calls(&mut t), ["get:calls=23", "lpush:calls=2", "set:calls=3"]);
        let n_commands = client.client.handle.n_commands.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(n_commands, 28);
    }

    #[test]
    fn a_lap_ends_with_the_batch() {
        let mut t = TestServer::new();
        let mut client = t.client();
        for n in 1..=3 {
            t.send_as(&mut client, b"PING\r\nPING\r\nPI");
            t.send_as(&mut client, b"NG\r\n");
            assert_eq!(calls(&mut t), [format!("ping:calls={}", 3 * n)]);
        }
    }

    #[test]
    fn where_short_times_matter_each_call_has_its_own() {
        for (threshold_us, expected) in [("0", 5), ("999", 0)] {
            let mut t = TestServer::with_config(&[("slowlog-log-slower-than", threshold_us)]);
            let mut client = t.client();
            t.send_as(&mut client, &b"GET k\r\n".repeat(5));
            assert_eq!(t.server.slowlog.newest(usize::MAX).len(), expected);
        }
    }
}
