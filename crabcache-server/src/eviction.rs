//! `maxmemory`: removing keys while the process uses more memory than it may.
//!
//! Before a command runs while memory is full, keys go by `maxmemory-policy`: of some random ones
//! (`maxmemory-samples`) the best is removed, where a pool remembers the best that earlier samples
//! have seen, as the reference does it (<https://antirez.com/news/109>). Each worker has a pool of
//! its own, so that workers make room side by side. Where nothing can be removed, commands that need
//! memory are refused.
//!
//! What is used is what the allocator counts, connections included, but not what waits for slow
//! replicas and for the append-only file, nor messages about removed keys that are on their way: the
//! removal of keys would add to that.

use crate::config::{Config, MaxmemoryPolicy};
use crate::memory::Used;
use crate::notify::Event;
use crate::server::Server;
use crabcache_store::{Entry, Env, Lookup, Mode, Pass, Trace};
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// Keys that a pool remembers.
const POOL_LEN_MAX: usize = 16;
/// Keys tried between two looks at the clock.
const N_BETWEEN_LOOKS: usize = 16;
/// Time for one round per point of `maxmemory-eviction-tenacity`, up to ten.
const NS_BY_TENACITY: u64 = 50_000;

/// Whether there is memory for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Enough, or there will be: more is removed with the next commands.
    Enough,
    /// Too little, and nothing that could be removed.
    None,
}

/// A key that may be removed.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    /// The higher, the better to do without.
    score: u64,
    db: usize,
    key: Box<[u8]>,
}

/// The best candidates of earlier samples, the best last.
#[derive(Debug, Default)]
struct Pool {
    candidates: Vec<Candidate>,
    /// Where the last removal by chance was.
    next_db: usize,
}

impl Pool {
    fn add(&mut self, score: u64, db: usize, key: &[u8]) {
        let index = self.candidates.partition_point(|other| other.score < score);
        if index == 0 && self.candidates.len() == POOL_LEN_MAX {
            return;
        }
        if self.candidates.iter().any(|other| other.db == db && *other.key == *key) {
            return;
        }
        self.candidates.insert(index, Candidate { score, db, key: key.into() });
        if self.candidates.len() > POOL_LEN_MAX {
            self.candidates.remove(0);
        }
    }
}

/// What is remembered between two rounds.
#[derive(Debug)]
pub struct Eviction {
    /// By thread.
    pools: Box<[CachePadded<Mutex<Pool>>]>,
    /// Since when memory has been full; 0: it is not. Nanoseconds on the clock's elapsed time.
    exceeded_since_ns: AtomicI64,
    exceeded_total_ns: AtomicI64,
}

impl Eviction {
    /// With a pool for each thread.
    pub fn new(n_threads: usize) -> Eviction {
        Eviction {
            pools: (0..n_threads).map(|_| CachePadded::default()).collect(),
            exceeded_since_ns: AtomicI64::new(0),
            exceeded_total_ns: AtomicI64::new(0),
        }
    }

    /// Milliseconds for which memory has been full, and of these those of the present time.
    pub fn exceeded_ms(&self, now_ns: u64) -> (i64, i64) {
        let since_ns = self.exceeded_since_ns.load(Ordering::Relaxed);
        let current_ns = if since_ns == 0 { 0 } else { now_ns.cast_signed() - since_ns };
        let total_ns = self.exceeded_total_ns.load(Ordering::Relaxed) + current_ns;
        (total_ns / 1_000_000, current_ns / 1_000_000)
    }

    fn note_exceeded(&self, now_ns: u64, is_exceeded: bool) {
        let now_ns = now_ns.cast_signed();
        let since_ns = self.exceeded_since_ns.load(Ordering::Relaxed);
        if is_exceeded && since_ns == 0 {
            self.exceeded_since_ns.store(now_ns, Ordering::Relaxed);
        } else if !is_exceeded && since_ns != 0 {
            self.exceeded_since_ns.store(0, Ordering::Relaxed);
            self.exceeded_total_ns.fetch_add(now_ns - since_ns, Ordering::Relaxed);
        }
    }
}

