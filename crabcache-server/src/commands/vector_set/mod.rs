//! The vector-set group, which the reference has from a module: so COMMAND tells of it.

mod add;
mod change;
mod random;
mod read;
mod search;
mod vector;

use crate::command::{Command, CommandResult, Ctx, Flags, KeySpec, read, write};
use crate::error::CommandError;
use crabcache_store::types::vector_set::VectorSet;

use add::vadd;
use change::{vrem, vsetattr};
use random::vrandmember;
use read::{vcard, vdim, vemb, vgetattr, vinfo, vismember, vlinks};
use search::vsim;

/// Where the key is, as the reference tells it of all commands of modules.
const KEY: &[KeySpec] = &[KeySpec::at(1).rw().access().update()];

pub(super) const COMMANDS: &[Command] = &[
    write("VADD", vadd)
        .flags(Flags::DENYOOM.union(Flags::MODULE))
        .keys(KEY)
        .doc("8.0.0", "O(log(N)), N being the elements", "key [REDUCE=dim:int] format:{FP32 | VALUES=num:int} vector... element [CAS] [quantization:{NOQUANT | Q8 | BIN}] [EF=build-exploration-factor:int] [SETATTR=attributes] [M=numlinks:int]", "Adds an element with its vector to a vector set, or gives it another vector."),
    read("VCARD", vcard)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key", "Counts the elements of a vector set."),
    read("VDIM", vdim)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key", "Returns how many components the vectors of a vector set have."),
    read("VEMB", vemb)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key element [RAW]", "Returns the vector of an element."),
    read("VGETATTR", vgetattr)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key element", "Returns the attributes of an element."),
    read("VINFO", vinfo)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key", "Tells how a vector set is made."),
    read("VISMEMBER", vismember)
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key element", "Tells whether an element is in a vector set."),
    read("VLINKS", vlinks)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key element [WITHSCORES]", "Returns the elements that an element is linked with in the graph."),
    read("VRANDMEMBER", vrandmember)
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(N), N being the elements returned", "key [count:int]", "Returns elements drawn at random."),
    write("VREM", vrem)
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(log(N)), N being the elements", "key element", "Removes an element from a vector set."),
    write("VSETATTR", vsetattr)
        .fast()
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(1)", "key element attributes", "Sets the attributes of an element, or removes them."),
    read("VSIM", vsim)
        .flags(Flags::MODULE)
        .keys(KEY)
        .doc("8.0.0", "O(log(N)), N being the elements", "key format:{ELE | FP32 | VALUES=num:int} vector... [WITHSCORES] [WITHATTRIBS] [COUNT=num:int] [EPSILON=max-distance:double] [EF=search-exploration-factor:int] [FILTER=expression] [FILTER-EF=max-filtering-effort:int] [TRUTH] [NOTHREAD]", "Finds the elements whose vectors are nearest to another."),
];

/// Refuses a number of words that the command does not take; the reference counts them itself.
fn check_arity(ctx: &Ctx, is_right: bool) -> CommandResult {
    if is_right { Ok(()) } else { Err(CommandError::Arity(ctx.row.full_name.clone())) }
}

/// Tells of a change; the reference has no events for those of vector sets.
fn changed(ctx: &mut Ctx, key: &[u8]) {
    ctx.effects.n_dirty += 1;
    ctx.effects.touched(ctx.client.db, key);
}

/// The similarity that a distance is told as: 1 in the same direction, 0 in the opposite one.
fn similarity(distance: f32) -> f64 {
    1.0 - f64::from(distance) / 2.0
}

/// The number of an element of a set that may not be there.
fn find<'s>(set: Option<&'s VectorSet>, element: &[u8]) -> Option<(&'s VectorSet, u32)> {
    let set = set?;
    set.find(element).map(|node| (set, node))
}

#[cfg(test)]
mod tests;
