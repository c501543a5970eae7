//! Fields of hashes whose time has come: met by readers, removed by writers.

use super::{Edited, ExpiredKey, Expiry, Gone, ReadDb, Trace, WriteDb};
use crate::error::StoreError;
use crate::keyspace::Key;
use crate::types::hash::Hash;

impl ReadDb<'_> {
    /// Notes that a field of the hash at `key` was met that has expired, for removal; without a
    /// name, all that have expired are to be removed.
    #[cold]
    pub fn note_expired_field(&self, key: &Key<'_>, name: Option<&[u8]>) {
        if self.env.expiry == Expiry::Remove {
            self.trace.note_field_met(self.db, key.bytes, name);
        }
    }
}

impl WriteDb<'_, '_> {
    /// Removes those of the named fields of the hash at `key` that have expired, and the key if none
    /// is left. Without a name, all that have expired.
    ///
    /// # Errors
    /// [`StoreError::WrongType`] if the key holds something else.
    pub fn expire_fields<'n>(
        &mut self,
        key: &Key<'_>,
        names: impl IntoIterator<Item = &'n [u8]>,
    ) -> Result<(), StoreError> {
        let env = self.env;
        let Some(hash) = self.get_as::<Hash>(key, super::Lookup::Peek)? else { return Ok(()) };
        let is_due = |at_ms| env.has_passed(at_ms) && env.expiry == Expiry::Remove;
        if !hash.has_times() {
            return Ok(());
        }
        let mut names = names.into_iter().peekable();
        let mut due: Vec<Box<[u8]>> = Vec::new();
        if names.peek().is_none() {
            let fields = hash.iter().filter(|field| is_due(field.expire_at_ms));
            due.extend(fields.map(|field| Box::from(&*field.name.bytes())));
        }
        due.extend(
            names
                .filter(|name| hash.get(name).is_some_and(|field| is_due(field.expire_at_ms)))
                .map(Box::from),
        );
        if due.is_empty() {
            return Ok(());
        }
        let edited = self.edit(key, |hash: &mut Hash| due.retain(|name| hash.remove(name)))?;
        let is_emptied = matches!(edited, Some(Edited { is_emptied: true, .. }));
        self.note_expired_fields(key, due, is_emptied);
        Ok(())
    }

    /// Notes that fields of the hash at `key` had expired and were removed.
    pub fn note_expired_fields(&mut self, key: &Key<'_>, names: Vec<Box<[u8]>>, is_emptied: bool) {
        if names.is_empty() {
            return;
        }
        self.locked.touch_watchers(self.db, key);
        let what = Gone::Fields { names, is_emptied };
        let expired = ExpiredKey { db: self.db, key: key.bytes.into(), what, is_removed: true };
        self.trace.push_expired(expired);
    }
}

impl Trace {
    /// Fields of one key that one command met are noted as one.
    fn note_field_met(&self, db: usize, key: &[u8], name: Option<&[u8]>) {
        self.has_news.set(true);
        let mut expired = self.expired.borrow_mut();
        let name = name.map(Box::from);
        if let Some(ExpiredKey { db: last_db, key: last, what, is_removed: false }) =
            expired.last_mut()
            && (*last_db, &**last) == (db, key)
            && let Gone::Fields { names, .. } = what
        {
            match name {
                None => names.clear(),
                Some(name) if !names.is_empty() => names.push(name),
                Some(_) => {}
            }
            return;
        }
        let what = Gone::Fields { names: name.into_iter().collect(), is_emptied: false };
        expired.push(ExpiredKey { db, key: key.into(), what, is_removed: false });
    }
}