/// Whether the process uses more than it may, what the calling thread has done to it included.
#[inline(always)] // on the way of every request
pub fn is_full(server: &Server, config: &Config) -> bool {
    config.maxmemory != 0 && is_beyond_limit(server, config)
}

fn is_beyond_limit(server: &Server, config: &Config) -> bool {
    if config.replica_ignore_maxmemory && server.conditions.is_replica() {
        return false;
    }
    server.memory.used.note();
    excess(server, config) > 0
}

/// Bytes in use beyond the limit.
#[inline]
fn excess(server: &Server, config: &Config) -> i64 {
    let waiting = server.log.bytes_waiting() + server.tracking.passing.bytes() as u64;
    server.memory.used.bytes_here() - waiting.cast_signed() - config.maxmemory
}

/// Makes room on the cron's thread: for what grows without commands, and where none come.
pub fn cycle(server: &Server) {
    let config = server.config.get();
    if is_full(server, &config) {
        let mut pass = server.keyspace.enter(server.cron_worker());
        let env = server.env(&config);
        make_room(server, &config, &mut pass, &env, server.cron_worker());
    } else {
        // Memory may have been freed, or the limit lifted, without anything having to go.
        server.eviction.note_exceeded(server.clock.elapsed_ns(), false);
    }
}

/// Removes keys until there is room or time is up. `worker` is the calling thread's number.
#[cold]
pub fn make_room(
    server: &Server,
    config: &Config,
    pass: &mut Pass<'_>,
    env: &Env,
    worker: usize,
) -> Room {
    let conditions = &server.conditions;
    // While clients are paused, data must not change; what is loaded must stay; and a script that
    // takes long must be the only one who changes anything.
    if conditions.is_paused(true, env.now_ms) || server.is_loading() || conditions.is_busy() {
        return Room::Enough;
    }
    let began_ns = server.clock.elapsed_ns();
    server.eviction.note_exceeded(began_ns, true);
    let deadline_ns = began_ns.saturating_add(time_ns(config.maxmemory_eviction_tenacity));
    pass.release();
    let mut pool = server.eviction.pools[worker].lock();
    // What the removals themselves take, such as messages for those who watch the keys, is not made up
    // for in the same round: it could go on until nothing is left.
    let mut n_tried = 0;
    let mut to_free = excess(server, config);
    let room = loop {
        // Values that another thread frees do not make room at once: nothing else goes for them.
        while server.lazyfree.is_at_work() && server.clock.elapsed_ns() < deadline_ns {
            std::thread::yield_now();
        }
        if to_free <= 0 || !is_full(server, config) {
            server.eviction.note_exceeded(server.clock.elapsed_ns(), false);
            break Room::Enough;
        }
        let Some((db, key)) = choose(server, config, pass, env, &mut pool) else {
            // What is on its way to be freed is room as well.
            break if server.lazyfree.is_at_work() { Room::Enough } else { Room::None };
        };
        to_free -= remove(server, config, pass, env, db, &key);
        n_tried += 1;
        if n_tried % N_BETWEEN_LOOKS == 0 && server.clock.elapsed_ns() > deadline_ns {
            break Room::Enough;
        }
    };
    let took_ns = server.clock.elapsed_ns().saturating_sub(began_ns);
    server.note_latency("eviction-cycle", took_ns / 1_000_000);
    room
}

/// How long one round may take.
fn time_ns(tenacity: i64) -> u64 {
    match u64::try_from(tenacity).unwrap_or(0) {
        tenacity @ 0..=10 => NS_BY_TENACITY * tenacity,
        100.. => u64::MAX,
        // From there on it grows by 15 % with each point, to two minutes.
        tenacity => (500_000.0 * 1.15f64.powf(tenacity as f64 - 10.0)) as u64,
    }
}

