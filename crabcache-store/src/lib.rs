//! The store of CrabCache: keyspace, locks, hash table, entries, data types, expiry.
//!
//! - [`keyspace`]: gates and stripes, and the lock sets that make commands atomic.
//! - [`view`]: what a command sees of a database: look-ups that know time, changes that count.
//! - [`entry`]: one key with its value, expiry and access clock in one allocation.
//! - [`algorithms`]: glob patterns, longest common subsequence, 80-bit floats, LZF, checksums.
//! - [`types`]: what values can be; [`structures`]: how they are laid out.
//!
//! It knows no RESP, client, configuration file, Tokio, clock or log: time, limits and randomness
//! are arguments.

pub mod access;
pub mod algorithms;
pub mod entry;
pub mod error;
pub mod hash;
pub mod keyspace;
mod sample;
pub mod snapshot;
mod stripe;
pub mod structures;
pub mod types;
pub mod view;
pub mod wait;
mod walk;
pub mod watch;

pub use access::Access;
pub use entry::{Entry, Kind};
pub use error::StoreError;
pub use keyspace::{DbSize, Key, Keyspace, Locked, Mode, Pass, Place, StripeSet};
pub use snapshot::{Images, Snapshot};
pub use stripe::{Expired, Swept};
pub use structures::table::Table;
pub use types::collection::Collection;
pub use types::limits::Limits;
pub use types::string::{Str, StrRef};
pub use view::{
    Discard, Discarded, Edited, Env, ExpiredKey, Expiry, Gone, Lookup, ReadDb, SetExpire, Trace,
    WriteDb,
};
pub use wait::Wanted;
pub use walk::{N_CHAIN_LENS, TableStats, Walk};
pub use watch::WatchFlag;
