//! The parameter table: one row for each parameter, and nothing else knows their names.

use super::apply;
use super::choices::*;
use super::kinds::*;
use super::special::*;
use super::support;
use super::table::{Apply, Param, ParamFlags, Word, params};
use crate::notify::Classes;
use crate::persistence::rdb;
use std::path::PathBuf;

const INT_MIN: i64 = i32::MIN as i64;
const INT_MAX: i64 = i32::MAX as i64;
const UINT_MAX: i64 = u32::MAX as i64;
const MAX: i64 = i64::MAX;

/// No condition.
const ANY: Check = |_| Ok(());

params! {
    ["Network"]
    /// Addresses to listen on. `*` is all of IPv4, `::*` all of IPv6. With `-` before it, an address
    /// that does not exist is no error.
    "bind" => bind: Vec<String> = vec!["*".to_string(), "-::*".to_string()], Bind, [MUTABLE WORDS], apply = apply::bind;
    /// The address that connections made by the server come from.
    "bind-source-addr" => bind_source_addr: String = String::new(), Optional(ANY), [MUTABLE];
    /// Refuses clients from other hosts while the default user has no password.
    "protected-mode" => protected_mode: bool = true, YesNo, [MUTABLE];
    /// TCP port; 0 is none.
    "port" => port: i64 = 6379, Int(0, 65535), [MUTABLE], apply = apply::port;
    /// Connections that may wait to be accepted. The kernel's `somaxconn` limits it too.
    "tcp-backlog" => tcp_backlog: i64 = 511, Int(0, INT_MAX), [];
    /// Path of a unix socket to listen on.
    "unixsocket" => unixsocket: String = String::new(), Optional(ANY), [];
    /// Permissions of the unix socket; 0 leaves them to the umask.
    "unixsocketperm" => unixsocketperm: i64 = 0, Octal(0o777), [];
    /// Seconds after which an idle client is disconnected; 0 is never.
    "timeout" => timeout: i64 = 0, Int(0, INT_MAX), [MUTABLE];
    /// Seconds between TCP keepalive probes; 0 is none.
    "tcp-keepalive" => tcp_keepalive: i64 = 300, Int(0, INT_MAX), [MUTABLE];
    /// A mark for packets of listening sockets, for the firewall.
    "socket-mark-id" => socket_mark_id: i64 = 0, Unsigned(0, UINT_MAX), [NOOP];
    /// Connections accepted in one go. CrabCache accepts on a thread of its own.
    "max-new-connections-per-cycle" => max_new_connections_per_cycle: i64 = 10, Unsigned(1, 1000), [MUTABLE NOOP];

    ["Clients"]
    /// Most clients at a time.
    "maxclients" => maxclients: i64 = 10000, Unsigned(1, UINT_MAX), [MUTABLE], apply = apply::maxclients;
    /// Memory that all clients together may use; above it the greediest are disconnected. 0 is no limit.
    "maxmemory-clients" => maxmemory_clients: i64 = 0, MemoryOrPercent, [MUTABLE];
    /// How much output a client may leave unread before it is disconnected.
    "client-output-buffer-limit" => client_output_buffer_limit: OutputLimits = OutputLimits::default(), OutputLimitWords, [MUTABLE WORDS], apply = apply::kept_stream;
    /// How many bytes of a client's requests are kept before it is disconnected.
    "client-query-buffer-limit" => client_query_buffer_limit: i64 = 1 << 30, Memory(1 << 20, MAX), [MUTABLE];
    /// Longest string and longest argument of a request.
    "proto-max-bulk-len" => proto_max_bulk_len: i64 = 512 << 20, Memory(1 << 20, MAX), [MUTABLE];
    /// Keys remembered for clients that cache; 0 is no limit.
    "tracking-table-max-keys" => tracking_table_max_keys: i64 = 1_000_000, Unsigned(0, MAX), [MUTABLE];

    ["General"]
    /// Runs in the background.
    "daemonize" => daemonize: bool = false, YesNo, [];
    /// Tells upstart or systemd when the server is ready; `auto` finds out which of them is there.
    "supervised" => supervised: Supervised = Supervised::No, SUPERVISORS, [];
    /// A file that holds the process id while the server runs.
    "pidfile" => pidfile: String = String::new(), Optional(ANY), [];
    /// The working directory: relative paths, snapshots and logs are there.
    "dir" => dir: String = apply::current_dir(), Directory, [MUTABLE PROTECTED NOT_LOADING], apply = apply::dir;
    /// Number of databases.
    "databases" => databases: i64 = 16, Int(1, INT_MAX), [];
    /// Worker threads, each of which runs commands; 0 is one for each core.
    "io-threads" => io_threads: i64 = 0, Int(0, 128), [];
    /// Times a second that background work is done.
    "hz" => hz: i64 = 10, Clamped(1, 500), [MUTABLE];
    /// More background work while there are more clients.
    "dynamic-hz" => dynamic_hz: bool = true, YesNo, [MUTABLE NOOP];
    /// Shows in the process list what the server does.
    "set-proc-title" => set_proc_title: bool = true, YesNo, [NOOP];
    /// What the process list shows: {title}, {listen-addr}, {server-mode}, {port}, {tls-port}, {unixsocket}, {config-file}.
    "proc-title-template" => proc_title_template: String = "{title} {listen-addr} {server-mode}".to_string(), Text(support::check_title_template), [MUTABLE NOOP];
    /// The locale that SORT ALPHA compares in. Only `C`, which compares bytes, is known.
    "locale-collate" => locale_collate: String = String::new(), Text(ANY), [MUTABLE], apply = apply::locale;
    /// Keeps the kernel from giving the process huge pages, which would harm one that forks. See `huge-pages`.
    "disable-thp" => disable_thp: bool = true, YesNo, [NOOP];
    /// Has the kernel give huge pages to a process with much data: look-ups in it take much less time.
    "huge-pages" => huge_pages: bool = true, YesNo, [MUTABLE OWN HIDDEN];
    /// How long a worker thread that has nothing to do looks for requests before it sleeps, in microseconds, where that serves more for the processor time it takes; 0: never.
    "busy-poll-us" => busy_poll_us: i64 = 25, Int(0, 1000), [MUTABLE OWN HIDDEN];
    /// Tells the kernel's out-of-memory killer whom to prefer; `relative` adds to what is set already.
    "oom-score-adj" => oom_score_adj: OomScoreAdj = OomScoreAdj::No, OOM_SCORE_ADJ, [MUTABLE], apply = apply::oom_score;
    /// What the killer is told of a primary, a replica and a background process.
    "oom-score-adj-values" => oom_score_adj_values: [i64; 3] = [0, 200, 800], OomScores, [MUTABLE WORDS], apply = apply::oom_score;
    /// Kinds of warning that do not stop the server from starting.
    "ignore-warnings" => ignore_warnings: String = String::new(), Text(ANY), [MUTABLE NOOP];
    /// CPUs for the threads that serve clients.
    "server-cpulist" | "server_cpulist" => server_cpulist: String = String::new(), Optional(ANY), [NOOP];
    /// CPUs for background threads.
    "bio-cpulist" | "bio_cpulist" => bio_cpulist: String = String::new(), Optional(ANY), [NOOP];
    /// CPUs for rewriting the append-only file.
    "aof-rewrite-cpulist" | "aof_rewrite_cpulist" => aof_rewrite_cpulist: String = String::new(), Optional(ANY), [NOOP];
    /// CPUs for snapshots in the background.
    "bgsave-cpulist" | "bgsave_cpulist" => bgsave_cpulist: String = String::new(), Optional(ANY), [NOOP];

    ["Logging"]
    /// Which lines are logged.
    "loglevel" => loglevel: LogLevel = LogLevel::Notice, LOG_LEVELS, [MUTABLE], apply = apply::loglevel;
    /// The log's file. It is opened for each line, so it may be moved away at any time. Without one, lines go to standard output.
    "logfile" => logfile: String = String::new(), Text(ANY), [];
    /// How lines are written: as Redis does, or as JSON objects.
    "log-format" => log_format: LogFormat = LogFormat::Text, LOG_FORMATS, [OWN HIDDEN];
    /// Logs to the system's log as well.
    "syslog-enabled" => syslog_enabled: bool = false, YesNo, [];
    /// The name in the system's log.
    "syslog-ident" => syslog_ident: String = "redis".to_string(), Text(ANY), [];
    /// The facility of the system's log.
    "syslog-facility" => syslog_facility: SyslogFacility = SyslogFacility::Local0, SYSLOG_FACILITIES, [];
    /// Logs a banner at the start even if nobody watches.
    "always-show-logo" => always_show_logo: bool = false, YesNo, [];
    /// Logs why the server failed. CrabCache always logs a panic with its backtrace.
    "crash-log-enabled" => crash_log_enabled: bool = true, YesNo, [MUTABLE NOOP];
    /// Tests memory after a crash.
    "crash-memcheck-enabled" => crash_memcheck_enabled: bool = true, YesNo, [MUTABLE NOOP];
    /// Ends with an exit code instead of a signal after a panic.
    "use-exit-on-panic" => use_exit_on_panic: bool = false, YesNo, [MUTABLE HIDDEN];
    /// Leaves keys, values and arguments out of log lines.
    "hide-user-data-from-log" => hide_user_data_from_log: bool = false, YesNo, [MUTABLE];
    /// Logs where the server is stuck after so many milliseconds.
    "watchdog-period" => watchdog_period: i64 = 0, Int(0, INT_MAX), [MUTABLE HIDDEN NOOP];

    ["Shutdown"]
    /// Seconds that lagging replicas get before the server ends.
    "shutdown-timeout" => shutdown_timeout: i64 = 10, Int(0, INT_MAX), [MUTABLE];
    /// How SIGINT ends the server.
    "shutdown-on-sigint" => shutdown_on_sigint: ShutdownFlags = ShutdownFlags::empty(), SHUTDOWN, [MUTABLE WORDS];
    /// How SIGTERM ends the server.
    "shutdown-on-sigterm" => shutdown_on_sigterm: ShutdownFlags = ShutdownFlags::empty(), SHUTDOWN, [MUTABLE WORDS];

    ["Security"]
    /// Password of the default user.
    "requirepass" => requirepass: Vec<u8> = Vec::new(), Bytes, [MUTABLE SECRET], apply = apply::requirepass;
    /// A file with the users.
    "aclfile" => aclfile: String = String::new(), Text(ANY), [];
    /// Refused commands that ACL LOG remembers.
    "acllog-max-len" => acllog_max_len: i64 = 128, Int(0, MAX), [MUTABLE];
    /// Channels that a new user may use.
    "acl-pubsub-default" => acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::Resetchannels, ACL_PUBSUB_DEFAULT, [MUTABLE];
    /// Whether CONFIG SET may change parameters that decide where files are written.
    "enable-protected-configs" => enable_protected_configs: ProtectedAction = ProtectedAction::No, PROTECTED_ACTIONS, [];
    /// Whether the DEBUG command may be used.
    "enable-debug-command" => enable_debug_command: ProtectedAction = ProtectedAction::No, PROTECTED_ACTIONS, [];
    /// Whether the MODULE command may be used.
    "enable-module-command" => enable_module_command: ProtectedAction = ProtectedAction::No, PROTECTED_ACTIONS, [];
    /// Checks the payloads of RESTORE and of snapshots deeply.
    "sanitize-dump-payload" => sanitize_dump_payload: SanitizeDump = SanitizeDump::No, SANITIZE_DUMP, [MUTABLE NOOP];

    ["Memory"]
    /// Memory that the data may use; 0 is no limit. Above it, maxmemory-policy decides.
    "maxmemory" => maxmemory: i64 = 0, Memory(0, MAX), [MUTABLE], apply = apply::maxmemory;
    /// What is removed when memory is full.
    "maxmemory-policy" => maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::NoEviction, POLICIES, [MUTABLE];
    /// Keys looked at to find one to remove.
    "maxmemory-samples" => maxmemory_samples: i64 = 5, Int(1, 64), [MUTABLE];
    /// How much time removing may take: 0 little, 100 as much as it needs.
    "maxmemory-eviction-tenacity" => maxmemory_eviction_tenacity: i64 = 10, Int(0, 100), [MUTABLE];
    /// How slowly the LFU counter grows.
    "lfu-log-factor" => lfu_log_factor: i64 = 10, Int(0, INT_MAX), [MUTABLE];
    /// Minutes after which the LFU counter of an unused key falls by one; 0 is never.
    "lfu-decay-time" => lfu_decay_time: i64 = 1, Int(0, INT_MAX), [MUTABLE];
    /// Effort of looking for expired keys, from 1 to 10.
    "active-expire-effort" => active_expire_effort: i64 = 1, Int(1, 10), [MUTABLE];
    /// Frees evicted values in the background. CrabCache does so by size.
    "lazyfree-lazy-eviction" => lazyfree_lazy_eviction: bool = false, YesNo, [MUTABLE NOOP];
    /// Replicates the removal of expired keys as UNLINK, and counts their values as freed lazily.
    "lazyfree-lazy-expire" => lazyfree_lazy_expire: bool = false, YesNo, [MUTABLE];
    /// Counts values that commands replace (RENAME, RESTORE) as freed lazily.
    "lazyfree-lazy-server-del" => lazyfree_lazy_server_del: bool = false, YesNo, [MUTABLE];
    /// DEL works as UNLINK.
    "lazyfree-lazy-user-del" => lazyfree_lazy_user_del: bool = false, YesNo, [MUTABLE];
    /// FLUSHALL and FLUSHDB free in the background unless told SYNC.
    "lazyfree-lazy-user-flush" => lazyfree_lazy_user_flush: bool = false, YesNo, [MUTABLE];
    /// Nested look-ups remove expired keys that the command does not name.
    "lazyexpire-nested-arbitrary-keys" => lazyexpire_nested_arbitrary_keys: bool = true, YesNo, [MUTABLE HIDDEN];
    /// Uses idle time to resize tables. CrabCache resizes in small steps as it goes.
    "activerehashing" => activerehashing: bool = true, YesNo, [MUTABLE NOOP];
    /// Lets the allocator give memory back from a thread of its own.
    "jemalloc-bg-thread" => jemalloc_bg_thread: bool = true, YesNo, [MUTABLE], apply = apply::jemalloc_bg_thread;
    /// Moves values to free memory that is cut into pieces.
    "activedefrag" => activedefrag: bool = false, YesNo, [MUTABLE NOOP];
    /// Wasted bytes below which nothing is moved.
    "active-defrag-ignore-bytes" => active_defrag_ignore_bytes: i64 = 100 << 20, Memory(1, MAX), [MUTABLE NOOP];
    /// Percentage of waste at which moving begins.
    "active-defrag-threshold-lower" => active_defrag_threshold_lower: i64 = 10, Int(0, 1000), [MUTABLE NOOP];
    /// Percentage of waste at which it takes the most effort.
    "active-defrag-threshold-upper" => active_defrag_threshold_upper: i64 = 100, Int(0, 1000), [MUTABLE NOOP];
    /// Least effort of moving: percent of CPU time.
    "active-defrag-cycle-min" => active_defrag_cycle_min: i64 = 1, Int(1, 99), [MUTABLE NOOP];
    /// Most effort of moving: percent of CPU time.
    "active-defrag-cycle-max" => active_defrag_cycle_max: i64 = 25, Int(1, 99), [MUTABLE NOOP];
    /// Elements from which a value is moved in several steps.
    "active-defrag-max-scan-fields" => active_defrag_max_scan_fields: i64 = 1000, Int(1, MAX), [MUTABLE NOOP];
    /// Requests whose keys are fetched ahead. CrabCache always does so.
    "prefetch-batch-max-size" => prefetch_batch_max_size: i64 = 16, Int(0, 128), [MUTABLE HIDDEN NOOP];

    ["Data types"]
    /// Fields up to which a hash is kept compact.
    "hash-max-listpack-entries" | "hash-max-ziplist-entries" => hash_max_listpack_entries: i64 = 512, Unsigned(0, MAX), [MUTABLE];
    /// Length of fields and values up to which a hash is kept compact.
    "hash-max-listpack-value" | "hash-max-ziplist-value" => hash_max_listpack_value: i64 = 64, Memory(0, MAX), [MUTABLE];
    /// Size of the parts of a list: elements, or -1 to -5 for 4, 8, 16, 32 or 64 kb.
    "list-max-listpack-size" | "list-max-ziplist-size" => list_max_listpack_size: i64 = -2, Int(INT_MIN, INT_MAX), [MUTABLE];
    /// Parts at both ends of a list that stay uncompressed; 0 compresses none.
    "list-compress-depth" => list_compress_depth: i64 = 0, Int(0, INT_MAX), [MUTABLE];
    /// Members up to which a set of integers is kept compact.
    "set-max-intset-entries" => set_max_intset_entries: i64 = 512, Unsigned(0, MAX), [MUTABLE];
    /// Members up to which a set is kept compact.
    "set-max-listpack-entries" => set_max_listpack_entries: i64 = 128, Unsigned(0, MAX), [MUTABLE];
    /// Length of members up to which a set is kept compact.
    "set-max-listpack-value" => set_max_listpack_value: i64 = 64, Unsigned(0, MAX), [MUTABLE];
    /// Members up to which a sorted set is kept compact.
    "zset-max-listpack-entries" | "zset-max-ziplist-entries" => zset_max_listpack_entries: i64 = 128, Unsigned(0, MAX), [MUTABLE];
    /// Length of members up to which a sorted set is kept compact.
    "zset-max-listpack-value" | "zset-max-ziplist-value" => zset_max_listpack_value: i64 = 64, Memory(0, MAX), [MUTABLE];
    /// Bytes up to which a HyperLogLog is kept sparse.
    "hll-sparse-max-bytes" => hll_sparse_max_bytes: i64 = 3000, Memory(0, MAX), [MUTABLE NOOP];
    /// Bytes of a part of a stream; 0 is no limit.
    "stream-node-max-bytes" => stream_node_max_bytes: i64 = 4096, Memory(0, MAX), [MUTABLE];
    /// Entries of a part of a stream; 0 is no limit.
    "stream-node-max-entries" => stream_node_max_entries: i64 = 100, Int(0, MAX), [MUTABLE];
    /// Searches vector sets on one thread.
    "vset-force-single-threaded-execution" => vset_force_single_threaded_execution: bool = false, YesNo, [MUTABLE NOOP];

    ["Scripts"]
    /// Milliseconds after which a script makes others be told that the server is busy; 0 is never.
    "busy-reply-threshold" | "lua-time-limit" => busy_reply_threshold: i64 = 5000, Int(0, MAX), [MUTABLE];

    ["Observation"]
    /// Microseconds from which a command enters the slow log; -1 is none.
    "slowlog-log-slower-than" => slowlog_log_slower_than: i64 = 10000, Int(-1, MAX), [MUTABLE];
    /// Entries of the slow log.
    "slowlog-max-len" => slowlog_max_len: i64 = 128, Int(0, MAX), [MUTABLE];
    /// Milliseconds from which a delay is remembered; 0 remembers none.
    "latency-monitor-threshold" => latency_monitor_threshold: i64 = 0, Int(0, MAX), [MUTABLE];
    /// Keeps a histogram of each command's latency.
    "latency-tracking" => latency_tracking: bool = true, YesNo, [MUTABLE];
    /// Percentiles that INFO latencystats shows.
    "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9], Percentiles, [MUTABLE WORDS];
    /// Classes of keyspace events that are published; none if empty.
    "notify-keyspace-events" => notify_keyspace_events: Classes = Classes::empty(), EventClasses, [MUTABLE], apply = apply::notify_keyspace_events;

    ["Snapshots"]
    /// When a snapshot is due: after so many seconds if there were so many changes. Empty: never.
    "save" => save: Vec<SavePoint> = support::save_points_default(), SavePoints, [MUTABLE WORDS];
    /// The snapshot's file.
    "dbfilename" => dbfilename: String = "dump.rdb".to_string(), Text(support::check_dbfilename), [MUTABLE PROTECTED];
    /// Refuses changes while snapshots fail.
    "stop-writes-on-bgsave-error" => stop_writes_on_bgsave_error: bool = true, YesNo, [MUTABLE];
    /// Compresses strings in snapshots and DUMP.
    "rdbcompression" => rdbcompression: bool = true, YesNo, [MUTABLE];
    /// Writes and verifies a checksum at the end of a snapshot.
    "rdbchecksum" => rdbchecksum: bool = true, YesNo, [];
    /// The version of the format that snapshots are written in: 12 for Redis 7.4 and later, 11 for Redis 7.2 and Valkey 8, 10 for Redis 7.0, 9 for Redis 5 to 6.2.
    "rdb-write-version" => rdb_write_version: i64 = i64::from(rdb::VERSION), Int(rdb::older::VERSION_MIN as i64, rdb::VERSION as i64), [MUTABLE OWN HIDDEN];
    /// Bytes of old values that wait to be written while a snapshot is made. Beyond, whoever changes a key writes them himself.
    "snapshot-queue-limit" => snapshot_queue_limit: i64 = 1 << 20, Memory(0, MAX), [MUTABLE OWN HIDDEN];
    /// Leaves out the values of modules when a snapshot is loaded. Without it such a snapshot is refused.
    "rdb-skip-unknown-modules" => rdb_skip_unknown_modules: bool = false, YesNo, [MUTABLE OWN HIDDEN];
    /// Forces a snapshot to disk bit by bit.
    "rdb-save-incremental-fsync" => rdb_save_incremental_fsync: bool = true, YesNo, [MUTABLE];
    /// Removes snapshots that were made only for replicas.
    "rdb-del-sync-files" => rdb_del_sync_files: bool = false, YesNo, [MUTABLE NOOP];
    /// Microseconds to wait after each key of a snapshot, for tests; a negative number is a part of one.
    "rdb-key-save-delay" => rdb_key_save_delay: i64 = 0, Int(INT_MIN, INT_MAX), [MUTABLE HIDDEN], apply = apply::rdb_key_save_delay;
    /// Microseconds to wait after each key that is loaded, for tests; a negative number is a part of one.
    "key-load-delay" => key_load_delay: i64 = 0, Int(INT_MIN, INT_MAX), [MUTABLE HIDDEN];
    /// Clients are answered while a file is loaded if it is larger than this.
    "loading-process-events-interval-bytes" => loading_process_events_interval_bytes: i64 = 512 << 10, Int(1024, INT_MAX), [MUTABLE HIDDEN];

    ["Append-only file"]
    /// Logs every change.
    "appendonly" => appendonly: bool = false, YesNo, [MUTABLE], apply = apply::appendonly;
    /// Beginning of the names of its files.
    "appendfilename" => appendfilename: String = "appendonly.aof".to_string(), Text(support::check_appendfilename), [];
    /// The directory of its files.
    "appenddirname" => appenddirname: String = "appendonlydir".to_string(), Text(support::check_appenddirname), [];
    /// When it is forced to disk.
    "appendfsync" => appendfsync: AppendFsync = AppendFsync::Everysec, APPEND_FSYNC, [MUTABLE];
    /// Does not force it to disk while a snapshot or a rewrite is written.
    "no-appendfsync-on-rewrite" => no_appendfsync_on_rewrite: bool = false, YesNo, [MUTABLE];
    /// Rewrites it when it has grown by this percentage; 0 is never.
    "auto-aof-rewrite-percentage" => auto_aof_rewrite_percentage: i64 = 100, Int(0, INT_MAX), [MUTABLE];
    /// Size from which it is rewritten.
    "auto-aof-rewrite-min-size" => auto_aof_rewrite_min_size: i64 = 64 << 20, Memory(0, MAX), [MUTABLE];
    /// Loads a file whose end is missing.
    "aof-load-truncated" => aof_load_truncated: bool = true, YesNo, [MUTABLE];
    /// Writes its base as a snapshot.
    "aof-use-rdb-preamble" => aof_use_rdb_preamble: bool = true, YesNo, [MUTABLE];
    /// Notes the time of changes.
    "aof-timestamp-enabled" => aof_timestamp_enabled: bool = false, YesNo, [MUTABLE];
    /// Forces a rewrite to disk bit by bit.
    "aof-rewrite-incremental-fsync" => aof_rewrite_incremental_fsync: bool = true, YesNo, [MUTABLE];
    /// Keeps files that are no longer needed.
    "aof-disable-auto-gc" => aof_disable_auto_gc: bool = false, YesNo, [MUTABLE HIDDEN], apply = apply::aof_disable_auto_gc;

    ["Replication"]
    /// Host and port of the primary.
    "replicaof" | "slaveof" => replicaof: Option<(String, u16)> = None, ReplicaOf, [WORDS];
    /// User name at the primary.
    "masteruser" => masteruser: String = String::new(), Optional(ANY), [MUTABLE SECRET];
    /// Password at the primary.
    "masterauth" => masterauth: Vec<u8> = Vec::new(), Bytes, [MUTABLE SECRET];
    /// Answers from old data while the primary is out of reach.
    "replica-serve-stale-data" | "slave-serve-stale-data" => replica_serve_stale_data: bool = true, YesNo, [MUTABLE];
    /// Refuses changes by clients of a replica.
    "replica-read-only" | "slave-read-only" => replica_read_only: bool = true, YesNo, [MUTABLE];
    /// A replica leaves eviction to its primary.
    "replica-ignore-maxmemory" | "slave-ignore-maxmemory" => replica_ignore_maxmemory: bool = true, YesNo, [MUTABLE];
    /// A replica goes on if it cannot write to disk.
    "replica-ignore-disk-write-errors" => replica_ignore_disk_write_errors: bool = false, YesNo, [MUTABLE];
    /// A replica frees its old data in the background before it loads new.
    "replica-lazy-flush" | "slave-lazy-flush" => replica_lazy_flush: bool = false, YesNo, [MUTABLE];
    /// Which replica Sentinel promotes: the lowest number; 0 is never.
    "replica-priority" | "slave-priority" => replica_priority: i64 = 100, Int(0, INT_MAX), [MUTABLE];
    /// Address that a replica tells its primary.
    "replica-announce-ip" | "slave-announce-ip" => replica_announce_ip: String = String::new(), Optional(ANY), [MUTABLE];
    /// The port that a replica tells its primary; 0 is the real one.
    "replica-announce-port" | "slave-announce-port" => replica_announce_port: i64 = 0, Int(0, 65535), [MUTABLE];
    /// Sentinel tells clients of this replica.
    "replica-announced" => replica_announced: bool = true, YesNo, [MUTABLE];
    /// Refuses changes while fewer replicas are near.
    "min-replicas-to-write" | "min-slaves-to-write" => min_replicas_to_write: i64 = 0, Int(0, INT_MAX), [MUTABLE], apply = apply::min_replicas;
    /// Seconds of silence after which a replica is not near any more.
    "min-replicas-max-lag" | "min-slaves-max-lag" => min_replicas_max_lag: i64 = 10, Int(0, INT_MAX), [MUTABLE], apply = apply::min_replicas;
    /// Seconds of silence after which a replication link is given up.
    "repl-timeout" => repl_timeout: i64 = 60, Int(1, INT_MAX), [MUTABLE];
    /// Seconds between pings to replicas.
    "repl-ping-replica-period" | "repl-ping-slave-period" => repl_ping_replica_period: i64 = 10, Int(1, INT_MAX), [MUTABLE];
    /// Lets the kernel gather small packets to replicas.
    "repl-disable-tcp-nodelay" => repl_disable_tcp_nodelay: bool = false, YesNo, [MUTABLE NOOP];
    /// Bytes of changes kept for replicas that come back.
    "repl-backlog-size" => repl_backlog_size: i64 = 1 << 20, Memory(1, MAX), [MUTABLE], apply = apply::kept_stream;
    /// Seconds that they are kept without any replica; 0 is for ever.
    "repl-backlog-ttl" => repl_backlog_ttl: i64 = 3600, Int(0, MAX), [MUTABLE];
    /// Sends snapshots to replicas without a file.
    "repl-diskless-sync" => repl_diskless_sync: bool = true, YesNo, [MUTABLE];
    /// Version of the RDB format that replicas get; 0: one that all of them can read.
    "repl-rdb-version" => repl_rdb_version: i64 = 0, Int(0, rdb::VERSION as i64), [MUTABLE OWN HIDDEN];
    /// Seconds to wait for more replicas before a snapshot is sent.
    "repl-diskless-sync-delay" => repl_diskless_sync_delay: i64 = 5, Int(0, INT_MAX), [MUTABLE];
    /// Replicas for which that wait ends early; 0 is none.
    "repl-diskless-sync-max-replicas" => repl_diskless_sync_max_replicas: i64 = 0, Int(0, INT_MAX), [MUTABLE];
    /// Loads a snapshot straight from the primary's socket.
    "repl-diskless-load" => repl_diskless_load: DisklessLoad = DisklessLoad::Disabled, DISKLESS_LOAD, [MUTABLE NOOP];
    /// Sends the snapshot over a connection of its own.
    "repl-rdb-channel" => repl_rdb_channel: bool = true, YesNo, [MUTABLE HIDDEN NOOP];
    /// Bytes of changes that a replica keeps while it loads a snapshot; 0 is the limit of its output buffer.
    "replica-full-sync-buffer-limit" => replica_full_sync_buffer_limit: i64 = 0, Memory(0, MAX), [MUTABLE NOOP];
    /// What to do about an error of a replicated command.
    "propagation-error-behavior" => propagation_error_behavior: PropagationError = PropagationError::Ignore, PROPAGATION_ERRORS, [MUTABLE];

    ["Cluster"]
    /// Runs as a node of a cluster.
    "cluster-enabled" => cluster_enabled: bool = false, YesNo, [];
    /// Where the node keeps what it knows of the cluster.
    "cluster-config-file" => cluster_config_file: String = "nodes.conf".to_string(), Text(ANY), [NOOP];
    /// Milliseconds of silence after which a node counts as failing.
    "cluster-node-timeout" => cluster_node_timeout: i64 = 15000, Int(0, MAX), [MUTABLE NOOP];
    /// Milliseconds between pings; 0 leaves it to the server.
    "cluster-ping-interval" => cluster_ping_interval: i64 = 0, Int(0, MAX), [MUTABLE HIDDEN NOOP];
    /// Port of the cluster bus; 0 is the port plus 10000.
    "cluster-port" => cluster_port: i64 = 0, Int(0, 65535), [NOOP];
    /// How old a replica's data may be for it to be promoted; 0 is no limit.
    "cluster-replica-validity-factor" | "cluster-slave-validity-factor" => cluster_replica_validity_factor: i64 = 10, Int(0, INT_MAX), [MUTABLE NOOP];
    /// Replicas that a primary keeps when one moves to another.
    "cluster-migration-barrier" => cluster_migration_barrier: i64 = 1, Int(0, INT_MAX), [MUTABLE NOOP];
    /// Replicas move to primaries that have none.
    "cluster-allow-replica-migration" => cluster_allow_replica_migration: bool = true, YesNo, [MUTABLE NOOP];
    /// Refuses all commands while slots are missing.
    "cluster-require-full-coverage" => cluster_require_full_coverage: bool = true, YesNo, [MUTABLE NOOP];
    /// This replica is never promoted.
    "cluster-replica-no-failover" | "cluster-slave-no-failover" => cluster_replica_no_failover: bool = false, YesNo, [MUTABLE NOOP];
    /// Answers reads while the cluster is down.
    "cluster-allow-reads-when-down" => cluster_allow_reads_when_down: bool = false, YesNo, [MUTABLE NOOP];
    /// Serves sharded channels while the cluster is down.
    "cluster-allow-pubsubshard-when-down" => cluster_allow_pubsubshard_when_down: bool = true, YesNo, [MUTABLE NOOP];
    /// Bytes that may wait for another node; 0 is no limit.
    "cluster-link-sendbuf-limit" => cluster_link_sendbuf_limit: i64 = 0, Memory(0, MAX), [MUTABLE NOOP];
    /// Address told to other nodes and clients.
    "cluster-announce-ip" => cluster_announce_ip: String = String::new(), Optional(ANY), [MUTABLE NOOP];
    /// Port told to other nodes and clients; 0 is the real one.
    "cluster-announce-port" => cluster_announce_port: i64 = 0, Int(0, 65535), [MUTABLE NOOP];
    /// TLS port told to other nodes and clients; 0 is the real one.
    "cluster-announce-tls-port" => cluster_announce_tls_port: i64 = 0, Int(0, 65535), [MUTABLE NOOP];
    /// Port of the bus told to other nodes; 0 is the real one.
    "cluster-announce-bus-port" => cluster_announce_bus_port: i64 = 0, Int(0, 65535), [MUTABLE NOOP];
    /// Host name told to clients.
    "cluster-announce-hostname" => cluster_announce_hostname: String = String::new(), Optional(support::check_hostname), [MUTABLE NOOP];
    /// A name of the node for people.
    "cluster-announce-human-nodename" => cluster_announce_human_nodename: String = String::new(), Optional(support::check_nodename), [MUTABLE NOOP];
    /// What clients are told to connect to.
    "cluster-preferred-endpoint-type" => cluster_preferred_endpoint_type: EndpointType = EndpointType::Ip, ENDPOINT_TYPES, [MUTABLE NOOP];
    /// Percentage of commands that are checked for working in a cluster too.
    "cluster-compatibility-sample-ratio" => cluster_compatibility_sample_ratio: i64 = 0, Int(0, 100), [MUTABLE NOOP];
    /// Counts by slot.
    "cluster-slot-stats-enabled" => cluster_slot_stats_enabled: bool = false, YesNo, [MUTABLE NOOP];

    ["TLS"]
    /// TLS port; 0 is none.
    "tls-port" => tls_port: i64 = 0, Int(0, 65535), [MUTABLE], apply = apply::tls_port;
    /// Uses TLS on the cluster bus.
    "tls-cluster" => tls_cluster: bool = false, YesNo, [MUTABLE NOOP], apply = apply::tls;
    /// Uses TLS to the primary.
    "tls-replication" => tls_replication: bool = false, YesNo, [MUTABLE], apply = apply::tls;
    /// Whether clients must show a certificate.
    "tls-auth-clients" => tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes, TLS_AUTH_CLIENTS, [MUTABLE], apply = apply::tls;
    /// The server chooses the cipher.
    "tls-prefer-server-ciphers" => tls_prefer_server_ciphers: bool = false, YesNo, [MUTABLE], apply = apply::tls;
    /// Remembers sessions.
    "tls-session-caching" => tls_session_caching: bool = true, YesNo, [MUTABLE], apply = apply::tls;
    /// Sessions remembered; 0 is no limit.
    "tls-session-cache-size" => tls_session_cache_size: i64 = 20480, Int(0, INT_MAX), [MUTABLE], apply = apply::tls;
    /// Seconds that a session is remembered.
    "tls-session-cache-timeout" => tls_session_cache_timeout: i64 = 300, Int(0, INT_MAX), [MUTABLE NOOP];
    /// The server's certificate.
    "tls-cert-file" => tls_cert_file: String = String::new(), Optional(ANY), [MUTABLE VOLATILE], apply = apply::tls;
    /// The server's key.
    "tls-key-file" => tls_key_file: String = String::new(), Optional(ANY), [MUTABLE VOLATILE], apply = apply::tls;
    /// Pass phrase of the server's key.
    "tls-key-file-pass" => tls_key_file_pass: String = String::new(), Optional(ANY), [MUTABLE SECRET], apply = apply::tls;
    /// Certificate for connections that the server makes.
    "tls-client-cert-file" => tls_client_cert_file: String = String::new(), Optional(ANY), [MUTABLE];
    /// Key for connections that the server makes.
    "tls-client-key-file" => tls_client_key_file: String = String::new(), Optional(ANY), [MUTABLE];
    /// Pass phrase of that key.
    "tls-client-key-file-pass" => tls_client_key_file_pass: String = String::new(), Optional(ANY), [MUTABLE SECRET];
    /// Diffie-Hellman parameters.
    "tls-dh-params-file" => tls_dh_params_file: String = String::new(), Optional(ANY), [MUTABLE NOOP];
    /// Certificates that are trusted: a file.
    "tls-ca-cert-file" => tls_ca_cert_file: String = String::new(), Optional(ANY), [MUTABLE VOLATILE], apply = apply::tls;
    /// Certificates that are trusted: a directory.
    "tls-ca-cert-dir" => tls_ca_cert_dir: String = String::new(), Optional(ANY), [MUTABLE VOLATILE], apply = apply::tls;
    /// Protocol versions.
    "tls-protocols" => tls_protocols: String = String::new(), Optional(ANY), [MUTABLE], apply = apply::tls;
    /// Ciphers up to TLS 1.2.
    "tls-ciphers" => tls_ciphers: String = String::new(), Optional(ANY), [MUTABLE], apply = apply::tls;
    /// Ciphers of TLS 1.3.
    "tls-ciphersuites" => tls_ciphersuites: String = String::new(), Optional(ANY), [MUTABLE], apply = apply::tls;
    /// TLS connections accepted in one go.
    "max-new-tls-connections-per-cycle" => max_new_tls_connections_per_cycle: i64 = 1, Unsigned(1, 1000), [MUTABLE NOOP];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_lower_case_and_unique() {
        let mut names = BTreeSet::new();
        for name in PARAMS.iter().flat_map(Param::names) {
            let is_fit = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            };
            assert!(name.bytes().all(is_fit), "{name}");
            assert!(names.insert(name), "{name} stands twice");
        }
    }

    #[test]
    fn all_parameters_of_the_reference_are_there() {
        let reference = include_str!("reference-names.txt").lines().collect::<BTreeSet<_>>();
        let shown = PARAMS.iter().filter(|param| !param.flags.contains(ParamFlags::HIDDEN));
        let ours = shown.flat_map(Param::names).collect::<BTreeSet<_>>();
        assert_eq!(ours, reference);
    }

    #[test]
    fn what_is_shown_can_be_set_again() {
        for param in PARAMS {
            let mut config = Config::default();
            let shown = (param.get)(&config);
            let words: Vec<Vec<u8>> = if param.flags.contains(ParamFlags::WORDS) {
                shown.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
            } else {
                vec![shown.clone()]
            };
            if param.name == "replicaof" {
                continue;
            }
            (param.set)(&mut config, &words, false)
                .unwrap_or_else(|why| panic!("{}: {why}", param.name));
            assert_eq!((param.get)(&config), shown, "{}", param.name);
            for line in (param.lines)(&config, &Config::default()) {
                assert!(!line.text.is_empty(), "{}", param.name);
            }
        }
    }
}
