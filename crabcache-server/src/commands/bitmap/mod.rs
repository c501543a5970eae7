//! The bitmap group: strings as rows of bits and of small integers.
//!
//! What happens to the bits is in the store (`algorithms/bits.rs`, `algorithms/bit_field.rs`).

mod bit;
mod field;
mod operation;
mod range;

use crate::command::{Command, Flags, KeySpec, read, write};
use bit::{getbit, setbit};
use field::{bitfield, bitfield_keys, bitfield_ro};
use operation::bitop;
use range::{bitcount, bitpos};

pub(super) const COMMANDS: &[Command] = &[
    read("bitcount", bitcount).arity(-2).keys(&[KeySpec::at(1).ro().access()]).doc(
        "2.6.0",
        "O(N), N being the bytes of the range",
        "key [range:(start:int end:int [unit:{BYTE | BIT}@7.0.0])]",
        "Counts the bits of a string, or of a part of it, that are set.",
    ),
    write("bitfield", bitfield)
        .arity(-2)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1)
            .rw()
            .access()
            .update()
            .variable()
            .notes("This command allows both access and modification of the key")])
        .key_finder(bitfield_keys)
        .doc(
            "3.2.0",
            "O(N), N being the operations",
            "key [operation:{GET=get-block:(encoding offset:int) | write:([OVERFLOW=overflow-block:{WRAP | SAT | FAIL}] write-operation:{SET=set-block:(encoding offset:int value:int) | INCRBY=incrby-block:(encoding offset:int increment:int)})}...]",
            "Reads, sets and increments integers of any width inside a string.",
        ),
    read("bitfield_ro", bitfield_ro)
        .arity(-2)
        .fast()
        .keys(&[KeySpec::at(1).ro().access()])
        .doc(
            "6.0.0",
            "O(N), N being the operations",
            "key [GET=get-block:(encoding offset:int)...!]",
            "Reads integers of any width inside a string.",
        ),
    write("bitop", bitop)
        .arity(-4)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(2).ow().update(), KeySpec::at(3).range(-1, 1).ro().access()])
        .doc(
            "2.6.0",
            "O(N), N being the bytes of all sources",
            "operation:{AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE} destkey:key key...",
            "Combines strings bit by bit and keeps the result.",
        ),
    read("bitpos", bitpos).arity(-3).keys(&[KeySpec::at(1).ro().access()]).doc(
        "2.8.7",
        "O(N), N being the bytes of the range",
        "key bit:int [range:(start:int [end-unit-block:(end:int [unit:{BYTE | BIT}@7.0.0])])]",
        "Finds the first bit of a string that is set, or the first that is not.",
    ),
    read("getbit", getbit).arity(3).fast().keys(&[KeySpec::at(1).ro().access()]).doc(
        "2.2.0",
        "O(1)",
        "key offset:int",
        "Returns a bit of a string.",
    ),
    write("setbit", setbit)
        .arity(4)
        .flags(Flags::DENYOOM)
        .keys(&[KeySpec::at(1).rw().access().update()])
        .doc(
            "2.2.0",
            "O(1)",
            "key offset:int value:int",
            "Sets or clears a bit of a string, which grows if need be.",
        ),
];

#[cfg(test)]
mod tests;
