//! The sections of counters: Threads, Stats, Debug.

use super::Fields;
use super::clients::Totals;
use crate::pubsub::Kind;
use crate::stats::Rates;
use std::sync::atomic::Ordering;

pub(super) fn threads(fields: &mut Fields) {
    let server = fields.server;
    let totals = Totals::of(server);
    for (worker, n_clients) in totals.n_by_worker.iter().enumerate() {
        let (reads, writes) = server.stats.io_of(worker);
        let text = format!("clients={n_clients},reads={reads},writes={writes}");
        fields.add(&format!("io_thread_{worker}"), text);
    }
}

pub(super) fn stats(fields: &mut Fields) {
    network(fields);
    let stats = &fields.server.stats;
    for (name, counter) in [
        ("sync_full", &stats.sync_full),
        ("sync_partial_ok", &stats.sync_partial_ok),
        ("sync_partial_err", &stats.sync_partial_err),
    ] {
        fields.add(name, counter.load(Ordering::Relaxed));
    }
    keys(fields);
    let pubsub = &fields.server.pubsub;
    fields.add("pubsub_channels", pubsub.len(Kind::Channel));
    fields.add("pubsub_patterns", pubsub.len(Kind::Pattern));
    fields.add("pubsubshard_channels", pubsub.len(Kind::ShardChannel));
    fields.add_zeros(&["latest_fork_usec"]);
    fields.add("total_forks", stats.total_forks.load(Ordering::Relaxed));
    fields.add("migrate_cached_sockets", fields.server.migration.kept.len());
    fields.add("slave_expires_tracked_keys", fields.server.active_expire.own.len());
    fields.add_zeros(&[
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
    ]);
    let tracking = &fields.server.tracking;
    fields.add("tracking_total_keys", tracking.n_keys());
    fields.add("tracking_total_items", tracking.n_items());
    fields.add("tracking_total_prefixes", tracking.n_prefixes());
    let stats = &fields.server.stats;
    let n_unexpected = stats.unexpected_error_replies.load(Ordering::Relaxed);
    fields.add("unexpected_error_replies", n_unexpected);
    fields.add("total_error_replies", stats.total_error_replies.load(Ordering::Relaxed));
    fields.add("dump_payload_sanitizations", 0);
    loops(fields);
    for (name, counter) in [
        ("acl_access_denied_auth", &stats.acl_access_denied_auth),
        ("acl_access_denied_cmd", &stats.acl_access_denied_cmd),
        ("acl_access_denied_key", &stats.acl_access_denied_key),
        ("acl_access_denied_channel", &stats.acl_access_denied_channel),
    ] {
        fields.add(name, counter.load(Ordering::Relaxed));
    }
}

/// Connections, commands and bytes.
fn network(fields: &mut Fields) {
    let stats = &fields.server.stats;
    let Rates { ops, input, output, .. } = &*stats.rates.lock();
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    let received = stats.total_connections_received.load(Ordering::Relaxed);
    fields.add("total_connections_received", received);
    let n_commands = stats.sum(|worker| &worker.total_commands_processed);
    fields.add("total_commands_processed", n_commands);
    fields.add("instantaneous_ops_per_sec", ops.get());
    fields.add("total_net_input_bytes", stats.sum(|worker| &worker.total_net_input_bytes));
    fields.add("total_net_output_bytes", stats.sum(|worker| &worker.total_net_output_bytes));
    let received = stats.total_net_repl_input_bytes.load(Ordering::Relaxed);
    fields.add("total_net_repl_input_bytes", received);
    let sent = stats.total_net_repl_output_bytes.load(Ordering::Relaxed);
    fields.add("total_net_repl_output_bytes", sent);
    fields.add("instantaneous_input_kbps", kilobytes(input.get()));
    fields.add("instantaneous_output_kbps", kilobytes(output.get()));
    fields.add("instantaneous_input_repl_kbps", kilobytes(0));
    fields.add("instantaneous_output_repl_kbps", kilobytes(0));
    fields.add("rejected_connections", stats.rejected_connections.load(Ordering::Relaxed));
}

