//! One node of a stream: some tens of entries in a listpack, in Redis's own layout.
//!
//! ```text
//! master entry: live entries | deleted entries | n | field 1 .. field n | 0
//! entry:        flags | ms offset | seq offset | [n | field 1] value 1 .. [field n] value n | count
//! ```
//!
//! Ids are offsets from the node's own id, which is that of its first entry. An entry with the
//! fields of the master entry holds its values alone. `count` is the number of elements before it,
//! for walks backwards. A deleted entry is only marked; the node goes with its last live entry.

use super::id::StreamId;
use crate::structures::listpack::{At, Elements, Listpack};
use crate::types::limits::Limits;
use crate::types::string::StrRef;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 1 << 1;

/// Nodes are never larger than that, whatever the limits are.
pub const NODE_BYTES_MAX: usize = 1 << 30;

/// See the module's text. It does not know its id.
#[derive(Debug, Clone)]
pub(super) struct Node(Listpack);

/// The beginning of a node.
#[derive(Debug, Clone, Copy)]
struct Head {
    n_live: i64,
    n_deleted: i64,
    deleted_at: At,
    n_fields: usize,
    /// The first field, or the 0 behind the master entry if it has none.
    fields_at: At,
}

/// One entry of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) id: StreamId,
    pub(super) is_deleted: bool,
    pub(super) fields: Fields<'a>,
    /// Where its flags are.
    pub(super) at: At,
}

