//! The section about snapshots and the append-only file.

use super::Fields;
use crate::persistence::aof::State;
use crate::persistence::snapshot::Purpose;
use crate::server::Server;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn persistence(fields: &mut Fields) {
    let server = fields.server;
    let persistence = &server.persistence;
    let current = persistence.current.lock();
    let current = current.as_ref();
    let save = current.filter(|current| current.purpose != Purpose::Rewrite);
    let now_s = server.clock.unix_ms() / 1000;
    let is_loading = persistence.loading.is_under_way.load(Relaxed);
    fields.add("loading", i32::from(is_loading));
    fields.add_zeros(&["async_loading"]);
    fields.add_zeros(&["current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    fields.add("current_fork_perc", "0.00");
    fields.add("current_save_keys_processed", current.map_or(0, |current| current.output.n_keys()));
    fields.add("current_save_keys_total", current.map_or(0, |current| current.n_keys));
    fields.add("rdb_changes_since_last_save", persistence.changes(server.stats.dirty()));
    fields.add("rdb_bgsave_in_progress", i32::from(save.is_some()));
    fields.add("rdb_last_save_time", persistence.last_save_s.load(Relaxed));
    let status = if persistence.last_bgsave_ok.load(Relaxed) { "ok" } else { "err" };
    fields.add("rdb_last_bgsave_status", status);
    fields.add("rdb_last_bgsave_time_sec", persistence.last_bgsave_took_s.load(Relaxed));
    let current_s = save.map_or(-1, |current| now_s - current.began_s);
    fields.add("rdb_current_bgsave_time_sec", current_s);
    fields.add("rdb_saves", persistence.rdb_saves.load(Relaxed));
    fields.add_zeros(&["rdb_last_cow_size"]);
    fields.add("rdb_last_load_keys_expired", persistence.loading.keys_expired.load(Relaxed));
    fields.add("rdb_last_load_keys_loaded", persistence.loading.keys_loaded.load(Relaxed));
    aof(fields, server, current.map(|current| current.purpose), now_s);
    if is_loading {
        loading(fields, server, now_s);
    }
}

fn aof(fields: &mut Fields, server: &Server, under_way: Option<Purpose>, now_s: i64) {
    let aof = &server.aof;
    let rewrites = &aof.rewrites;
    let state = aof.state();
    let is_scheduled = rewrites.is_scheduled.load(Relaxed);
    fields.add("aof_enabled", i32::from(state != State::Off));
    // What is to begin in a moment because logging was turned on counts as begun.
    let is_rewriting = under_way == Some(Purpose::Rewrite);
    let is_about_to = state == State::Starting && is_scheduled && under_way.is_none();
    fields.add("aof_rewrite_in_progress", i32::from(is_rewriting || is_about_to));
    fields.add("aof_rewrite_scheduled", i32::from(is_scheduled && !is_about_to));
    fields.add("aof_last_rewrite_time_sec", rewrites.took_s_and_one.load(Relaxed) - 1);
    let began_s = rewrites.began_s.load(Relaxed);
    fields.add("aof_current_rewrite_time_sec", if is_rewriting { now_s - began_s } else { -1 });
    let status = |is_bad: bool| if is_bad { "err" } else { "ok" };
    fields.add("aof_last_bgrewrite_status", status(rewrites.has_failed.load(Relaxed)));
    fields.add("aof_rewrites", rewrites.n_begun.load(Relaxed));
    fields.add("aof_rewrites_consecutive_failures", rewrites.n_failures.load(Relaxed));
    fields.add("aof_last_write_status", status(aof.write_errno.load(Relaxed) != 0));
    fields.add_zeros(&[
        "aof_last_cow_size",
        "module_fork_in_progress",
        "module_fork_last_cow_size",
    ]);
    if state == State::Off {
        return;
    }
    // The end afterwards: it is not before that of what is written.
    let written = *aof.written.lock();
    let unwritten = server.log.aof_end().saturating_sub(written.end);
    // Compat: who gets the reply to a write finds it in the file.
    fields.add("aof_current_size", written.size + unwritten);
    fields.add("aof_base_size", aof.base_size.load(Relaxed));
    fields.add("aof_pending_rewrite", i32::from(is_scheduled));
    fields.add("aof_buffer_length", unwritten);
    fields.add("aof_pending_bio_fsync", i32::from(aof.is_syncing.load(Relaxed)));
    fields.add("aof_delayed_fsync", aof.n_delayed_syncs.load(Relaxed));
}

fn loading(fields: &mut Fields, server: &Server, now_s: i64) {
    let loading = &server.persistence.loading;
    let (loaded, total) =
        (loading.loaded_bytes.load(Relaxed), loading.total_bytes.load(Relaxed).max(1));
    let began_s = loading.began_s.load(Relaxed);
    let elapsed_s = u64::try_from(now_s - began_s).unwrap_or(0);
    let rest = total.saturating_sub(loaded);
    // Compat: without any progress yet, a second.
    let eta_s = if elapsed_s == 0 || loaded == 0 { 1 } else { elapsed_s * rest / loaded };
    fields.add("loading_start_time", began_s);
    fields.add("loading_total_bytes", loading.total_bytes.load(Relaxed));
    fields.add("loading_rdb_used_mem", loading.used_mem.load(Relaxed));
    fields.add("loading_loaded_bytes", loaded);
    fields.add("loading_loaded_perc", format!("{:.2}", loaded as f64 / total as f64 * 100.0));
    fields.add("loading_eta_seconds", eta_s);
}
