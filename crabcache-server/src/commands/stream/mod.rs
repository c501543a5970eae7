//! The stream group.

mod add;
mod claim;
mod delete;
mod group;
mod ids;
mod info;
mod pending;
mod range;
mod read;
mod reply;

use self::read::{xread, xreadgroup};
use crate::command::{Command, Flags, KeySpec, container, read, server, write};
use add::{xadd, xtrim};
use claim::{xautoclaim, xclaim};
use delete::{xack, xackdel, xdel, xdelex};
use group::{
    xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_help,
    xgroup_setid, xsetid,
};
use info::{xinfo_consumers, xinfo_groups, xinfo_help, xinfo_stream};
use pending::xpending;
use range::{xlen, xrange, xrevrange};

pub(super) const COMMANDS: &[Command] = &[
    write("xack", xack)
        .arity(-4)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("5.0.0", "O(N), N being the ids", "key group id...", "Acknowledges entries that a consumer group has delivered."),
    write("xackdel", xackdel)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().update().delete()])
        .doc("8.2.0", "O(N), N being the ids", "key group [condition:{KEEPREF | DELREF | ACKED}] IDS=ids:(numids:int id...)", "Acknowledges entries of a group and deletes them."),
    write("xadd", xadd)
        .arity(-5)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .tips(&["nondeterministic_output"])
        .doc("5.0.0", "O(1), and O(N) for N entries that are trimmed", "key [NOMKSTREAM@6.2.0] [condition:{KEEPREF | DELREF | ACKED}] [trim:(strategy:{MAXLEN | MINID@6.2.0} [operator:{equal:'=' | approximately:'~'}] threshold [LIMIT=count:int@6.2.0])] id-selector:{auto-id:'*' | id} data:(field value)...", "Adds an entry to a stream, or makes one of it."),
    write("xautoclaim", xautoclaim)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().delete()])
        .tips(&["nondeterministic_output"])
        .doc("6.2.0", "O(1) if COUNT is small", "key group consumer min-idle-time start [COUNT=count:int] [JUSTID]", "Takes over pending entries that have been idle for a while."),
    write("xclaim", xclaim)
        .arity(-6)
        .fast()
        .keys(&[KeySpec::at(1).rw().update()])
        .tips(&["nondeterministic_output"])
        .doc("5.0.0", "O(N log M), N being the ids and M the pending entries", "key group consumer min-idle-time id... [IDLE=ms:int] [TIME=unix-time-milliseconds:time] [RETRYCOUNT=count:int] [FORCE] [JUSTID] [LASTID=lastid]", "Takes over pending entries, as if they had been delivered."),
    write("xdel", xdel)
        .arity(-3)
        .fast()
        .keys(&[KeySpec::at(1).rw().delete()])
        .doc("5.0.0", "O(N), N being the ids", "key id...", "Deletes entries by their ids."),
    write("xdelex", xdelex)
        .arity(-5)
        .fast()
        .keys(&[KeySpec::at(1).rw().delete()])
        .doc("8.2.0", "O(N), N being the ids", "key [condition:{KEEPREF | DELREF | ACKED}] IDS=ids:(numids:int id...)", "Deletes entries, minding the groups that refer to them."),
    container("xgroup", XGROUP_SUBCOMMANDS)
        .doc("5.0.0", "Depends on the subcommand.", "", "Manages consumer groups."),
    container("xinfo", XINFO_SUBCOMMANDS)
        .doc("5.0.0", "Depends on the subcommand.", "", "Tells about a stream."),
    read("xlen", xlen)
        .arity(2)
        .fast()
        .keys(&[KeySpec::at(1).ro()])
        .doc("5.0.0", "O(1)", "key", "Tells how many entries there are."),
    read("xpending", xpending)
        .arity(-3)
        .keys(&[KeySpec::at(1).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc("5.0.0", "O(N), N being the entries shown", "key group [filters:([IDLE=min-idle-time:int@6.2.0] start end count:int [consumer])]", "Tells what was delivered to a group and not acknowledged."),
    read("xrange", xrange)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("5.0.0", "O(N), N being the entries returned", "key start end [COUNT=count:int]", "Returns the entries between two ids."),
    read("xread", xread)
        .arity(-4)
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::after("STREAMS", 1).limit(2).ro().access()])
        .doc("5.0.0", "O(N), N being the entries returned", "[COUNT=count:int] [BLOCK=milliseconds:int] STREAMS=streams:(key... id...)", "Returns entries beyond the ids given, of several streams, or waits for them."),
    write("xreadgroup", xreadgroup)
        .arity(-7)
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::after("STREAMS", 4).limit(2).ro().access()])
        .doc("5.0.0", "O(N), N being the entries returned", "GROUP=group-block:(group consumer) [COUNT=count:int] [BLOCK=milliseconds:int] [NOACK] STREAMS=streams:(key... id...)", "Reads as a consumer of a group, or waits for entries."),
    read("xrevrange", xrevrange)
        .arity(-4)
        .keys(&[KeySpec::at(1).ro().access()])
        .doc("5.0.0", "O(N), N being the entries returned", "key end start [COUNT=count:int]", "Returns the entries between two ids, the last first."),
    write("xsetid", xsetid)
        .arity(-3)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().update()])
        .doc("5.0.0", "O(1)", "key last-id [ENTRIESADDED=entries-added:int@7.0.0] [MAXDELETEDID=max-deleted-id@7.0.0]", "Sets the last id of a stream, for replication."),
    write("xtrim", xtrim)
        .arity(-4)
        .keys(&[KeySpec::at(1).rw().delete()])
        .tips(&["nondeterministic_output"])
        .doc("5.0.0", "O(N), N being the entries removed", "key trim:(strategy:{MAXLEN | MINID@6.2.0} [operator:{equal:'=' | approximately:'~'}] threshold [LIMIT=count:int@6.2.0] [condition:{KEEPREF | DELREF | ACKED}])", "Removes entries from the front."),
];

