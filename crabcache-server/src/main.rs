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
    use std::collections::HashSet;

    /// They ask for an alignment of 16, and read so much at once: without it this test ends the process.
    #[test]
    fn hash_sets_of_any_size_are_aligned() {
        // Three elements take 52 bytes.
        let sets: Vec<HashSet<u64>> = (0..1000)
            .map(|number| (0..number % 100).collect())
            .chain((0..99).map(|_| (0..3).collect()))
            .collect();
        for set in &sets {
            assert_eq!(set.iter().sum::<u64>(), (0..set.len() as u64).sum::<u64>());
        }
    }
}