/// The key to be removed next; `None` if the policy allows none.
fn choose(
    server: &Server,
    config: &Config,
    pass: &mut Pass<'_>,
    env: &Env,
    pool: &mut Pool,
) -> Option<(usize, Box<[u8]>)> {
    use MaxmemoryPolicy::{
        AllkeysLfu, AllkeysLru, AllkeysRandom, NoEviction, VolatileLfu, VolatileLru,
        VolatileRandom, VolatileTtl,
    };
    let score: fn(&Entry, &Env) -> u64 = match config.maxmemory_policy {
        NoEviction => return None,
        AllkeysRandom => return choose_by_chance(server, pass, pool, false),
        VolatileRandom => return choose_by_chance(server, pass, pool, true),
        AllkeysLru | VolatileLru => |entry, env| u64::from(env.access.idle_s(entry.clock())),
        AllkeysLfu | VolatileLfu => {
            |entry, env| u64::from(u8::MAX - env.access.frequency(entry.clock()))
        }
        VolatileTtl => |entry, _| {
            let at_ms = entry.expire_at_ms().unwrap_or(i64::MAX);
            u64::MAX - u64::try_from(at_ms).unwrap_or(0)
        },
    };
    let only_timed = is_volatile(config.maxmemory_policy);
    let n_samples = usize::try_from(config.maxmemory_samples).unwrap_or(1);
    for db in databases(server, only_timed) {
        sample(server, pass, db, n_samples, only_timed, |entry| {
            pool.add(score(entry, env), db, entry.key());
        });
    }
    pool.candidates.pop().map(|best| (best.db, best.key))
}

fn is_volatile(policy: MaxmemoryPolicy) -> bool {
    use MaxmemoryPolicy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileTtl};
    matches!(policy, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl)
}

/// The databases that have keys which may be removed.
fn databases(server: &Server, only_timed: bool) -> impl Iterator<Item = usize> {
    (0..server.keyspace.n_databases()).filter(move |db| {
        let size = server.keyspace.size(*db);
        if only_timed { size.n_expires > 0 } else { size.n_keys > 0 }
    })
}

fn choose_by_chance(
    server: &Server,
    pass: &mut Pass<'_>,
    pool: &mut Pool,
    only_timed: bool,
) -> Option<(usize, Box<[u8]>)> {
    let all: Vec<usize> = databases(server, only_timed).collect();
    let db = *all.iter().find(|db| **db >= pool.next_db).or(all.first())?;
    pool.next_db = db + 1;
    let mut chosen = None;
    sample(server, pass, db, 1, only_timed, |entry| chosen = Some(entry.key().into()));
    Some((db, chosen?))
}

/// Shows some entries of a random stripe of a database, or of the next one that has any.
fn sample(
    server: &Server,
    pass: &mut Pass<'_>,
    db: usize,
    n_samples: usize,
    only_timed: bool,
    mut visit: impl FnMut(&Entry),
) {
    let n_stripes = server.keyspace.n_stripes() as u32;
    let first = rand::random_range(0..n_stripes);
    let mut n_left = n_samples;
    for step in 0..n_stripes {
        let stripe = (first + step) % n_stripes;
        pass.sample(stripe, db, rand::random(), n_left, only_timed, |entry| {
            n_left -= 1;
            visit(entry);
        });
        if n_left == 0 {
            return;
        }
    }
}

