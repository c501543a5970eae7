//! Sends random commands to the reference and to CrabCache until so many were sent or something
//! differs: `differential [--commands N] [--seed S] [--round R]`.

use compat_tests::differential::{Differential, Failure};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    match run(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where the output is gone there is nobody to tell.
            let _ = writeln!(out, "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(out: &mut impl Write) -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| -> Option<u64> {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse().ok()
    };
    let n_commands = option("--commands").unwrap_or(100_000);
    let seed = option("--seed").unwrap_or_else(rand::random);
    let mut differential = Differential::start(seed)?;
    if let Some(round) = option("--round") {
        differential.skip_to_round(round);
    }
    writeln!(out, "seed {seed}")?;
    if !differential.missing.is_empty() {
        writeln!(out, "not there yet: {}", differential.missing.join(" "))?;
    }
    while differential.n_commands < n_commands {
        differential.round()?;
    }
    writeln!(out, "{} commands, no difference", differential.n_commands)?;
    Ok(())
}
