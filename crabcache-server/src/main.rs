//! The `crabcache-server` program.

use crabcache_store::structures::by_eight::ByEight;
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: ByEight<Jemalloc> = ByEight(Jemalloc);

fn main() -> ExitCode {
    crabcache_server::start::main()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    /// They ask for an alignment of 16 and read so much at once, wherever they are.
    #[test]
    fn hash_maps_of_any_size_are_aligned() {
        let mut maps = Vec::new();
        for n in 1..60u64 {
            for _ in 0..20 {
                let map: HashMap<u64, u64> = (0..n).map(|key| (key, key)).collect();
                // What is between them takes 24 bytes.
                maps.push((map, Box::new([n; 3])));
            }
        }
        for (map, _) in &maps {
            assert_eq!(map.values().sum::<u64>(), (0..map.len() as u64).sum());
        }
    }
}
