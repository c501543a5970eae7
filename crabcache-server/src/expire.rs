//! Keys whose time has come: removal of those that commands met, and the active expire cycle, which
//! finds those that nobody asks for.
//!
//! The cycle runs on the cron thread. It goes through the databases in turn and through the stripes
//! of each, passing over stripes that cannot hold an expired key. Its time is bounded: a share of
//! each tick, and only a small part of that where little comes of it. When a cycle had to end before
//! its time, short ones follow between the ticks.

mod own;

use crate::blocking::keys;
use crate::config::Config;
use crate::notify::Event;
use crate::server::Server;
use crate::tracking;
use crabcache_store::{Env, Expired, Gone, Key, Locked, Mode, Pass, Swept, Trace, WriteDb};
use own::OwnKeys;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Time between the beginnings of two fast cycles, in multiples of the time that one may take.
const FAST_PERIOD_FACTOR: u64 = 2;
/// Buckets that are swept before the stripe is given up.
const N_BUCKETS: usize = 32;
/// Keys looked at, at least, to estimate how long keys live.
const N_SAMPLES_MIN: usize = 20;
/// A database in which little has expired gets this part of the cycle's time.
const FRUGAL_DIVISOR: u64 = 16;
/// Weight of the newest estimate of the average TTL, and of the share of stale keys.
const AVG_TTL_WEIGHT: f64 = 0.02;
const STALE_WEIGHT: f64 = 0.05;

/// What `active-expire-effort` decides. The figures are the reference's.
struct Effort {
    /// Share of a tick that a slow cycle may take.
    slow_percent: u64,
    /// Time that a fast cycle may take.
    fast_ns: u64,
    /// Share of expired keys that is not worth more than the frugal part of the time.
    acceptable_stale_percent: usize,
}

impl Effort {
    fn of(config: &Config) -> Effort {
        let effort = u64::try_from(config.active_expire_effort - 1).unwrap_or(0).min(9);
        Effort {
            slow_percent: 25 + 2 * effort,
            fast_ns: 1_000_000 + 250_000 * effort,
            acceptable_stale_percent: 10 - effort as usize,
        }
    }
}

/// The cycle's switch, its estimates, and where it goes on.
#[derive(Debug)]
pub struct ActiveExpire {
    is_enabled: AtomicBool,
    avg_ttl_ms: Box<[AtomicI64]>,
    /// An `f64`, 0..1.
    stale_share: AtomicU64,
    progress: Mutex<Progress>,
    /// Keys of a replica's own.
    pub own: OwnKeys,
}

#[derive(Debug)]
struct Progress {
    next_db: usize,
    /// By database.
    next_stripe: Box<[u32]>,
    /// The last cycle ended because its time was up.
    was_cut: bool,
    /// When the last fast cycle began: on the clock's elapsed time.
    fast_began_ns: u64,
}

impl ActiveExpire {
    /// A cycle that has not begun.
    pub fn new(n_databases: usize) -> ActiveExpire {
        let progress = Progress {
            next_db: 0,
            next_stripe: vec![0; n_databases].into(),
            was_cut: false,
            fast_began_ns: 0,
        };
        ActiveExpire {
            is_enabled: AtomicBool::new(true),
            avg_ttl_ms: (0..n_databases).map(|_| AtomicI64::new(0)).collect(),
            stale_share: AtomicU64::new(0f64.to_bits()),
            progress: Mutex::new(progress),
            own: OwnKeys::default(),
        }
    }

    /// Turns the cycle on or off (DEBUG SET-ACTIVE-EXPIRE).
    pub fn enable(&self, is_enabled: bool) {
        self.is_enabled.store(is_enabled, Ordering::Relaxed);
    }