/// Expiry, eviction and look-ups.
fn keys(fields: &mut Fields) {
    let stats = &fields.server.stats;
    fields.add("expired_subkeys", stats.expired_subkeys.load(Ordering::Relaxed));
    fields.add("expired_keys", stats.expired_keys.load(Ordering::Relaxed));
    let stale_percent = fields.server.active_expire.stale_percent();
    fields.add("expired_stale_perc", format_args!("{stale_percent:.2}"));
    let n_cut = stats.expired_time_cap_reached_count.load(Ordering::Relaxed);
    fields.add("expired_time_cap_reached_count", n_cut);
    let cycle_us = stats.expire_cycle_cpu_microseconds.load(Ordering::Relaxed);
    fields.add("expire_cycle_cpu_milliseconds", cycle_us / 1000);
    fields.add("evicted_keys", stats.evicted_keys.load(Ordering::Relaxed));
    fields.add("evicted_clients", stats.evicted_clients.load(Ordering::Relaxed));
    let scripts = &fields.server.scripting.cache;
    fields.add("evicted_scripts", scripts.evicted_scripts.load(Ordering::Relaxed));
    let now_ns = fields.server.clock.elapsed_ns();
    let (total_ms, current_ms) = fields.server.eviction.exceeded_ms(now_ns);
    fields.add("total_eviction_exceeded_time", total_ms);
    fields.add("current_eviction_exceeded_time", current_ms);
    fields.add("keyspace_hits", stats.sum(|worker| &worker.keyspace_hits));
    fields.add("keyspace_misses", stats.sum(|worker| &worker.keyspace_misses));
}

/// What the workers did, turn by turn.
fn loops(fields: &mut Fields) {
    let stats = &fields.server.stats;
    let Rates { eventloop_cycles, eventloop_us, .. } = &*stats.rates.lock();
    let reads = stats.sum(|worker| &worker.total_reads_processed);
    let writes = stats.sum(|worker| &worker.total_writes_processed);
    let (main_reads, main_writes) = stats.io_of(0);
    fields.add("total_reads_processed", reads);
    fields.add("total_writes_processed", writes);
    // Compat: the reference does not count those of its first thread here.
    fields.add("io_threaded_reads_processed", reads.saturating_sub(main_reads));
    fields.add("io_threaded_writes_processed", writes.saturating_sub(main_writes));
    fields.add_zeros(&["io_threaded_total_prefetch_batches", "io_threaded_total_prefetch_entries"]);
    let n_input = stats.client_query_buffer_limit_disconnections.load(Ordering::Relaxed);
    fields.add("client_query_buffer_limit_disconnections", n_input);
    let n_output = stats.client_output_buffer_limit_disconnections.load(Ordering::Relaxed);
    fields.add("client_output_buffer_limit_disconnections", n_output);
    fields.add_zeros(&["reply_buffer_shrinks", "reply_buffer_expands"]);
    fields.add("eventloop_cycles", stats.sum(|worker| &worker.eventloop_cycles));
    fields.add("eventloop_duration_sum", stats.sum(|worker| &worker.eventloop_ns) / 1000);
    fields.add("eventloop_duration_cmd_sum", stats.command_ns() / 1000);
    fields.add("instantaneous_eventloop_cycles_per_sec", eventloop_cycles.get());
    fields.add("instantaneous_eventloop_duration_usec", eventloop_us.get());
}

pub(super) fn debug(fields: &mut Fields) {
    let server = fields.server;
    let stats = &server.stats;
    let cron_ns = stats.workers[server.cron_worker()].eventloop_ns.get();
    fields.add("eventloop_duration_aof_sum", 0);
    fields.add("eventloop_duration_cron_sum", cron_ns / 1000);
    fields.add("eventloop_duration_max", stats.max(|worker| &worker.eventloop_max_ns) / 1000);
    let most = stats.max(|worker| &worker.eventloop_cmd_per_cycle_max);
    fields.add("eventloop_cmd_per_cycle_max", most);
    fields.add_zeros(&[
        "allocator_allocated_lua",
        "allocator_active_lua",
        "allocator_resident_lua",
        "allocator_frag_bytes_lua",
    ]);
}
