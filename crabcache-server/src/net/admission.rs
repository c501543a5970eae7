//! What happens to a socket that was just accepted: it is refused, or set up and given to a worker.
//!
//! Admission happens on the listeners' thread alone, so `maxclients` is exact, and ids follow the
//! order of accepting.

use super::crew::{Accepted, Crew, Given};
use super::stream::RawStream;
use super::tls::RawTls;
use crate::client::Peer;
use crate::config::Config;
use crate::error::{CommandError, PROTECTED_MODE};
use crate::server::Server;
use socket2::{SockRef, TcpKeepalive};
use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Refuses a socket or gives it to a worker. `ip` is the peer's
/// address, if it has one.
pub(super) fn admit(
    server: &Server,
    crew: &Crew,
    stream: RawStream,
    peer: Peer,
    ip: Option<IpAddr>,
) {
    let config = server.config.get();
    if server.clients.len() as i64 >= config.maxclients {
        let error = CommandError::MaxClients;
        return refuse(server, stream, &format!("-{error}\r\n"));
    }
    if is_foreign(server, &config, ip) {
        return refuse(server, stream, PROTECTED_MODE);
    }
    server.stats.total_connections_received.fetch_add(1, Ordering::Relaxed);
    match &stream {
        RawStream::Tcp(socket) | RawStream::Tls(RawTls { socket, .. }) => set_up(socket, &config),
        RawStream::Unix(_) => {}
    }
    let worker = crew.least_loaded(server);
    let user = server.users.default_user();
    let handle = server.clients.add(peer, worker, user.clone(), server.clock.unix_ms());
    let accepted = Accepted { stream, handle, needs_auth: !user.is_open() };
    crew.give(worker, Given::New(accepted));
    // The worker frees what was allocated for it here.
    server.memory.used.note();
}

/// Whether protected mode refuses a peer: it is on another host and there is no password.
fn is_foreign(server: &Server, config: &Config, ip: Option<IpAddr>) -> bool {
    config.protected_mode
        && server.users.default_user().is_nopass()
        && ip.is_some_and(|ip| !ip.to_canonical().is_loopback())
}

/// Says why, if the socket takes it at once, and closes it.
fn refuse(server: &Server, stream: RawStream, line: &str) {
    server.stats.rejected_connections.fetch_add(1, Ordering::Relaxed);
    // Whether the peer gets to read it is its own affair.
    let _ = match stream {
        RawStream::Tcp(stream) => (&stream).write(line.as_bytes()),
        RawStream::Unix(stream) => (&stream).write(line.as_bytes()),
        // Nothing can be said before the handshake, which costs something.
        RawStream::Tls(stream) if line == PROTECTED_MODE => return stream.refuse(PROTECTED_MODE),
        RawStream::Tls(_) => return,
    };
}

/// A socket that is gone already will be noticed by its worker.
fn set_up(stream: &std::net::TcpStream, config: &Config) {
    let _ = stream.set_nodelay(true);
    if let Ok(seconds @ 1..) = u64::try_from(config.tcp_keepalive) {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(seconds))
            .with_interval(Duration::from_secs((seconds / 3).max(1)))
            .with_retries(3);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn protected_mode_lets_only_this_host_in() {
        let t = TestServer::new();
        let is_foreign =
            |config: &Config, ip: &str| is_foreign(&t.server, config, Some(ip.parse().unwrap()));
        let config = Config::default();
        assert!(is_foreign(&config, "10.0.0.1") && is_foreign(&config, "2001:db8::1"));
        for ip in ["127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            assert!(!is_foreign(&config, ip), "{ip}");
        }
        assert!(!super::is_foreign(&t.server, &config, None));
        assert!(!is_foreign(&Config { protected_mode: false, ..config.clone() }, "10.0.0.1"));
        t.server.users.set_requirepass(b"x");
        assert!(!is_foreign(&config, "10.0.0.1"));
    }
}
