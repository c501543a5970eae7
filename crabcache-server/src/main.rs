//! The `crabcache-server` program.

use crabcache_store::structures::by_eight::ByEight;
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: ByEight<Jemalloc> = ByEight(Jemalloc);

fn main() -> ExitCode {
    crabcache_server::start::main()
}
