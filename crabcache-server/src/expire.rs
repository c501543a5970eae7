//! Keys whose time has come: removal of those that commands met, and the active expire cycle.

use crate::notify::Event;
use crate::server::Server;
use crabcache_store::{Env, Locked, Mode, Pass, Trace};
use std::sync::atomic::Ordering;

/// Tells of the keys that a command's views have removed, and forgets them.
pub fn tell_removed(server: &Server, trace: &Trace) {
    trace.expired.borrow_mut().retain(|expired| {
        if expired.is_removed {
            tell(server, expired.db, &expired.key);
        }
        !expired.is_removed
    });
}

fn tell(server: &Server, db: usize, key: &[u8]) {
    server.stats.expired_keys.fetch_add(1, Ordering::Relaxed);
    server.notify(db, key, Event::EXPIRED);
}

/// Removes the expired keys that readers met, unless they have changed meanwhile.
#[cold]
pub fn remove_met(server: &Server, pass: &mut Pass<'_>, env: &Env, trace: &Trace) {
    let met = std::mem::take(&mut *trace.expired.borrow_mut());
    for expired in met {
        let key = server.keyspace.key(&expired.key);
        let mut locked = pass.lock_one(key.stripe(), Mode::Write);
        locked.write(expired.db, env, trace).expire_if_due(&key);
    }
    tell_removed(server, trace);
}

/// The same inside a transaction, which holds the stripes for writing.
#[cold]
pub fn remove_met_locked(server: &Server, locked: &mut Locked<'_>, env: &Env, trace: &Trace) {
    let met = std::mem::take(&mut *trace.expired.borrow_mut());
    for expired in met {
        let key = server.keyspace.key(&expired.key);
        locked.write(expired.db, env, trace).expire_if_due(&key);
    }
    tell_removed(server, trace);
}
