//! The parts of a snapshot's file, as bytes: header, databases, keys, end. See [`super::decode`] for
//! the layout.
//!
//! What this is not: it writes no file and computes no checksum.

use super::object::write_object;
use super::older::write_older;
use super::string::{write_int, write_len, write_string};
use super::{VERSION, opcodes};
use crate::config::{Config, MaxmemoryPolicy};
use crate::server::Server;
use crabcache_store::{Access, DbSize, Entry};

/// What a file is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Keys.
    pub keys: bool,
    /// Functions.
    pub functions: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Filter { keys: true, functions: true }
    }
}

/// What a file looks like.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// The version of the format.
    pub version: u16,
    /// Whether strings may be compressed.
    pub compresses: bool,
    /// Which use of keys is told.
    pub policy: MaxmemoryPolicy,
    /// The access clock now.
    pub access: Access,
    /// What is written at all.
    pub filter: Filter,
}

impl Encoder {
    /// By this configuration.
    pub fn new(server: &Server, config: &Config) -> Encoder {
        Encoder {
            version: u16::try_from(config.rdb_write_version).expect("in the parameter's range"),
            compresses: config.rdbcompression,
            policy: config.maxmemory_policy,
            access: config.maxmemory_policy.access(config, server.clock.unix_ms()),
            filter: Filter::default(),
        }
    }

    /// Magic and version.
    pub fn magic(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("REDIS{:04}", self.version).as_bytes());
    }

    /// A name and a text about the file.
    pub fn aux(&self, out: &mut Vec<u8>, name: &str, value: &str) {
        out.push(opcodes::AUX);
        write_string(out, name.as_bytes(), self.compresses);
        write_string(out, value.as_bytes(), self.compresses);
    }

    /// A name and a number about the file.
    pub fn aux_int(&self, out: &mut Vec<u8>, name: &str, value: i64) {
        out.push(opcodes::AUX);
        write_string(out, name.as_bytes(), self.compresses);
        write_int(out, value);
    }

    /// A library of functions; versions before they existed have none.
    pub fn function(&self, out: &mut Vec<u8>, code: &[u8]) {
        if self.version >= 10 {
            out.push(opcodes::FUNCTION2);
            write_string(out, code, self.compresses);
        }
    }

    /// The number of the database that follows.
    pub fn select(&self, out: &mut Vec<u8>, db: usize) {
        out.push(opcodes::SELECTDB);
        write_len(out, db as u64);
    }

    /// How many keys the database that follows has.
    pub fn size(&self, out: &mut Vec<u8>, size: DbSize) {
        out.push(opcodes::RESIZEDB);
        write_len(out, size.n_keys as u64);
        write_len(out, size.n_expires as u64);
    }

    /// A key with all that belongs to it.
    ///
    /// # Errors
    /// If the version has no form for its value: what that is. Nothing is written then.
    pub fn entry(&self, out: &mut Vec<u8>, entry: &Entry) -> Result<(), &'static str> {
        let start = out.len();
        let written = self.try_entry(out, entry);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn try_entry(&self, out: &mut Vec<u8>, entry: &Entry) -> Result<(), &'static str> {
        if let Some(at_ms) = entry.expire_at_ms() {
            out.push(opcodes::EXPIRETIME_MS);
            out.extend_from_slice(&at_ms.to_le_bytes());
        }
        let is_lru =
            matches!(self.policy, MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru);
        if is_lru {
            out.push(opcodes::IDLE);
            write_len(out, self.access.idle_s(entry.clock()).into());
        } else if self.policy.is_lfu() {
            out.extend_from_slice(&[opcodes::FREQ, self.access.frequency(entry.clock())]);
        }
        // The type stands before the key, the rest of the value behind it; but they are written as
        // one. So the type is written over the key's last byte and the two are exchanged.
        let type_at = out.len();
        out.push(0);
        write_string(out, entry.key(), self.compresses);
        let last = out.pop().expect("a string has a length at least");
        let last_at = out.len();
        if self.version < VERSION {
            write_older(out, entry, self.compresses, self.version)?;
        } else {
            write_object(out, entry, self.compresses);
        }
        out[type_at] = std::mem::replace(&mut out[last_at], last);
        Ok(())
    }

    /// The end, without the checksum.
    pub fn end(&self, out: &mut Vec<u8>) {
        out.push(opcodes::EOF);
    }
}