    /// Whether the cycle is on.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled.load(Ordering::Relaxed)
    }

    /// How long keys of a database still have on average, estimated; 0 if nothing is known.
    pub fn avg_ttl_ms(&self, db: usize) -> i64 {
        self.avg_ttl_ms[db].load(Ordering::Relaxed)
    }

    /// Share of keys with an expiry that have expired and are still there, in percent, estimated:
    /// INFO's `expired_stale_perc`.
    pub fn stale_percent(&self) -> f64 {
        f64::from_bits(self.stale_share.load(Ordering::Relaxed)) * 100.0
    }

    /// A database was emptied.
    pub fn forget(&self, db: usize) {
        self.avg_ttl_ms[db].store(0, Ordering::Relaxed);
    }

    /// Two databases were exchanged.
    pub fn swap(&self, first: usize, second: usize) {
        let (ttl1, ttl2) = (self.avg_ttl_ms(first), self.avg_ttl_ms(second));
        self.avg_ttl_ms[first].store(ttl2, Ordering::Relaxed);
        self.avg_ttl_ms[second].store(ttl1, Ordering::Relaxed);
    }

    fn note_ttl(&self, db: usize, swept: &Swept) {
        let n_alive = (swept.n_sampled - swept.n_expired) as i64;
        if n_alive > 0 {
            let (old, new) = (self.avg_ttl_ms(db), swept.ttl_sum_ms / n_alive);
            let avg =
                if old == 0 { new } else { mix(old as f64, new as f64, AVG_TTL_WEIGHT) as i64 };
            self.avg_ttl_ms[db].store(avg, Ordering::Relaxed);
        }
    }

    fn note_stale(&self, swept: &Swept) {
        let n_known = swept.n_sampled + swept.n_passed;
        let share = if n_known == 0 { 0.0 } else { swept.n_expired as f64 / n_known as f64 };
        let old = f64::from_bits(self.stale_share.load(Ordering::Relaxed));
        let share = mix(old, share, STALE_WEIGHT);
        self.stale_share.store(share.to_bits(), Ordering::Relaxed);
    }
}

fn mix(old: f64, new: f64, weight: f64) -> f64 {
    old * (1.0 - weight) + new * weight
}

/// The cycle of each tick.
pub fn slow_cycle(server: &Server) {
    let config = server.config.get();
    let tick_ns = 1_000_000_000 / u64::try_from(config.hz).unwrap_or(10).max(1);
    let effort = Effort::of(&config);
    let limit_ns = tick_ns * effort.slow_percent / 100;
    if server.active_expire.is_enabled() {
        own::cycle(server, &config);
    }
    cycle(server, &config, &effort, &mut server.active_expire.progress.lock(), limit_ns);
}

/// A short cycle between ticks, if there is reason for one. Returns how long to wait before the
/// next; `None` if the next tick is early enough.
pub fn fast_cycle(server: &Server) -> Option<Duration> {
    let config = server.config.get();
    let effort = Effort::of(&config);
    let mut progress = server.active_expire.progress.lock();
    let stale_percent = server.active_expire.stale_percent();
    if !is_active(server)
        || (!progress.was_cut && stale_percent < effort.acceptable_stale_percent as f64)
    {
        return None;
    }
    let period_ns = effort.fast_ns * FAST_PERIOD_FACTOR;
    let now_ns = server.clock.elapsed_ns();
    if now_ns >= progress.fast_began_ns + period_ns {
        progress.fast_began_ns = now_ns;
        cycle(server, &config, &effort, &mut progress, effort.fast_ns);
    }
    Some(Duration::from_nanos(period_ns))
}

fn is_active(server: &Server) -> bool {
    let is_paused = server.conditions.is_paused(true, server.clock.unix_ms());
    // What is loaded must stay: commands that follow were made with it in view.
    let is_held = is_paused || server.is_loading() || server.conditions.is_replica();
    server.active_expire.is_enabled() && !is_held
}

