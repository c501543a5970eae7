//! One test for each case file and protocol: `string/set::resp3`.
//!
//! The servers stay up for all tests of the process (cargo-nextest gives each test a process).

use compat_tests::case::{CaseFile, load_all};
use compat_tests::runner::Pair;
use compat_tests::server::repository;
use compat_tests::skip::{SkipList, protocol_name};
use crabcache_resp::Protocol;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Servers that no test uses at the moment.
type Pool = Arc<Mutex<Vec<Pair>>>;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let args = Arguments::from_args();
    let files = load_all(&repository().join("compat-tests/cases"))?;
    let skips = Arc::new(SkipList::load(&repository().join("compat-tests/skip.txt"))?);
    let unknown = skips.unknown(&files).join("\n");
    let pool = Pool::default();
    let mut trials = vec![Trial::test("skip_list::names_only_cases_that_exist", move || {
        if unknown.is_empty() { Ok(()) } else { Err(unknown.into()) }
    })];
    for file in files {
        let file = Arc::new(file);
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let name = format!("{}::{}", file.name, protocol_name(protocol));
            let (pool, file, skips) = (pool.clone(), file.clone(), skips.clone());
            trials.push(Trial::test(name, move || run(&pool, &file, protocol, &skips)));
        }
    }
    let conclusion = libtest_mimic::run(&args, trials);
    pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(conclusion.exit_code())
}

fn run(pool: &Pool, file: &CaseFile, protocol: Protocol, skips: &SkipList) -> Result<(), Failed> {
    let idle = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut pair = match idle {
        Some(pair) => pair,
        None => Pair::start(&[])?,
    };
    let result = pair.run_file(file, protocol, skips);
    pool.lock().unwrap_or_else(PoisonError::into_inner).push(pair);
    Ok(result?)
}
