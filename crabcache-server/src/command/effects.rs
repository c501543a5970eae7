//! What a command did to data, told by its handler and carried out by the dispatcher.
//!
//! Handlers never signal watchers, publish events or count changes themselves: they say
//! `effects.changed(key, event)`, and all that follows from a change happens once, in
//! [`Effects::perform`], while the stripes of the keys are still locked.

use super::Args;
use crate::notify::Event;
use crate::replication::log::Targets;
use crate::server::Server;
use crate::server::interest::Interest;
use crate::tracking;
use crabcache_store::{Locked, Trace};

/// One changed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// What to tell subscribers of keyspace events, if anything.
    pub event: Option<Event>,
    /// Whether those who watch the key must know.
    pub is_watched: bool,
}

/// What is to be replicated instead of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Propagation {
    /// The request as it came, if it changed something.
    #[default]
    AsIs,
    /// These commands.
    Instead(Vec<Vec<Vec<u8>>>),
}

/// What one command did.
#[derive(Debug, Default)]
pub struct Effects {
    /// Changes, as INFO's `rdb_changes_since_last_save` counts them.
    pub n_dirty: u64,
    /// Who wants to know more than the count.
    interest: Interest,
    changes: Vec<Change>,
    propagation: Propagation,
    /// Replicated even if nothing was changed.
    is_forced: bool,
    /// Who gets what is replicated (`redis.set_repl`).
    pub targets: Targets,
}

impl Effects {
    /// Begins anew, for a command whose stripes are locked.
    #[inline]
    pub fn begin(&mut self, interest: Interest) {
        self.n_dirty = 0;
        self.interest = interest;
        self.is_forced = false;
        if !self.changes.is_empty() {
            self.changes.clear();
        }
        if self.propagation != Propagation::AsIs {
            self.propagation = Propagation::AsIs;
        }
    }

    /// A key was changed: one change, and an event about it.
    #[inline]
    pub fn changed(&mut self, db: usize, key: &[u8], event: Event) {
        self.n_dirty += 1;
        if !self.interest.is_empty() {
            self.note(db, key, Some(event));
        }
    }

    /// An event about a key without a further change, such as `expire` beside `set`.
    #[inline]
    pub fn event(&mut self, db: usize, key: &[u8], event: Event) {
        if self.interest.contains(Interest::EVENTS) {
            self.note(db, key, Some(event));
        }
    }

    /// A change beside the value that watchers watch for (consumer groups of a stream), and an event
    /// about it.
    pub fn changed_aside(&mut self, db: usize, key: &[u8], event: Event) {
        self.n_dirty += 1;
        if self.interest.contains(Interest::EVENTS) {
            self.changes.push(Change {
                db,
                key: key.into(),
                event: Some(event),
                is_watched: false,
            });
        }
    }

    /// The value of a key was replaced by another one, perhaps of another type.
    #[inline]
    pub fn overwritten(&mut self, db: usize, key: &[u8], type_changed: bool) {
        if self.interest.contains(Interest::FINE_EVENTS) {
            self.note(db, key, Some(Event::OVERWRITTEN));
            if type_changed {
                self.note(db, key, Some(Event::TYPE_CHANGED));
            }
        }
    }

    /// A key came and went within the command: views tell of those that stay.
    pub fn created_for_a_moment(&mut self, db: usize, key: &[u8]) {
        if self.interest.contains(Interest::FINE_EVENTS) {
            self.note(db, key, Some(Event::NEW));
        }
    }

    /// A key was touched: its watchers must know, but there is no event.
    pub fn touched(&mut self, db: usize, key: &[u8]) {
        if !self.interest.is_empty() {
            self.note(db, key, None);
        }
    }

    /// Replicates the request even if it changed nothing (FLUSHALL).
    pub fn propagate_always(&mut self) {
        self.is_forced = true;
    }

