//! The section about replication: a primary without replicas, so far.

use super::Fields;

pub(super) fn replication(fields: &mut Fields) {
    fields.add("role", "master");
    fields.add("connected_slaves", 0);
    fields.add("master_failover_state", "no-failover");
    fields.add("master_replid", fields.server.replid());
    fields.add("master_replid2", "0".repeat(40));
    fields.add("master_repl_offset", 0);
    fields.add("second_repl_offset", -1);
    fields.add("repl_backlog_active", 0);
    fields.add("repl_backlog_size", fields.config.repl_backlog_size);
    fields.add_zeros(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"]);
}
