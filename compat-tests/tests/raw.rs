//! What cannot be a case: bytes that are no requests, limits before authentication, INFO's fields.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::reply_text;
use crabcache_resp::Protocol;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// All that a server answers until it closes the connection or has nothing more to say.
fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // A server that has had enough may close before everything is sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break "closed",
            Ok(len) => answer.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break "closed",
            Err(_) => break "open",
        }
    };
    format!("{} ({end})", answer.escape_ascii())
}

fn both(setup: &[&str]) -> [Server; 2] {
    [Which::Reference, Which::CrabCache].map(|which| {
        let server = Server::start(which, &[]).unwrap();
        if !setup.is_empty() {
            server.connect(Protocol::Resp2).unwrap().call(setup).unwrap();
        }
        server
    })
}

#[track_caller]
fn compare(servers: &[Server; 2], inputs: &[Vec<u8>]) {
    for bytes in inputs {
        let [expected, answer] = [0, 1].map(|index| exchange(&servers[index], bytes));
        let shown = bytes[..bytes.len().min(60)].escape_ascii();
        assert_eq!(answer, expected, "{shown}");
    }
}

#[test]
fn malformed_requests() {
    let long = |byte: u8, len: usize| vec![byte; len];
    let inputs: &[Vec<u8>] = &[
        b"*-5\r\nPING\r\n".into(),
        b"*0\r\nPING\r\n".into(),
        b"*-2147483648\r\nPING\r\n".into(),
        b"*2147483648\r\n".into(),
        b"*99999999999\r\n".into(),
        b"*x\r\n".into(),
        b"*1\r\n$-3\r\n".into(),
        b"*1\r\n$999999999999\r\n".into(),
        b"*1\r\n$536870913\r\n".into(),
        b"*1\r\n$abc\r\n".into(),
        b"*1\r\nPING\r\n".into(),
        b"*1\r\n:1\r\n".into(),
        b"*1\r\n$0\r\n\r\n".into(),
        b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n".into(),
        b"*2\r\n$4\r\nPI".into(),
        b"SET \"a\r\n".into(),
        b"PING \"a b\" 'c'\r\n".into(),
        b"PING \"\\x41\"\r\n".into(),
        b"\n\n\nPING\n".into(),
        b"PI\0NG\r\n".into(),
        b"PING\r\nPING \0\nPING\r\n".into(),
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        [b"GET ".to_vec(), long(b'k', 70_000)].concat(),
        [b"*1\r\n$".to_vec(), long(b'1', 70_000)].concat(),
        [b"*".to_vec(), long(b'1', 70_000)].concat(),
    ];
    compare(&both(&[]), inputs);
}

#[test]
fn limits_before_authentication() {
    let long = |len: usize| vec![b'y'; len];
    let inputs: &[Vec<u8>] = &[
        b"*10\r\n".into(),
        b"*11\r\n".into(),
        b"*1\r\n$16384\r\n".into(),
        b"*1\r\n$16385\r\n".into(),
        [b"AUTH ".to_vec(), long(20_000), b"\r\n".to_vec()].concat(),
        b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*12\r\n$4\r\nPING\r\n".into(),
        b"AUTH x\r\n*1048577\r\n".into(),
        b"PING\r\nGET a\r\nMULTI\r\nCOMMAND DOCS\r\nHELLO 3\r\nRESET\r\nQUIT\r\n".into(),
    ];
    compare(&both(&["CONFIG", "SET", "requirepass", "x"]), inputs);
}

/// Names of sections and fields, without those whose names depend on what was done or who asks.
fn fields(server: &Server) -> Vec<String> {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    for words in [["SET", "k", "v"], ["SELECT", "3", ""], ["GET", "k", ""]] {
        let words = words.iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        connection.call(&words).unwrap();
    }
    let reply = reply_text(&connection.call(&["INFO", "everything"]).unwrap()).unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let mut section = String::new();
    let mut names = Vec::new();
    for line in reply.split("\r\n") {
        if let Some(title) = line.strip_prefix("# ") {
            section = title.to_string();
        }
        let is_own = ["Commandstats", "Latencystats", "Modules", "Keysizes"].contains(&&*section);
        let name = line.split(':').next().unwrap();
        if !is_own && !name.is_empty() && !name.starts_with("io_thread_") {
            names.push(name.to_string());
        }
    }
    names
}

#[test]
fn info_has_the_fields_of_the_reference_in_its_order() {
    let [expected, mut ours] = both(&[]).map(|server| fields(&server));
    for more in ["server_name", "crabcache_version"] {
        let index = ours.iter().position(|name| name == more).unwrap();
        ours.remove(index);
    }
    assert!(expected.len() > 150, "{expected:?}");
    assert_eq!(ours, expected);
}
