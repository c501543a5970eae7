//! Reads a snapshot's file, or what an append-only file begins with, to its end.

use super::Stop;
use crate::clock;
use crate::config::apply::system_text;
use crate::error::{RdbError, RdbFileError};
use crate::persistence::rdb::decode::{Decoder, Item, Options};
use crabcache_store::types::hash::Hash;
use crabcache_store::{Kind, Limits};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

#[derive(Default)]
struct Counts {
    n_keys: u64,
    n_expires: u64,
    n_expired: u64,
    n_subexpires: u64,
}

/// Checks a file. Returns where the part in RDB format ends.
pub(super) fn check_path(out: &mut impl Write, path: &Path) -> Result<u64, Stop> {
    match File::open(path) {
        Ok(file) => check(out, path, file),
        Err(error) => {
            writeln!(out, "Cannot open file {}: {}", path.display(), system_text(&error))?;
            Err(Stop::Bad)
        }
    }
}

fn check(out: &mut impl Write, path: &Path, file: impl Read) -> Result<u64, Stop> {
    writeln!(out, "[offset 0] Checking RDB file {}", path.display())?;
    let mut counts = Counts::default();
    let read = read(out, file, &mut counts);
    match read {
        Ok(end) => {
            writeln!(out, "[offset {end}] Checksum OK")?;
            writeln!(out, "[offset {end}] \\o/ RDB looks OK! \\o/")?;
            tell_counts(out, &counts)?;
            Ok(end)
        }
        Err(Failure::Stop(stop)) => Err(stop),
        Err(Failure::Rdb(failure)) => {
            tell_failure(out, &failure)?;
            tell_counts(out, &counts)?;
            Err(Stop::Bad)
        }
    }
}

enum Failure {
    Rdb(RdbFileError),
    Stop(Stop),
}

impl From<RdbFileError> for Failure {
    fn from(error: RdbFileError) -> Self {
        Failure::Rdb(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Failure::Stop(Stop::Io)
    }
}

fn read(out: &mut impl Write, file: impl Read, counts: &mut Counts) -> Result<u64, Failure> {
    let options = Options {
        limits: Limits::default(),
        n_databases: usize::MAX,
        verifies: true,
        skips_modules: true,
    };
    let now_ms = clock::wall_us() / 1000;
    let mut decoder = Decoder::new(file, options)?;
    while let Some(item) = decoder.next_item()? {
        match item {
            Item::Aux(name, value) => {
                let (name, value) = (name.escape_ascii(), value.escape_ascii());
                writeln!(out, "[offset {}] AUX FIELD {name} = '{value}'", decoder.offset())?;
            }
            Item::Key(key) => {
                counts.n_keys += 1;
                if let Some(at_ms) = key.entry.expire_at_ms() {
                    counts.n_expires += 1;
                    counts.n_expired += u64::from(at_ms < now_ms);
                }
                if key.entry.kind() == Kind::Hash
                    && let Some(hash) = key.entry.collection::<Hash>()
                {
                    hash.each(|field| {
                        counts.n_subexpires += u64::from(field.expire_at_ms.is_some());
                    });
                }
            }
            Item::Skipped(_, module) | Item::SkippedData(module) => {
                writeln!(out, "[offset {}] MODULE AUX for: {module}", decoder.offset())?;
            }
            Item::Empty(_) | Item::Function(_) => {}
        }
    }
    if decoder.is_unverified() {
        writeln!(
            out,
            "[offset {}] RDB file was saved with checksum disabled: no check performed.",
            decoder.offset()
        )?;
    }
    Ok(decoder.offset())
}

fn tell_failure(out: &mut impl Write, failure: &RdbFileError) -> Result<(), Stop> {
    let RdbFileError { error, offset, key } = failure;
    let text = match error {
        RdbError::Truncated => "Unexpected EOF reading RDB file".to_string(),
        RdbError::WrongChecksum => "RDB CRC error".to_string(),
        other => other.to_string(),
    };
    writeln!(out, "--- RDB ERROR DETECTED ---")?;
    writeln!(out, "[offset {offset}] {text}")?;
    if let Some(key) = key {
        writeln!(out, "[additional info] Reading key '{}'", key.escape_ascii())?;
    }
    Ok(())
}

fn tell_counts(out: &mut impl Write, counts: &Counts) -> Result<(), Stop> {
    writeln!(out, "[info] {} keys read", counts.n_keys)?;
    writeln!(out, "[info] {} expires", counts.n_expires)?;
    writeln!(out, "[info] {} already expired", counts.n_expired)?;
    writeln!(out, "[info] {} subexpires", counts.n_subexpires)?;
    Ok(())
}
