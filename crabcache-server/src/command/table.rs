//! The command table of a server: the families' rows with all that follows from them.

use super::keys::{Begin, Find, KeyRange, KeySpec};
use super::name::PackedName;
use super::{Args, Categories, Command, Flags, Group, Handler};
use std::ops::{Range, RangeInclusive};

/// A command or subcommand of a server.
#[derive(Clone)]
pub struct CommandRow {
    /// Number of the row: the place of its statistics.
    pub id: usize,
    /// `get`, `config|get`.
    pub full_name: String,
    /// The family's row.
    pub spec: &'static Command,
    /// The family's group.
    pub group: Group,
    /// The row's flags and those that follow.
    pub flags: Flags,
    /// The row's ACL categories and those that follow.
    pub categories: Categories,
    /// How many words a request may have, with the command's name.
    pub n_words: RangeInclusive<usize>,
    /// The word that is the only key, if it is always the same.
    pub single_key: Option<usize>,
    /// The words that name the only key and an element there, if the latter is worth to be fetched.
    pub element: Option<(usize, usize)>,
    /// Its keys as clients that do not know key specifications see them.
    pub key_range: KeyRange,
    /// Rows of the subcommands.
    pub subcommands: Range<usize>,
    /// The container's row.
    pub parent: Option<usize>,
}

impl CommandRow {
    /// Its full name, whatever `rename-command` made of it: ACL rules go by it.
    pub fn original_name(&self) -> &str {
        if self.parent.is_some() { &self.full_name } else { self.spec.name }
    }

    /// A word of a request as others may see it.
    pub fn shown_word<'a>(&self, args: Args<'a>, index: usize) -> &'a [u8] {
        let is_secret = self.spec.secrets.is_some_and(|is_secret| is_secret(args, index));
        if is_secret { b"(redacted)" } else { args.get(index) }
    }

    /// Whether a request of `len` words, with the command's name, has as many as the row wants.
    #[inline]
    pub fn arity_fits(&self, len: usize) -> bool {
        self.n_words.contains(&len)
    }
}

