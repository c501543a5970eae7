//! The program as those see it who start it.
//!
//! Cargo builds a package's programs for its integration tests only: this file is also why
//! `cargo test --workspace` leaves a fresh `crabcache-server` for the compatibility tests.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_crabcache-server"))
}

fn run(args: &[&str]) -> Output {
    program().args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_version_is_that_of_the_reference_and_ours() {
    let output = run(&["--version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.starts_with("Redis server v=8.2.3 "), "{text}");
    assert!(text.contains(concat!("crabcache=", env!("CARGO_PKG_VERSION"))), "{text}");
}

#[test]
fn a_wrong_parameter_ends_it() {
    let output = run(&["--port", "99999"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(text.contains("*** FATAL CONFIG FILE ERROR (Redis 8.2.3) ***"), "{text}");
    assert!(text.contains(">>> 'port \"99999\"'"), "{text}");
    assert!(text.ends_with("argument must be between 0 and 65535 inclusive\n"), "{text}");
}

#[test]
fn it_takes_parameters_from_its_input_and_ends_with_a_signal() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut child = program()
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .current_dir(std::env::temp_dir())
        .spawn()
        .unwrap();
    let parameters = format!("port {port}\nbind 127.0.0.1\nsave ''\nrequirepass secret\n");
    child.stdin.take().unwrap().write_all(parameters.as_bytes()).unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready =
        |line: &std::io::Result<String>| line.as_ref().unwrap().contains("Ready to accept");
    log.find(is_ready).unwrap().unwrap();

    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"-NOAUTH Au");

    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(child.wait().unwrap().success());
    let rest: Vec<String> = log.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("User requested shutdown")), "{rest:?}");
}
