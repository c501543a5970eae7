//! The section about keys.

use super::Fields;

pub(super) fn keyspace(fields: &mut Fields) {
    let keyspace = &fields.server.keyspace;
    for db in 0..keyspace.n_databases() {
        let size = keyspace.size(db);
        if size.n_keys > 0 {
            let text =
                format!("keys={},expires={},avg_ttl=0,subexpiry=0", size.n_keys, size.n_expires);
            fields.add(&format!("db{db}"), text);
        }
    }
}
