//! Listening sockets.

use super::admission::admit;
use super::crew::Crew;
use super::stream::RawStream;
use super::tls::RawTls;
use crate::client::Peer;
use crate::config::apply::system_text;
use crate::config::{Config, Endpoint};
use crate::error::Logged;
use crate::server::Server;
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// The listening sockets of a server, each with a task that accepts. Lives on the main thread.
pub struct Listeners {
    server: Arc<Server>,
    crew: Arc<Crew>,
    tcp: Vec<JoinHandle<()>>,
    unix: Vec<JoinHandle<()>>,
    tls: Vec<JoinHandle<()>>,
}

/// A port that cannot be listened on, and its kind.
#[derive(Debug, Clone, Copy)]
pub struct Unheard {
    /// The number.
    pub port: i64,
    /// `tcp` or `tls`.
    pub kind: &'static str,
}

impl Listeners {
    /// No sockets yet.
    pub fn new(server: Arc<Server>, crew: Arc<Crew>) -> Listeners {
        Listeners { server, crew, tcp: Vec::new(), unix: Vec::new(), tls: Vec::new() }
    }

    /// Opens the TCP sockets that `config` asks for: those for TLS too. Needs a runtime.
    ///
    /// # Errors
    /// The port, if a socket cannot be opened that is not optional; then none is open.
    pub fn open(&mut self, config: &Config) -> Result<(), Unheard> {
        let plain = open_port(config, config.port, "tcp")?;
        let tls = open_port(config, config.tls_port, "tls")?;
        for socket in plain {
            let accepts = accept_tcp(self.server.clone(), self.crew.clone(), socket, false);
            self.tcp.push(tokio::spawn(accepts));
        }
        for socket in tls {
            let accepts = accept_tcp(self.server.clone(), self.crew.clone(), socket, true);
            self.tls.push(tokio::spawn(accepts));
        }
        Ok(())
    }

    /// Opens the unix socket, if `config` asks for one. Needs a runtime.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open_unix(&mut self, config: &Config) -> Result<(), Logged> {
        let path = &config.unixsocket;
        if path.is_empty() {
            return Ok(());
        }
        let listener = open_unix(path, config).map_err(|failure| {
            tracing::warn!("Failed opening Unix socket: {}", failure.text);
            Logged
        })?;
        let accepts = accept_unix(self.server.clone(), self.crew.clone(), listener, path.clone());
        self.unix.push(tokio::spawn(accepts));
        Ok(())
    }

    /// Opens the TCP sockets of `new` instead of those of `old`. The old ones are closed first,
    /// since addresses may overlap.
    ///
    /// # Errors
    /// If that fails; then those of `old` are open again.
    pub async fn reopen(&mut self, old: &Config, new: &Config) -> Result<(), Logged> {
        close_all(&mut self.tcp).await;
        close_all(&mut self.tls).await;
        if self.open(new).is_ok() {
            return Ok(());
        }
        if let Err(Unheard { port, kind }) = self.open(old) {
            tracing::warn!("Failed listening on port {port} ({kind}) again.");
        }
        Err(Logged)
    }

    /// Whether there is no socket.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_empty() && self.tls.is_empty()
    }

    /// The kinds of socket that are open.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let kinds = [
            ("tcp", self.tcp.is_empty()),
            ("unix", self.unix.is_empty()),
            ("tls", self.tls.is_empty()),
        ];
        kinds.into_iter().filter(|(_, is_empty)| !is_empty).map(|(kind, _)| kind)
    }

    /// Closes all sockets.
    pub async fn close(mut self) {
        close_all(&mut self.tcp).await;
        close_all(&mut self.unix).await;
        close_all(&mut self.tls).await;
    }
}

/// Ends tasks that accept; their sockets are closed when this returns.
async fn close_all(tasks: &mut Vec<JoinHandle<()>>) {
    for task in tasks.drain(..) {
        task.abort();
        // It ends as cancelled, or has ended.
        let _ = task.await;
    }
}

/// Why a socket cannot be opened.
struct Failure {
    errno: Errno,
    text: String,
}

impl Failure {
    /// `step` is the system call that failed.
    fn at(step: &str) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure {
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            text: format!("{step}: {}", system_text(&error)),
        }
    }

    /// Whether the server can do without: an address family that the system does not have, or an
    /// optional address that does not exist.
    fn is_pardonable(&self, is_optional: bool) -> bool {
        match self.errno {
            Errno::EADDRNOTAVAIL => is_optional,
            Errno::ENOPROTOOPT
            | Errno::EPROTONOSUPPORT
            | Errno::ESOCKTNOSUPPORT
            | Errno::EPFNOSUPPORT
            | Errno::EAFNOSUPPORT => true,
            _ => false,
        }
    }
}

