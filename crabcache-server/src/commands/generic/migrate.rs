//! MIGRATE: moves keys to another server.

use crate::blocking::WaitKind;
use crate::blocking::late::LateRequest;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, KeySpec, write};
use crate::error::{KeyMigrationError, shown};
use crate::key_migration::request::{Request, is_secret, keys};
use crate::key_migration::target::{Broken, Target};
use crate::notify::Event;
use crate::persistence::rdb::payload;
use crabcache_store::{Lookup, WriteDb};

pub(in crate::commands) const COMMANDS: &[Command] = &[write("migrate", migrate)
    .arity(-6)
    .categories(Categories::DANGEROUS.union(Categories::KEYSPACE))
    .keys(&[
        KeySpec::at(3).rw().access().delete(),
        KeySpec::after("KEYS", -2).range(-1, 1).rw().access().delete().incomplete(),
    ])
    .key_finder(keys)
    .secrets(is_secret)
    .tips(&["nondeterministic_output"])
    .doc(
        "2.6.0",
        "O(N), N being the bytes of the values",
        "host port:int key-selector:{key | empty-string:''} destination-db:int timeout:int \
         [COPY@3.0.0] [REPLACE@3.0.0] \
         [authentication:{AUTH=auth\"password\"@4.0.7 | AUTH2=auth2:(username password)@6.0.0}] \
         [KEYS=keys\"key\":key@3.0.6...]",
        "Moves keys to another server.",
    )];

/// MIGRATE host port key | "" destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user
/// password] [KEYS key [key ...]]
fn migrate(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let request = Request::parse(args)?;
    // The thread that it may have been handed over to looks again.
    let lookup = if ctx.is_served { Lookup::Inspect } else { Lookup::Use };
    let is_there = |key: &&[u8]| db.get(&ctx.key(key), lookup).is_some();
    let keys: Vec<&[u8]> = request.keys.iter().copied().filter(is_there).collect();
    if keys.is_empty() {
        ctx.reply.status("NOKEY");
        return Ok(());
    }
    if ctx.may_block() && !ctx.is_served && ctx.server.migration.has_thread() {
        hand_over(ctx, args);
        return Ok(());
    }
    send(db, ctx, &request, &keys)?;
    ctx.reply.ok();
    Ok(())
}

/// Has the thread go on with it.
fn hand_over(ctx: &mut Ctx, args: Args) {
    ctx.block(WaitKind::Migration, None, |_, _| {});
    if let Some(wait) = ctx.client.blocked.as_ref().map(|blocked| blocked.wait.clone()) {
        let late = LateRequest::new(ctx, wait, args.to_owned());
        ctx.server.migration.hand_over(late);
    }
}

/// Sends the keys. A connection that was kept may be gone: then it is tried again.
fn send(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    request: &Request<'_>,
    keys: &[&[u8]],
) -> Result<(), KeyMigrationError> {
    loop {
        let server = ctx.server;
        let kept = &server.migration.kept;
        let mut target = kept.take(server, &ctx.config, request)?;
        let mut arrived = Vec::new();
        let sent = send_over(db, ctx, request, keys, &mut target, &mut arrived);
        if !arrived.is_empty() && !request.copies {
            // Even if it was not all: what has left must not come back.
            ctx.effects.propagate([&b"DEL"[..]].into_iter().chain(arrived.iter().copied()));
        }
        let was_kept = target.was_kept;
        kept.put(server, request, target);
        match sent {
            Ok(None) => return Ok(()),
            Ok(Some(refusal)) => return Err(KeyMigrationError::Refused(shown(&refusal))),
            Err(broken) if was_kept && !broken.is_timeout && arrived.is_empty() => {}
            Err(broken) => return Err(broken.error),
        }
    }
}

/// Sends the keys over a connection. Enters those into `arrived` that have got there, and removes them
/// here. Gives the first refusal.
fn send_over<'k>(
    db: &mut WriteDb,
    ctx: &mut Ctx,
    request: &Request<'_>,
    keys: &[&'k [u8]],
    target: &mut Target,
    arrived: &mut Vec<&'k [u8]>,
) -> Result<Option<Vec<u8>>, Broken> {
    if let Some(refusal) = target.prepare(request)? {
        return Ok(Some(refusal));
    }
    let mut sent = Vec::new();
    for name in keys {
        let Some(entry) = db.get(&ctx.key(name), Lookup::Inspect) else { continue };
        let ttl_ms = entry.expire_at_ms().map_or(0, |at_ms| (at_ms - ctx.env.now_ms).max(1));
        let (ttl, payload) = (ttl_ms.to_string(), payload::dump(&entry, ctx.config.rdbcompression));
        let words = [&b"RESTORE"[..], name, ttl.as_bytes(), &payload, b"REPLACE"];
        target.send(&words[..if request.replaces { 5 } else { 4 }])?;
        sent.push(*name);
    }
    target.flush()?;
    let mut refusal = None;
    for name in sent {
        match target.read_reply() {
            Ok(None) => {
                if !request.copies && db.delete(&ctx.key(name)) {
                    ctx.changed(name, Event::DEL);
                }
                arrived.push(name);
            }
            Ok(text) => refusal = refusal.or(text),
            // The client is told what came first.
            Err(_) if refusal.is_some() => break,
            Err(broken) => return Err(broken),
        }
    }
    Ok(refusal)
}