/// What a look-up by name found.
pub enum Found<'t> {
    /// The command or subcommand.
    Row(&'t CommandRow),
    /// A container without this subcommand.
    NoSubcommand(&'t CommandRow),
    /// Nothing.
    Nothing,
}

/// Several times the number of commands.
const N_SLOTS: usize = 2048;

/// All rows; containers stand before their subcommands.
pub struct CommandTable {
    rows: Vec<CommandRow>,
    /// Open addressing over the names that commands are found by.
    slots: Box<[Option<Slot>; N_SLOTS]>,
}

/// A name and the number of its row.
#[derive(Clone, Copy)]
struct Slot {
    name: PackedName,
    row: usize,
}

impl CommandTable {
    /// The table of all families, with `renames` (`rename-command`: old name, new name or nothing)
    /// applied.
    ///
    /// # Errors
    /// The old name, if there is no such command, or the new one, if there is one already.
    pub fn new(renames: &[(String, String)]) -> Result<CommandTable, String> {
        let families = crate::commands::FAMILIES.iter();
        let specs = families.flat_map(|(group, specs)| specs.iter().map(|spec| (*group, spec)));
        let n_rows = specs.clone().map(|(_, spec)| 1 + spec.subcommands.len()).sum();
        let mut rows = Vec::with_capacity(n_rows);
        specs.for_each(|(group, spec)| add_rows(&mut rows, group, spec));
        let mut names: Vec<(String, usize)> = rows
            .iter()
            .filter(|row| row.parent.is_none())
            .map(|row| (row.full_name.clone(), row.id))
            .collect();
        for (old, new) in renames {
            let (old, new) = (old.to_ascii_lowercase(), new.to_ascii_lowercase());
            let index = names
                .iter()
                .position(|(name, _)| name.eq_ignore_ascii_case(&old))
                .ok_or_else(|| old.clone())?;
            let (_, row) = names.swap_remove(index);
            if names.iter().any(|(name, _)| name.eq_ignore_ascii_case(&new)) {
                return Err(new);
            }
            if !new.is_empty() {
                names.push((new, row));
            }
        }
        let mut table = CommandTable { rows, slots: Box::new([None; N_SLOTS]) };
        for (name, row) in names {
            let packed = PackedName::new(name.as_bytes());
            let slot = table.free_slot(packed);
            table.rows[row].full_name = name;
            table.slots[slot] = Some(Slot { name: packed, row });
        }
        Ok(table)
    }

    /// The row of a request: its command, or its subcommand where the first word has some.
    #[inline(always)] // on the way of every request
    pub fn find(&self, args: Args<'_>) -> Found<'_> {
        let Some(row) = self.command(args.get(0)) else { return Found::Nothing };
        if row.subcommands.is_empty() || args.len() < 2 {
            return Found::Row(row);
        }
        match self.subcommand(row, args.get(1)) {
            Some(row) => Found::Row(row),
            None => Found::NoSubcommand(row),
        }
    }

    /// The command of this name, in any letter case.
    #[inline(always)] // as above
    pub fn command(&self, name: &[u8]) -> Option<&CommandRow> {
        let packed = PackedName::new(name);
        let mut at = first_slot(packed);
        loop {
            let slot = self.slots[at].as_ref()?;
            if slot.name == packed {
                let row = &self.rows[slot.row];
                if !packed.is_cut() || row.full_name.as_bytes().eq_ignore_ascii_case(name) {
                    return Some(row);
                }
            }
            at = (at + 1) % N_SLOTS;
        }
    }

    /// The subcommand of this name.
    pub fn subcommand(&self, parent: &CommandRow, name: &[u8]) -> Option<&CommandRow> {
        let mut rows = self.rows[parent.subcommands.clone()].iter();
        rows.find(|row| row.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command or, as `container|name`, the subcommand of this full name.
    pub fn by_full_name(&self, name: &[u8]) -> Option<&CommandRow> {
        match memchr::memchr(b'|', name) {
            None => self.command(name),
            Some(bar) => self.subcommand(self.command(&name[..bar])?, &name[bar + 1..]),
        }
    }

    /// As [`CommandTable::by_full_name`], by the names before `rename-command`.
    pub fn original(&self, name: &[u8]) -> Option<&CommandRow> {
        let is_it = |row: &&CommandRow| row.original_name().as_bytes().eq_ignore_ascii_case(name);
        self.rows.iter().find(is_it)
    }

    /// A row by its number.
    #[inline]
    pub fn row(&self, id: usize) -> &CommandRow {
        &self.rows[id]
    }

    /// All rows, with those of subcommands.
    pub fn rows(&self) -> &[CommandRow] {
        &self.rows
    }

    /// The commands that a client can call, without subcommands.
    pub fn commands(&self) -> impl Iterator<Item = &CommandRow> {
        self.rows.iter().filter(|row| {
            row.parent.is_none()
                && self.command(row.full_name.as_bytes()).is_some_and(|found| found.id == row.id)
        })
    }

    fn free_slot(&self, name: PackedName) -> usize {
        let mut at = first_slot(name);
        while self.slots[at].is_some() {
            at = (at + 1) % N_SLOTS;
        }
        at
    }
}

#[inline]
fn first_slot(name: PackedName) -> usize {
    (name.hash() >> 32) as usize % N_SLOTS
}

fn add_rows(rows: &mut Vec<CommandRow>, group: Group, spec: &'static Command) {
    let id = rows.len();
    rows.push(row_of(id, spec.name.to_string(), group, spec, None));
    for subcommand in spec.subcommands {
        let full_name = format!("{}|{}", spec.name, subcommand.name);
        rows.push(row_of(rows.len(), full_name, group, subcommand, Some(id)));
    }
    rows[id].subcommands = id + 1..rows.len();
}

fn row_of(
    id: usize,
    full_name: String,
    group: Group,
    spec: &'static Command,
    parent: Option<usize>,
) -> CommandRow {
    let mut flags = spec.flags;
    let key_range = KeyRange::of(spec.keys);
    if key_range.is_partial {
        flags |= Flags::MOVABLE_KEYS;
    }
    let n_words_min = spec.arity.unsigned_abs() as usize;
    let n_words_max = if spec.arity < 0 { usize::MAX } else { n_words_min };
    CommandRow {
        id,
        full_name,
        spec,
        group,
        flags,
        n_words: n_words_min..=n_words_max,
        categories: categories_of(spec, group),
        single_key: single_key_of(spec.keys),
        element: single_key_of(spec.keys).zip(spec.element),
        key_range,
        subcommands: 0..0,
        parent,
    }
}

fn single_key_of(keys: &[KeySpec]) -> Option<usize> {
    match keys {
        [KeySpec { begin: Begin::Index(index), find: Find::Range { last: 0, .. }, .. }] => {
            Some(*index)
        }
        _ => None,
    }
}

/// As the reference derives them, so that they need not be written into every row.
fn categories_of(spec: &Command, group: Group) -> Categories {
    if group == Group::Module {
        return Categories::empty();
    }
    let mut categories = spec.categories;
    let by_group = match group {
        Group::Hash => Categories::HASH,
        Group::SortedSet => Categories::SORTEDSET,
        Group::Geo => Categories::GEO,
        Group::String => Categories::STRING,
        Group::List => Categories::LIST,
        Group::Set => Categories::SET,
        Group::Stream => Categories::STREAM,
        Group::Connection => Categories::CONNECTION,
        Group::Transactions => Categories::TRANSACTION,
        Group::Bitmap => Categories::BITMAP,
        Group::Hyperloglog => Categories::HYPERLOGLOG,
        Group::Scripting => Categories::SCRIPTING,
        Group::Generic | Group::Pubsub | Group::Server | Group::Module => Categories::empty(),
    };
    if !matches!(spec.handler, Handler::Container) {
        categories |= by_group;
    }
    if spec.flags.contains(Flags::WRITE) {
        categories |= Categories::WRITE;
    }
    // Reads of the server's state are not reads of data.
    if spec.flags.contains(Flags::READONLY) && !categories.contains(Categories::SCRIPTING) {
        categories |= Categories::READ;
    }
    if spec.flags.contains(Flags::ADMIN) {
        categories |= Categories::ADMIN | Categories::DANGEROUS;
    }
    if spec.flags.contains(Flags::PUBSUB) {
        categories |= Categories::PUBSUB;
    }
    if spec.flags.contains(Flags::BLOCKING) {
        categories |= Categories::BLOCKING;
    }
    categories | if spec.flags.contains(Flags::FAST) { Categories::FAST } else { Categories::SLOW }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case() {
        let table = CommandTable::new(&[]).unwrap();
        for row in table.commands() {
            let name = row.full_name.to_ascii_uppercase();
            assert_eq!(table.command(name.as_bytes()).map(|found| found.id), Some(row.id));
            for sub in &table.rows()[row.subcommands.clone()] {
                let name = sub.spec.name.to_ascii_uppercase();
                let found = table.subcommand(row, name.as_bytes());
                assert_eq!(found.map(|found| found.id), Some(sub.id));
            }
        }
        assert!(table.command(b"nosuchcommand").is_none() && table.command(b"").is_none());
    }

    #[test]
    fn names_are_lower_case_and_unique() {
        let table = CommandTable::new(&[]).unwrap();
        let mut names: Vec<&str> = table.rows().iter().map(|row| &*row.full_name).collect();
        let mut own = table.rows().iter().filter(|row| row.group != Group::Module);
        assert!(own.all(|row| row.full_name == row.full_name.to_ascii_lowercase()));
        names.sort_unstable();
        let n_names = names.len();
        names.dedup();
        assert_eq!(names.len(), n_names);
    }

    #[test]
    fn handlers_that_lock_keys_name_them() {
        for row in CommandTable::new(&[]).unwrap().rows() {
            let locks = matches!(row.spec.handler, Handler::Read(_) | Handler::Write(_));
            assert!(!locks || !row.spec.keys.is_empty(), "{}", row.full_name);
        }
    }

    #[test]
    fn commands_are_renamed_and_removed() {
        let rename = |old: &str, new: &str| [(old.to_string(), new.to_string())];
        let table = CommandTable::new(&rename("GET", "fetch")).unwrap();
        assert!(table.command(b"get").is_none());
        assert_eq!(table.command(b"FETCH").unwrap().full_name, "fetch");
        let table = CommandTable::new(&rename("get", "")).unwrap();
        assert!(table.command(b"get").is_none() && table.commands().all(|c| c.spec.name != "get"));
        assert_eq!(CommandTable::new(&rename("nosuch", "x")).err(), Some("nosuch".to_string()));
        assert_eq!(CommandTable::new(&rename("get", "set")).err(), Some("set".to_string()));
    }
}
