//! SORT, SORT_RO: the elements of a list, set or sorted set in another order, or what keys named
//! after them hold.
//!
//! The keys that BY and GET name follow from data, so that no specification finds them: such a
//! request runs while it has the whole keyspace to itself.

mod options;
mod pattern;

use crate::acl;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, KeySpec, read, write};
use crate::error::CommandError;
use crate::notify::Event;
use crabcache_store::types::list::{List, OpenedNodes};
use crabcache_store::types::set::Set;
use crabcache_store::types::zset::ZSet;
use crabcache_store::{Entry, Kind, Lookup, ReadDb, StrRef, WriteDb};
use options::{Sort, looks_keys_up, sort_keys, sort_ro_keys};
use pattern::Pattern;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

pub(in crate::commands) const COMMANDS: &[Command] = &[
    write("sort", sort)
        .arity(-2)
        .flags(Flags::DENYOOM)
        .categories(
            Categories::DANGEROUS
                .union(Categories::LIST)
                .union(Categories::SET)
                .union(Categories::SORTEDSET),
        )
        .keys(&[
            KeySpec::at(1).ro().access(),
            KeySpec::unknown()
                .ro()
                .access()
                .notes("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"),
            KeySpec::unknown()
                .ow()
                .update()
                .notes("For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"),
        ])
        .key_finder(sort_keys)
        .whole_keyspace_if(looks_keys_up)
        .doc(
            "1.0.0",
            "O(N*log(N)), N being the elements; O(N) if they are not sorted",
            "key [BY=by-pattern\"pattern\":pattern] [LIMIT=limit:(offset:int count:int)] [GET=get-pattern\"pattern\":pattern...!] [order:{ASC | DESC}] [sorting:ALPHA] [STORE=destination:key#2]",
            "Sorts the elements of a list, set or sorted set, and stores the result if asked to.",
        ),
    read("sort_ro", sort_ro)
        .arity(-2)
        .categories(
            Categories::DANGEROUS
                .union(Categories::LIST)
                .union(Categories::SET)
                .union(Categories::SORTEDSET),
        )
        .keys(&[
            KeySpec::at(1).ro().access(),
            KeySpec::unknown()
                .ro()
                .access()
                .notes("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"),
        ])
        .key_finder(sort_ro_keys)
        .whole_keyspace_if(looks_keys_up)
        .doc(
            "7.0.0",
            "O(N*log(N)), N being the elements; O(N) if they are not sorted",
            "key [BY=by-pattern\"pattern\":pattern] [LIMIT=limit:(offset:int count:int)] [GET=get-pattern\"pattern\":pattern...!] [order:{ASC | DESC}] [sorting:ALPHA]",
            "Sorts the elements of a list, set or sorted set.",
        ),
];

type Bytes<'a> = Cow<'a, [u8]>;

/// SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]
/// [STORE destination]
fn sort(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sort = Sort::parse(args, true, acl::may_read_all_keys(ctx, args))?;
    let Some(target) = sort.store else {
        return tell(&db.as_read(), ctx, args, &sort);
    };
    let limits = ctx.config.limits();
    let mut list = List::default();
    let mut n_elements = 0;
    {
        let db = db.as_read();
        let opened = OpenedNodes::default();
        let (elements, _) = sorted(&db, ctx, args, &sort, &opened)?;
        each_output(&db, &sort, &elements, |output| {
            list.push_long(output.as_deref().unwrap_or_default(), &limits);
            n_elements += 1;
        });
    }
    list.settle(&limits);
    let key = ctx.key(target);
    if n_elements > 0 {
        let old = db.set_collection(&key, list);
        ctx.overwritten(key.bytes, old, Kind::List);
        ctx.changed(key.bytes, Event::SORTSTORE);
        ctx.effects.n_dirty += n_elements - 1;
    } else if db.delete(&key) {
        ctx.changed(key.bytes, Event::DEL);
    }
    ctx.reply.count(n_elements as usize);
    Ok(())
}

/// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC]
/// [ALPHA]
fn sort_ro(db: &ReadDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let sort = Sort::parse(args, false, acl::may_read_all_keys(ctx, args))?;
    tell(db, ctx, args, &sort)
}

fn tell(db: &ReadDb, ctx: &mut Ctx, args: Args, sort: &Sort) -> CommandResult {
    let opened = OpenedNodes::default();
    let (elements, n_outputs) = sorted(db, ctx, args, sort, &opened)?;
    ctx.reply.array(n_outputs);
    each_output(db, sort, &elements, |output| match output {
        Some(bytes) => ctx.reply.bulk(&bytes),
        None => ctx.reply.null(),
    });
    Ok(())
}

