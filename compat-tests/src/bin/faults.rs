//! Breaks links and ends servers of a group under load: `faults [--rounds N] [--seed S]`.

use compat_tests::faults::{Failure, run};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    match run_all(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where the output is gone there is nobody to tell.
            let _ = writeln!(out, "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run_all(out: &mut impl Write) -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| -> Option<u64> {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse().ok()
    };
    let n_rounds = option("--rounds").and_then(|n| u32::try_from(n).ok()).unwrap_or(200);
    let seed = option("--seed").unwrap_or_else(rand::random);
    writeln!(out, "seed {seed}")?;
    run(seed, n_rounds, |round, what| {
        // The same.
        let _ = writeln!(out, "round {round}: {what}");
    })?;
    writeln!(out, "{n_rounds} rounds, all agreed after each")?;
    Ok(())
}
