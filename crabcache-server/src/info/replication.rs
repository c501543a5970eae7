//! The section about replication.

use super::Fields;
use crate::replication::replicas::Replica;
use std::sync::atomic::Ordering;

pub(super) fn replication(fields: &mut Fields) {
    let server = fields.server;
    let replicas = server.replication.replicas.all();
    fields.add("role", "master");
    fields.add("connected_slaves", replicas.len());
    if fields.config.min_replicas_to_write > 0 && fields.config.min_replicas_max_lag > 0 {
        fields.add("min_slaves_good_slaves", server.replication.replicas.n_good());
    }
    let now_ms = server.clock.unix_ms();
    for (number, replica) in replicas.iter().enumerate() {
        fields.add(&format!("slave{number}"), describe(replica, now_ms));
    }
    fields.add("master_failover_state", "no-failover");
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

fn describe(replica: &Replica, now_ms: i64) -> String {
    format!(
        "ip={},port={},state={},offset={},lag={}",
        replica.ip(),
        replica.introduction.listening_port,
        replica.state_name(),
        replica.acked.load(Ordering::Relaxed),
        replica.lag_s(now_ms)
    )
}
