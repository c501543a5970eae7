//! What the records of a snapshot look like: those of an RDB file, or commands.

use super::aof::commands;
use super::rdb::encode::Encoder;
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::Logged;
use crate::server::Server;
use crate::start::arguments::REDIS_VERSION;
use crabcache_store::{DbSize, Entry};
use std::io;

/// See the module's text.
#[derive(Debug)]
pub enum Form {
    /// A file in RDB format.
    Rdb(Encoder),
    /// Commands that make the data.
    Commands,
}

impl Form {
    /// The base of an append-only file by this configuration.
    pub fn base(server: &Server, config: &Config) -> Form {
        if config.aof_use_rdb_preamble {
            Form::Rdb(Encoder::new(server, config))
        } else {
            Form::Commands
        }
    }

    /// Whether the checksum of all stands behind the end.
    pub fn has_checksum(&self) -> bool {
        matches!(self, Form::Rdb(_))
    }

    /// What stands before the first key. `is_base`: of an append-only file.
    pub fn header(&self, server: &Server, config: &Config, is_base: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let now_s = server.clock.unix_ms() / 1000;
        let functions = server.scripting.functions.get();
        let Form::Rdb(encoder) = self else {
            if config.aof_timestamp_enabled {
                out.extend_from_slice(format!("#TS:{now_s}\r\n").as_bytes());
            }
            functions.all().for_each(|library| commands::function(&mut out, &library.code));
            return out;
        };
        let used = server.memory.look(now_s).allocated;
        encoder.magic(&mut out);
        encoder.aux(&mut out, "redis-ver", REDIS_VERSION);
        encoder.aux_int(&mut out, "redis-bits", i64::from(usize::BITS));
        encoder.aux_int(&mut out, "ctime", now_s);
        encoder.aux_int(&mut out, "used-mem", i64::try_from(used).unwrap_or(i64::MAX));
        server.replication.describe(server, |name, value| encoder.aux(&mut out, name, value));
        encoder.aux_int(&mut out, "aof-base", i64::from(is_base));
        if encoder.filter.functions {
            functions.all().for_each(|library| encoder.function(&mut out, &library.code));
        }
        out
    }

    /// The number of the database that follows.
    pub fn select(&self, out: &mut Vec<u8>, db: usize) {
        match self {
            Form::Rdb(encoder) if encoder.filter.keys => encoder.select(out, db),
            Form::Rdb(_) => {}
            Form::Commands => commands::select(out, db),
        }
    }

    /// How many keys the database that follows has.
    pub fn size(&self, out: &mut Vec<u8>, size: DbSize) {
        if let Form::Rdb(encoder) = self
            && encoder.filter.keys
        {
            encoder.size(out, size);
        }
    }

    /// An entry. Says in the log why it cannot be written.
    ///
    /// # Errors
    /// If the version has no form for it.
    pub fn put(&self, out: &mut Vec<u8>, entry: &Entry) -> Result<(), Logged> {
        let Form::Rdb(encoder) = self else {
            commands::entry(out, entry);
            return Ok(());
        };
        if !encoder.filter.keys {
            return Ok(());
        }
        encoder.entry(out, entry).map_err(|what| {
            tracing::warn!(
                "The RDB version {} (rdb-write-version) cannot hold {what}: key '{}'",
                encoder.version,
                entry.key().escape_ascii()
            );
            Logged
        })
    }

    /// The end, without the checksum.
    pub fn end(&self, out: &mut Vec<u8>) {
        if let Form::Rdb(encoder) = self {
            encoder.end(out);
        }
    }
}

/// Says in the log that the base of an append-only file cannot be written.
pub fn base_failed(error: &io::Error) -> Logged {
    tracing::warn!("Write error writing append only file on disk: {}", system_text(error));
    Logged
}
