//! Real clients against CrabCache: Redis's own tools, and libraries through a script each.
//!
//! `scripts/install_tests` installs them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which, repository, tool};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn start() -> Server {
    Server::start(Which::CrabCache, &[]).unwrap()
}

/// Runs a program to its end; it must succeed. Gives what it wrote.
#[track_caller]
fn run(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run scripts/install_tests"));
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

fn script(name: &str) -> PathBuf {
    repository().join("compat-tests/clients").join(name)
}

#[test]
fn redis_cli_shows_hints() {
    let server = start();
    let mut command = Command::new("python3");
    command.arg(script("cli_hints.py")).arg(server.port()).arg(tool("redis-cli"));
    run(&mut command, "");
}

#[test]
fn redis_benchmark_runs_clean() {
    let server = start();
    let mut command = Command::new(tool("redis-benchmark"));
    command.args("-h 127.0.0.1 -c 100 -n 100000 -d 64 -P 16 -t ping,set,get --csv".split(' '));
    let text = run(command.args(["-p", &server.port()]), "");
    let mut names = Vec::new();
    for line in text.lines().skip_while(|line| !line.starts_with("\"test\"")).skip(1) {
        let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
        assert!(fields[1].parse::<f64>().unwrap() > 1000.0, "{line}");
        names.push(fields[0].to_string());
    }
    assert_eq!(names, ["PING_INLINE", "PING_MBULK", "SET", "GET"], "{text}");
    assert!(!text.contains("WARNING") && !text.contains("Error"), "{text}");
}
