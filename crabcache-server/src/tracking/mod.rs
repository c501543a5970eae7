//! Client-side caching (CLIENT TRACKING): who may have which keys cached, and who is told when they
//! change.
//!
//! A client that tracks is entered with the keys that it reads, while their stripes are locked, and
//! told once when one of them changes; a client in BCAST mode is told of all changed keys that begin
//! with one of its prefixes, at the end of the batch that changed them. While nobody tracks, all this
//! costs nothing but the look at `Interest` that every command takes.
//!
//! Keys are not told apart by database. An entry of a client that is gone goes with the next change
//! of its key, and all entries with the last client that tracks.
//!
//! Lock order: stripes, the clients that track, keys or prefixes, mail.

mod broadcast;
mod table;

use crate::client::{Client, ClientFlags, ClientHandle};
use crate::command::Ctx;
use crate::error::TrackingError;
use crate::memory::{PassingSum, Used};
use crate::pubsub;
use crate::push::{Delivery, Push};
use crate::server::Server;
use crate::server::interest::Interest;
use broadcast::Prefixes;
use crabcache_resp::{Protocol, Reply};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use table::Table;

/// The channel of invalidations for clients that speak RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// Keys that are forgotten in one go when there are too many; more after each time that this was
/// not enough.
const N_EVICTED_MAX: usize = 100;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Tracking {
    clients: RwLock<HashMap<u64, Tracker, ahash::RandomState>>,
    table: Table,
    prefixes: Prefixes,
    /// How often the table was left too large in succession.
    n_too_large: AtomicUsize,
    /// Messages that connections have not taken yet. No key has to go for them: that would make
    /// more of them.
    pub passing: PassingSum,
}

/// A client that tracks.
#[derive(Debug)]
struct Tracker {
    handle: Arc<ClientHandle>,
    /// In order.
    prefixes: Vec<Box<[u8]>>,
}

/// The options of CLIENT TRACKING ON.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// Who gets the invalidations instead; 0: the client itself.
    pub redirect: u64,
    /// `TRACKING_BCAST`, `TRACKING_OPTIN`, ...
    pub flags: ClientFlags,
    /// What keys must begin with, in BCAST mode.
    pub prefixes: Vec<&'a [u8]>,
}

impl Tracking {
    /// Without clients; messages take memory that `used` counts.
    pub fn new(used: &Used) -> Tracking {
        Tracking { passing: PassingSum::new(used), ..Tracking::default() }
    }

    /// Number of clients that track.
    pub fn n_clients(&self) -> usize {
        self.clients.read().len()
    }

    /// Number of keys that some client may have cached.
    pub fn n_keys(&self) -> usize {
        self.table.n_keys()
    }

    /// Number of pairs of such a key and a client.
    pub fn n_items(&self) -> usize {
        self.table.n_items()
    }

    /// Number of prefixes that clients in BCAST mode have.
    pub fn n_prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// The prefixes of a client, in order.
    pub fn prefixes_of(&self, id: u64) -> Vec<Box<[u8]>> {
        self.clients.read().get(&id).map_or_else(Vec::new, |tracker| tracker.prefixes.clone())
    }

    /// Ends what a client tracks.
    pub fn forget(&self, server: &Server, client: &ClientHandle) {
        let mut clients = self.clients.write();
        let Some(tracker) = clients.remove(&client.id) else { return };
        client.prefix_bytes.store(0, Ordering::Relaxed);
        self.prefixes.leave(client.id, &tracker.prefixes);
        if clients.is_empty() {
            server.interests.set(Interest::TRACKING, false);
            self.table.clear();
        }
    }
}

/// The flags that CLIENT TRACKING sets.
const OPTION_FLAGS: ClientFlags = ClientFlags::TRACKING_BCAST
    .union(ClientFlags::TRACKING_OPTIN)
    .union(ClientFlags::TRACKING_OPTOUT)
    .union(ClientFlags::TRACKING_NOLOOP);

