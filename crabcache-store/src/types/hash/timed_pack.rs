//! The layout of a listpack whose fields may expire, Redis's own: field, value, time; field, value,
//! time; ... The time is Unix milliseconds, 0 for never. Those that expire come first, the earliest
//! before all others.

use crate::structures::listpack::{At, Listpack};
use crate::types::string::StrRef;

/// Elements that belong to one field.
pub(super) const TUPLE_LEN: usize = 3;
/// The time of a field that does not expire.
const NEVER: i64 = 0;

/// The same fields with room for times.
pub(super) fn from_pack(pack: &Listpack) -> Listpack {
    let mut timed = Listpack::new();
    for (index, (_, element)) in pack.iter().enumerate() {
        timed.push_back(&element.bytes());
        if index % 2 == 1 {
            timed.push_back(b"0");
        }
    }
    timed
}

/// The time of the field at `field`.
pub(super) fn expire_at_ms(pack: &Listpack, field: At) -> Option<i64> {
    let time = pack.next(field).and_then(|value| pack.next(value));
    time.and_then(|time| time_of(pack.get(time)))
}

/// What an element in the place of a time means.
pub(super) fn time_of(element: StrRef<'_>) -> Option<i64> {
    element.to_int().filter(|at_ms| *at_ms != NEVER)
}

/// When the first field expires, the earliest of all.
pub(super) fn next_expire_ms(pack: &Listpack) -> Option<i64> {
    pack.first().and_then(|field| expire_at_ms(pack, field))
}

/// Adds a field that is not there yet, in its place by time: before all that expire at the same
/// time or later.
pub(super) fn insert(pack: &mut Listpack, name: &[u8], value: &[u8], expire_at_ms: Option<i64>) {
    let Some(at_ms) = expire_at_ms else {
        [name, value, b"0"].into_iter().for_each(|element| pack.push_back(element));
        return;
    };
    let mut text = itoa::Buffer::new();
    let tuple = [name, value, text.format(at_ms).as_bytes()];
    match successor(pack, at_ms) {
        Some(at) => tuple.into_iter().rev().for_each(|element| pack.insert(at, element)),
        None => tuple.into_iter().for_each(|element| pack.push_back(element)),
    }
}

/// The first field that expires at `at_ms` or later, or never.
fn successor(pack: &Listpack, at_ms: i64) -> Option<At> {
    let is_later = |field: &At| expire_at_ms(pack, *field).is_none_or(|own| own >= at_ms);
    fields(pack).find(is_later)
}

/// The places of all fields, in order.
fn fields(pack: &Listpack) -> impl Iterator<Item = At> {
    let mut next = pack.first();
    std::iter::from_fn(move || {
        let field = next?;
        let time = pack.next(field).and_then(|value| pack.next(value));
        next = time.and_then(|time| pack.next(time));
        Some(field)
    })
}

/// Sets or ends the expiry of the field at `field`, which moves to its new place.
pub(super) fn set_expire(pack: &mut Listpack, field: At, expire_at_ms: Option<i64>) {
    let name = pack.get(field).to_vec();
    let value = pack.next(field).map(|value| pack.get(value).to_vec()).unwrap_or_default();
    pack.remove(field, TUPLE_LEN);
    insert(pack, &name, &value, expire_at_ms);
}

/// Removes the fields that have expired, and gives the name of each to `expired`.
pub(super) fn remove_due(pack: &mut Listpack, now_ms: i64, mut expired: impl FnMut(&[u8])) {
    let is_due = |field: &At| expire_at_ms(pack, *field).is_some_and(|at_ms| at_ms < now_ms);
    let due: Vec<At> = fields(pack).take_while(is_due).collect();
    due.iter().for_each(|field| expired(&pack.get(*field).bytes()));
    if let Some(first) = due.first() {
        pack.remove(*first, due.len() * TUPLE_LEN);
    }
}
