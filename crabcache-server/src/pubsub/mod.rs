//! Channels and patterns, who has subscribed to them, and how messages reach them.
//!
//! - The messages of a channel are delivered in one order to all who get them: whoever publishes
//!   holds the channel's lock while it puts them into the subscribers' mail (`push.rs`).
//! - A client's subscriptions stand with its handle too, so that whoever ends its connection ends
//!   them at once, on any thread.
//! - What a client was sent before it unsubscribed comes before the confirmation.
//!
//! Lock order: stripes of keys, a client's subscriptions, a channel or the patterns, mail. Who
//! publishes takes no lock on subscriptions.

mod topics;

use crate::client::{Client, ClientFlags, ClientHandle};
use crate::push::{Delivery, Push};
use crate::server::Server;
use crabcache_resp::Reply;
use crabcache_store::algorithms::glob::{self, Case};
use indexmap::{IndexMap, IndexSet};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use topics::Topics;

/// What is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A channel by its name.
    Channel,
    /// All channels whose names match.
    Pattern,
    /// A channel that belongs to a slot of a cluster; patterns do not match it.
    ShardChannel,
}

/// The name of a channel or a pattern, shared by all who have subscribed.
pub(crate) type Name = Arc<[u8]>;

/// Subscribers of one channel or pattern, by their ids.
pub(crate) type Subscribers = IndexMap<u64, Arc<ClientHandle>, ahash::RandomState>;

/// What one client has subscribed to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: IndexSet<Name, ahash::RandomState>,
    patterns: IndexSet<Name, ahash::RandomState>,
    shard_channels: IndexSet<Name, ahash::RandomState>,
}

impl Subscriptions {
    fn of(&self, kind: Kind) -> &IndexSet<Name, ahash::RandomState> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::ShardChannel => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut IndexSet<Name, ahash::RandomState> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Names of one kind.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.of(kind).iter().map(|name| &**name)
    }

    /// Number of subscriptions of one kind.
    pub fn len(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        [Kind::Channel, Kind::Pattern, Kind::ShardChannel].iter().all(|kind| self.len(*kind) == 0)
    }

    /// The number that confirmations tell: shard channels are counted by themselves.
    fn told_len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }

    /// Bytes of the tables, without the names, which are shared.
    pub fn mem_bytes(&self) -> usize {
        let n_places =
            self.channels.capacity() + self.patterns.capacity() + self.shard_channels.capacity();
        n_places * (size_of::<Name>() + 2 * size_of::<usize>())
    }
}

/// All channels and patterns that somebody has subscribed to.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: Topics,
    shard_channels: Topics,
    patterns: RwLock<IndexMap<Name, Subscribers, ahash::RandomState>>,
    n_patterns: AtomicUsize,
    n_clients: AtomicUsize,
}

impl PubSub {
    /// Number of clients that have subscribed to anything.
    pub fn n_clients(&self) -> usize {
        self.n_clients.load(Ordering::Relaxed)
    }