const XGROUP_SUBCOMMANDS: &[Command] = &[
        write("create", xgroup_create)
            .arity(-5)
            .flags(Flags::DENYOOM)
            .keys(&[KeySpec::at(2).rw().insert()])
            .doc("5.0.0", "O(1)", "key group id-selector:{id | new-id:'$'} [MKSTREAM] [ENTRIESREAD=entriesread\"entries-read\":int]", "Makes a consumer group."),
        write("createconsumer", xgroup_createconsumer)
            .arity(5)
            .flags(Flags::DENYOOM)
            .keys(&[KeySpec::at(2).rw().insert()])
            .doc("6.2.0", "O(1)", "key group consumer", "Makes a consumer of a group."),
        write("delconsumer", xgroup_delconsumer)
            .arity(5)
            .keys(&[KeySpec::at(2).rw().delete()])
            .doc("5.0.0", "O(N), N being its pending entries", "key group consumer", "Deletes a consumer of a group."),
        write("destroy", xgroup_destroy)
            .arity(4)
            .keys(&[KeySpec::at(2).rw().delete()])
            .doc("5.0.0", "O(N), N being the group's pending entries", "key group", "Deletes a consumer group."),
        server("help", xgroup_help)
            .arity(2)
            .flags(Flags::LOADING.union(Flags::STALE))
            .doc("5.0.0", "O(1)", "", "Tells what the subcommands are."),
        write("setid", xgroup_setid)
            .arity(-5)
            .keys(&[KeySpec::at(2).rw().update()])
            .doc("5.0.0", "O(1)", "key group id-selector:{id | new-id:'$'} [ENTRIESREAD=entriesread\"entries-read\":int]", "Says up to where a group has read."),
];

const XINFO_SUBCOMMANDS: &[Command] = &[
    read("consumers", xinfo_consumers)
        .arity(4)
        .keys(&[KeySpec::at(2).ro().access()])
        .tips(&["nondeterministic_output"])
        .doc(
            "5.0.0",
            "O(N), N being the consumers",
            "key group",
            "Lists the consumers of a group.",
        ),
    read("groups", xinfo_groups).arity(3).keys(&[KeySpec::at(2).ro().access()]).doc(
        "5.0.0",
        "O(N), N being the groups",
        "key",
        "Lists the groups of a stream.",
    ),
    server("help", xinfo_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "5.0.0",
        "O(1)",
        "",
        "Tells what the subcommands are.",
    ),
    read("stream", xinfo_stream).arity(-3).keys(&[KeySpec::at(2).ro().access()]).doc(
        "5.0.0",
        "O(N), N being the nodes",
        "key [full-block:(FULL [COUNT=count:int])]",
        "Tells about a stream, with FULL also what it holds.",
    ),
];

#[cfg(test)]
mod blocking_tests;
#[cfg(test)]
mod tests;