/// The address of a word of `bind`: IPv6 if it has a colon, else IPv4, by name if need be.
fn resolve(host: &str) -> io::Result<IpAddr> {
    match host {
        "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
        "::*" => Ok(Ipv6Addr::UNSPECIFIED.into()),
        _ => {
            let mut found = (host, 0).to_socket_addrs()?.map(|address| address.ip());
            let found = found.find(|address| address.is_ipv6() == host.contains(':'));
            found.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
        }
    }
}

/// The sockets of a port, one for each address; none for port 0.
fn open_port(config: &Config, port: i64, kind: &'static str) -> Result<Vec<TcpListener>, Unheard> {
    let number = u16::try_from(port).unwrap_or(0);
    let mut sockets = Vec::new();
    if number == 0 {
        return Ok(sockets);
    }
    for word in &config.bind {
        let endpoint = Endpoint::parse(word);
        match open_tcp(&endpoint.host, number, config.tcp_backlog) {
            Ok(socket) => sockets.push(socket),
            Err(failure) => {
                tracing::warn!(
                    "Warning: Could not create server TCP listening socket {}:{port}: {}",
                    endpoint.host,
                    failure.text
                );
                if !failure.is_pardonable(endpoint.is_optional) {
                    return Err(Unheard { port, kind });
                }
            }
        }
    }
    Ok(sockets)
}

fn open_tcp(host: &str, port: u16, backlog: i64) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(resolve(host).map_err(Failure::at("resolve"))?, port);
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket =
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(Failure::at("socket"))?;
    let prepare = || {
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)
    };
    prepare().map_err(Failure::at("setsockopt"))?;
    socket.bind(&address.into()).map_err(Failure::at("bind"))?;
    listen(&socket, backlog)?;
    TcpListener::from_std(socket.into()).map_err(Failure::at("epoll"))
}

fn open_unix(path: &str, config: &Config) -> Result<UnixListener, Failure> {
    // What a server left behind that did not end in order.
    let _ = std::fs::remove_file(path);
    let address = SockAddr::unix(path).map_err(Failure::at("path"))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(Failure::at("socket"))?;
    socket.bind(&address).map_err(Failure::at("bind"))?;
    if let Ok(mode @ 1..) = u32::try_from(config.unixsocketperm) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).map_err(Failure::at("chmod"))?;
    }
    socket.set_nonblocking(true).map_err(Failure::at("fcntl"))?;
    listen(&socket, config.tcp_backlog)?;
    UnixListener::from_std(socket.into()).map_err(Failure::at("epoll"))
}

fn listen(socket: &Socket, backlog: i64) -> Result<(), Failure> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(Failure::at("listen"))
}

/// Logs that a connection could not be accepted, and lets some time pass in which others may close
/// their files.
async fn let_some_be_closed(server: &Server, error: &io::Error) {
    const LOGGED_EVERY_MS: i64 = 1000;
    if server.accept_warning.is_due(server.clock.unix_ms(), LOGGED_EVERY_MS) {
        tracing::warn!("Accepting client connection: accept: {}", system_text(error));
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Accepts connections for ever. Errors never end it: what they are about passes.
async fn accept_tcp(server: Arc<Server>, crew: Arc<Crew>, listener: TcpListener, is_tls: bool) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => {
                let Ok(stream) = stream.into_std() else { continue };
                let laddr = stream.local_addr().map_or(String::new(), |addr| addr.to_string());
                let fd = stream.as_raw_fd();
                let peer = Peer { addr: addr.to_string(), laddr, fd, is_unix: false };
                let stream = match server.tls.settings() {
                    Some(settings) if is_tls => RawStream::Tls(RawTls { socket: stream, settings }),
                    None if is_tls => continue,
                    _ => RawStream::Tcp(stream),
                };
                admit(&server, &crew, stream, peer, Some(addr.ip()));
            }
            Err(error) => let_some_be_closed(&server, &error).await,
        }
    }
}

/// As [`accept_tcp`], of a unix socket.
async fn accept_unix(server: Arc<Server>, crew: Arc<Crew>, listener: UnixListener, path: String) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(stream) = stream.into_std() else { continue };
                let (addr, fd) = (format!("{path}:0"), stream.as_raw_fd());
                let peer = Peer { laddr: addr.clone(), addr, fd, is_unix: true };
                admit(&server, &crew, RawStream::Unix(stream), peer, None);
            }
            Err(error) => let_some_be_closed(&server, &error).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_bind() {
        let address = |host: &str| resolve(host).ok().map(|address| address.to_string());
        assert_eq!(address("*").as_deref(), Some("0.0.0.0"));
        assert_eq!(address("::*").as_deref(), Some("::"));
        assert_eq!(address("127.0.0.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(address("::1").as_deref(), Some("::1"));
        assert_eq!(address("nosuch.invalid"), None);
    }
}
