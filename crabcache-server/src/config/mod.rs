//! Configuration: one table of parameters, and what is derived from it.
//!
//! - `params.rs` has one row per parameter: documentation, name, field, type, default, flags.
//! - `kinds.rs`, `special.rs` have the types of parameters: how each is read and written.
//! - `choices.rs` has the types of parameters that are one of a few names.
//! - `file.rs` reads redis.conf, `rewrite.rs` writes it, `set.rs` changes parameters at run time.
//! - `apply.rs` has what must happen when a parameter changes.
//! - `limits.rs` gives the store those of compact encodings.
//! - `support.rs` tells which settings cannot be honoured.
//!
//! A [`Config`] is a value. Changing it means making a copy, checking it and publishing it whole
//! ([`ConfigStore`]); readers never see half a change.

pub mod apply;
pub mod choices;
#[cfg(test)]
mod docs;
pub mod file;
mod kinds;
mod limits;
mod params;
pub mod rewrite;
pub mod set;
pub mod special;
pub mod support;
mod table;

pub use choices::*;
pub use kinds::Memory;
pub use params::{Config, PARAMS};
pub use special::{Endpoint, OutputLimit, OutputLimits, SavePoint};
pub use table::{Apply, Line, Param, ParamFlags, Word, Words};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The configuration in force.
#[derive(Debug)]
pub struct ConfigStore {
    current: ArcSwap<Config>,
    generation: AtomicU64,
    /// Held by whoever makes a changed copy, so that no change is lost.
    change: Mutex<()>,
}

impl ConfigStore {
    /// Publishes `config`.
    pub fn new(config: Config) -> ConfigStore {
        ConfigStore {
            current: ArcSwap::from_pointee(config),
            generation: AtomicU64::new(0),
            change: Mutex::new(()),
        }
    }

    /// The configuration now.
    pub fn get(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Changes with each publication: tells whether a kept configuration is still current.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Has all workers look again at what they keep, before their next command: at the configuration,
    /// and at what their clients' users may do.
    pub fn announce(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// To be held from reading the configuration until the changed one is published.
    pub fn begin_change(&self) -> MutexGuard<'_, ()> {
        self.change.lock()
    }

    /// Puts `config` in force.
    pub fn publish(&self, config: Config) {
        self.current.store(Arc::new(config));
        self.announce();
    }
}