impl Node {
    /// A node whose first entry, still to be added, has these fields.
    pub(super) fn new<'f>(fields: impl ExactSizeIterator<Item = &'f [u8]>) -> Node {
        let mut elements = Elements::default();
        elements.push_int(0);
        elements.push_int(0);
        elements.push_int(fields.len() as i64);
        fields.for_each(|field| elements.push(field));
        elements.push_int(0);
        let mut pack = Listpack::new();
        pack.push_all(&elements);
        Node(pack)
    }

    pub(super) fn pack(&self) -> &Listpack {
        &self.0
    }

    /// Number of entries that are not deleted.
    pub(super) fn n_live(&self) -> u64 {
        self.head().n_live as u64
    }

    /// Whether an entry with fields and values of so many bytes may be added.
    pub(super) fn has_room_for(&self, n_bytes: usize, limits: &Limits) -> bool {
        let bytes_max = match limits.stream_node_bytes_max {
            0 => NODE_BYTES_MAX,
            max => max.min(NODE_BYTES_MAX),
        };
        if self.0.n_bytes() + n_bytes >= bytes_max {
            return false;
        }
        let head = self.head();
        let n_entries = (head.n_live + head.n_deleted) as usize;
        limits.stream_node_entries_max == 0 || n_entries < limits.stream_node_entries_max
    }

    /// Adds an entry at the end.
    pub(super) fn push<'f>(
        &mut self,
        base: StreamId,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) {
        let head = self.head();
        let is_same = self.has_fields(head, fields.clone().map(|(field, _)| field));
        let (ms, seq) = id.offset_from(base);
        let n_fields = fields.len() as i64;
        let mut elements = Elements::default();
        elements.push_int(if is_same { SAME_FIELDS } else { 0 });
        elements.push_int(ms);
        elements.push_int(seq);
        if is_same {
            fields.for_each(|(_, value)| elements.push(value));
            elements.push_int(n_fields + 3);
        } else {
            elements.push_int(n_fields);
            for (field, value) in fields {
                elements.push(field);
                elements.push(value);
            }
            elements.push_int(2 * n_fields + 4);
        }
        self.0.push_all(&elements);
        self.set_counts(head.n_live + 1, None);
    }

    fn has_fields<'f>(
        &self,
        head: Head,
        mut fields: impl ExactSizeIterator<Item = &'f [u8]>,
    ) -> bool {
        let mut at = head.fields_at;
        fields.len() == head.n_fields
            && fields.all(|field| {
                let is_same = self.0.get(at).is(field);
                at = self.step(at);
                is_same
            })
    }

    /// Marks the entries at some places as deleted, which must be live ones.
    pub(super) fn mark_deleted(&mut self, places: &[At]) {
        for &at in places {
            let flags = self.int(at);
            self.0.replace_int(at, flags | DELETED);
        }
        let (head, n) = (self.head(), places.len() as i64);
        self.set_counts(head.n_live - n, Some((head.deleted_at, head.n_deleted + n)));
    }

    /// Bytes of memory that it owns.
    pub(super) fn mem_bytes(&self) -> usize {
        self.0.mem_bytes()
    }

    /// Writes the counts. The second one moves when the first one needs more or fewer bytes, so it
    /// is written first.
    fn set_counts(&mut self, n_live: i64, deleted: Option<(At, i64)>) {
        if let Some((at, n_deleted)) = deleted {
            self.0.replace_int(at, n_deleted);
        }
        let first = self.first();
        self.0.replace_int(first, n_live);
    }

    /// All entries in order, with the deleted ones.
    pub(super) fn records(&self, base: StreamId) -> Records<'_> {
        let head = self.head();
        let mut zero = head.fields_at;
        for _ in 0..head.n_fields {
            zero = self.step(zero);
        }
        let walk = Walk { node: self, base, fields_at: head.fields_at, n_fields: head.n_fields };
        Records { walk, next: self.0.next(zero) }
    }

    /// All entries from the last to the first, with the deleted ones.
    pub(super) fn records_backwards(&self, base: StreamId) -> RecordsBackwards<'_> {
        let head = self.head();
        let walk = Walk { node: self, base, fields_at: head.fields_at, n_fields: head.n_fields };
        RecordsBackwards { walk, count_at: self.0.last() }
    }

    /// The id of the last entry, deleted or not.
    pub(super) fn last_id(&self, base: StreamId) -> StreamId {
        self.records_backwards(base).next().map_or(base, |record| record.id)
    }

    #[inline]
    fn head(&self) -> Head {
        let live_at = self.first();
        let deleted_at = self.step(live_at);
        let n_fields_at = self.step(deleted_at);
        Head {
            n_live: self.int(live_at),
            n_deleted: self.int(deleted_at),
            deleted_at,
            n_fields: self.int(n_fields_at) as usize,
            fields_at: self.step(n_fields_at),
        }
    }

    fn first(&self) -> At {
        self.0.first().expect("a node begins with its master entry")
    }

    #[inline]
    fn step(&self, at: At) -> At {
        self.0.next(at).expect("the parts of an entry follow each other")
    }

    #[inline]
    fn int(&self, at: At) -> i64 {
        self.0.get_int(at).expect("counts are integers")
    }

    /// The node that a listpack is, if it is one: every entry whole, counts that fit, ids in order
    /// beginning with `base` or later.
    pub(super) fn checked(pack: Listpack, base: StreamId) -> Option<Node> {
        let mut checker = Checker { pack: &pack, at: pack.first() };
        let (n_live, n_deleted, n_fields) = (checker.int()?, checker.int()?, checker.int()?);
        checker.skip(n_fields)?;
        if checker.int()? != 0 {
            return None;
        }
        let (mut counted_live, mut counted_deleted, mut last_id) = (0, 0, None);
        while checker.at.is_some() {
            let flags = checker.int()?;
            let id = base.at_offset((checker.int()?, checker.int()?));
            if last_id.is_some_and(|last| last >= id) || id < base {
                return None;
            }
            last_id = Some(id);
            let n_elements = if flags & SAME_FIELDS != 0 {
                checker.skip(n_fields)?;
                n_fields.checked_add(3)?
            } else {
                let n_own = checker.int()?;
                let n_both = n_own.checked_mul(2)?;
                checker.skip(n_both)?;
                n_both.checked_add(4)?
            };
            if checker.int()? != n_elements {
                return None;
            }
            let count = if flags & DELETED != 0 { &mut counted_deleted } else { &mut counted_live };
            *count += 1;
        }
        let is_sound = (n_live, n_deleted) == (counted_live, counted_deleted) && n_live > 0;
        is_sound.then_some(Node(pack))
    }
}

