//! The list group.

#[cfg(test)]
mod blocking_tests;
mod edits;
mod ends;
mod moves;
mod reads;
#[cfg(test)]
mod tests;

use super::string::reply_string;
use crate::blocking::KeyWait;
use crate::command::{Args, Command, Ctx, Flags, KeySpec, read, write};
use crate::error::CommandError;
use crabcache_resp::Reply;
use crabcache_store::types::list::{End, List};
use crabcache_store::{Kind, Wanted};
use edits::{linsert, lrem, lset, ltrim};
use ends::{blmpop, blpop, brpop, lmpop, lpop, lpush, lpushx, rpop, rpush, rpushx};
use moves::{blmove, brpoplpush, lmove, rpoplpush};
use reads::{lindex, llen, lpos, lrange};

pub(super) const COMMANDS: &[Command] = &[
    write("blmove", blmove)
        .arity(6)
        .flags(Flags::DENYOOM.union(Flags::BLOCKING))
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).rw().insert()])
        .doc("6.2.0", "O(1)", "source:key destination:key wherefrom:{LEFT | RIGHT} whereto:{LEFT | RIGHT} timeout:double", "Moves an element between lists; waits for one."),
    write("blmpop", blmpop)
        .arity(-5)
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::at(2).counted(0, 1).rw().access().delete()])
        .doc("7.0.0", "O(N+M), N being the keys and M the elements returned", "timeout:double numkeys:int key... where:{LEFT | RIGHT} [COUNT=count:int]", "Takes elements from the first list that has some; waits for one."),
    write("blpop", blpop)
        .arity(-3)
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::at(1).range(-2, 1).rw().access().delete()])
        .doc("2.0.0", "O(N), N being the keys", "key... timeout:double", "Takes the first element of the first list that has one; waits for one."),
    write("brpop", brpop)
        .arity(-3)
        .flags(Flags::BLOCKING)
        .keys(&[KeySpec::at(1).range(-2, 1).rw().access().delete()])
        .doc("2.0.0", "O(N), N being the keys", "key... timeout:double", "Takes the last element of the first list that has one; waits for one."),
    write("brpoplpush", brpoplpush)
        .arity(4)
        .flags(Flags::DENYOOM.union(Flags::BLOCKING))
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).rw().insert()])
        .doc("2.2.0", "O(1)", "source:key destination:key timeout:double", "Moves the last element of a list to the front of another; waits for one.")
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    read("lindex", lindex).arity(3).keys(&[KeySpec::at(1).ro().access()]).doc(
        "1.0.0",
        "O(1) at the ends, else O(N), N being the nodes between",
        "key index:int",
        "Returns the element at an index.",
    ),
    write("linsert", linsert)
        .arity(5)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "2.2.0",
            "O(N), N being the elements before the pivot",
            "key where:{BEFORE | AFTER} pivot element",
            "Puts an element before or behind another.",
        ),
    read("llen", llen).arity(2).fast().light().keys(&[KeySpec::at(1).ro()]).doc(
        "1.0.0",
        "O(1)",
        "key",
        "Returns the number of elements.",
    ),
    write("lmove", lmove)
        .arity(5)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).rw().insert()])
        .doc(
            "6.2.0",
            "O(1)",
            "source:key destination:key wherefrom:{LEFT | RIGHT} whereto:{LEFT | RIGHT}",
            "Moves an element between lists.",
        ),
    write("lmpop", lmpop)
        .arity(-4)
        .keys(&[KeySpec::at(1).counted(0, 1).rw().access().delete()])
        .doc(
            "7.0.0",
            "O(N+M), N being the keys and M the elements returned",
            "numkeys:int key... where:{LEFT | RIGHT} [COUNT=count:int]",
            "Takes elements from the first list that has some.",
        ),
    write("lpop", lpop).arity(-2).fast().light().keys(&[KeySpec::at(1).rw().access().delete()]).doc(
        "1.0.0",
        "O(N), N being the elements returned",
        "key [count:int@6.2.0]",
        "Takes elements from the front of a list.",
    ),
    read("lpos", lpos).arity(-3).keys(&[KeySpec::at(1).ro().access()]).doc(
        "6.0.6",
        "O(N), N being the elements looked at",
        "key element [RANK=rank:int] [COUNT=num-matches:int] [MAXLEN=len:int]",
        "Tells where in a list an element is.",
    ),
    write("lpush", lpush)
        .arity(-3)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "1.0.0",
            "O(N), N being the elements added",
            "key element...",
            "Adds elements to the front of a list, or makes one of them.",
        ),
    write("lpushx", lpushx)
        .arity(-3)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "2.2.0",
            "O(N), N being the elements added",
            "key element...",
            "Adds elements to the front of a list if there is one.",
        ),
    read("lrange", lrange).arity(4).keys(&[KeySpec::at(1).ro().access()]).doc(
        "1.0.0",
        "O(S+N), S being the nodes before the first element and N the elements returned",
        "key start:int stop:int",
        "Returns the elements between two indexes.",
    ),
    write("lrem", lrem).arity(4).keys(&[KeySpec::at(1).rw().delete()]).doc(
        "1.0.0",
        "O(N), N being the elements of the list",
        "key count:int element",
        "Removes elements that are equal to one.",
    ),
    write("lset", lset).arity(4).flags(Flags::DENYOOM).keys(&[KeySpec::at(1).rw().update()]).doc(
        "1.0.0",
        "O(1) at the ends, else O(N), N being the nodes between",
        "key index:int element",
        "Replaces the element at an index.",
    ),
    write("ltrim", ltrim).arity(4).keys(&[KeySpec::at(1).rw().delete()]).doc(
        "1.0.0",
        "O(N), N being the elements removed",
        "key start:int stop:int",
        "Keeps the elements between two indexes alone.",
    ),
    write("rpop", rpop).arity(-2).fast().light().keys(&[KeySpec::at(1).rw().access().delete()]).doc(
        "1.0.0",
        "O(N), N being the elements returned",
        "key [count:int@6.2.0]",
        "Takes elements from the end of a list, the last first.",
    ),
    write("rpoplpush", rpoplpush)
        .arity(3)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().delete(), KeySpec::at(2).rw().insert()])
        .doc(
            "1.2.0",
            "O(1)",
            "source:key destination:key",
            "Moves the last element of a list to the front of another.",
        )
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    write("rpush", rpush)
        .arity(-3)
        .fast()
        .light()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "1.0.0",
            "O(N), N being the elements added",
            "key element...",
            "Adds elements to the end of a list, or makes one of them.",
        ),
    write("rpushx", rpushx)
        .arity(-3)
        .fast()
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().insert()])
        .doc(
            "2.2.0",
            "O(N), N being the elements added",
            "key element...",
            "Adds elements to the end of a list if there is one.",
        ),
];

/// Words that name an end of a list.
trait Positions {
    /// Word number `index`: LEFT or RIGHT.
    fn end(&self, index: usize) -> Result<End, CommandError>;
}

impl Positions for Args<'_> {
    fn end(&self, index: usize) -> Result<End, CommandError> {
        if self.is(index, "LEFT") {
            Ok(End::Front)
        } else if self.is(index, "RIGHT") {
            Ok(End::Back)
        } else {
            Err(CommandError::Syntax)
        }
    }
}

/// Blocks the client until one of the keys holds a list.
fn wait_for_lists<'k>(
    ctx: &mut Ctx,
    keys: impl Iterator<Item = &'k [u8]>,
    deadline_ms: Option<i64>,
) {
    let wanted = Wanted { kind: Kind::List, even_if_gone: false };
    let keys = keys.map(Box::from).collect();
    ctx.block_for_keys(KeyWait { wanted, keys, request: None }, deadline_ms);
}

/// Replies with an array of `n` elements from number `start` on, towards an end.
fn reply_elements(reply: &mut Reply<'_>, list: &List, start: usize, n: usize, towards: End) {
    reply.array(n);
    list.show(start, n, towards, |element| reply_string(reply, element));
}
