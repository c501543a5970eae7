//! The section about replication.

use super::Fields;
use crate::replication::link::{LinkStatus, Phase, Transfer};
use crate::replication::replicas::Replica;
use std::sync::atomic::Ordering;

pub(super) fn replication(fields: &mut Fields) {
    let server = fields.server;
    let replicas = server.replication.replicas.all();
    let link = server.replication.link.status();
    fields.add("role", if link.primary.is_some() { "slave" } else { "master" });
    show_link(fields, &link);
    fields.add("connected_slaves", replicas.len());
    if fields.config.min_replicas_to_write > 0 && fields.config.min_replicas_max_lag > 0 {
        fields.add("min_slaves_good_slaves", server.replication.replicas.n_good());
    }
    let now_ms = server.clock.unix_ms();
    for (number, replica) in replicas.iter().enumerate() {
        fields.add(&format!("slave{number}"), describe(replica, now_ms));
    }
    fields.add("master_failover_state", server.replication.failover.state_name());
    let history = server.replication.history.lock().clone();
    fields.add("master_replid", history.replid);
    fields.add("master_replid2", history.replid2);
    fields.add("master_repl_offset", server.log.ends().replicas);
    fields.add("second_repl_offset", history.second_offset);
    let backlog = server.log.backlog();
    fields.add("repl_backlog_active", u8::from(backlog.is_some()));
    fields.add("repl_backlog_size", fields.config.repl_backlog_size);
    // Offsets are counted from 1.
    fields.add("repl_backlog_first_byte_offset", backlog.map_or(0, |backlog| backlog.start + 1));
    fields.add("repl_backlog_histlen", backlog.map_or(0, |backlog| backlog.len));
}

fn show_link(fields: &mut Fields, link: &LinkStatus) {
    let Some(primary) = &link.primary else { return };
    let server = fields.server;
    let now_ms = server.clock.unix_ms();
    let is_up = link.phase == Phase::Connected;
    let heard_s = (now_ms - server.replication.link.heard_ms()) / 1000;
    let offset = server.log.ends().replicas;
    fields.add("master_host", &primary.host);
    fields.add("master_port", primary.port);
    fields.add("master_link_status", if is_up { "up" } else { "down" });
    fields.add("master_last_io_seconds_ago", if is_up { heard_s } else { -1 });
    fields.add("master_sync_in_progress", u8::from(link.phase == Phase::Sync));
    let unapplied = server.replication.link.unapplied_bytes.load(Ordering::Relaxed);
    fields.add("slave_read_repl_offset", offset + unapplied);
    fields.add("slave_repl_offset", offset);
    // What comes while a snapshot is loaded waits at the primary.
    fields.add_zeros(&["replica_full_sync_buffer_size", "replica_full_sync_buffer_peak"]);
    fields.add("master_current_sync_attempts", link.n_attempts);
    fields.add("master_total_sync_attempts", link.n_attempts_ever);
    if link.phase == Phase::Sync {
        show_transfer(fields, link.transfer, heard_s);
    }
    let is_lost = !is_up && link.down_since_ms != 0;
    let down_ms = if is_lost { now_ms - link.down_since_ms } else { 0 };
    if is_up {
        fields.add("master_link_up_since_seconds", (now_ms - link.up_since_ms) / 1000);
    } else {
        fields.add("master_link_down_since_seconds", if is_lost { down_ms / 1000 } else { -1 });
    }
    fields.add("total_disconnect_time_sec", (link.down_total_ms + down_ms) / 1000);
    fields.add("slave_priority", fields.config.replica_priority);
    fields.add("slave_read_only", u8::from(fields.config.replica_read_only));
    fields.add("replica_announced", u8::from(fields.config.replica_announced));
}

fn show_transfer(fields: &mut Fields, transfer: Transfer, heard_s: i64) {
    let Transfer { total_bytes, read_bytes } = transfer;
    let percent =
        if total_bytes == 0 { 0.0 } else { read_bytes as f64 / total_bytes as f64 * 100.0 };
    fields.add("master_sync_total_bytes", total_bytes);
    fields.add("master_sync_read_bytes", read_bytes);
    fields.add("master_sync_left_bytes", total_bytes as i64 - read_bytes as i64);
    fields.add("master_sync_perc", format!("{percent:.2}"));
    fields.add("master_sync_last_io_seconds_ago", heard_s);
}

fn describe(replica: &Replica, now_ms: i64) -> String {
    format!(
        "ip={},port={},state={},offset={},lag={}",
        replica.ip(),
        replica.introduction.listening_port,
        replica.state_name(),
        replica.acked.load(Ordering::Relaxed),
        replica.shown_lag_s(now_ms)
    )
}