/// Makes a client track. The options fit together; the prefixes do not overlap.
pub fn begin(server: &Server, client: &mut Client, options: &Options<'_>) {
    let handle = &client.handle;
    let mut clients = server.tracking.clients.write();
    // Who has been killed tracks nothing any more.
    if handle.is_killed() {
        return;
    }
    let new = || Tracker { handle: handle.clone(), prefixes: Vec::new() };
    let tracker = clients.entry(handle.id).or_insert_with(new);
    handle.redirect.store(options.redirect, Ordering::Relaxed);
    handle.is_redirect_broken.store(false, Ordering::Relaxed);
    if options.flags.contains(ClientFlags::TRACKING_BCAST) {
        let all: &[&[u8]] = &[b""];
        let prefixes = if options.prefixes.is_empty() { all } else { &options.prefixes };
        for prefix in prefixes {
            if let Err(at) = tracker.prefixes.binary_search_by(|own| (**own).cmp(prefix)) {
                tracker.prefixes.insert(at, (*prefix).into());
                let n_bytes = prefix.len() + size_of::<Box<[u8]>>();
                handle.prefix_bytes.fetch_add(n_bytes, Ordering::Relaxed);
                server.tracking.prefixes.enter(prefix, handle);
            }
        }
    }
    client.flags.remove(OPTION_FLAGS);
    client.set_flag(ClientFlags::TRACKING | options.flags, true);
    server.interests.set(Interest::TRACKING, true);
}

/// Ends what a client tracks.
pub fn end(server: &Server, client: &mut Client) {
    server.tracking.forget(server, &client.handle);
    client.handle.is_redirect_broken.store(false, Ordering::Relaxed);
    let flags = OPTION_FLAGS | ClientFlags::TRACKING | ClientFlags::TRACKING_CACHING;
    client.set_flag(flags, false);
}

/// Checks that no prefix begins with another, of those that a client has or those that it wants.
///
/// # Errors
/// If a key could match two of them.
pub fn check_prefixes(
    server: &Server,
    client: &Client,
    prefixes: &[&[u8]],
) -> Result<(), TrackingError> {
    let text = |prefix: &[u8]| crate::error::shown(prefix);
    let overlap = |one: &[u8], two: &[u8]| one.starts_with(two) || two.starts_with(one);
    let owned = server.tracking.prefixes_of(client.handle.id);
    for (index, prefix) in prefixes.iter().enumerate() {
        if let Some(own) = owned.iter().find(|own| overlap(own, prefix)) {
            return Err(TrackingError::PrefixOverlapsOld(text(prefix), text(own)));
        }
        if let Some(other) = prefixes[index + 1..].iter().find(|other| overlap(other, prefix)) {
            return Err(TrackingError::PrefixOverlapsNew(text(prefix), text(other)));
        }
    }
    Ok(())
}

/// Remembers that the client of a command may cache the keys that it has just read. Their stripes
/// are held: whoever changes them comes later.
#[cold]
pub fn remember<'k>(ctx: &Ctx<'_>, keys: impl Iterator<Item = &'k [u8]>) {
    let flags = ctx.client.flags;
    let is_chosen = flags.contains(ClientFlags::TRACKING_CACHING);
    let is_left_out = (flags.contains(ClientFlags::TRACKING_OPTIN) && !is_chosen)
        || (flags.contains(ClientFlags::TRACKING_OPTOUT) && is_chosen)
        || flags.contains(ClientFlags::TRACKING_BCAST);
    if !is_left_out {
        let id = ctx.client.handle.id;
        keys.for_each(|key| ctx.server.tracking.table.remember(key, id));
    }
}

/// CLIENT CACHING holds for one command, or for a transaction.
#[cold]
pub fn end_caching(ctx: &mut Ctx<'_>) {
    let group = ctx.row.parent.map(|id| ctx.server.commands.row(id).spec.name);
    if group != Some("client") && !ctx.client.flags.contains(ClientFlags::MULTI) {
        ctx.client.set_flag(ClientFlags::TRACKING_CACHING, false);
    }
}

/// Tells those who may have a key cached that it has changed. `writer` is the client that changed
/// it, if one did. Called while the key's stripe is held.
pub fn invalidate(server: &Server, key: &[u8], writer: Option<u64>) {
    if server.interests.get().contains(Interest::TRACKING) {
        server.tracking.prefixes.note(key, writer);
        tell_readers(server, key, writer);
    }
}

/// Tells those who have read a key. They are entered no more.
fn tell_readers(server: &Server, key: &[u8], writer: Option<u64>) {
    let Some(ids) = server.tracking.table.take(key) else { return };
    let mut delivery = Delivery::new(server);
    let mut push = invalidation(|reply| {
        reply.array(1);
        reply.bulk(key);
    });
    let clients = server.tracking.clients.read();
    for id in ids {
        let Some(Tracker { handle, .. }) = clients.get(&id) else { continue };
        let flags = handle.flags();
        let is_own = flags.contains(ClientFlags::TRACKING_NOLOOP) && Some(id) == writer;
        if !is_own && !flags.contains(ClientFlags::TRACKING_BCAST) {
            send(server, &mut delivery, handle, &mut push);
        }
    }
    drop(clients);
    delivery.finish();
}

