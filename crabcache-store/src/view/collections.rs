//! Look-ups and changes of collections. Wrong types are found here; empty collections go here.

use super::{Discard, Lookup, ReadDb, WriteDb, note_lookup};
use crate::entry::{Entry, Kind};
use crate::error::StoreError;
use crate::keyspace::Key;
use crate::types::collection::Collection;

/// What [`WriteDb::edit`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited<T> {
    /// What the editing function returned.
    pub result: T,
    /// Whether nothing was left, so that the key was removed.
    pub is_emptied: bool,
}

impl<'a> ReadDb<'a> {
    /// The collection at `key`.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if it holds something else.
    #[inline]
    pub fn get_as<C: Collection>(&self, key: &Key<'_>) -> Result<Option<&'a C>, StoreError> {
        match self.get(key, Lookup::Use) {
            None => Ok(None),
            Some(entry) => entry.into_collection().ok_or(StoreError::WrongType).map(Some),
        }
    }
}

impl WriteDb<'_, '_> {
    /// The collection at `key`, to look at. An expired entry is removed.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if it holds something else.
    pub fn get_as<C: Collection>(
        &mut self,
        key: &Key<'_>,
        lookup: Lookup,
    ) -> Result<Option<&C>, StoreError> {
        match self.get(key, lookup) {
            None => Ok(None),
            Some(entry) => entry.into_collection().ok_or(StoreError::WrongType).map(Some),
        }
    }

    /// Lets `edit` change the collection at `key`, if there is one. If it is empty afterwards, the
    /// key is removed.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if the key holds something else.
    pub fn edit<C: Collection, T>(
        &mut self,
        key: &Key<'_>,
        edit: impl FnOnce(&mut C) -> T,
    ) -> Result<Option<Edited<T>>, StoreError> {
        let (env, trace, db) = (self.env, self.trace, self.db);
        let Some(mut place) = self.occupied(key) else { return Ok(None) };
        note_lookup(env, trace, db, key, Some(&place.get()), Lookup::Write);
        let collection = place.collection_mut::<C>().ok_or(StoreError::WrongType)?;
        let old_element_ms = collection.next_expire_ms();
        let result = edit(collection);
        let is_emptied = collection.is_empty();
        let element_ms = collection.next_expire_ms();
        if element_ms != old_element_ms {
            let has_times = element_ms.is_some() || place.get().expire_at_ms().is_some();
            place.set_flag(has_times);
            self.account_elements(key, old_element_ms, element_ms);
        }
        if !is_emptied {
            self.signal(key);
        } else if let Some(entry) = self.take(key) {
            self.trace.discard(entry, Discard::Deleted);
        }
        Ok(Some(Edited { result, is_emptied }))
    }

    /// As [`WriteDb::edit`]; if there is no collection, `edit` gets a new one, which becomes the
    /// key's value unless it is still empty.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if the key holds something else.
    pub fn edit_or_new<C: Collection + Default, T>(
        &mut self,
        key: &Key<'_>,
        edit: impl FnOnce(&mut C) -> T,
    ) -> Result<Edited<T>, StoreError> {
        let mut edit = Some(edit);
        let mut once = |collection: &mut C| edit.take().map(|edit| edit(collection));
        if let Some(Edited { result: Some(result), is_emptied }) = self.edit(key, &mut once)? {
            return Ok(Edited { result, is_emptied });
        }
        let mut collection = C::default();
        let result = once(&mut collection).expect("not called where there was no collection");
        if !collection.is_empty() {
            let clock = self.env.access.initial();
            self.insert_new(key, Entry::with_collection(key.bytes, collection, None, clock));
        }
        Ok(Edited { result, is_emptied: false })
    }

    /// Sets `key` to a collection, which must not be empty, without an expiry, whatever it held.
    /// Returns what kind of value that was.
    pub fn set_collection<C: Collection>(&mut self, key: &Key<'_>, value: C) -> Option<Kind> {
        debug_assert!(!value.is_empty());
        let old = self.remove(key);
        let clock = self.env.access.initial();
        let entry = Entry::with_collection(key.bytes, value, None, clock);
        let old_kind = old.as_ref().map(Entry::kind);
        match old {
            Some(old) => {
                self.trace.discard(old, Discard::Deleted);
                self.insert_again(key, entry);
            }
            None => self.insert_new(key, entry),
        }
        old_kind
    }
}

#[cfg(test)]
mod tests {
    use crate::types::list::{End, List};
    use crate::{Access, Edited, Env, Expiry, Keyspace, Kind, Limits, Lookup, Mode};
    use crate::{SetExpire, StoreError, Str, Trace};

    #[test]
    fn collections_come_with_the_first_element_and_go_with_the_last() {
        let keyspace = Keyspace::new(2, 1, 1);
        let access = Access::Lru { clock: 1 };
        let env = Env { now_ms: 0, access, touches: true, expiry: Expiry::Remove };
        let trace = Trace::default();
        let key = keyspace.key(b"k");
        let mut pass = keyspace.enter(0);
        let mut locked = pass.lock_one(key.place().stripe(), Mode::Write);
        let mut db = locked.write(0, &env, &trace);
        assert_eq!(db.edit(&key, |list: &mut List| list.len()), Ok(None));
        assert_eq!(db.edit_or_new(&key, |_: &mut List| ()).map(|e| e.is_emptied), Ok(false));
        assert!(db.get(&key, Lookup::Peek).is_none());
        let push = |list: &mut List| {
            list.push(End::Back, b"a", &Limits::default());
            list.len()
        };
        for len in 1..=2 {
            let edited = db.edit_or_new(&key, push);
            assert_eq!(edited, Ok(Edited { result: len, is_emptied: false }));
        }
        assert_eq!(db.get_as(&key, Lookup::Peek).map(|list| list.map(List::len)), Ok(Some(2)));
        let edited = db.edit(&key, List::clear);
        assert_eq!(edited, Ok(Some(Edited { result: (), is_emptied: true })));
        assert!(db.get(&key, Lookup::Peek).is_none());
        db.set_string(&key, Str::Int(1), SetExpire::To(Some(5)));
        assert_eq!(db.edit(&key, List::clear), Err(StoreError::WrongType));
        assert_eq!(db.edit_or_new(&key, List::clear), Err(StoreError::WrongType));
        let mut list = List::default();
        list.push(End::Back, b"b", &Limits::default());
        assert_eq!(db.set_collection(&key, list.clone()), Some(Kind::String));
        assert_eq!(db.set_collection(&key, list), Some(Kind::List));
        drop(locked);
        let size = keyspace.size(0);
        assert_eq!((size.n_keys, size.n_expires), (1, 0));
    }
}
