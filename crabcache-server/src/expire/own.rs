//! Keys of a replica that clients have written to there (`replica-read-only no`) and given an expiry.
//! The primary does not know of them, so nobody else removes them.

use super::tell_removed;
use crate::blocking::keys;
use crate::config::Config;
use crate::server::Server;
use crabcache_store::{Env, Expiry, Lookup, Mode, Pass, Trace};
use indexmap::IndexSet;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Time that one cycle may take.
const CYCLE_NS: u64 = 1_000_000;

/// See the module's text.
#[derive(Debug, Default)]
pub struct OwnKeys {
    n_keys: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: IndexSet<(usize, Box<[u8]>)>,
    /// The one that is looked at next.
    next: usize,
}

impl OwnKeys {
    /// Their number.
    pub fn len(&self) -> usize {
        self.n_keys.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Remembers a key, whose stripe is held.
    pub fn insert(&self, db: usize, key: &[u8]) {
        self.change(|known| known.keys.insert((db, key.into())));
    }

    fn take_next(&self) -> Option<(usize, Box<[u8]>)> {
        self.change(|known| {
            known.next = known.next.checked_rem(known.keys.len())?;
            known.keys.swap_remove_index(known.next)
        })
    }

    /// Puts back the key that was taken out last, and goes on with the one behind it.
    fn put_back(&self, db: usize, key: Box<[u8]>) {
        self.change(|known| {
            let (index, _) = known.keys.insert_full((db, key));
            if known.next < index {
                known.keys.swap_indices(known.next, index);
            }
            known.next += 1;
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock();
        let result = change(&mut known);
        self.n_keys.store(known.keys.len(), Ordering::Relaxed);
        result
    }

    /// Forgets them all: they are not this server's own any more.
    pub fn clear(&self) {
        if !self.is_empty() {
            self.change(|known| *known = Known::default());
        }
    }
}

/// Removes those whose time has come, as many as the time allows, and forgets those that have none.
pub(super) fn cycle(server: &Server, config: &Arc<Config>) {
    let own = &server.active_expire.own;
    if own.is_empty() {
        return;
    }
    if !server.conditions.is_replica() {
        return own.clear();
    }
    let began_ns = server.clock.elapsed_ns();
    for _ in 0..own.len() {
        // Taken out, so that whoever gives it an expiry meanwhile enters it again.
        let Some((db, key)) = own.take_next() else { return };
        let mut pass = server.keyspace.enter(server.cron_worker());
        // What it is now may have changed while the gate was not held.
        let is_meant = server.conditions.is_replica() && !server.is_loading();
        if is_meant && look(server, config, &mut pass, (db, &key)) {
            own.put_back(db, key);
        }
        if server.clock.elapsed_ns() - began_ns > CYCLE_NS {
            return;
        }
    }
}

/// Removes a key if its time has come. Whether it is there and still has one.
fn look(
    server: &Server,
    config: &Arc<Config>,
    pass: &mut Pass<'_>,
    (db, key): (usize, &[u8]),
) -> bool {
    let env = Env { expiry: Expiry::Ignore, touches: false, ..server.env(config) };
    let remove = Env { expiry: Expiry::Remove, ..env };
    let (name, trace) = (server.keyspace.key(key), Trace::default());
    let mut locked = pass.lock_one(name.stripe(), Mode::Write);
    let entry = locked.read(db, &env, &trace).get(&name, Lookup::Inspect);
    let expire_at_ms = entry.and_then(|entry| entry.expire_at_ms());
    locked.write(db, &remove, &trace).expire_if_due(&name);
    tell_removed(server, &trace);
    drop(locked);
    keys::serve_ready(server, config, server.cron_worker(), pass, &trace);
    server.lazyfree.free_discarded(config, &trace);
    expire_at_ms.is_some() && !remove.has_passed(expire_at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn each_has_its_turn() {
        let own = OwnKeys::default();
        (0..5u8).for_each(|n| own.insert(0, &[n]));
        let mut seen: Vec<u8> = Vec::new();
        for _ in 0..10 {
            let (db, key) = own.take_next().unwrap();
            seen.push(key[0]);
            own.put_back(db, key);
        }
        seen[..5].sort_unstable();
        seen[5..].sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_replicas_own_keys_expire() {
        let mut t = TestServer::with_config(&[("replica-read-only", "no")]);
        t.run("SET primarys v PX 5");
        t.server.conditions.set_replica(true);
        t.run("SET own v PX 5");
        t.run("EVAL \"redis.call('set', KEYS[1], 'v', 'px', '5')\" 1 script");
        t.run("SET without v");
        t.run("SET later v EX 100");
        t.run("SET persistent v EX 100");
        t.run("PERSIST persistent");
        t.run("SET gone v EX 100");
        t.run("DEL gone");
        assert_eq!(t.server.active_expire.own.len(), 5);
        t.advance_ms(10);
        t.events();
        t.propagated();
        cycle(&t.server, &t.server.config.get());
        assert_eq!(t.events(), ["expired own", "expired script"]);
        assert_eq!(t.propagated(), ["DEL own", "DEL script"]);
        assert_eq!(t.server.keyspace.size(0).n_keys, 4);
        assert_eq!(t.server.active_expire.own.len(), 1);
        t.server.conditions.set_replica(false);
        cycle(&t.server, &t.server.config.get());
        assert!(t.server.active_expire.own.is_empty());
    }
}