fn cycle(
    server: &Server,
    config: &Arc<Config>,
    effort: &Effort,
    progress: &mut Progress,
    limit_ns: u64,
) {
    if !is_active(server) {
        return;
    }
    let began_ns = server.clock.elapsed_ns();
    let mut total = Swept::default();
    let n_databases = server.keyspace.n_databases();
    progress.was_cut = false;
    for _ in 0..n_databases {
        let db = progress.next_db;
        progress.next_db = (db + 1) % n_databases;
        let size = server.keyspace.size(db);
        if size.n_expires == 0 {
            server.active_expire.forget(db);
        }
        if size.n_expires == 0 && size.n_subexpires == 0 {
            continue;
        }
        let deadline_ns = began_ns + limit_ns;
        let frugal_ns = server.clock.elapsed_ns() + limit_ns / FRUGAL_DIVISOR;
        let next_stripe = &mut progress.next_stripe[db];
        let (swept, is_cut) = sweep(server, config, db, next_stripe, |swept| {
            let now_ns = server.clock.elapsed_ns();
            let n_expired = swept.n_expired + swept.n_fields_expired;
            let n_sampled = swept.n_sampled + swept.n_fields_sampled;
            let is_poor = n_expired * 100 <= n_sampled * effort.acceptable_stale_percent;
            match now_ns {
                _ if now_ns > deadline_ns => Next::Cut,
                _ if now_ns > frugal_ns && is_poor => Next::Enough,
                _ => Next::GoOn,
            }
        });
        server.active_expire.note_ttl(db, &swept);
        add(&mut total, &swept);
        if is_cut {
            progress.was_cut = true;
            server.stats.expired_time_cap_reached_count.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    tracking::settle(server);
    server.active_expire.note_stale(&total);
    let took_us = server.clock.elapsed_ns().saturating_sub(began_ns) / 1000;
    server.stats.expire_cycle_cpu_microseconds.fetch_add(took_us, Ordering::Relaxed);
    server.note_latency("expire-cycle", took_us / 1000);
}

/// What a sweep does next.
enum Next {
    GoOn,
    /// The rest is not worth it.
    Enough,
    /// There is no more time.
    Cut,
}

/// Sweeps the stripes of a database once, from `next_stripe` on, until `next` ends it. Returns
/// whether it was cut short.
fn sweep(
    server: &Server,
    config: &Arc<Config>,
    db: usize,
    next_stripe: &mut u32,
    next: impl Fn(&Swept) -> Next,
) -> (Swept, bool) {
    let mut pass = server.keyspace.enter(server.cron_worker());
    let n_stripes = server.keyspace.n_stripes() as u32;
    let now_ms = server.clock.unix_ms();
    let is_lazy = config.lazyfree_lazy_expire;
    let (mut sum, mut n_seen) = (Swept::default(), 0);
    let trace = Trace::default();
    while n_seen < n_stripes {
        pass.give_way();
        // Somebody may have made this server a replica, or paused it.
        if !is_active(server) {
            return (sum, false);
        }
        let wants_sample = sum.n_sampled < N_SAMPLES_MIN;
        let swept = pass.sweep_expired(
            *next_stripe,
            db,
            now_ms,
            N_BUCKETS,
            wants_sample,
            |what, is_waited_for| {
                let entry = match what {
                    Expired::Key(entry) => {
                        tell(server, db, entry.key(), is_lazy);
                        Some(entry)
                    }
                    Expired::Fields { key, names, emptied } => {
                        tell_fields(server, db, key, names, emptied.is_some());
                        emptied
                    }
                };
                if let Some(entry) = entry {
                    if is_waited_for {
                        trace.note_ready(db, entry.key());
                    }
                    server.lazyfree.free(entry, is_lazy);
                }
            },
        );
        if !trace.ready.borrow().is_empty() {
            keys::serve_ready(server, config, server.cron_worker(), &mut pass, &trace);
        }
        add(&mut sum, &swept);
        if swept.n_buckets < N_BUCKETS {
            *next_stripe = (*next_stripe + 1) % n_stripes;
            n_seen += 1;
        }
        if swept.n_buckets > 0 {
            match next(&sum) {
                Next::GoOn => {}
                Next::Enough => return (sum, false),
                Next::Cut => return (sum, true),
            }
        }
    }
    // Begin elsewhere the next time: samples come from the first stripes.
    *next_stripe = (*next_stripe + 1) % n_stripes;
    (sum, false)
}

fn add(sum: &mut Swept, swept: &Swept) {
    sum.n_buckets += swept.n_buckets;
    sum.n_sampled += swept.n_sampled;
    sum.n_expired += swept.n_expired;
    sum.n_passed += swept.n_passed;
    sum.n_fields_sampled += swept.n_fields_sampled;
    sum.n_fields_expired += swept.n_fields_expired;
    sum.ttl_sum_ms = sum.ttl_sum_ms.saturating_add(swept.ttl_sum_ms);
}

/// Tells of the keys that a command's views have removed, and forgets them.
pub fn tell_removed(server: &Server, trace: &Trace) {
    let is_lazy = server.config.get().lazyfree_lazy_expire;
    trace.expired.borrow_mut().retain(|expired| {
        if expired.is_removed {
            match &expired.what {
                Gone::Key => tell(server, expired.db, &expired.key, is_lazy),
                Gone::Fields { names, is_emptied } => {
                    // They go with the command; elsewhere each goes by itself.
                    let _unit = server.unit_if(server.interests.get(), || names.len() > 1);
                    tell_fields(server, expired.db, &expired.key, names, *is_emptied);
                }
            }
        }
        !expired.is_removed
    });
}

/// Tells that a key has expired, while its stripe is held.
fn tell(server: &Server, db: usize, key: &[u8], is_lazy: bool) {
    server.stats.expired_keys.fetch_add(1, Ordering::Relaxed);
    server.notify(db, key, Event::EXPIRED);
    server.propagate_removal(db, key, is_lazy);
}

/// Tells that fields of a hash have expired, while its stripe is held.
fn tell_fields(server: &Server, db: usize, key: &[u8], names: &[Box<[u8]>], is_emptied: bool) {
    server.stats.expired_subkeys.fetch_add(names.len() as u64, Ordering::Relaxed);
    // Each by itself, as the reference does it, unless a command has met them.
    for name in names {
        server.propagate_field_removal(db, key, name);
    }
    tracking::invalidate(server, key, None);
    server.notify(db, key, Event::HEXPIRED);
    if is_emptied {
        server.notify(db, key, Event::DEL);
    }
}

/// Removes what readers met of a key that had expired.
fn remove(db: &mut WriteDb<'_, '_>, key: &Key<'_>, what: &Gone) {
    match what {
        Gone::Key => db.expire_if_due(key),
        Gone::Fields { names, .. } => {
            // What is no hash any more has no such fields.
            let _ = db.expire_fields(key, names.iter().map(|name| &**name));
        }
    }
}

/// Removes the expired keys and fields that readers met, unless they have changed meanwhile.
#[cold]
pub fn remove_met(server: &Server, pass: &mut Pass<'_>, env: &Env, trace: &Trace) {
    for expired in trace.expired.take() {
        let key = server.keyspace.key(&expired.key);
        let mut locked = pass.lock_one(key.stripe(), Mode::Write);
        remove(&mut locked.write(expired.db, env, trace), &key, &expired.what);
        tell_removed(server, trace);
    }
}

/// The same inside a transaction, which holds the stripes for writing.
#[cold]
pub fn remove_met_locked(server: &Server, locked: &mut Locked<'_>, env: &Env, trace: &Trace) {
    for expired in trace.expired.take() {
        let key = server.keyspace.key(&expired.key);
        remove(&mut locked.write(expired.db, env, trace), &key, &expired.what);
    }
    tell_removed(server, trace);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    /// Sets `n` keys that expire after `ms`.
    fn fill(t: &mut TestServer, db: usize, n: usize, ms: i64) {
        let mut client = t.client();
        client.client.select(db);
        for number in 0..n {
            t.run_as(&mut client, &format!("SET key:{number}:{ms} v PX {ms}"));
        }
        t.events();
        t.propagated();
    }

    fn n_keys(t: &TestServer, db: usize) -> usize {
        t.server.keyspace.size(db).n_keys
    }

    /// One cycle of so many nanoseconds.
    fn run(t: &TestServer, limit_ns: u64) {
        run_on(&t.server, limit_ns);
    }

    fn run_on(server: &Server, limit_ns: u64) {
        let config = server.config.get();
        let mut progress = server.active_expire.progress.lock();
        cycle(server, &config, &Effort::of(&config), &mut progress, limit_ns);
    }

    #[test]
    fn a_walk_in_a_transaction_may_leave_alone_what_has_expired() {
        let mut t = TestServer::with_config(&[("lazyexpire-nested-arbitrary-keys", "no")]);
        fill(&mut t, 0, 1, 5);
        t.advance_ms(10);
        for line in ["MULTI", "SCAN 0", "EXEC", "EVAL 'return redis.call(\"SCAN\", 0)' 0"] {
            assert!(!t.run(line).contains("key:"), "{line}");
        }
        assert_eq!((n_keys(&t, 0), t.propagated().len()), (1, 0));
        t.run("SCAN 0");
        assert_eq!((n_keys(&t, 0), t.propagated().len()), (0, 1));
    }

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn the_cycle_finds_what_nobody_asks_for() {
        let mut t = TestServer::new();
        for db in [0, 1, 15] {
            fill(&mut t, db, 1, 10);
            fill(&mut t, db, 1, 100_000);
        }
        run(&t, SECOND_NS);
        assert!(t.events().is_empty());
        t.advance_ms(20);
        run(&t, SECOND_NS);
        let mut events = t.events();
        events.sort();
        assert_eq!(events, ["expired key:0:10", "expired key:0:10@1", "expired key:0:10@15"]);
        let mut propagated = t.propagated();
        propagated.sort();
        assert_eq!(propagated, ["@1 DEL key:0:10", "@15 DEL key:0:10", "DEL key:0:10"]);
        assert_eq!(t.server.stats.expired_keys.load(Ordering::Relaxed), 3);
        assert_eq!([0, 1, 15].map(|db| n_keys(&t, db)), [1, 1, 1]);
        assert!(t.server.stats.expire_cycle_cpu_microseconds.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn the_cycle_can_be_turned_off_and_stops_while_writes_are_paused() {
        let mut t = TestServer::new();
        fill(&mut t, 0, 3, 10);
        t.advance_ms(20);
        t.server.active_expire.enable(false);
        run(&t, SECOND_NS);
        assert_eq!((n_keys(&t, 0), fast_cycle(&t.server)), (3, None));
        t.server.active_expire.enable(true);
        t.server.conditions.pause(i64::MAX, false, 0);
        run(&t, SECOND_NS);
        // Nobody sees the keys, and nobody removes them; RANDOMKEY gives one rather than none.
        t.check_all(&[("GET key:0:10", "nil"), ("DBSIZE", ":3")]);
        assert!(t.run("RANDOMKEY").starts_with("\"key:"));
        t.server.conditions.unpause();
        run(&t, SECOND_NS);
        assert_eq!(n_keys(&t, 0), 0);
    }

    #[test]
    fn a_cycle_ends_when_a_primary_is_followed() {
        let mut t = TestServer::new();
        fill(&mut t, 0, 100, 10);
        t.advance_ms(20);
        let server = &*t.server;
        std::thread::scope(|scope| {
            let mut pass = server.keyspace.enter(0);
            let first = pass.lock_one(0, Mode::Write);
            let cycle = scope.spawn(|| run_on(server, SECOND_NS));
            std::thread::sleep(Duration::from_millis(50));
            server.conditions.set_replica(true);
            drop(first);
            cycle.join().unwrap();
        });
        assert!(n_keys(&t, 0) > 90);
    }

    #[test]
    fn a_cycle_whose_time_is_up_goes_on_with_the_next_database() {
        let mut t = TestServer::new();
        fill(&mut t, 0, 3000, 10);
        fill(&mut t, 1, 3000, 10);
        t.advance_ms(20);
        let n_cut = || t.server.stats.expired_time_cap_reached_count.load(Ordering::Relaxed);
        run(&t, 0);
        assert!(n_keys(&t, 0) < 3000 && n_keys(&t, 1) == 3000);
        run(&t, 0);
        assert!(n_keys(&t, 0) > 2000 && n_keys(&t, 1) < 3000);
        assert_eq!(n_cut(), 2);
        // Much has expired, and the last cycle was cut: there are cycles between the ticks.
        while fast_cycle(&t.server).is_some() {
            std::thread::sleep(Duration::from_micros(100));
        }
        assert!(n_keys(&t, 0) + n_keys(&t, 1) < 4000);
        run(&t, SECOND_NS);
        assert_eq!(n_keys(&t, 0) + n_keys(&t, 1), 0);
    }

    #[test]
    fn where_little_has_expired_little_time_is_spent() {
        let mut t = TestServer::new();
        fill(&mut t, 0, 5000, 100_000);
        fill(&mut t, 0, 50, 10);
        t.advance_ms(20);
        // All the time in the world, but none of it for a database in which little comes of it.
        run(&t, FRUGAL_DIVISOR - 1);
        assert!(n_keys(&t, 0) > 5000);
        for _ in 0..2000 {
            run(&t, FRUGAL_DIVISOR - 1);
        }
        assert_eq!(n_keys(&t, 0), 5000);
    }

    #[test]
    fn effort_raises_the_limits() {
        let effort = |value| {
            let t = TestServer::with_config(&[("active-expire-effort", value)]);
            let effort = Effort::of(&t.server.config.get());
            (effort.slow_percent, effort.fast_ns, effort.acceptable_stale_percent)
        };
        assert_eq!(effort("1"), (25, 1_000_000, 10));
        assert_eq!(effort("10"), (43, 3_250_000, 1));
    }

    #[test]
    fn ttls_and_stale_keys_are_estimated() {
        let mut t = TestServer::new();
        fill(&mut t, 0, 500, 50_000);
        let ttl = |t: &TestServer, db| t.server.active_expire.avg_ttl_ms(db);
        assert_eq!(ttl(&t, 0), 0);
        run(&t, SECOND_NS);
        assert!((49_000..=50_000).contains(&ttl(&t, 0)), "{}", ttl(&t, 0));
        t.check_all(&[("SWAPDB 0 2", "+OK")]);
        assert!(ttl(&t, 0) == 0 && ttl(&t, 2) > 0);
        t.check_all(&[("SWAPDB 0 2", "+OK"), ("FLUSHALL", "+OK")]);
        assert_eq!((ttl(&t, 0), ttl(&t, 2)), (0, 0));

        fill(&mut t, 0, 500, 10);
        t.advance_ms(20);
        assert_eq!(t.server.active_expire.stale_percent(), 0.0);
        run(&t, SECOND_NS);
        assert!((t.server.active_expire.stale_percent() - 5.0).abs() < 0.1);
        run(&t, SECOND_NS);
        assert!((t.server.active_expire.stale_percent() - 4.75).abs() < 0.1);
    }

    #[test]
    fn the_cycle_tells_watchers() {
        let mut t = TestServer::new();
        t.check_all(&[("SET k v PX 10", "+OK"), ("WATCH k", "+OK"), ("MULTI", "+OK")]);
        t.advance_ms(20);
        run(&t, SECOND_NS);
        t.check("EXEC", "nil");
    }
}
