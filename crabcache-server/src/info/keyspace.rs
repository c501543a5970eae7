//! The sections about keys.

use super::Fields;
use crabcache_store::types::{hash::Hash, list::List, set::Set, zset::ZSet};
use crabcache_store::{Entry, Kind};
use std::fmt::Write;

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

/// One for nothing, and one for each power of two.
const N_BINS: usize = 65;
/// What sizes of are told of: the type's number, and the field's name.
const SIZED: &[(Kind, &str)] = &[
    (Kind::String, "strings_sizes"),
    (Kind::List, "lists_items"),
    (Kind::Set, "sets_items"),
    (Kind::ZSet, "zsets_items"),
    (Kind::Hash, "hashes_items"),
];

/// How many keys have values of what size, by powers of two.
pub(super) fn keysizes(fields: &mut Fields) {
    let keyspace = &fields.server.keyspace;
    for db in (0..keyspace.n_databases()).filter(|db| keyspace.size(*db).n_keys > 0) {
        let mut counts = [[0u64; N_BINS]; SIZED.len()];
        (fields.entries)(db, &mut |entry| {
            if let Some(row) = SIZED.iter().position(|(kind, _)| *kind == entry.kind()) {
                counts[row][bin(len_of(entry))] += 1;
            }
        });
        for ((_, name), counts) in SIZED.iter().zip(counts) {
            let mut text = String::new();
            for (bin, n_keys) in counts.iter().enumerate().filter(|(_, n_keys)| **n_keys > 0) {
                let gap = if text.is_empty() { "" } else { "," };
                // Writing to a `String` does not fail.
                let _ = write!(text, "{gap}{}={n_keys}", label(bin));
            }
            if !text.is_empty() {
                fields.add(&format!("db{db}_distrib_{name}"), text);
            }
        }
    }
}

fn len_of(entry: &Entry) -> usize {
    match entry.kind() {
        Kind::String => entry.string().len(),
        Kind::List => entry.collection::<List>().map_or(0, List::len),
        Kind::Set => entry.collection::<Set>().map_or(0, Set::len),
        Kind::ZSet => entry.collection::<ZSet>().map_or(0, ZSet::len),
        Kind::Hash => entry.collection::<Hash>().map_or(0, Hash::len),
        Kind::Stream | Kind::VectorSet => 0,
    }
}

fn bin(len: usize) -> usize {
    (usize::BITS - len.leading_zeros()) as usize
}

/// The least size of a bin: 0, 1, 2, ... 512, 1K, ...
fn label(bin: usize) -> String {
    const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
    let Some(power) = bin.checked_sub(1) else { return "0".to_string() };
    format!("{}{}", 1 << (power % 10), UNITS[power / 10])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn labels_are_powers_of_two() {
        let cases = [(0, "0"), (1, "1"), (3, "2"), (1023, "512"), (1024, "1K"), (1 << 20, "1M")];
        for (len, expected) in cases {
            assert_eq!(label(bin(len)), expected);
        }
    }

    #[test]
    fn sizes_are_counted_by_type() {
        let mut t = TestServer::new();
        for line in [
            "SET empty ''",
            "MSET a 1 b abcd c abcdefg",
            "RPUSH l 1 2 3",
            "SADD s 1",
            "ZADD z 1 a 2 b",
            "HSET h a b",
            "XADD x * a b",
            "SELECT 3",
            "SET k v",
        ] {
            t.run(line);
        }
        t.check(
            "INFO keysizes",
            "\"# Keysizes\\r\\ndb0_distrib_strings_sizes:0=1,1=1,4=2\\r\\n\
             db0_distrib_lists_items:2=1\\r\\ndb0_distrib_sets_items:1=1\\r\\n\
             db0_distrib_zsets_items:2=1\\r\\ndb0_distrib_hashes_items:1=1\\r\\n\
             db3_distrib_strings_sizes:1=1\\r\\n\"",
        );
        t.check_all(&[("MULTI", "+OK"), ("INFO nosuch", "+QUEUED"), ("EXEC", "[\"\"]")]);
    }
}
