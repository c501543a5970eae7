//! Configuration: one table of parameters, and what is derived from it.
//!
//! - `params.rs` has one row per parameter: documentation, name, field, type, default, flags.
//! - `kinds.rs` has the types of parameters: how each is read and written.
//!
//! A [`Config`] is a value. Changing it means making a copy, checking it and publishing it whole
//! ([`ConfigStore`]); readers never see half a change.

mod kinds;
mod params;

pub use kinds::{Endpoint, MaxmemoryPolicy, Memory, ProtectedAction};
pub use params::{Config, PARAMS};

use crate::error::ParamError;
use arc_swap::ArcSwap;
use bitflags::bitflags;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

bitflags! {
    /// Facts about a parameter.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ParamFlags: u32 {
        /// Can be changed by CONFIG SET.
        const MUTABLE = 1;
        /// Takes several words.
        const WORDS = 1 << 1;
        /// Not shown by CONFIG GET with a pattern.
        const HIDDEN = 1 << 2;
        /// Its value is not logged.
        const SECRET = 1 << 3;
        /// CONFIG SET only if `enable-protected-configs` allows it.
        const PROTECTED = 1 << 4;
        /// Accepted, and of no effect here.
        const NOOP = 1 << 5;
    }
}

/// A row of the parameter table.
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Another name.
    pub alias: Option<&'static str>,
    /// What it is, for `crabcache.conf`.
    pub doc: &'static str,
    /// See [`ParamFlags`].
    pub flags: ParamFlags,
    /// Its value as CONFIG GET shows it.
    pub get: fn(&Config) -> String,
    /// Sets it from words.
    pub set: fn(&mut Config, &[String]) -> Result<(), ParamError>,
}

impl Param {
    /// The parameter of this name, in any letter case.
    pub fn find(name: &str) -> Option<&'static Param> {
        PARAMS.iter().find(|param| {
            param.name.eq_ignore_ascii_case(name)
                || param.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name))
        })
    }
}

/// The configuration in force.
#[derive(Debug)]
pub struct ConfigStore {
    current: ArcSwap<Config>,
    generation: AtomicU64,
}

impl ConfigStore {
    /// Publishes `config`.
    pub fn new(config: Config) -> ConfigStore {
        ConfigStore { current: ArcSwap::from_pointee(config), generation: AtomicU64::new(0) }
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

    /// Puts `config` in force.
    pub fn publish(&self, config: Config) {
        self.current.store(Arc::new(config));
        self.generation.fetch_add(1, Ordering::Release);
    }
}
