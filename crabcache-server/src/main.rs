//! The `crabcache-server` program.

use crabcache_server::config::{Config, Param};
use crabcache_server::net::listener;
use crabcache_server::net::worker::Worker;
use crabcache_server::server::Server;
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut config = Config::default();
    let mut args = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        if let Some(param) = Param::find(name.trim_start_matches("--")) {
            (param.set)(&mut config, &[value]).expect("parameter");
        }
    }
    let server = Arc::new(Server::new(config).expect("configuration"));
    let workers: Arc<[Worker]> =
        (0..server.n_workers).map(|i| Worker::start(server.clone(), i).expect("worker")).collect();
    server.lazyfree.start();
    let cron = server.clone();
    std::thread::spawn(move || crabcache_server::cron::run(&cron));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("rt");
    runtime.block_on(async {
        let config = server.config.get();
        for listener in listener::listen_tcp(&config).expect("listen") {
            tokio::spawn(listener::accept_tcp(server.clone(), workers.clone(), listener));
        }
        tokio::signal::ctrl_c().await.ok();
    });
    ExitCode::SUCCESS
}
