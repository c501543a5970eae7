//! `crabcache-server migrate`: brings the data of a running server to another one, while both serve.
//!
//! It is a client of both servers and uses nothing but their public commands, so either can be a
//! Redis or a CrabCache: the way back is the same command with the addresses changed. The steps:
//!
//! 1. `check.rs` looks for what speaks against it, and changes nothing;
//! 2. `copy.rs` makes the target a replica of the source and waits until it has caught up;
//! 3. `compare.rs` holds the two against each other;
//! 4. `cut_over.rs` makes the target the primary, if it is told to, and the source its replica.
//!
//! Until the last step the source is as it was, and ending the program leaves a replica.

mod arguments;
mod check;
mod client;
mod compare;
mod copy;
mod cut_over;

use crate::error::MigrateError;
use arguments::Options;
use client::Client;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs the subcommand if the command line asks for it; the line's first word is the program.
pub fn run(line: &[OsString]) -> Option<ExitCode> {
    if line.get(1).is_none_or(|word| word != "migrate") {
        return None;
    }
    let words = line.iter().skip(1).cloned();
    let options = match arguments::parse(words) {
        Ok(options) => options,
        Err(error) => {
            // Nothing can be done if this cannot be printed.
            let _ = error.print();
            let is_answer = crate::start::arguments::is_answer(&error);
            return Some(if is_answer { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    };
    let mut out = io::stdout().lock();
    Some(match migrate(&mut out, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The exit code tells it too.
            let _ = writeln!(io::stderr(), "crabcache-server migrate: {error}");
            ExitCode::FAILURE
        }
    })
}

fn migrate(out: &mut impl Write, options: &Options) -> Result<(), MigrateError> {
    let mut source = Client::connect(&options.source, &options.tls)?;
    let mut target = Client::connect(&options.target, &options.tls)?;
    let report = check::check(&mut source, &mut target, options)?;
    report.print(out)?;
    if report.has_problems() && !options.force {
        return Err(MigrateError::Problems);
    }
    if options.dry_run {
        writeln!(out, "Dry run: nothing was changed.")?;
        return Ok(());
    }
    copy::copy(out, &mut source, &mut target, options)?;
    let unsettled = compare::compare(out, &mut source, &mut target, options)?;
    if options.promote {
        cut_over::cut_over(out, &mut source, &mut target, &unsettled, options)
    } else {
        cut_over::explain(out, options)
    }
}