    /// Replicates `command` instead of the request; more calls add more commands.
    pub fn propagate<'w>(&mut self, command: impl IntoIterator<Item = &'w [u8]>) {
        if self.interest.contains(Interest::PROPAGATION) {
            let command = command.into_iter().map(<[u8]>::to_vec).collect();
            match &mut self.propagation {
                Propagation::Instead(commands) => commands.push(command),
                as_is => *as_is = Propagation::Instead(vec![command]),
            }
        }
    }

    /// Replicates nothing but what [`Effects::propagate`] is told.
    pub fn propagate_only(&mut self) {
        if self.wants_propagation() && self.propagation == Propagation::AsIs {
            self.propagation = Propagation::Instead(Vec::new());
        }
    }

    /// Whether anything is replicated at all.
    pub fn wants_propagation(&self) -> bool {
        self.interest.contains(Interest::PROPAGATION)
    }

    #[cold]
    fn note(&mut self, db: usize, key: &[u8], event: Option<Event>) {
        self.changes.push(Change { db, key: key.into(), event, is_watched: true });
    }

    /// Tells everybody who wants to know, in the order in which things happened. `args` is the
    /// request, `writer` the client that made it, and `db` the database that it was made for.
    #[inline]
    pub fn perform(
        &mut self,
        server: &Server,
        (writer, db): (u64, usize),
        locked: &mut Locked<'_>,
        trace: &Trace,
        args: Args<'_>,
    ) {
        let has_expired = trace.has_news() && !trace.expired.borrow().is_empty();
        // A key that expired and the change after it are one.
        let _unit = server.unit_if(self.interest, || self.is_several() || has_expired);
        if has_expired {
            crate::expire::tell_removed(server, trace);
        }
        tell_missed(server, trace);
        if !self.interest.is_empty() {
            self.tell_changes(server, (writer, db), locked, trace, args);
        }
    }

    #[cold]
    fn tell_changes(
        &mut self,
        server: &Server,
        (writer, request_db): (u64, usize),
        locked: &mut Locked<'_>,
        trace: &Trace,
        args: Args<'_>,
    ) {
        let mut created = trace.created.borrow_mut();
        for Change { db, key, event, is_watched } in self.changes.drain(..) {
            if is_watched {
                let place = locked.keyspace().key(&key).place();
                locked.touch_watchers(db, &place.key(&key));
                tracking::invalidate(server, &key, Some(writer));
            }
            // That a key is new is told before anything else about it.
            let news = created.iter().position(|new| (new.0, &*new.1) == (db, &*key));
            if let Some(index) = news {
                created.remove(index);
                server.notify(db, &key, Event::NEW);
            }
            if let Some(event) = event {
                server.notify(db, &key, event);
            }
        }
        for (db, key) in created.drain(..) {
            server.notify(db, &key, Event::NEW);
        }
        let is_wanted = self.n_dirty > 0 || self.is_forced;
        if is_wanted && self.interest.contains(Interest::PROPAGATION) {
            self.replicate(server, request_db, args);
        }
    }

    fn replicate(&self, server: &Server, db: usize, args: Args<'_>) {
        match &self.propagation {
            Propagation::AsIs => server.propagate(self.targets, Some(db), args.iter()),
            Propagation::Instead(commands) => {
                for command in commands {
                    server.propagate(self.targets, Some(db), command.iter().map(Vec::as_slice));
                }
            }
        }
    }

    /// Whether more than one command is replicated.
    fn is_several(&self) -> bool {
        matches!(&self.propagation, Propagation::Instead(commands) if commands.len() > 1)
    }
}

/// Tells of keys that look-ups missed, if somebody wants to know.
#[inline]
pub fn tell_missed(server: &Server, trace: &Trace) {
    if trace.wants_missed.get() {
        tell_all_missed(server, trace);
    }
}

#[cold]
fn tell_all_missed(server: &Server, trace: &Trace) {
    for (db, key) in trace.missed.borrow_mut().drain(..) {
        server.notify(db, &key, Event::KEY_MISS);
    }
}
