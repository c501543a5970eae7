//! Where the keys of a request are. One declaration per command; locks, WATCH, COMMAND GETKEYS and
//! whatever else needs keys derive from it.

use super::{Args, Command};
use bitflags::bitflags;
use crabcache_resp::number::parse_i64;
use std::iter::StepBy;
use std::ops::Range;

bitflags! {
    /// What a command does with a key. The names are COMMAND's.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct KeyFlags: u16 {
        /// Reads, changes nothing.
        const RO = 1;
        /// Reads and changes.
        const RW = 1 << 1;
        /// Overwrites, whatever was there.
        const OW = 1 << 2;
        /// Removes.
        const RM = 1 << 3;
        /// Returns or copies user data.
        const ACCESS = 1 << 4;
        /// Changes user data.
        const UPDATE = 1 << 5;
        /// Adds user data.
        const INSERT = 1 << 6;
        /// Removes user data.
        const DELETE = 1 << 7;
        /// Is no key, but hashes to a slot like one.
        const NOT_KEY = 1 << 8;
        /// There may be more keys than the specification finds.
        const INCOMPLETE = 1 << 9;
        /// Other flags with some options.
        const VARIABLE_FLAGS = 1 << 10;
    }
}

impl KeyFlags {
    /// The flags with the names that COMMAND gives them, in its order.
    pub const WIRE_NAMES: &[(KeyFlags, &str)] = &[
        (KeyFlags::RO, "RO"),
        (KeyFlags::RW, "RW"),
        (KeyFlags::OW, "OW"),
        (KeyFlags::RM, "RM"),
        (KeyFlags::ACCESS, "access"),
        (KeyFlags::UPDATE, "update"),
        (KeyFlags::INSERT, "insert"),
        (KeyFlags::DELETE, "delete"),
        (KeyFlags::NOT_KEY, "not_key"),
        (KeyFlags::INCOMPLETE, "incomplete"),
        (KeyFlags::VARIABLE_FLAGS, "variable_flags"),
    ];
}

/// Where the search for keys begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this word.
    Index(usize),
    /// After this word, looked for from a position (negative: from the end, backwards).
    Keyword(&'static str, i32),
    /// Nobody can tell.
    Unknown,
}

/// Which words are keys, from where the search began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// Every `step`th word up to `last` (relative to the begin; negative: from the end). With -1, a
    /// `limit` of n > 1 stops after 1/n of the words.
    Range {
        /// The last key's offset.
        last: i32,
        /// Distance of keys.
        step: usize,
        /// Divides what is left.
        limit: usize,
    },
    /// As many as a number says.
    KeyNum {
        /// Offset of the number.
        number: usize,
        /// Offset of the first key.
        first: usize,
        /// Distance of keys.
        step: usize,
    },
    /// Nobody can tell.
    Unknown,
}

/// Positions of keys among the words of a request.
pub type Positions = StepBy<Range<usize>>;

/// One place where a command has keys. Built like `KeySpec::at(1).ro().access()`.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    /// What the command does with these keys.
    pub flags: KeyFlags,
    /// Where the search begins.
    pub begin: Begin,
    /// Which words are keys.
    pub find: Find,
    /// Why the flags are as they are, where that is not obvious; else empty.
    pub notes: &'static str,
}

