//! Listening sockets, and the choice of a worker for each connection.

use super::stream::RawStream;
use super::worker::{Accepted, Worker};
use crate::client::Peer;
use crate::config::{Config, Endpoint};
use crate::server::Server;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

/// Opens the TCP sockets that the configuration asks for. Needs a runtime.
///
/// # Errors
/// The first address that cannot be listened on, unless it is optional.
pub fn listen_tcp(config: &Config) -> io::Result<Vec<TcpListener>> {
    let port = u16::try_from(config.port).unwrap_or(0);
    let mut listeners = Vec::new();
    if port == 0 {
        return Ok(listeners);
    }
    for word in &config.bind {
        let endpoint = Endpoint::parse(word);
        let listener = resolve(&endpoint.host)
            .and_then(|host| open_tcp(SocketAddr::new(host, port), config.tcp_backlog));
        match listener {
            Ok(listener) => listeners.push(listener),
            Err(_) if endpoint.is_optional => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

fn resolve(host: &str) -> io::Result<IpAddr> {
    match host {
        "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
        "::*" => Ok(Ipv6Addr::UNSPECIFIED.into()),
        host => host.parse().map_err(|_| io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn open_tcp(address: SocketAddr, backlog: i64) -> io::Result<TcpListener> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections for ever and gives each to the worker with the fewest.
pub async fn accept_tcp(server: Arc<Server>, workers: Arc<[Worker]>, listener: TcpListener) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: let some be closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(stream) = stream.into_std() else { continue };
        server.stats.total_connections_received.fetch_add(1, Ordering::Relaxed);
        let config = server.config.get();
        // A socket that is gone already will be noticed by its worker.
        let _ = stream.set_nodelay(true);
        if let Ok(seconds @ 1..) = u64::try_from(config.tcp_keepalive) {
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(seconds))
                .with_interval(Duration::from_secs((seconds / 3).max(1)))
                .with_retries(3);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        }
        let laddr = stream.local_addr().map_or(String::new(), |address| address.to_string());
        let fd = stream.as_raw_fd();
        let peer = Peer { addr: peer.to_string(), laddr, fd, is_unix: false };
        let least_loaded = workers.iter().min_by_key(|worker| worker.n_connections());
        if let Some(worker) = least_loaded {
            worker.give(Accepted { stream: RawStream::Tcp(stream), peer });
        }
    }
}