/// Calls `visit` with what is answered or stored for each element.
fn each_output<'a>(
    db: &ReadDb<'a>,
    sort: &Sort,
    elements: &[StrRef<'a>],
    mut visit: impl FnMut(Option<Bytes<'a>>),
) {
    for element in elements {
        if sort.get.is_empty() {
            visit(Some(element.bytes()));
        }
        for pattern in &sort.get {
            visit(pattern.look_up(db, *element));
        }
    }
}

/// An element and what it is sorted by.
struct Weighed<'a> {
    element: StrRef<'a>,
    score: f64,
    text: Option<Bytes<'a>>,
}

/// The elements that are wanted, in their order, and how many outputs they give. If the value is a
/// list, they are those of `opened`.
fn sorted<'a>(
    db: &ReadDb<'a>,
    ctx: &Ctx,
    args: Args,
    sort: &Sort,
    opened: &'a OpenedNodes,
) -> Result<(Vec<StrRef<'a>>, usize), CommandError> {
    let entry = db.get(&ctx.key(args.get(1)), Lookup::Use);
    let kind = entry.as_ref().map(|entry| entry.kind());
    let mut elements = entry.map_or(Ok(Vec::new()), |entry| elements(entry, opened))?;
    let (mut by, mut is_alpha) = (sort.by, sort.is_alpha);
    if sort.is_unsorted {
        // A set has no order of its own; what is stored, or may be by a script, must be the same on
        // every server.
        if kind == Some(Kind::Set) && (sort.store.is_some() || ctx.in_script) {
            (by, is_alpha) = (None, true);
        } else {
            if kind != Some(Kind::Set) && sort.is_descending {
                elements.reverse();
            }
            return Ok(cut(elements, sort));
        }
    }
    let mut weighed = Vec::with_capacity(elements.len());
    let mut has_failed = false;
    for element in elements {
        let value = match by {
            Some(pattern) => pattern.look_up(db, element),
            None => Some(element.bytes()),
        };
        let score = match &value {
            Some(value) if !is_alpha => score_of(value),
            _ => Some(0.0),
        };
        has_failed |= score.is_none();
        let text = if is_alpha { value } else { None };
        weighed.push(Weighed { element, score: score.unwrap_or(0.0), text });
    }
    let is_collated = sort.store.is_none();
    weighed.sort_by(|a, b| {
        let order = if is_alpha { by_text(a, b, is_collated) } else { by_score(a, b) };
        if sort.is_descending { order.reverse() } else { order }
    });
    let result = cut(weighed.into_iter().map(|weighed| weighed.element).collect(), sort);
    if has_failed { Err(CommandError::SortScore) } else { Ok(result) }
}

/// The elements within LIMIT.
fn cut<'a>(mut elements: Vec<StrRef<'a>>, sort: &Sort) -> (Vec<StrRef<'a>>, usize) {
    let Range { start, end } = sort.range(elements.len());
    elements.truncate(end);
    elements.drain(..start);
    let n_outputs = elements.len().saturating_mul(sort.get.len().max(1));
    (elements, n_outputs)
}

/// The elements of a value in its own order.
fn elements<'a>(
    entry: crabcache_store::structures::table::ItemRef<'a, Entry>,
    opened: &'a OpenedNodes,
) -> Result<Vec<StrRef<'a>>, CommandError> {
    let elements = match entry.kind() {
        Kind::List => entry.into_collection::<List>().map(|list| list.elements(opened)),
        Kind::Set => entry.into_collection::<Set>().map(|set| set.iter().collect()),
        Kind::ZSet => entry
            .into_collection::<ZSet>()
            .map(|set| set.iter(0..set.len(), false).map(|(member, _)| member).collect()),
        _ => None,
    };
    elements.ok_or(CommandError::WrongType)
}

/// Elements with one score are sorted by their bytes, so that the result is certain.
fn by_score(a: &Weighed<'_>, b: &Weighed<'_>) -> Ordering {
    let order = a.score.partial_cmp(&b.score).unwrap_or(Ordering::Equal);
    order.then_with(|| a.element.bytes().cmp(&b.element.bytes()))
}

/// Elements without a text come first. A result that is told is collated as C does in its own
/// locale: up to a 0 byte.
fn by_text(a: &Weighed<'_>, b: &Weighed<'_>, is_collated: bool) -> Ordering {
    fn until_zero(bytes: &[u8]) -> &[u8] {
        bytes.split(|byte| *byte == 0).next().unwrap_or_default()
    }
    match (&a.text, &b.text) {
        (Some(a), Some(b)) if is_collated => until_zero(a).cmp(until_zero(b)),
        (a, b) => a.cmp(b),
    }
}

/// The number that `text` is. As in C, it ends with a 0 byte; nothing at all is 0.
fn score_of(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    match text {
        [] => Some(0.0),
        text => std::str::from_utf8(text).ok()?.parse().ok().filter(|score: &f64| !score.is_nan()),
    }
}

#[cfg(test)]
mod tests;
