//! The options of SORT, and what they say about keys.

use super::Pattern;
use crate::command::{Args, KeyFlags};
use crate::error::CommandError;
use std::ops::Range;

/// What is asked for.
pub(super) struct Sort<'a> {
    /// What to sort by, if not by the elements themselves.
    pub(super) by: Option<Pattern<'a>>,
    /// What to answer with, if not with the elements.
    pub(super) get: Vec<Pattern<'a>>,
    /// Where to put the result.
    pub(super) store: Option<&'a [u8]>,
    pub(super) is_descending: bool,
    /// Whether the elements keep the order that they have: a BY named the same key for all.
    // Compat: even if another BY followed it.
    pub(super) is_unsorted: bool,
    /// Whether to compare texts, not numbers.
    pub(super) is_alpha: bool,
    /// First element, number of elements; negative: all.
    limit: (i64, i64),
}

impl<'a> Sort<'a> {
    /// Reads the options; `may_store`: STORE is one; `sees_all`: the user may read all keys.
    pub(super) fn parse(
        args: Args<'a>,
        may_store: bool,
        sees_all: bool,
    ) -> Result<Sort<'a>, CommandError> {
        let mut sort = Sort {
            by: None,
            get: Vec::new(),
            store: None,
            is_descending: false,
            is_unsorted: false,
            is_alpha: false,
            limit: (0, -1),
        };
        let mut words = args.from(2);
        while words.remaining() > 0 {
            if words.accept("ASC") {
                sort.is_descending = false;
            } else if words.accept("DESC") {
                sort.is_descending = true;
            } else if words.accept("ALPHA") {
                sort.is_alpha = true;
            } else if words.remaining() > 2 && words.accept("LIMIT") {
                sort.limit = (words.int()?, words.int()?);
            } else if may_store && words.remaining() > 1 && words.accept("STORE") {
                sort.store = Some(words.word()?);
            } else if words.remaining() > 1 && words.accept("BY") {
                let by = Pattern::new(words.word()?);
                if !sees_all && !by.is_constant() {
                    return Err(CommandError::SortDenied("BY"));
                }
                sort.is_unsorted |= by.is_constant();
                sort.by = Some(by);
            } else if words.remaining() > 1 && words.accept("GET") {
                if !sees_all {
                    return Err(CommandError::SortDenied("GET"));
                }
                sort.get.push(Pattern::new(words.word()?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(sort)
    }

    /// Which of `len` elements are wanted.
    pub(super) fn range(&self, len: usize) -> Range<usize> {
        let (offset, count) = self.limit;
        let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// Whether a request needs keys that its words do not name. May say so of a malformed one.
pub(super) fn looks_keys_up(args: Args<'_>) -> bool {
    (2..args.len().saturating_sub(1)).any(|index| {
        (args.is(index, "BY") || args.is(index, "GET")) && args.get(index + 1).contains(&b'*')
    })
}

/// The keys of SORT that its words name: the last STORE counts.
pub(super) fn sort_keys(args: Args<'_>) -> Vec<(usize, KeyFlags)> {
    let mut keys = sort_ro_keys(args);
    let mut index = 2;
    let mut store = None;
    while index < args.len() {
        if args.is(index, "LIMIT") {
            index += 2;
        } else if args.is(index, "GET") || args.is(index, "BY") {
            index += 1;
        } else if args.is(index, "STORE") && index + 1 < args.len() {
            store = Some(index + 1);
        }
        index += 1;
    }
    keys.extend(store.map(|index| (index, KeyFlags::OW | KeyFlags::UPDATE)));
    keys
}

/// The key of SORT_RO.
pub(super) fn sort_ro_keys(_: Args<'_>) -> Vec<(usize, KeyFlags)> {
    vec![(1, KeyFlags::RO | KeyFlags::ACCESS)]
}
