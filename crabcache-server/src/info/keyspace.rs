//! The section about keys.

use super::Fields;

pub(super) fn keyspace(fields: &mut Fields) {
    let server = fields.server;
    for db in 0..server.keyspace.n_databases() {
        let size = server.keyspace.size(db);
        if size.n_keys == 0 {
            continue;
        }
        let avg_ttl_ms = server.active_expire.avg_ttl_ms(db);
        let text = format!(
            "keys={},expires={},avg_ttl={avg_ttl_ms},subexpiry={}",
            size.n_keys, size.n_expires, size.n_subexpires
        );
        fields.add(&format!("db{db}"), text);
    }
}
