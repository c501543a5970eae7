//! The hash group.

mod expiration;
mod expire;
mod get;
mod getex;
mod random;
mod scan;
mod set;

use crate::command::{Command, Flags, KeySpec, read, write};
use expire::{hexpire, hexpireat, hexpiretime, hpersist, hpexpire, hpexpireat, hpexpiretime};
use expire::{hpttl, httl};
pub(super) use get::find;
use get::{hexists, hget, hgetall, hkeys, hlen, hmget, hstrlen, hvals};
use getex::{hgetdel, hgetex, hsetex};
use random::hrandfield;
use scan::hscan;
use set::{hdel, hincrby, hincrbyfloat, hmset, hset, hsetnx};

pub(super) const COMMANDS: &[Command] = &[
    write("hdel", hdel)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).rw().delete()])
        .element(2)
        .doc("2.0.0", "O(N), N being the fields", "key field...", "Removes fields from a hash."),
    read("hexists", hexists)
        .arity(3)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro()])
        .element(2)
        .doc("2.0.0", "O(1)", "key field", "Tells whether a hash has a field."),
    write("hexpire", hexpire)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("7.4.0", "O(N), N being the fields", "key seconds:int [condition:{NX | XX | GT | LT}] FIELDS=fields:(numfields:int field...)", "Lets fields of a hash expire after some seconds."),
    write("hexpireat", hexpireat)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("7.4.0", "O(N), N being the fields", "key unix-time-seconds:time [condition:{NX | XX | GT | LT}] FIELDS=fields:(numfields:int field...)", "Lets fields of a hash expire at a time in seconds."),
    read("hexpiretime", hexpiretime)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("7.4.0", "O(N), N being the fields", "key FIELDS=fields:(numfields:int field...)", "Returns when fields of a hash expire, in seconds."),
    read("hget", hget)
        .arity(3)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc("2.0.0", "O(1)", "key field", "Returns the value of a field."),
    read("hgetall", hgetall)
        .arity(2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc("2.0.0", "O(N), N being the size of the hash", "key", "Returns all fields with their values."),
    write("hgetdel", hgetdel)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().delete()])
        .doc("8.0.0", "O(N), N being the fields", "key FIELDS=fields:(numfields:int field...)", "Returns the values of fields and removes them."),
    write("hgetex", hgetex)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc("8.0.0", "O(N), N being the fields", "key [expiration:{EX=seconds:int | PX=milliseconds:int | EXAT=unix-time-seconds:time | PXAT=unix-time-milliseconds:time | PERSIST}] FIELDS=fields:(numfields:int field...)", "Returns the values of fields and sets or ends their expiry."),
    write("hincrby", hincrby)
        .arity(4)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .element(2)
        .doc("2.0.0", "O(1)", "key field increment:int", "Adds to the integer in a field, which begins at 0."),
    write("hincrbyfloat", hincrbyfloat)
        .arity(4)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .element(2)
        .doc("2.6.0", "O(1)", "key field increment:double", "Adds to the floating-point number in a field."),
    read("hkeys", hkeys)
        .arity(2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc("2.0.0", "O(N), N being the size of the hash", "key", "Returns all fields."),
    read("hlen", hlen)
        .arity(2)
        .fast()
        .light()
        .keys(&[KeySpec::at(1).ro()])
        .doc("2.0.0", "O(1)", "key", "Counts the fields of a hash."),
    read("hmget", hmget)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .element(2)
        .doc("2.0.0", "O(N), N being the fields", "key field...", "Returns the values of fields."),
    write("hmset", hmset)
        .arity(-4)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .element(2)
        .doc("2.0.0", "O(N), N being the fields", "key data:(field value)...", "Sets fields of a hash.")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
    write("hpersist", hpersist)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("7.4.0", "O(N), N being the fields", "key FIELDS=fields:(numfields:int field...)", "Ends the expiry of fields of a hash."),
    write("hpexpire", hpexpire)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("7.4.0", "O(N), N being the fields", "key milliseconds:int [condition:{NX | XX | GT | LT}] FIELDS=fields:(numfields:int field...)", "Lets fields of a hash expire after some milliseconds."),
    write("hpexpireat", hpexpireat)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("7.4.0", "O(N), N being the fields", "key unix-time-milliseconds:time [condition:{NX | XX | GT | LT}] FIELDS=fields:(numfields:int field...)", "Lets fields of a hash expire at a time in milliseconds."),
    read("hpexpiretime", hpexpiretime)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("7.4.0", "O(N), N being the fields", "key FIELDS=fields:(numfields:int field...)", "Returns when fields of a hash expire, in milliseconds."),
    read("hpttl", hpttl)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("7.4.0", "O(N), N being the fields", "key FIELDS=fields:(numfields:int field...)", "Returns how many milliseconds fields of a hash still have."),
    read("hrandfield", hrandfield)
        .arity(-2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("6.2.0", "O(N), N being the fields returned", "key [options:(count:int [WITHVALUES])]", "Returns fields of a hash drawn at random."),
    read("hscan", hscan)
        .arity(-3)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("2.8.0", "O(1) per call, O(N) for a whole round, N being the size of the hash", "key cursor:int [MATCH=pattern:pattern] [COUNT=count:int] [NOVALUES]", "Goes through the fields of a hash in many small steps."),
    write("hset", hset)
        .arity(-4)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .element(2)
        .doc("2.0.0", "O(N), N being the fields", "key data:(field value)...", "Sets fields of a hash; counts those that are new."),
    write("hsetex", hsetex)
        .arity(-6)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("8.0.0", "O(N), N being the fields", "key [condition:{FNX | FXX}] [expiration:{EX=seconds:int | PX=milliseconds:int | EXAT=unix-time-seconds:time | PXAT=unix-time-milliseconds:time | KEEPTTL}] FIELDS=fields:(numfields:int data:(field value)...)", "Sets fields of a hash together with their expiry."),
    write("hsetnx", hsetnx)
        .arity(4)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .element(2)
        .doc("2.0.0", "O(1)", "key field value", "Sets a field if the hash does not have it."),
    read("hstrlen", hstrlen)
        .arity(3)
        .fast()
        .keys(&[KeySpec::at(1).ro()])
        .element(2)
        .doc("3.2.0", "O(1)", "key field", "Returns the length of a value in a hash."),
    read("httl", httl)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("7.4.0", "O(N), N being the fields", "key FIELDS=fields:(numfields:int field...)", "Returns how many seconds fields of a hash still have."),
    read("hvals", hvals)
        .arity(2)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output_order"])
        .doc("2.0.0", "O(N), N being the size of the hash", "key", "Returns all values."),
];

#[cfg(test)]
mod tests;