/// Goes through a listpack that may not be a node.
struct Checker<'a> {
    pack: &'a Listpack,
    at: Option<At>,
}

impl Checker<'_> {
    fn int(&mut self) -> Option<i64> {
        let value = self.pack.get_int(self.at?)?;
        self.skip(1)?;
        Some(value)
    }

    fn skip(&mut self, n: i64) -> Option<()> {
        if n < 0 {
            return None;
        }
        for _ in 0..n {
            self.at = self.pack.next(self.at?);
        }
        Some(())
    }
}

/// What walks in both directions have in common.
#[derive(Debug, Clone, Copy)]
struct Walk<'a> {
    node: &'a Node,
    base: StreamId,
    fields_at: At,
    n_fields: usize,
}

impl<'a> Walk<'a> {
    /// The entry whose flags are at a place.
    #[inline]
    fn record(&self, at: At) -> Record<'a> {
        let node = self.node;
        let flags = node.int(at);
        let ms_at = node.step(at);
        let seq_at = node.step(ms_at);
        let id = self.base.at_offset((node.int(ms_at), node.int(seq_at)));
        let rest = node.step(seq_at);
        let pack = &node.0;
        let fields = if flags & SAME_FIELDS != 0 {
            Fields { pack, field_at: Some(self.fields_at), at: rest, n_left: self.n_fields }
        } else {
            let n_left = node.int(rest) as usize;
            Fields { pack, field_at: None, at: node.step(rest), n_left }
        };
        Record { id, is_deleted: flags & DELETED != 0, fields, at }
    }
}

/// See [`Node::records`].
#[derive(Debug, Clone)]
pub(super) struct Records<'a> {
    walk: Walk<'a>,
    next: Option<At>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let record = self.walk.record(self.next?);
        let node = self.walk.node;
        let count_at = record.fields.end();
        self.next = node.0.next(count_at);
        Some(record)
    }
}

/// See [`Node::records_backwards`].
#[derive(Debug, Clone)]
pub(super) struct RecordsBackwards<'a> {
    walk: Walk<'a>,
    /// The last element of the entry that is next, or the 0 behind the master entry.
    count_at: Option<At>,
}

impl<'a> Iterator for RecordsBackwards<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let node = self.walk.node;
        let mut at = self.count_at?;
        let n_elements = node.int(at);
        if n_elements == 0 {
            return None;
        }
        for _ in 0..n_elements {
            at = node.0.prev(at)?;
        }
        self.count_at = node.0.prev(at);
        Some(self.walk.record(at))
    }
}

/// The fields of an entry with their values.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    pack: &'a Listpack,
    /// The next field of the master entry; `None` if the entry has its own.
    field_at: Option<At>,
    /// The next element of the entry itself.
    at: At,
    n_left: usize,
}

impl Fields<'_> {
    /// Where the element behind all of them is.
    fn end(&self) -> At {
        let n_elements = self.n_left * if self.field_at.is_some() { 1 } else { 2 };
        (0..n_elements).fold(self.at, |at, _| self.step(at))
    }

    #[inline]
    fn step(&self, at: At) -> At {
        self.pack.next(at).expect("the parts of an entry follow each other")
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (StrRef<'a>, StrRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.n_left = self.n_left.checked_sub(1)?;
        let field = match &mut self.field_at {
            Some(at) => {
                let field = self.pack.get(*at);
                *at = self.pack.next(*at).expect("a 0 follows the fields");
                field
            }
            None => {
                let field = self.pack.get(self.at);
                self.at = self.step(self.at);
                field
            }
        };
        let value = self.pack.get(self.at);
        self.at = self.step(self.at);
        Some((field, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n_left, Some(self.n_left))
    }
}

impl ExactSizeIterator for Fields<'_> {}
