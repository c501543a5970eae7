//! The section about snapshots and the log of changes, neither of which there is yet.

use super::Fields;

pub(super) fn persistence(fields: &mut Fields) {
    let server = fields.server;
    fields.add_zeros(&["loading", "async_loading"]);
    fields.add_zeros(&["current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    fields.add("current_fork_perc", "0.00");
    fields.add_zeros(&["current_save_keys_processed", "current_save_keys_total"]);
    fields.add("rdb_changes_since_last_save", server.stats.dirty());
    fields.add("rdb_bgsave_in_progress", 0);
    // Compat: before the first, the start of the server counts as one.
    let started_s = server.clock.unix_ms() / 1000 - server.clock.elapsed().as_secs() as i64;
    fields.add("rdb_last_save_time", started_s);
    fields.add("rdb_last_bgsave_status", "ok");
    fields.add("rdb_last_bgsave_time_sec", -1);
    fields.add("rdb_current_bgsave_time_sec", -1);
    fields.add_zeros(&[
        "rdb_saves",
        "rdb_last_cow_size",
        "rdb_last_load_keys_expired",
        "rdb_last_load_keys_loaded",
    ]);
    fields.add_zeros(&["aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"]);
    fields.add("aof_last_rewrite_time_sec", -1);
    fields.add("aof_current_rewrite_time_sec", -1);
    fields.add("aof_last_bgrewrite_status", "ok");
    fields.add_zeros(&["aof_rewrites", "aof_rewrites_consecutive_failures"]);
    fields.add("aof_last_write_status", "ok");
    fields.add_zeros(&[
        "aof_last_cow_size",
        "module_fork_in_progress",
        "module_fork_last_cow_size",
    ]);
}