/// Tells all who track that every key has changed.
pub fn invalidate_all(server: &Server) {
    if !server.interests.get().contains(Interest::TRACKING) {
        return;
    }
    server.tracking.table.clear();
    let mut delivery = Delivery::new(server);
    let mut push = invalidation(|reply| reply.null());
    for Tracker { handle, .. } in server.tracking.clients.read().values() {
        send(server, &mut delivery, handle, &mut push);
    }
    delivery.finish();
}

/// What follows a batch of commands, or a round of the expire cycle: changed keys are told to
/// clients in BCAST mode, and keys are forgotten if there are too many.
#[inline]
pub fn settle(server: &Server) {
    if server.interests.get().contains(Interest::TRACKING) {
        settle_changes(server);
    }
}

#[cold]
fn settle_changes(server: &Server) {
    broadcast(server);
    let tracking = &server.tracking;
    let n_keys_max = server.config.get().tracking_table_max_keys;
    let n_keys_max = usize::try_from(n_keys_max).unwrap_or(usize::MAX);
    let is_too_large = || n_keys_max > 0 && tracking.table.n_keys() > n_keys_max;
    if !is_too_large() {
        return;
    }
    let n_rounds = tracking.n_too_large.fetch_add(1, Ordering::Relaxed) + 1;
    for _ in 0..N_EVICTED_MAX.saturating_mul(n_rounds) {
        let Some(key) = tracking.table.any_key() else { return };
        tell_readers(server, &key, None);
        if !is_too_large() {
            tracking.n_too_large.store(0, Ordering::Relaxed);
            return;
        }
    }
}

/// Tells clients in BCAST mode of the keys that have changed since the last time.
fn broadcast(server: &Server) {
    let mut delivery = Delivery::new(server);
    server.tracking.prefixes.drain(|changed, clients| {
        let mut to_all = keys_push(changed, None);
        for client in clients {
            let flags = client.flags();
            if !flags.contains(ClientFlags::TRACKING_NOLOOP) {
                send(server, &mut delivery, client, &mut to_all);
            } else if changed.values().any(|writer| *writer != Some(client.id)) {
                send(server, &mut delivery, client, &mut keys_push(changed, Some(client.id)));
            }
        }
    });
    delivery.finish();
}

/// An invalidation of changed keys, without those that `but_by` has changed.
fn keys_push(
    changed: &broadcast::Changed,
    but_by: Option<u64>,
) -> Push<impl Fn(&mut Reply<'_>) + '_> {
    invalidation(move |reply| {
        let told = || {
            let others = changed.iter();
            others.filter(move |(_, writer)| but_by.is_none() || **writer != but_by)
        };
        reply.array(told().count());
        told().for_each(|(key, _)| reply.bulk(key));
    })
}

/// An invalidation of what `write_keys` writes: a push of its own in RESP3, else the message of a
/// channel.
fn invalidation(write_keys: impl Fn(&mut Reply<'_>)) -> Push<impl Fn(&mut Reply<'_>)> {
    Push::new(move |reply: &mut Reply<'_>| {
        match reply.protocol() {
            Protocol::Resp3 => {
                reply.push(2);
                reply.bulk(b"invalidate");
            }
            Protocol::Resp2 => pubsub::begin_message(reply, CHANNEL),
        }
        write_keys(reply);
    })
}

/// Sends an invalidation to a client that tracks, or to whom it wants it sent.
fn send<F: Fn(&mut Reply<'_>)>(
    server: &Server,
    delivery: &mut Delivery<'_>,
    client: &Arc<ClientHandle>,
    push: &mut Push<F>,
) {
    let redirect = client.redirect.load(Ordering::Relaxed);
    if redirect == 0 {
        // RESP2 has no pushes.
        if client.protocol_number() == 3 {
            delivery.send_passing(client, push, &server.tracking.passing);
        }
        return;
    }
    match server.clients.get(redirect) {
        Some(target) => {
            let is_reachable =
                target.protocol_number() == 3 || target.flags().contains(ClientFlags::PUBSUB);
            if is_reachable {
                delivery.send_passing(&target, push, &server.tracking.passing);
            }
        }
        None => {
            client.is_redirect_broken.store(true, Ordering::Relaxed);
            if client.protocol_number() == 3 {
                let mut broken = Push::new(|reply: &mut Reply<'_>| {
                    reply.push(2);
                    reply.bulk(b"tracking-redir-broken");
                    reply.int(redirect as i64);
                });
                delivery.send(client, &mut broken);
            }
        }
    }
}

#[cfg(test)]
mod tests;
