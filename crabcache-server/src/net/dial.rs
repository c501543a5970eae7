//! Connections that this program makes itself: to its primary, to servers that keys are migrated to.
//!
//! They block: only threads of their own use them.

use super::tls;
use crate::clock::Clock;
use crate::config::Config;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

/// Where to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'d> {
    /// Name or number.
    pub host: &'d str,
    /// Port.
    pub port: u16,
    /// The address to come from; empty: any.
    pub source: &'d str,
    /// Whether to speak TLS.
    pub is_tls: bool,
}

/// See the module's text.
pub enum Dialed {
    /// Without TLS.
    Plain(TcpStream),
    /// With it.
    Tls(Box<TlsStream>),
}

impl Dialed {
    /// Connects, and shakes hands where that is needed. Each step may take as long as `timeout`, unless
    /// it is given up, and so may each read and write afterwards.
    ///
    /// # Errors
    /// If that cannot be, or not in time.
    pub fn connect(
        clock: &Clock,
        config: &Config,
        to: Destination<'_>,
        timeout: Duration,
        gives_up: &dyn Fn() -> bool,
    ) -> io::Result<Dialed> {
        let patience = Patience { clock, timeout, gives_up };
        let stream = open(to, &patience)?;
        stream.set_nodelay(true)?;
        let dialed = if to.is_tls {
            stream.set_read_timeout(Some(LOOK_EVERY))?;
            let stream = tls::connect(config, to.host, stream).map_err(io::Error::other)?;
            Dialed::Tls(Box::new(shake_hands(stream, &patience)?))
        } else {
            Dialed::Plain(stream)
        };
        dialed.socket().set_read_timeout(Some(timeout))?;
        dialed.socket().set_write_timeout(Some(timeout))?;
        Ok(dialed)
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Dialed::Plain(stream) => stream,
            Dialed::Tls(stream) => &stream.sock,
        }
    }
}

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

fn shake_hands(mut stream: TlsStream, patience: &Patience<'_>) -> io::Result<TlsStream> {
    patience.wait(|| {
        if stream.conn.is_handshaking()
            && let Err(error) = stream.conn.complete_io(&mut stream.sock)
            && !is_not_yet(&error)
        {
            return Err(error);
        }
        Ok(!stream.conn.is_handshaking())
    })?;
    Ok(stream)
}

impl Read for Dialed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Dialed::Plain(stream) => stream.read(buffer),
            Dialed::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Dialed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Dialed::Plain(stream) => stream.write(bytes),
            Dialed::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Dialed::Plain(stream) => stream.flush(),
            Dialed::Tls(stream) => stream.flush(),
        }
    }
}

/// How long something may be waited for.
struct Patience<'p> {
    clock: &'p Clock,
    timeout: Duration,
    gives_up: &'p dyn Fn() -> bool,
}

/// Time between two looks whether it is to be given up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Patience<'_> {
    /// Calls `attempt`, which waits for [`LOOK_EVERY`] at most, until it is done.
    fn wait(&self, mut attempt: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
        let began = self.clock.elapsed();
        loop {
            if attempt()? {
                return Ok(());
            }
            if (self.gives_up)() || self.clock.elapsed() - began > self.timeout {
                return Err(Errno::ETIMEDOUT.into());
            }
        }
    }
}

/// Connects to the first of a host's addresses that answers.
fn open(to: Destination<'_>, patience: &Patience<'_>) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in (to.host, to.port).to_socket_addrs()? {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if !to.source.is_empty() {
            // Compat: where one cannot come from there, one comes from elsewhere.
            let _ = bind(&socket, to.source, &address);
        }
        match connect(&socket, &address, patience) {
            Ok(()) => return Ok(socket.into()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(socket: &Socket, source: &str, address: &SocketAddr) -> io::Result<()> {
    let is_fit = |source: &SocketAddr| source.is_ipv4() == address.is_ipv4();
    let source = (source, 0).to_socket_addrs()?.find(is_fit);
    socket.bind(&source.ok_or(io::ErrorKind::AddrNotAvailable)?.into())
}

fn connect(socket: &Socket, address: &SocketAddr, patience: &Patience<'_>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    match socket.connect(&(*address).into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(error),
        _ => {}
    }
    patience.wait(|| {
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        let wait = PollTimeout::try_from(LOOK_EVERY).unwrap_or(PollTimeout::ZERO);
        match poll(&mut polled, wait) {
            Ok(0) | Err(Errno::EINTR) => Ok(false),
            Ok(_) => socket.take_error()?.map_or(Ok(true), Err),
            Err(errno) => Err(errno.into()),
        }
    })?;
    socket.set_nonblocking(false)
}

/// Whether a read or write with a time-out has to be tried again.
pub fn is_not_yet(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;
    use std::net::TcpListener;
    use std::time::Instant;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn dial(port: u16, source: &str, is_tls: bool, gives_up: bool) -> io::Result<Dialed> {
        let t = TestServer::new();
        let to = Destination { host: "127.0.0.1", port, source, is_tls };
        Dialed::connect(&t.server.clock, &t.server.config.get(), to, TIMEOUT, &|| gives_up)
    }

    #[test]
    fn it_comes_from_where_it_should_if_it_can() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for (source, expected) in
            [("", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("192.0.2.1", "127.0.0.1")]
        {
            let mut dialed = dial(port, source, false, false).unwrap();
            let (mut accepted, from) = listener.accept().unwrap();
            assert_eq!(from.ip().to_string(), expected, "{source}");
            dialed.write_all(b"x").unwrap();
            accepted.read_exact(&mut [0]).unwrap();
        }
        drop(listener);
        let error = dial(port, "", false, false).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn nobody_waits_who_has_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Whoever never accepts leaves no room for further ones.
        let port = listener.local_addr().unwrap().port();
        let began = Instant::now();
        let mut dialed = Vec::new();
        while began.elapsed() < TIMEOUT {
            match dial(port, "", false, true) {
                Ok(stream) => dialed.push(stream),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return;
                }
            }
        }
        panic!("{} connections", dialed.len());
    }
}
