//! One test for each case file: its commands must bring the same keyspace events, in the same order,
//! on the reference and on CrabCache. All classes are on.

use compat_tests::case::{CaseFile, load_all};
use compat_tests::runner::Pair;
use compat_tests::server::repository;
use compat_tests::skip::SkipList;
use crabcache_resp::Protocol;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Servers that no test uses at the moment.
type Pool = Arc<Mutex<Vec<Pair>>>;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let args = Arguments::from_args();
    let files = load_all(&repository().join("compat-tests/cases"))?;
    let pool = Pool::default();
    let mut trials = Vec::new();
    for file in files {
        let (pool, name) = (pool.clone(), file.name.clone());
        trials.push(Trial::test(name, move || run(&pool, &file)));
    }
    let conclusion = libtest_mimic::run(&args, trials);
    pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(conclusion.exit_code())
}

fn run(pool: &Pool, file: &CaseFile) -> Result<(), Failed> {
    let idle = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut pair = match idle {
        Some(pair) => pair,
        None => Pair::start_with_events()?,
    };
    let result = pair.run_file(file, Protocol::Resp3, &SkipList::default());
    pool.lock().unwrap_or_else(PoisonError::into_inner).push(pair);
    Ok(result?)
}