/// Removes a key, unless it has gone meanwhile or may not be removed any more. Gives the bytes that
/// were freed at once.
fn remove(
    server: &Server,
    config: &Config,
    pass: &mut Pass<'_>,
    env: &Env,
    db: usize,
    key: &[u8],
) -> i64 {
    let began_ns = server.clock.elapsed_ns();
    let trace = Trace::default();
    let place = server.keyspace.key(key);
    let Some(mut locked) = pass.try_lock_one(place.stripe(), Mode::Write) else { return 0 };
    let mut view = locked.write(db, env, &trace);
    let only_timed = is_volatile(config.maxmemory_policy);
    let found = view.get(&place, Lookup::Peek).map(|entry| entry.expire_at_ms().is_some());
    let may_go = found.is_some_and(|is_timed| is_timed || !only_timed);
    let entry = if may_go { view.remove(&place) } else { None };
    crate::expire::tell_removed(server, &trace);
    let Some(entry) = entry else { return 0 };
    locked.touch_watchers(db, &place);
    server.stats.evicted_keys.fetch_add(1, Ordering::Relaxed);
    let is_lazy = config.lazyfree_lazy_eviction;
    server.notify(db, key, Event::EVICTED);
    server.propagate_removal(db, key, is_lazy);
    drop(locked);
    let held = Used::held_here();
    server.lazyfree.free(entry, is_lazy);
    let freed = held - Used::held_here();
    let took_ns = server.clock.elapsed_ns().saturating_sub(began_ns);
    server.note_latency("eviction-del", took_ns / 1_000_000);
    freed.max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    const MAXMEMORY: i64 = 1 << 30;

    /// A server whose memory is full.
    fn full(policy: &str, setup: &[&str]) -> TestServer {
        let maxmemory = MAXMEMORY.to_string();
        let params = [
            ("maxmemory", &*maxmemory),
            ("maxmemory-policy", policy),
            ("maxmemory-eviction-tenacity", "100"),
        ];
        let mut t = TestServer::with_config(&params);
        for line in setup {
            assert_eq!(t.run(line), "+OK", "{line}");
        }
        t.events();
        t.propagated();
        t.server.memory.used.pretend(MAXMEMORY + 1);
        t
    }

    const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

    #[test]
    fn without_a_policy_what_needs_memory_is_refused() {
        let mut t = full("noeviction", &["SET a 1"]);
        t.check_all(&[
            ("SET a 2", OOM),
            ("GET a", "\"1\""),
            ("DEL b", ":0"),
            ("MULTI", "+OK"),
            ("GET a", OOM),
            ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ]);
        t.server.memory.used.pretend(MAXMEMORY);
        t.check_all(&[("MULTI", "+OK"), ("SET a 2", "+QUEUED")]);
        t.server.memory.used.pretend(MAXMEMORY + 1);
        t.check("EXEC", &OOM.replace("-OOM", "-EXECABORT Transaction discarded because of: OOM"));
        t.check("GET a", "\"1\"");
    }

    /// Otherwise a replica that stands still would cost the primary its data.
    #[test]
    fn no_key_goes_for_what_waits_for_readers() {
        let mut t = full("allkeys-lru", &["SET a 1", "SET b 1"]);
        t.server.memory.used.pretend(MAXMEMORY - 100);
        t.server.log.collect_for_aof(true);
        t.run("SET a 2");
        let waiting = t.server.log.bytes_waiting().cast_signed();
        t.server.memory.used.pretend(MAXMEMORY + waiting);
        t.check_all(&[("GET a", "\"2\""), ("DBSIZE", ":2")]);
        t.server.memory.used.pretend(MAXMEMORY + waiting + 1);
        t.run("GET a");
        // The removal itself is to be written, which makes up for the byte.
        t.check("DBSIZE", ":1");
    }

    /// Otherwise clients that cache long keys would cost the server all of them.
    #[test]
    fn no_key_goes_for_messages_on_their_way() {
        let long = ["a", "b", "c"].map(|name| name.repeat(1000));
        let mut t = full("allkeys-lru", &[]);
        t.server.memory.used.pretend(0);
        let mut tracker = t.client();
        t.run_as(&mut tracker, "HELLO 3");
        t.run_as(&mut tracker, "CLIENT TRACKING ON");
        for key in &long {
            t.run(&format!("SET {key} 1"));
            t.run_as(&mut tracker, &format!("GET {key}"));
        }
        t.server.memory.used.pretend(MAXMEMORY + 1);
        t.check("DBSIZE", ":2");
        let on_their_way = t.server.tracking.passing.bytes() as i64;
        assert!(on_their_way > 1000, "{on_their_way}");
        t.server.memory.used.pretend(MAXMEMORY + on_their_way);
        t.check("DBSIZE", ":2");
        t.take_mail(&mut tracker);
        assert_eq!(t.server.tracking.passing.bytes(), 0);
        t.server.memory.used.pretend(MAXMEMORY + on_their_way);
        t.check("DBSIZE", ":1");
    }

    #[test]
    fn who_makes_room_learns_of_it_before_the_reply() {
        let mut t = full("allkeys-lru", &["SET a 1"]);
        t.server.memory.used.pretend(0);
        let mut tracker = t.client();
        t.run_as(&mut tracker, "HELLO 3");
        t.run_as(&mut tracker, "CLIENT TRACKING ON");
        t.run_as(&mut tracker, "GET a");
        t.server.memory.used.pretend(MAXMEMORY + 1);
        let input = b"PING\r\nECHO x\r\n";
        let (out, _) = t.send_as(&mut tracker, input);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+PONG\r\n$1\r\nx\r\n");
    }

    #[test]
    fn volatile_policies_leave_keys_without_expiry_alone() {
        for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
            let mut t = full(policy, &["SET a 1", "SET b 2 EX 1000", "SET c 3 EX 2000"]);
            t.check("SET d 4", OOM);
            assert_eq!(t.server.keyspace.size(0).n_keys, 1, "{policy}");
            assert_eq!(t.server.stats.evicted_keys.load(Ordering::Relaxed), 2);
        }
    }

    #[test]
    fn what_is_removed_is_told() {
        let mut t = full("allkeys-random", &["SET a 1"]);
        t.check("GET a", "nil");
        assert_eq!(t.events(), ["evicted a"]);
        assert_eq!(t.propagated(), ["DEL a"]);
    }

    #[test]
    fn the_time_of_full_memory_ends_with_it() {
        let mut t = full("noeviction", &["SET a 1"]);
        t.check("SET a 2", OOM);
        let since_ns = || t.server.eviction.exceeded_since_ns.load(Ordering::Relaxed);
        assert!(since_ns() > 0);
        t.server.memory.used.pretend(0);
        cycle(&t.server);
        assert_eq!(since_ns(), 0);
    }

    #[test]
    fn watchers_learn_of_it() {
        let mut t = full("allkeys-lru", &["SET a 1", "SET b 1"]);
        t.server.memory.used.pretend(0);
        t.check_all(&[("WATCH a", "+OK"), ("MULTI", "+OK"), ("PING", "+QUEUED")]);
        t.server.memory.used.pretend(MAXMEMORY + 1);
        t.check("EXEC", "nil");
    }

    #[test]
    fn all_databases_are_looked_at() {
        let mut t = full("allkeys-lfu", &["SET a 1", "SELECT 7", "SET b 1"]);
        t.check("PING", "+PONG");
        assert_eq!(t.server.keyspace.size(0).n_keys + t.server.keyspace.size(7).n_keys, 0);
    }

    #[test]
    fn a_pool_keeps_the_best() {
        let mut pool = Pool::default();
        for score in (0..100).chain(0..100) {
            pool.add(score, 0, format!("{score}").as_bytes());
        }
        let scores: Vec<u64> = pool.candidates.iter().map(|candidate| candidate.score).collect();
        assert_eq!(scores, (84..100).collect::<Vec<_>>());
        pool.add(3, 0, b"worse");
        assert_eq!(pool.candidates.len(), POOL_LEN_MAX);
        assert_eq!(pool.candidates[0].score, 84);
    }

    #[test]
    fn keys_idle_longest_go_first() {
        let mut t = TestServer::with_config(&[("maxmemory-policy", "allkeys-lru")]);
        for number in 0..200 {
            t.run(&format!("SET old:{number} v"));
        }
        t.advance_ms(100_000);
        for number in 0..200 {
            t.run(&format!("SET new:{number} v"));
        }
        let config = t.server.config.get();
        let env = t.server.env(&config);
        let mut pass = t.server.keyspace.enter(0);
        let mut pool = Pool::default();
        let mut n_old = 0;
        for _ in 0..100 {
            let (_, key) = choose(&t.server, &config, &mut pass, &env, &mut pool).unwrap();
            n_old += usize::from(key.starts_with(b"old:"));
        }
        assert!(n_old > 90, "{n_old}");
    }

    #[test]
    fn tenacity_decides_how_long_it_takes() {
        assert_eq!([0, 1, 10].map(time_ns), [0, 50_000, 500_000]);
        assert!(time_ns(50) > 100_000_000 && time_ns(99) < 200_000_000_000);
        assert_eq!(time_ns(100), u64::MAX);
    }
}
