//! The socket to a primary, plain or TLS, with time-outs for whatever is waited for.

use super::{Address, Lost};
use crate::config::Config;
use crate::config::apply::system_text;
use crate::net::dial::{Destination, Dialed, is_not_yet};
use crate::server::Server;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// After so long without a byte whoever reads may look after other things.
const GLANCE: Duration = Duration::from_millis(100);
/// Bytes of a line that a primary answers with.
const LINE_BYTES_MAX: usize = 1024;

/// See the module's text.
pub(super) struct Socket {
    stream: Dialed,
    timeout: Duration,
}

impl Socket {
    /// Connects to a primary.
    pub(super) fn connect(
        server: &Server,
        config: &Config,
        (primary, generation): (&Address, u64),
    ) -> Result<Socket, Lost> {
        let timeout = Duration::from_secs(u64::try_from(config.repl_timeout).unwrap_or(60).max(1));
        let to = Destination {
            host: &primary.host,
            port: primary.port,
            source: &config.bind_source_addr,
            is_tls: config.tls_replication,
        };
        // Whoever is followed next must not wait for one that does not answer.
        let gives_up =
            || server.replication.link.generation() != generation || server.is_stopping();
        let stream =
            Dialed::connect(&server.clock, config, to, timeout, &gives_up).map_err(|error| {
                if gives_up() {
                    return Lost::Changed;
                }
                if error.kind() == io::ErrorKind::TimedOut {
                    return error.into();
                }
                tracing::warn!("Unable to connect to MASTER: {}", system_text(&error));
                Lost::Told
            })?;
        stream.socket().set_read_timeout(Some(GLANCE))?;
        Ok(Socket { stream, timeout })
    }

    /// A handle that can end the connection from another thread.
    pub(super) fn interrupter(&self) -> io::Result<TcpStream> {
        self.stream.socket().try_clone()
    }

    /// Reads what is there; `None` if nothing comes for a moment.
    pub(super) fn glance(
        &mut self,
        server: &Server,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n_bytes) => {
                let link = &server.replication.link;
                link.heard_ms.store(server.clock.unix_ms(), Ordering::Relaxed);
                let total = &server.stats.total_net_repl_input_bytes;
                total.fetch_add(n_bytes as u64, Ordering::Relaxed);
                Ok(Some(n_bytes))
            }
            Err(error) if is_not_yet(&error) => Ok(None),
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
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request and reads the line that answers it.
    pub(super) fn request(&mut self, server: &Server, words: &[&[u8]]) -> io::Result<String> {
        let mut request = Vec::new();
        crabcache_resp::request::write(&mut request, words.iter().copied());
        self.send(&request)?;
        self.read_line(server)
    }
}
