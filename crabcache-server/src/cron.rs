//! Background work that is due again and again, on a thread of its own, `hz` times a second.
//!
//! It has a gate of its own, so it locks stripes like any worker and holds up nobody for long.

use crate::persistence::aof::rewrite;
use crate::persistence::due;
use crate::server::Server;
use crate::{client_eviction, eviction, expire, replication, shutdown, tracking};
use crabcache_store::{Trace, Walk};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is done at each tick. Each must be short, or bound its own work.
const TASKS: &[fn(&Server)] = &[
    end_pause,
    shutdown::tick,
    expire::slow_cycle,
    sample,
    measure_tables,
    check_clients,
    |server| server.migration.kept.close_old(server),
    eviction::cycle,
    due::save_if_due,
    rewrite::begin_if_due,
    replication::cron::tick,
    tracking::settle,
];

/// Ticks until the server stops. Runs on a thread of its own.
pub fn run(server: &Arc<Server>) {
    while !server.is_stopping() {
        let began_ns = server.clock.elapsed_ns();
        if !server.is_cron_paused.load(Ordering::Relaxed) {
            TASKS.iter().for_each(|task| task(server));
            server.memory.used.note();
        }
        let took_ns = server.clock.elapsed_ns().saturating_sub(began_ns);
        server.stats.begin(server.cron_worker()).count_cycle(took_ns, 0);
        let hz = u32::try_from(server.config.get().hz).unwrap_or(10).max(1);
        wait(server, Duration::from_secs(1) / hz);
    }
}

/// Sleeps until the next tick. While there is much to expire, cycles go on in between.
fn wait(server: &Server, tick: Duration) {
    let end = server.clock.elapsed() + tick;
    loop {
        let rest = end.saturating_sub(server.clock.elapsed());
        if rest.is_zero() {
            return;
        }
        let pause = match server.is_cron_paused.load(Ordering::Relaxed) {
            true => rest,
            false => expire::fast_cycle(server).unwrap_or(rest),
        };
        std::thread::sleep(pause.min(end.saturating_sub(server.clock.elapsed())));
    }
}

/// Ends CLIENT PAUSE when its time has come.
fn end_pause(server: &Server) {
    if server.conditions.unpause_if_due(server.clock.unix_ms()) {
        server.resume_paused();
    }
}

/// Takes the samples that INFO's rates are made of, and looks at memory.
fn sample(server: &Server) {
    let usage = server.memory.look(server.clock.unix_ms() / 1000);
    let are_wanted = server.config.get().huge_pages;
    server.memory.huge_pages.adjust(&usage, are_wanted, server.is_loading());
    let now_ms = u64::try_from(server.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    server.stats.sample_rates(now_ms);
}

/// Finds out, once a second, how much memory the keyspace's tables take.
fn measure_tables(server: &Server) {
    let now_ms = server.clock.unix_ms();
    if !server.memory.tables_are_due(now_ms) {
        return;
    }
    let config = server.config.get();
    let (env, trace) = (server.env(&config), Trace::default());
    let mut pass = server.keyspace.enter(server.cron_worker());
    let mut walk = Walk::stepwise(&mut pass, &env, &trace);
    let used = (0..server.keyspace.n_databases()).filter(|db| server.keyspace.size(*db).n_keys > 0);
    server.memory.note_tables(used.map(|db| walk.tables(db).mem_bytes).sum());
}

/// Cuts clients that are idle for too long, do not take their output, or take too much memory.
fn check_clients(server: &Server) {
    let config = server.config.get();
    server.clients.check_some(server, &config);
    client_eviction::enforce(server, &config);
}
