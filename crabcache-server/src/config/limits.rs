//! The limits of compact encodings, as the store takes them.

use super::Config;
use crabcache_store::Limits;

impl Config {
    /// Up to where collections keep their compact encodings.
    #[inline]
    pub fn limits(&self) -> Limits {
        // The rows do not admit a negative number; one that does not fit is as good as no limit.
        let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            hash_listpack_entries_max: size(self.hash_max_listpack_entries),
            hash_listpack_value_bytes_max: size(self.hash_max_listpack_value),
            list_listpack_size_max: i32::try_from(self.list_max_listpack_size).unwrap_or(i32::MAX),
            list_compress_depth: size(self.list_compress_depth),
            set_intset_entries_max: size(self.set_max_intset_entries),
            set_listpack_entries_max: size(self.set_max_listpack_entries),
            set_listpack_value_bytes_max: size(self.set_max_listpack_value),
            zset_listpack_entries_max: size(self.zset_max_listpack_entries),
            zset_listpack_value_bytes_max: size(self.zset_max_listpack_value),
            stream_node_bytes_max: size(self.stream_node_max_bytes),
            stream_node_entries_max: size(self.stream_node_max_entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_store_s() {
        assert_eq!(Config::default().limits(), Limits::default());
    }
}