    /// Number of channels or patterns that have subscribers.
    pub fn len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel => self.channels.len(),
            Kind::Pattern => self.n_patterns.load(Ordering::Relaxed),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }

    /// Whether nobody has subscribed to a channel or pattern.
    pub fn is_empty(&self) -> bool {
        self.len(Kind::Channel) == 0 && self.len(Kind::Pattern) == 0
    }

    fn topics(&self, is_shard: bool) -> &Topics {
        if is_shard { &self.shard_channels } else { &self.channels }
    }

    /// Calls `visit` with the names of the channels that have subscribers.
    pub fn for_each_channel(&self, is_shard: bool, visit: impl FnMut(&[u8])) {
        self.topics(is_shard).for_each(visit);
    }

    /// Number of subscribers of a channel, patterns not counted.
    pub fn n_subscribers(&self, is_shard: bool, channel: &[u8]) -> usize {
        self.topics(is_shard).n_subscribers(channel)
    }

    /// Adds a subscriber. Returns the name as all share it.
    fn enter(&self, kind: Kind, name: &[u8], client: &Arc<ClientHandle>) -> Name {
        match kind {
            Kind::Channel => self.channels.enter(name, client),
            Kind::ShardChannel => self.shard_channels.enter(name, client),
            Kind::Pattern => {
                let mut patterns = self.patterns.write();
                let name = match patterns.get_key_value(name) {
                    Some((name, _)) => name.clone(),
                    None => name.into(),
                };
                patterns.entry(name.clone()).or_default().insert(client.id, client.clone());
                self.n_patterns.store(patterns.len(), Ordering::Relaxed);
                name
            }
        }
    }

    fn leave(&self, kind: Kind, name: &[u8], id: u64) {
        match kind {
            Kind::Channel => self.channels.leave(name, id),
            Kind::ShardChannel => self.shard_channels.leave(name, id),
            Kind::Pattern => {
                let mut patterns = self.patterns.write();
                if let Some(subscribers) = patterns.get_mut(name) {
                    subscribers.swap_remove(&id);
                    if subscribers.is_empty() {
                        patterns.swap_remove(name);
                    }
                }
                self.n_patterns.store(patterns.len(), Ordering::Relaxed);
            }
        }
    }

    /// Ends all subscriptions of a client whose connection ends.
    pub fn forget(&self, client: &ClientHandle) {
        let mut slot = client.subscriptions.lock();
        let Some(subscriptions) = slot.take() else { return };
        for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
            for name in subscriptions.names(kind) {
                self.leave(kind, name, client.id);
            }
        }
        if !subscriptions.is_empty() {
            self.n_clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Subscribes a client. Returns the number of its subscriptions, as the confirmation tells it.
pub fn subscribe(server: &Server, client: &mut Client, kind: Kind, name: &[u8]) -> usize {
    let handle = client.handle.clone();
    let mut slot = handle.subscriptions.lock();
    // Who has been killed has no subscriptions any more, and gets none.
    if handle.is_killed() {
        return 0;
    }
    let subscriptions = slot.get_or_insert_default();
    if !subscriptions.of(kind).contains(name) {
        if subscriptions.is_empty() {
            server.pubsub.n_clients.fetch_add(1, Ordering::Relaxed);
            client.set_flag(ClientFlags::PUBSUB, true);
        }
        let name = server.pubsub.enter(kind, name, &handle);
        subscriptions.of_mut(kind).insert(name);
    }
    subscriptions.told_len(kind)
}

/// Ends a subscription, if there is one. Returns the number of those that are left, as the
/// confirmation tells it.
pub fn unsubscribe(server: &Server, client: &mut Client, kind: Kind, name: &[u8]) -> usize {
    let handle = client.handle.clone();
    let mut slot = handle.subscriptions.lock();
    let Some(subscriptions) = &mut *slot else { return 0 };
    if subscriptions.of_mut(kind).swap_remove(name) {
        server.pubsub.leave(kind, name, handle.id);
    }
    let n_left = subscriptions.told_len(kind);
    if subscriptions.is_empty() {
        *slot = None;
        server.pubsub.n_clients.fetch_sub(1, Ordering::Relaxed);
        client.set_flag(ClientFlags::PUBSUB, false);
    }
    n_left
}

/// What a client has subscribed to.
pub fn names_of(client: &ClientHandle, kind: Kind) -> Vec<Box<[u8]>> {
    let slot = client.subscriptions.lock();
    slot.as_ref().map_or_else(Vec::new, |own| own.names(kind).map(Into::into).collect())
}

/// Number of subscriptions, as a confirmation tells it.
pub fn n_told(client: &ClientHandle, kind: Kind) -> usize {
    client.subscriptions.lock().as_ref().map_or(0, |own| own.told_len(kind))
}

/// Begins a message of a channel; what follows is the message itself.
pub fn begin_message(reply: &mut Reply<'_>, channel: &[u8]) {
    reply.push(3);
    reply.bulk(b"message");
    reply.bulk(channel);
}

/// Sends a message to all subscribers of a channel. Returns how often it was delivered.
pub fn publish(server: &Server, is_shard: bool, channel: &[u8], message: &[u8]) -> usize {
    let pubsub = &server.pubsub;
    let topics = pubsub.topics(is_shard);
    if topics.len() == 0 && (is_shard || pubsub.n_patterns.load(Ordering::Acquire) == 0) {
        return 0;
    }
    let mut delivery = Delivery::new(server);
    topics.with_subscribers(channel, |subscribers| {
        let kind: &[u8] = if is_shard { b"smessage" } else { b"message" };
        let mut push = Push::new(|reply: &mut Reply<'_>| {
            reply.push(3);
            [kind, channel, message].iter().for_each(|word| reply.bulk(word));
        });
        for client in subscribers.into_iter().flat_map(IndexMap::values) {
            delivery.send(client, &mut push);
        }
        if !is_shard && pubsub.n_patterns.load(Ordering::Acquire) > 0 {
            publish_to_patterns(pubsub, &mut delivery, channel, message);
        }
    });
    delivery.finish()
}

fn publish_to_patterns(
    pubsub: &PubSub,
    delivery: &mut Delivery<'_>,
    channel: &[u8],
    message: &[u8],
) {
    for (pattern, subscribers) in &*pubsub.patterns.read() {
        if !glob::matches(pattern, channel, Case::Sensitive) {
            continue;
        }
        let mut push = Push::new(|reply: &mut Reply<'_>| {
            reply.push(4);
            let words: [&[u8]; 4] = [b"pmessage", pattern, channel, message];
            words.iter().for_each(|word| reply.bulk(word));
        });
        for client in subscribers.values() {
            delivery.send(client, &mut push);
        }
    }
}
