//! The names of the data's history: which streams of changes a replica can go on with.
//!
//! A primary has one name. A replica that is promoted begins a history of its own, but what it has in
//! common with its old primary is known by the old name, up to an offset: so the other replicas of
//! that primary need not begin anew ("PSYNC2").

use crate::server::random_id;

/// Characters of a name.
pub const REPLID_LEN: usize = 40;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The name now: `master_replid`.
    pub replid: String,
    /// The name before: `master_replid2`.
    pub replid2: String,
    /// Up to where the older name holds: the first offset, counted from 1, that it does not know;
    /// -1: nowhere.
    pub second_offset: i64,
}

impl Default for History {
    fn default() -> Self {
        History { replid: random_id(), replid2: "0".repeat(REPLID_LEN), second_offset: -1 }
    }
}

impl History {
    /// Begins a new history: nobody can go on with the old one.
    pub fn renew(&mut self) {
        *self = History::default();
    }

    /// Begins a new history that goes on with the old one from `end` on.
    pub fn branch(&mut self, end: u64) {
        self.replid2 = std::mem::replace(&mut self.replid, random_id());
        self.second_offset = i64::try_from(end).unwrap_or(i64::MAX - 1) + 1;
    }

    /// Whether a replica that has followed the history of this name can go on from the offset
    /// `wanted`, counted from 1.
    pub fn knows(&self, replid: &str, wanted: i64) -> bool {
        replid == self.replid || (replid == self.replid2 && wanted <= self.second_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_knows_its_stem() {
        let mut history = History::default();
        let old = history.replid.clone();
        assert!(history.knows(&old, 5) && !history.knows("?", 1));
        history.branch(100);
        assert!(history.knows(&history.replid, 500));
        assert!(history.knows(&old, 101) && !history.knows(&old, 102));
        history.renew();
        assert!(!history.knows(&old, 1));
        assert!(!history.knows(&"0".repeat(40), 1));
    }
}
