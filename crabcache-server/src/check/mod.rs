//! The program under other names: `redis-check-rdb` and `redis-check-aof` look through files without
//! starting a server.
//!
//! What they print is read by scripts, so it has the reference's words.

mod aof;
mod rdb;

use crate::start::arguments::REDIS_VERSION;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a check has ended early: what was wrong is printed already.
#[derive(Debug)]
enum Stop {
    /// The file is not well.
    Bad,
    /// Nothing can be printed any more.
    Io,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Stop::Io
    }
}

/// Checks a file if the program was called by the name of a tool; the line's first word is the name.
pub fn run(line: &[OsString]) -> Option<ExitCode> {
    let program = line.first()?.to_string_lossy().into_owned();
    let words: Vec<&OsString> = line.iter().skip(1).collect();
    let mut out = io::stdout().lock();
    let checked = if program.ends_with("redis-check-rdb") {
        check_rdb(&mut out, &program, &words)
    } else if program.ends_with("redis-check-aof") {
        check_aof(&mut out, &program, &words)
    } else {
        return None;
    };
    Some(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `redis-check-rdb` says of a file.
pub fn rdb_report(path: &Path) -> String {
    let mut out = Vec::new();
    // What is wrong stands in the report.
    let _ = rdb::check_path(&mut out, path);
    String::from_utf8_lossy(&out).into_owned()
}

fn tell_version(out: &mut impl Write, name: &str) -> Result<(), Stop> {
    writeln!(out, "{name} {REDIS_VERSION}")?;
    Ok(())
}

fn check_rdb(out: &mut impl Write, program: &str, words: &[&OsString]) -> Result<(), Stop> {
    match words {
        [word] if is_version(word) => tell_version(out, "redis-check-rdb"),
        [path] => rdb::check_path(out, &PathBuf::from(path)).map(drop),
        _ => {
            writeln!(out, "Usage: {program} <rdb-file-name>")?;
            Err(Stop::Bad)
        }
    }
}

fn check_aof(out: &mut impl Write, program: &str, words: &[&OsString]) -> Result<(), Stop> {
    match words {
        [word] if is_version(word) => tell_version(out, "redis-check-aof"),
        [path] => aof::check(out, &PathBuf::from(path), aof::Repair::None),
        [option, path] if *option == "--fix" => {
            aof::check(out, &PathBuf::from(path), aof::Repair::Cut)
        }
        [option, time, path] if *option == "--truncate-to-timestamp" => {
            let Some(at_s) = time.to_str().and_then(|time| time.parse().ok()) else {
                writeln!(out, "Invalid timestamp, aborting...")?;
                return Err(Stop::Bad);
            };
            aof::check(out, &PathBuf::from(path), aof::Repair::CutBehind(at_s))
        }
        _ => {
            writeln!(
                out,
                "Usage: {program} [--fix|--truncate-to-timestamp $timestamp] \
                 <file.manifest|file.aof>"
            )?;
            Err(Stop::Bad)
        }
    }
}

fn is_version(word: &OsString) -> bool {
    word == "-v" || word == "--version"
}
