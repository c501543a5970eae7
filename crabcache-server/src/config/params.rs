//! The parameter table: one row for each parameter, and nothing else knows their names.

use super::kinds::{
    Choice, Int, Kind, MaxmemoryPolicy, Memory, Percentiles, ProtectedAction, Text, Words, YesNo,
};
use super::{Param, ParamFlags};

/// Makes the fields of `Config`, their defaults and the table from the rows.
macro_rules! params {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal $(| $alias:literal)? => $field:ident: $type:ty = $default:expr, $kind:expr, $flags:expr;
    )*) => {
        /// The value of every parameter.
        #[derive(Debug, Clone)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl Default for Config {
            fn default() -> Self {
                Config { $( $field: $default, )* }
            }
        }

        /// All parameters.
        pub const PARAMS: &[Param] = &[$(
            Param {
                name: $name,
                alias: None $(.or(Some($alias)))?,
                doc: concat!($($doc, "\n"),+),
                flags: $flags,
                get: |config| Kind::format(&$kind, &config.$field),
                set: |config, words| {
                    config.$field = Kind::parse(&$kind, words)?;
                    Ok(())
                },
            },
        )*];
    };
}

const IMMUTABLE: ParamFlags = ParamFlags::empty();
const MUTABLE: ParamFlags = ParamFlags::MUTABLE;
const INT_MAX: i64 = i32::MAX as i64;

const PROTECTED: Choice<ProtectedAction> = Choice(&[
    ("no", ProtectedAction::No),
    ("yes", ProtectedAction::Yes),
    ("local", ProtectedAction::Local),
]);

const MAXMEMORY_POLICY: Choice<MaxmemoryPolicy> = Choice(&[
    ("volatile-lru", MaxmemoryPolicy::VolatileLru),
    ("volatile-lfu", MaxmemoryPolicy::VolatileLfu),
    ("volatile-random", MaxmemoryPolicy::VolatileRandom),
    ("volatile-ttl", MaxmemoryPolicy::VolatileTtl),
    ("allkeys-lru", MaxmemoryPolicy::AllkeysLru),
    ("allkeys-lfu", MaxmemoryPolicy::AllkeysLfu),
    ("allkeys-random", MaxmemoryPolicy::AllkeysRandom),
    ("noeviction", MaxmemoryPolicy::NoEviction),
]);

params! {
    /// Addresses to listen on. `-` before an address: no error if it does not exist.
    "bind" => bind: Vec<String> = vec!["*".to_string(), "-::*".to_string()], Words, MUTABLE.union(ParamFlags::WORDS);
    /// TCP port; 0 is none.
    "port" => port: i64 = 6379, Int { min: 0, max: 65535 }, MUTABLE;
    /// Connections that wait to be accepted.
    "tcp-backlog" => tcp_backlog: i64 = 511, Int { min: 0, max: INT_MAX }, IMMUTABLE;
    /// Path of a unix socket to listen on.
    "unixsocket" => unixsocket: String = String::new(), Text, IMMUTABLE;
    /// Seconds between TCP keepalive probes; 0 is none.
    "tcp-keepalive" => tcp_keepalive: i64 = 300, Int { min: 0, max: INT_MAX }, MUTABLE;
    /// Seconds after which an idle client is disconnected; 0 is never.
    "timeout" => timeout: i64 = 0, Int { min: 0, max: INT_MAX }, MUTABLE;
    /// Most clients at a time.
    "maxclients" => maxclients: i64 = 10000, Int { min: 1, max: 0xffff_ffff }, MUTABLE;
    /// Refuse clients from other hosts while there is no password.
    "protected-mode" => protected_mode: bool = true, YesNo, MUTABLE;
    /// Password of the default user.
    "requirepass" => requirepass: String = String::new(), Text, MUTABLE.union(ParamFlags::SECRET);
    /// Number of databases.
    "databases" => databases: i64 = 16, Int { min: 1, max: INT_MAX }, IMMUTABLE;
    /// Worker threads; 0 is one for each core.
    "io-threads" => io_threads: i64 = 0, Int { min: 0, max: 128 }, IMMUTABLE;
    /// Longest string and longest argument of a request.
    "proto-max-bulk-len" => proto_max_bulk_len: i64 = 512 << 20, Memory { min: 1 << 20, max: i64::MAX }, MUTABLE;
    /// Whether the DEBUG command may be used.
    "enable-debug-command" => enable_debug_command: ProtectedAction = ProtectedAction::No, PROTECTED, IMMUTABLE;
    /// Whether the MODULE command may be used.
    "enable-module-command" => enable_module_command: ProtectedAction = ProtectedAction::No, PROTECTED, IMMUTABLE;
    /// Microseconds from which a command is slow and goes into the slow log; -1 is never.
    "slowlog-log-slower-than" => slowlog_log_slower_than: i64 = 10_000, Int { min: -1, max: i64::MAX }, MUTABLE;
    /// Commands that the slow log keeps.
    "slowlog-max-len" => slowlog_max_len: i64 = 128, Int { min: 0, max: i64::MAX }, MUTABLE;
    /// Milliseconds from which the latency monitor notes an event; 0 is never.
    "latency-monitor-threshold" => latency_monitor_threshold: i64 = 0, Int { min: 0, max: i64::MAX }, MUTABLE;
    /// Whether the latencies of each command are recorded, for INFO latencystats and LATENCY HISTOGRAM.
    "latency-tracking" => latency_tracking: bool = true, YesNo, MUTABLE;
    /// Percentiles that INFO latencystats shows.
    "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9], Percentiles, MUTABLE.union(ParamFlags::WORDS);
    /// Which keys go when memory is above `maxmemory`; also whether access clocks tell how often
    /// (LFU) or how recently a key was used.
    "maxmemory-policy" => maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::NoEviction, MAXMEMORY_POLICY, MUTABLE;
    /// The larger, the more uses it takes to raise a key's use counter.
    "lfu-log-factor" => lfu_log_factor: i64 = 10, Int { min: 0, max: INT_MAX }, MUTABLE;
    /// Minutes after which a key's use counter sinks by one; 0 is never.
    "lfu-decay-time" => lfu_decay_time: i64 = 1, Int { min: 0, max: INT_MAX }, MUTABLE;
    /// From 1 to 10: how much time is spent on finding expired keys.
    "active-expire-effort" => active_expire_effort: i64 = 1, Int { min: 1, max: 10 }, MUTABLE;
    /// Replicate the removal of expired keys as UNLINK, and count their values as freed lazily.
    "lazyfree-lazy-expire" => lazyfree_lazy_expire: bool = false, YesNo, MUTABLE;
    /// Count replaced values (RENAME, RESTORE) as freed lazily.
    "lazyfree-lazy-server-del" => lazyfree_lazy_server_del: bool = false, YesNo, MUTABLE;
    /// Make DEL the same as UNLINK.
    "lazyfree-lazy-user-del" => lazyfree_lazy_user_del: bool = false, YesNo, MUTABLE;
    /// FLUSHALL and FLUSHDB are ASYNC unless SYNC is asked for.
    "lazyfree-lazy-user-flush" => lazyfree_lazy_user_flush: bool = false, YesNo, MUTABLE;
    /// Compress strings in snapshots and DUMP.
    "rdbcompression" => rdbcompression: bool = true, YesNo, MUTABLE;
    /// Times a second that background work is done.
    "hz" => hz: i64 = 10, Int { min: 1, max: 500 }, MUTABLE;
}