/// Finds the keys of a request where specifications do not tell them all, or their flags depend on
/// options: positions with flags. Asked after the arity was checked.
pub type KeyFinder = fn(Args<'_>) -> Vec<(usize, KeyFlags)>;

impl KeySpec {
    /// One key, at this word.
    pub const fn at(index: usize) -> KeySpec {
        KeySpec::new(Begin::Index(index))
    }

    /// One key after the word `keyword`, which is looked for from word `start` on.
    pub const fn after(keyword: &'static str, start: i32) -> KeySpec {
        KeySpec::new(Begin::Keyword(keyword, start))
    }

    /// Keys at places that only the command knows.
    pub const fn unknown() -> KeySpec {
        KeySpec { find: Find::Unknown, ..KeySpec::new(Begin::Unknown) }
    }

    const fn new(begin: Begin) -> KeySpec {
        let find = Find::Range { last: 0, step: 1, limit: 0 };
        KeySpec { flags: KeyFlags::empty(), begin, find, notes: "" }
    }

    /// Keys up to `last` (negative: from the end), at every `step`th word.
    pub const fn range(self, last: i32, step: usize) -> KeySpec {
        KeySpec { find: Find::Range { last, step, limit: 0 }, ..self }
    }

    /// Keys in the first 1/`limit` of the words that are left.
    pub const fn limit(self, limit: usize) -> KeySpec {
        KeySpec { find: Find::Range { last: -1, step: 1, limit }, ..self }
    }

    /// As many keys as the word at offset `number` says, from offset `first` on.
    pub const fn counted(self, number: usize, first: usize) -> KeySpec {
        KeySpec { find: Find::KeyNum { number, first, step: 1 }, ..self }
    }

    const fn flag(self, flags: KeyFlags) -> KeySpec {
        KeySpec { flags: self.flags.union(flags), ..self }
    }

    /// Reads, changes nothing.
    pub const fn ro(self) -> KeySpec {
        self.flag(KeyFlags::RO)
    }

    /// Reads and changes.
    pub const fn rw(self) -> KeySpec {
        self.flag(KeyFlags::RW)
    }

    /// Overwrites.
    pub const fn ow(self) -> KeySpec {
        self.flag(KeyFlags::OW)
    }

    /// Removes.
    pub const fn rm(self) -> KeySpec {
        self.flag(KeyFlags::RM)
    }

    /// Returns or copies user data.
    pub const fn access(self) -> KeySpec {
        self.flag(KeyFlags::ACCESS)
    }

    /// Changes user data.
    pub const fn update(self) -> KeySpec {
        self.flag(KeyFlags::UPDATE)
    }

    /// Adds user data.
    pub const fn insert(self) -> KeySpec {
        self.flag(KeyFlags::INSERT)
    }

    /// Removes user data.
    pub const fn delete(self) -> KeySpec {
        self.flag(KeyFlags::DELETE)
    }

    /// Is no key, but hashes to a slot like one.
    pub const fn not_key(self) -> KeySpec {
        self.flag(KeyFlags::NOT_KEY)
    }

    /// There may be more keys.
    pub const fn incomplete(self) -> KeySpec {
        self.flag(KeyFlags::INCOMPLETE)
    }

    /// Other flags with some options.
    pub const fn variable(self) -> KeySpec {
        self.flag(KeyFlags::VARIABLE_FLAGS)
    }

    /// Says why the flags are as they are.
    pub const fn notes(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }

    /// The positions of the keys in `args`, or `None` if the request is malformed.
    pub fn positions(&self, args: Args<'_>) -> Option<Positions> {
        let len = args.len();
        let begin = match self.begin {
            Begin::Index(index) => index,
            Begin::Keyword(word, start) => match find_keyword(args, word, start) {
                Some(index) => index + 1,
                None => return Some(positions(0..0, 1)),
            },
            Begin::Unknown => return Some(positions(0..0, 1)),
        };
        if begin >= len {
            // An optional key that was left out.
            return Some(positions(0..0, 1));
        }
        match self.find {
            Find::Range { last, step, limit } => {
                let last = match usize::try_from(last) {
                    Ok(last) => begin + last,
                    Err(_) if limit <= 1 => len.checked_sub(last.unsigned_abs() as usize)?,
                    Err(_) => {
                        begin + ((len - begin) / limit).checked_sub(last.unsigned_abs() as usize)?
                    }
                };
                (begin <= last && last < len).then(|| positions(begin..last + 1, step))
            }
            Find::KeyNum { number, first, step } => {
                let number = begin + number;
                let n_keys = (number < len).then(|| parse_i64(args.get(number)))??;
                let n_keys = usize::try_from(n_keys).ok()?;
                let first = begin + first;
                let end = n_keys.checked_mul(step)?.checked_add(first)?;
                (end <= len).then(|| positions(first..end, step))
            }
            Find::Unknown => Some(positions(0..0, 1)),
        }
    }
}

fn positions(range: Range<usize>, step: usize) -> Positions {
    range.step_by(step)
}

/// The keys of a request with what is done with them, as COMMAND GETKEYS tells them. Empty if it has
/// none or is malformed.
///
/// Specifications are asked first, unless one is incomplete or its flags vary; then the row's own
/// finder, which knows the command's options.
pub fn keys_of(command: &Command, args: Args<'_>) -> Vec<(usize, KeyFlags)> {
    let by_specs = || {
        let mut keys = Vec::new();
        for spec in command.keys.iter().filter(|spec| !spec.flags.contains(KeyFlags::NOT_KEY)) {
            if spec.find == Find::Unknown || spec.flags.contains(KeyFlags::INCOMPLETE) {
                return None;
            }
            let positions = spec.positions(args)?;
            keys.extend(positions.map(|index| (index, spec.flags)));
        }
        Some(keys)
    };
    let varies = command.keys.iter().any(|spec| spec.flags.contains(KeyFlags::VARIABLE_FLAGS));
    let found = if varies { None } else { by_specs() };
    found.or_else(|| command.key_finder.map(|find| find(args))).unwrap_or_default()
}

/// What clients that do not know specifications are told: first key, last key (negative: from the
/// end) and step, and whether there are more keys than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// Word of the first key; 0 if there is none.
    pub first: i64,
    /// Word of the last key.
    pub last: i64,
    /// Distance of keys.
    pub step: i64,
    /// Whether it leaves keys out.
    pub is_partial: bool,
}

