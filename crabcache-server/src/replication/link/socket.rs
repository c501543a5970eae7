//! The socket to a primary, plain or TLS, with time-outs for whatever is waited for.

use super::{Address, Lost};
use crate::config::Config;
use crate::server::Server;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

/// After so long without a byte whoever reads may look after other things.
const GLANCE: Duration = Duration::from_millis(100);
/// Bytes of a line that a primary answers with.
const LINE_BYTES_MAX: usize = 1024;

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// See the module's text.
pub(super) struct Socket {
    stream: Stream,
    timeout: Duration,
}

impl Socket {
    /// Connects to a primary.
    pub(super) fn connect(
        server: &Server,
        config: &Config,
        primary: &Address,
    ) -> Result<Socket, Lost> {
        let timeout = Duration::from_secs(u64::try_from(config.repl_timeout).unwrap_or(60).max(1));
        let fail = |error: &dyn std::fmt::Display| {
            tracing::warn!("Unable to connect to MASTER: {error}");
            Lost::Told
        };
        let addresses = (primary.host.as_str(), primary.port).to_socket_addrs();
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses.map_err(|error| fail(&error))? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(GLANCE))?;
                    stream.set_write_timeout(Some(timeout))?;
                    let stream = match config.tls_replication {
                        false => Stream::Plain(stream),
                        true => Stream::Tls(Box::new(
                            server
                                .tls
                                .connect(config, &primary.host, stream)
                                .map_err(|e| fail(&e))?,
                        )),
                    };
                    return Ok(Socket { stream, timeout });
                }
                Err(error) => last = error,
            }
        }
        Err(fail(&crate::config::apply::system_text(&last)))
    }

    /// A handle that can end the connection from another thread.
    pub(super) fn interrupter(&self) -> io::Result<TcpStream> {
        match &self.stream {
            Stream::Plain(stream) => stream.try_clone(),
            Stream::Tls(stream) => stream.sock.try_clone(),
        }
    }

    /// Reads what is there; `None` if nothing comes for a moment.
    pub(super) fn glance(
        &mut self,
        server: &Server,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n_bytes) => {
                let link = &server.replication.link;
                link.heard_ms.store(server.clock.unix_ms(), Ordering::Relaxed);
                let total = &server.stats.total_net_repl_input_bytes;
                total.fetch_add(n_bytes as u64, Ordering::Relaxed);
                Ok(Some(n_bytes))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads some bytes, waiting for them as long as `repl-timeout` allows.
    pub(super) fn read(&mut self, server: &Server, buffer: &mut [u8]) -> io::Result<usize> {
        let began = server.clock.elapsed();
        loop {
            if let Some(n_bytes) = self.glance(server, buffer)? {
                return Ok(n_bytes);
            }
            if server.clock.elapsed().saturating_sub(began) > self.timeout || server.is_stopping() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Reads a line, without its end. Empty lines are signs of life and passed over.
    pub(super) fn read_line(&mut self, server: &Server) -> io::Result<String> {
        let mut line = Vec::new();
        loop {
            // Byte by byte: what comes behind the line is somebody else's.
            let mut byte = [0];
            self.read(server, &mut byte)?;
            match byte[0] {
                b'\n' if line.is_empty() => {}
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                b'\r' => {}
                byte => line.push(byte),
            }
            if line.len() > LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Sends a request and reads the line that answers it.
    pub(super) fn request(&mut self, server: &Server, words: &[&[u8]]) -> io::Result<String> {
        let mut request = Vec::new();
        crabcache_resp::request::write(&mut request, words.iter().copied());
        self.send(&request)?;
        self.read_line(server)
    }
}
