//! DEBUG DIGEST and DIGEST-VALUE: checksums that are the reference's for the same data.
//!
//! What has an order is *mixed* into a digest, each part changing all that comes after it; what has
//! none is *added*, so that any order gives the same. A type says in [`add_value`] what it consists
//! of.

use crate::command::{Args, CommandResult, Ctx};
use crabcache_store::algorithms::double;
use crabcache_store::types::hash::Hash;
use crabcache_store::types::list::List;
use crabcache_store::types::set::Set;
use crabcache_store::types::stream::Stream;
use crabcache_store::types::vector_set::VectorSet;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Collection, Entry, Env, Expiry, Kind, Lookup, Trace, Walk, WriteDb};
use sha1::{Digest as _, Sha1};

/// A checksum that parts are mixed into or added to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Digest([u8; 20]);

impl Digest {
    /// Adds a part: the order of additions does not matter.
    fn add(&mut self, part: &[u8]) {
        let part: [u8; 20] = Sha1::digest(part).into();
        self.0.iter_mut().zip(part).for_each(|(byte, part)| *byte ^= part);
    }

    /// Mixes a part in: it matters what came before.
    fn mix(&mut self, part: &[u8]) {
        self.add(part);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Mixes in the reference's number of a data type.
    fn mix_type(&mut self, number: u32) {
        self.mix(&number.to_be_bytes());
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Mixes the value of an entry and its expiry into a digest: a number for the type, and what the
/// type's function makes of its elements.
fn add_value(digest: &mut Digest, entry: &Entry) {
    match entry.kind() {
        Kind::String => {
            digest.mix_type(0);
            digest.mix(&entry.string().bytes());
        }
        Kind::List => {
            digest.mix_type(1);
            list(digest, collection(entry));
        }
        Kind::Set => {
            digest.mix_type(2);
            set(digest, collection(entry));
        }
        Kind::ZSet => {
            digest.mix_type(3);
            sorted_set(digest, collection(entry));
        }
        Kind::Hash => {
            digest.mix_type(4);
            hash(digest, collection(entry));
        }
        Kind::Stream => {
            digest.mix_type(6);
            stream(digest, collection(entry));
        }
        Kind::VectorSet => {
            digest.mix_type(5);
            vector_set(digest, collection(entry));
        }
    }
    if entry.expire_at_ms().is_some() {
        digest.add(b"!!expire!!");
    }
}

/// The collection of an entry whose kind is known.
fn collection<C: Collection>(entry: &Entry) -> &C {
    entry.collection().expect("of its kind")
}

/// The elements in their order.
fn list(digest: &mut Digest, list: &List) {
    list.for_each(|element| digest.mix(&element.bytes()));
}

/// The members in no order.
fn set(digest: &mut Digest, set: &Set) {
    set.for_each(|member| member.with_bytes(|bytes| digest.add(bytes)));
}

/// The fields in any order, each with its value.
fn hash(digest: &mut Digest, hash: &Hash) {
    hash.each(|field| {
        let mut pair = Digest::default();
        pair.mix(&field.name.bytes());
        pair.mix(&field.value.bytes());
        if field.expire_at_ms.is_some() {
            pair.add(b"!!hexpire!!");
        }
        digest.add(&pair.0);
    });
}

/// The members, each with its score behind it.
fn sorted_set(digest: &mut Digest, set: &ZSet) {
    for (member, score) in set.iter(0..set.len(), false) {
        let (mut element, mut text) = (Digest::default(), Vec::new());
        member.with_bytes(|bytes| element.mix(bytes));
        double::write_shortest(&mut text, score);
        element.mix(&text);
        digest.add(&element.0);
    }
}

/// The entries in their order, without the groups, as the reference has it.
fn stream(digest: &mut Digest, stream: &Stream) {
    for entry in stream.log.iter() {
        digest.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
        for (field, value) in entry.fields {
            digest.mix(&field.bytes());
            digest.mix(&value.bytes());
        }
    }
}

/// The elements in any order, each with its vector as it is stored and its attributes.
fn vector_set(digest: &mut Digest, set: &VectorSet) {
    let mut all = Digest::default();
    let mut add = |parts: &[&[u8]]| {
        let mut element = Digest::default();
        parts.iter().for_each(|part| element.mix(part));
        all.add(&element.0);
    };
    let [len, dim] = [set.len(), set.form().dim].map(|number| number.to_string());
    add(&[len.as_bytes(), dim.as_bytes()]);
    for node in 0..set.len() as u32 {
        let (vector, name) = (set.stored(node).to_bytes(), set.name(node));
        match set.attributes(node) {
            Some(attributes) => add(&[&vector, name, attributes]),
            None => add(&[&vector, name]),
        }
    }
    digest.add(&all.0);
}

/// Sees keys whose time has come like any other.
fn unexpiring(ctx: &Ctx) -> Env {
    Env { expiry: Expiry::Ignore, ..ctx.env }
}

/// DEBUG DIGEST
pub(super) fn of_all(db: &mut WriteDb, ctx: &mut Ctx, _: Args) -> CommandResult {
    let (env, trace) = (unexpiring(ctx), Trace::default());
    let mut walk = Walk::held(db.locked(), &env, &trace);
    let mut total = Digest::default();
    for number in 0..ctx.server.keyspace.n_databases() {
        if ctx.server.keyspace.size(number).n_keys == 0 {
            continue;
        }
        total.mix(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        walk.each(number, None, |entry| {
            let mut digest = Digest::default();
            digest.mix(entry.key());
            add_value(&mut digest, entry);
            total.add(&digest.0);
        });
    }
    ctx.reply.status(&total.hex());
    Ok(())
}

/// DEBUG DIGEST-VALUE [key ...]
pub(super) fn of_values(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (env, trace) = (unexpiring(ctx), Trace::default());
    let db = db.locked().read(ctx.client.db, &env, &trace);
    ctx.reply.array(args.len() - 2);
    for word in args.from(2) {
        let mut digest = Digest::default();
        if let Some(entry) = db.get(&ctx.key(word), Lookup::Peek) {
            add_value(&mut digest, &entry);
        }
        ctx.reply.status(&digest.hex());
    }
    Ok(())
}