impl KeyRange {
    /// The range that stands for `specs`: the only one, or those of step 1 that follow each other.
    pub fn of(specs: &[KeySpec]) -> KeyRange {
        let mut range = KeyRange::default();
        for spec in specs {
            let (Begin::Index(first), Find::Range { last, step, limit: 0 }) =
                (spec.begin, spec.find)
            else {
                range.is_partial = true;
                continue;
            };
            range.is_partial |= spec.flags.contains(KeyFlags::INCOMPLETE);
            let (first, step) = (first as i64, step as i64);
            let last = i64::from(last) + if last >= 0 { first } else { 0 };
            let follows = range.last == 0 || range.last == first - 1;
            if specs.len() > 1 && !(step == 1 && follows) {
                range.is_partial = true;
            } else if range.step == 0 {
                range = KeyRange { first, last, step, ..range };
            } else if last < 0 || range.last >= 0 && last > range.last {
                range.last = last;
            }
        }
        range
    }
}

fn find_keyword(args: Args<'_>, word: &str, start: i32) -> Option<usize> {
    let is_word = |index: &usize| args.is(*index, word);
    match usize::try_from(start) {
        Ok(start) => (start..args.len()).find(is_word),
        Err(_) => {
            let last = args.len().checked_sub(start.unsigned_abs() as usize)?;
            (1..=last).rev().find(is_word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::args::OwnedArgs;

    fn check(spec: KeySpec, request: &str, expected: Option<&[usize]>) {
        let owned = OwnedArgs::new(request.split(' ').map(str::as_bytes));
        let found = spec.positions(owned.as_args()).map(Iterator::collect::<Vec<_>>);
        assert_eq!(found.as_deref(), expected, "{request}");
    }

    #[test]
    fn key_ranges_are_those_of_the_reference() {
        let check = |specs: &[KeySpec], first, last, step, is_partial| {
            assert_eq!(KeyRange::of(specs), KeyRange { first, last, step, is_partial });
        };
        let at = KeySpec::at;
        check(&[], 0, 0, 0, false);
        check(&[at(1)], 1, 1, 1, false);
        check(&[at(1).range(-1, 2)], 1, -1, 2, false);
        // LMOVE, BITOP, ZUNIONSTORE, SORT, MIGRATE, GEORADIUS
        check(&[at(1), at(2)], 1, 2, 1, false);
        check(&[at(2), at(3).range(-1, 1)], 2, -1, 1, false);
        check(&[at(1), at(2).counted(0, 1)], 1, 1, 1, true);
        check(&[at(1), KeySpec::unknown(), KeySpec::unknown()], 1, 1, 1, true);
        check(&[at(3), KeySpec::after("KEYS", -2).range(-1, 1).incomplete()], 3, 3, 1, true);
        check(&[at(2).counted(0, 1)], 0, 0, 0, true);
        check(&[at(1), at(3)], 1, 1, 1, true);
    }

    #[test]
    fn keys_are_found() {
        check(KeySpec::at(1), "GET a", Some(&[1]));
        check(KeySpec::at(1), "PING", Some(&[]));
        check(KeySpec::at(1).range(-1, 1), "DEL a b c", Some(&[1, 2, 3]));
        check(KeySpec::at(1).range(-1, 2), "MSET a 1 b 2", Some(&[1, 3]));
        check(KeySpec::at(1).range(-2, 1), "BLPOP a b 0", Some(&[1, 2]));
        check(KeySpec::at(1).range(1, 1), "RENAME a b", Some(&[1, 2]));
        check(KeySpec::at(1).range(1, 1), "RENAME a", None);
        check(KeySpec::at(2).counted(0, 1), "EVAL s 2 a b c", Some(&[3, 4]));
        check(KeySpec::at(2).counted(0, 1), "EVAL s 0", Some(&[]));
        check(KeySpec::at(2).counted(0, 1), "EVAL s 2 a", None);
        check(KeySpec::at(2).counted(0, 1), "EVAL s -1 a", None);
        check(KeySpec::at(2).counted(0, 1), "EVAL s 9223372036854775807 a", None);
        check(KeySpec::after("STREAMS", 1).limit(2), "XREAD streams a b 0 0", Some(&[2, 3]));
        check(KeySpec::after("STORE", 3), "GEORADIUS a b c d", Some(&[]));
        check(KeySpec::after("KEYS", -2), "MIGRATE h p KEYS a KEYS b", Some(&[6]));
        check(KeySpec::unknown(), "SORT a BY b", Some(&[]));
    }
}
