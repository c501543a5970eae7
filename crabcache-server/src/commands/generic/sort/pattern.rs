//! The patterns of BY and GET: names of keys, and fields of hashes, with a `*` for the element.

use super::Bytes;
use crate::commands::hash;
use crabcache_store::types::hash::Hash;
use crabcache_store::{Kind, Lookup, ReadDb, StrRef};

/// Where a value is to be found for an element.
#[derive(Clone, Copy)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Without a `*`: nowhere.
    Constant,
    /// A key, and a field if it is to be a hash.
    Key { prefix: &'a [u8], suffix: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    pub(super) fn new(pattern: &'a [u8]) -> Pattern<'a> {
        // The reference looks for its marks as C does: up to a 0 byte.
        let text = pattern.split(|byte| *byte == 0).next().unwrap_or_default();
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|byte| *byte == b'*') else {
            return Pattern::Constant;
        };
        let (prefix, behind) = (&pattern[..star], star + 1);
        let arrow = text[behind..].windows(2).position(|pair| pair == b"->");
        match arrow.map(|arrow| behind + arrow) {
            Some(arrow) if arrow + 2 < text.len() => {
                let field = Some(&pattern[arrow + 2..]);
                Pattern::Key { prefix, suffix: &pattern[behind..arrow], field }
            }
            _ => Pattern::Key { prefix, suffix: &pattern[behind..], field: None },
        }
    }

    /// Whether it names nothing that differs from element to element.
    pub(super) fn is_constant(self) -> bool {
        !matches!(self, Pattern::Key { .. })
    }

    /// The value for an element.
    pub(super) fn look_up<'d>(self, db: &ReadDb<'d>, element: StrRef<'d>) -> Option<Bytes<'d>> {
        let (prefix, suffix, field) = match self {
            Pattern::Element => return Some(element.bytes()),
            Pattern::Constant => return None,
            Pattern::Key { prefix, suffix, field } => (prefix, suffix, field),
        };
        let name = element.with_bytes(|element| [prefix, element, suffix].concat());
        let key = db.key(&name);
        let entry = db.get(&key, Lookup::Use)?;
        match (entry.kind(), field) {
            (Kind::String, None) => Some(entry.string().to_vec().into()),
            (Kind::Hash, Some(field)) => {
                let hash = entry.into_collection::<Hash>()?;
                Some(hash::find(db, &key, hash, field)?.value.bytes())
            }
            _ => None,
        }
    }
}
