//! TLS as clients see it: redis-cli on the TLS port, settings that change, handshakes that never
//! end.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::certificates::Certificates;
use compat_tests::server::{Server, Which, free_port, tool};
use crabcache_resp::Protocol;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Tls {
    files: Certificates,
    server: Server,
    port: u16,
}

impl Tls {
    fn start() -> Tls {
        let (files, port) = (Certificates::new(), free_port());
        let options = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", files.text("one-server.crt")),
            ("--tls-key-file", files.text("one-server.key")),
            ("--tls-ca-cert-file", files.text("one-ca.crt")),
            ("--io-threads", "1".to_string()),
        ];
        let options: Vec<&str> =
            options.iter().flat_map(|(name, value)| [*name, value.as_str()]).collect();
        let server = Server::start(Which::CrabCache, &options).unwrap();
        Tls { files, server, port }
    }

    /// What redis-cli says when it speaks TLS; empty where it cannot.
    fn cli(&self, authority: &str, certificate: Option<&str>, words: &[&str]) -> String {
        let mut command = Command::new(tool("redis-cli"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--tls"]);
        command.arg("--cacert").arg(self.files.path(&format!("{authority}-ca.crt")));
        if let Some(name) = certificate {
            command.arg("--cert").arg(self.files.path(&format!("{name}-client.crt")));
            command.arg("--key").arg(self.files.path(&format!("{name}-client.key")));
        }
        let output = command.args(words).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// Sends CONFIG SET on the plain port. Whether it was well.
    fn set(&self, pairs: &[(&str, &str)]) -> bool {
        let mut words = vec!["CONFIG", "SET"];
        words.extend(pairs.iter().flat_map(|(name, value)| [*name, *value]));
        let reply = self.server.connect(Protocol::Resp2).unwrap().call(&words).unwrap();
        reply.show() == "+OK\\r\\n"
    }
}

#[test]
fn redis_cli_speaks_tls() {
    let tls = Tls::start();
    let cli = |words: &[&str]| tls.cli("one", Some("one"), words);
    assert_eq!(cli(&["PING"]), "PONG");
    let long = "x".repeat(100_000);
    assert_eq!(cli(&["SET", "k", &long]), "OK");
    assert_eq!(cli(&["GET", "k"]), long);
    // More than the socket takes at once, and more than TLS keeps.
    assert_eq!(cli(&["SETRANGE", "large", "20000000", "x"]), "20000001");
    assert_eq!(cli(&["GET", "large"]).len(), 20_000_001);
    let all = cli(&["CLIENT", "LIST"]);
    assert!(all.contains(&format!("laddr=127.0.0.1:{}", tls.port)), "{all}");
    assert_eq!(tls.cli("two", Some("one"), &["PING"]), "");
}

#[test]
fn clients_show_certificates_if_asked_to() {
    let tls = Tls::start();
    assert_eq!(tls.cli("one", None, &["PING"]), "");
    assert_eq!(tls.cli("one", Some("two"), &["PING"]), "");
    assert!(tls.set(&[("tls-auth-clients", "optional")]));
    assert_eq!(tls.cli("one", None, &["PING"]), "PONG");
    assert_eq!(tls.cli("one", Some("two"), &["PING"]), "");
    assert!(tls.set(&[("tls-auth-clients", "no")]));
    assert_eq!(tls.cli("one", Some("two"), &["PING"]), "PONG");
}

#[test]
fn settings_change_without_a_restart() {
    let tls = Tls::start();
    let (crt, key) = (tls.files.text("two-server.crt"), tls.files.text("two-server.key"));
    assert!(!tls.set(&[("tls-cert-file", "/nosuch")]));
    assert!(!tls.set(&[("tls-cert-file", &crt)]), "the key belongs to another certificate");
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "PONG");
    assert!(tls.set(&[("tls-cert-file", &crt), ("tls-key-file", &key)]));
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "");
    assert_eq!(tls.cli("two", Some("one"), &["PING"]), "PONG");
    // The same name again: the file may be another.
    for (from, to) in [("one-server.crt", &crt), ("one-server.key", &key)] {
        std::fs::copy(tls.files.path(from), to).unwrap();
    }
    assert!(tls.set(&[("tls-cert-file", &crt), ("tls-key-file", &key)]));
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "PONG");
}

#[test]
fn ports_open_and_close() {
    let mut tls = Tls::start();
    let other = free_port();
    assert!(tls.set(&[("tls-port", "0")]));
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "");
    assert!(tls.set(&[("tls-port", &other.to_string())]));
    tls.port = other;
    assert_eq!(tls.cli("one", Some("one"), &["CONFIG", "SET", "port", "0"]), "OK");
    assert!(tls.server.connect(Protocol::Resp2).is_err());
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "PONG");
}

#[test]
fn who_speaks_no_tls_is_cut_without_a_word() {
    let tls = Tls::start();
    let mut stream = TcpStream::connect(("127.0.0.1", tls.port)).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = Vec::new();
    // The connection may be reset, since what was sent was not read.
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "PONG");
}

#[test]
fn handshakes_hold_up_nobody() {
    let tls = Tls::start();
    let address = ("127.0.0.1", tls.port);
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    let began = Instant::now();
    assert_eq!(tls.cli("one", Some("one"), &["PING"]), "PONG");
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(silent);
}
