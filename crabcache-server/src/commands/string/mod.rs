//! The string group.

mod counters;
mod expiration;
mod get;
mod lcs;
mod many;
mod ranges;
mod set;

use crate::command::{Command, Flags, KeySpec, read, write};
use counters::{decr, decrby, incr, incrby, incrbyfloat};
use crabcache_resp::Reply;
use crabcache_store::StrRef;
use get::{delifeq, get, getdel, getex, strlen};
use lcs::lcs;
use many::{mget, mset, msetnx};
use ranges::{append, getrange, setrange, substr};
use set::{getset, psetex, set, set_keys, setex, setnx};

pub(super) const COMMANDS: &[Command] = &[
    write("append", append)
        .arity(3)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "2.0.0",
            "O(1) amortised: a string that grows gets room to grow on",
            "key value",
            "Adds bytes to the end of a string, or makes one of them.",
        ),
    write("decr", decr)
        .arity(2)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("1.0.0", "O(1)", "key", "Takes 1 from an integer, which begins at 0."),
    write("decrby", decrby)
        .arity(3)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("1.0.0", "O(1)", "key decrement:int", "Takes a number from an integer."),
    write("delifeq", delifeq)
        .arity(3)
        .keys(&[KeySpec::at(1).rm().access().delete()])
        .doc("9.0.0", "O(1)", "key value", "Deletes a string if it is the one given."),
    read("get", get)
        .arity(2)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("1.0.0", "O(1)", "key", "Returns a string."),
    write("getdel", getdel)
        .arity(2)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().delete()])
        .doc("6.2.0", "O(1)", "key", "Returns a string and deletes it."),
    write("getex", getex)
        .arity(-2)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc(
            "6.2.0",
            "O(1)",
            "key [expiration:{EX=seconds:int | PX=milliseconds:int | EXAT=unix-time-seconds:time | PXAT=unix-time-milliseconds:time | PERSIST}]",
            "Returns a string and sets or ends its expiry.",
        ),
    read("getrange", getrange)
        .arity(4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc(
            "2.4.0",
            "O(N), N being the bytes returned",
            "key start:int end:int",
            "Returns a part of a string.",
        ),
    write("getset", getset)
        .arity(3)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("1.0.0", "O(1)", "key value", "Sets a string and returns what it was before.")
        .deprecated("6.2.0", "`SET` with the `!GET` argument"),
    write("incr", incr)
        .arity(2)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("1.0.0", "O(1)", "key", "Adds 1 to an integer, which begins at 0."),
    write("incrby", incrby)
        .arity(3)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("1.0.0", "O(1)", "key increment:int", "Adds a number to an integer."),
    write("incrbyfloat", incrbyfloat)
        .arity(3)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("2.6.0", "O(1)", "key increment:double", "Adds to a floating-point number."),
    read("lcs", lcs).arity(-3).keys(&[KeySpec::at(1).range(1, 1).ro().access()]).doc(
        "7.0.0",
        "O(N*M), N and M being the lengths of the strings",
        "key1:key key2:key#0 [LEN] [IDX] [MINMATCHLEN=min-match-len:int] [WITHMATCHLEN]",
        "Finds the longest common subsequence of two strings.",
    ),
    read("mget", mget)
        .arity(-2)
        .fast()
        .keys(&[KeySpec::at(1).range(-1, 1).ro().access()])
        .tips(&["request_policy:multi_shard"])
        .doc("1.0.0", "O(N), N being the keys", "key...", "Returns strings, as of one moment."),
    write("mset", mset)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).range(-1, 2).ow().update()])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .doc(
            "1.0.1",
            "O(N), N being the keys",
            "data:(key value)...",
            "Sets strings, all at one moment.",
        ),
    write("msetnx", msetnx)
        .arity(-3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).range(-1, 2).ow().insert()])
        .doc(
            "1.0.1",
            "O(N), N being the keys",
            "data:(key value)...",
            "Sets strings if none of the keys exists.",
        ),
    write("psetex", psetex)
        .arity(4)
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update()])
        .doc(
            "2.6.0",
            "O(1)",
            "key milliseconds:int value",
            "Sets a string that expires after some milliseconds.",
        )
        .deprecated("2.6.12", "`SET` with the `PX` argument"),
    write("set", set)
        .arity(-3)
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1)
            .rw()
            .access()
            .update()
            .variable()
            .notes("RW and ACCESS due to the optional `GET` argument")])
        .key_finder(set_keys)
        .doc(
            "1.0.0",
            "O(1)",
            "key value [condition:{NX | XX}@2.6.12] [GET@6.2.0] [expiration:{EX=seconds:int@2.6.12 | PX=milliseconds:int@2.6.12 | EXAT=unix-time-seconds:time@6.2.0 | PXAT=unix-time-milliseconds:time@6.2.0 | KEEPTTL@6.0.0}]",
            "Sets a key to a string, whatever it held.",
        ),
    write("setex", setex)
        .arity(4)
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().update()])
        .doc(
            "2.0.0",
            "O(1)",
            "key seconds:int value",
            "Sets a string that expires after some seconds.",
        )
        .deprecated("2.6.12", "`SET` with the `EX` argument"),
    write("setnx", setnx)
        .arity(3)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).ow().insert()])
        .doc("1.0.0", "O(1)", "key value", "Sets a string if the key does not exist.")
        .deprecated("2.6.12", "`SET` with the `NX` argument"),
    write("setrange", setrange)
        .arity(4)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc(
            "2.2.0",
            "O(N), N being the bytes written and those that the string grows by",
            "key offset:int value",
            "Overwrites a part of a string, or makes one.",
        ),
    read("strlen", strlen)
        .arity(2)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro()])
        .doc("2.2.0", "O(1)", "key", "Returns the length of a string."),
    read("substr", substr)
        .arity(4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc(
            "1.0.0",
            "O(N), N being the bytes returned",
            "key start:int end:int",
            "Returns a part of a string.",
        )
        .deprecated("2.0.0", "`GETRANGE`"),
];

/// Answers with a string.
#[inline]
pub(in crate::commands) fn reply_string(reply: &mut Reply<'_>, value: StrRef<'_>) {
    match value {
        StrRef::Bytes(bytes) => reply.bulk(bytes),
        StrRef::Int(value) => reply.bulk_int(value),
    }
}
