//! The set group.

mod algebra;
mod members;
mod random;
mod scan;

use crate::command::{Command, Flags, KeySpec, read, write};
use algebra::{sdiff, sdiffstore, sinter, sintercard, sinterstore, sunion, sunionstore};
use crabcache_resp::Reply;
use crabcache_store::StrRef;
use members::{sadd, scard, sismember, smembers, smismember, smove, srem};
use random::{spop, srandmember};
use scan::sscan;

pub(super) const COMMANDS: &[Command] = &[
    write("sadd", sadd)
        .arity(-3)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .element(2)
        .doc("1.0.0", "O(1) for each member", "key member...", "Adds members to a set."),
    read("scard", scard).arity(2).fast().light().keys(&[KeySpec::at(1).ro()]).doc(
        "1.0.0",
        "O(1)",
        "key",
        "Returns the number of members of a set.",
    ),
    read("sdiff", sdiff)
        .arity(-2)
        .keys(&[KeySpec::at(1).range(-1, 1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc(
            "1.0.0",
            "O(N), N being the members of all sets",
            "key...",
            "Returns the members of the first set that are in none of the others.",
        ),
    write("sdiffstore", sdiffstore)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).range(-1, 1).ro().access()])
        .doc(
            "1.0.0",
            "O(N), N being the members of all sets",
            "destination:key key...",
            "Stores the members of the first set that are in none of the others.",
        ),
    read("sinter", sinter)
        .arity(-2)
        .keys(&[KeySpec::at(1).range(-1, 1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc(
            "1.0.0",
            "O(N*M), N being the members of the smallest of M sets",
            "key...",
            "Returns the members that are in all sets.",
        ),
    read("sintercard", sintercard)
        .arity(-3)
        .keys(&[KeySpec::at(1).counted(0, 1).ro().access()])
        .doc(
            "7.0.0",
            "O(N*M), N being the members of the smallest of M sets",
            "numkeys:int key... [LIMIT=limit:int]",
            "Returns how many members are in all sets.",
        ),
    write("sinterstore", sinterstore)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).range(-1, 1).ro().access()])
        .doc(
            "1.0.0",
            "O(N*M), N being the members of the smallest of M sets",
            "destination:key key...",
            "Stores the members that are in all sets.",
        ),
    read("sismember", sismember)
        .arity(3)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro()])
        .element(2)
        .doc("1.0.0", "O(1)", "key member", "Tells whether something is a member of a set."),
    read("smembers", smembers)
        .arity(2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc("1.0.0", "O(N), N being the members", "key", "Returns all members of a set."),
    read("smismember", smismember)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc(
            "6.2.0",
            "O(1) for each member",
            "key member...",
            "Tells of each of several things whether it is a member of a set.",
        ),
    write("smove", smove)
        .arity(4)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).rw().insert()])
        .doc(
            "1.0.0",
            "O(1)",
            "source:key destination:key member",
            "Moves a member from one set to another.",
        ),
    write("spop", spop)
        .arity(-2)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().delete()])
        .tips(&["nondeterministic_output"])
        .doc(
            "1.0.0",
            "O(N), N being the members returned",
            "key [count:int@3.2.0]",
            "Removes members drawn at random and returns them.",
        ),
    read("srandmember", srandmember)
        .arity(-2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc(
            "1.0.0",
            "O(N), N being the members returned",
            "key [count:int@2.6.0]",
            "Returns members drawn at random.",
        ),
    write("srem", srem)
        .arity(-3)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).rw().delete()])
        .element(2)
        .doc("1.0.0", "O(1) for each member", "key member...", "Removes members from a set."),
    read("sscan", sscan)
        .arity(-3)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc(
            "2.8.0",
            "O(1) per call, O(N) for a whole round, N being the members",
            "key cursor:int [MATCH=pattern:pattern] [COUNT=count:int]",
            "Goes through the members of a set in many small steps.",
        ),
    read("sunion", sunion)
        .arity(-2)
        .keys(&[KeySpec::at(1).range(-1, 1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc(
            "1.0.0",
            "O(N), N being the members of all sets",
            "key...",
            "Returns the members that are in any of the sets.",
        ),
    write("sunionstore", sunionstore)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update(), KeySpec::at(2).range(-1, 1).ro().access()])
        .doc(
            "1.0.0",
            "O(N), N being the members of all sets",
            "destination:key key...",
            "Stores the members that are in any of the sets.",
        ),
];

/// Answers with a member.
#[inline]
fn reply_member(reply: &mut Reply<'_>, member: StrRef<'_>) {
    match member {
        StrRef::Bytes(bytes) => reply.bulk(bytes),
        StrRef::Int(int) => reply.bulk_int(int),
    }
}

#[cfg(test)]
mod tests;
