//! Up to where collections keep their compact encodings: the parameters `*-max-listpack-*` and
//! their like.

/// Limits of all types. A value or element beyond one of them makes a collection change its
/// encoding, at the next change of the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fields of a hash in a listpack.
    pub hash_listpack_entries_max: usize,
    /// Bytes of each of its fields and values.
    pub hash_listpack_value_bytes_max: usize,
    /// Elements (positive) or a class of bytes (-1 to -5) of a list's node.
    pub list_listpack_size_max: i32,
    /// Nodes at either end of a list that are not compressed; 0: none is.
    pub list_compress_depth: usize,
    /// Members of a set of integers.
    pub set_intset_entries_max: usize,
    /// Members of a set in a listpack.
    pub set_listpack_entries_max: usize,
    /// Bytes of each of them.
    pub set_listpack_value_bytes_max: usize,
    /// Members of a sorted set in a listpack.
    pub zset_listpack_entries_max: usize,
    /// Bytes of each of them.
    pub zset_listpack_value_bytes_max: usize,
    /// Bytes of a stream's node; 0: no limit.
    pub stream_node_bytes_max: usize,
    /// Entries of a stream's node; 0: no limit.
    pub stream_node_entries_max: usize,
}

impl Default for Limits {
    /// Those of the reference.
    fn default() -> Self {
        Limits {
            hash_listpack_entries_max: 512,
            hash_listpack_value_bytes_max: 64,
            list_listpack_size_max: -2,
            list_compress_depth: 0,
            set_intset_entries_max: 512,
            set_listpack_entries_max: 128,
            set_listpack_value_bytes_max: 64,
            zset_listpack_entries_max: 128,
            zset_listpack_value_bytes_max: 64,
            stream_node_bytes_max: 4096,
            stream_node_entries_max: 100,
        }
    }
}
