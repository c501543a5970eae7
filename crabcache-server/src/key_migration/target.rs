//! The server that keys are migrated to: a connection, which is kept for a while.

use super::request::Request;
use crate::config::Config;
use crate::error::{CommandError, KeyMigrationError};
use crate::net::dial::{Destination, Dialed, is_not_yet};
use crate::server::Server;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

/// Connections that are kept.
const N_KEPT_MAX: usize = 64;
/// They are closed when they were not used for so long.
const KEPT_TIME: Duration = Duration::from_secs(10);
/// Bytes that are sent at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a reply.
const LINE_BYTES_MAX: usize = 1024;

/// Why something could not be sent, or was not answered.
#[derive(Debug)]
pub struct Broken {
    /// What the client is told.
    pub error: KeyMigrationError,
    /// Whether the other server has been silent for too long.
    pub is_timeout: bool,
}

/// See the module's text.
pub struct Target {
    stream: Dialed,
    output: Vec<u8>,
    input: Vec<u8>,
    /// How much of the input was read.
    n_read: usize,
    /// The database that is selected there; `None`: nobody knows.
    db: Option<i64>,
    /// When it was put aside, on the server's clock.
    kept_at: Duration,
    /// Whether it was used before, and may be gone.
    pub was_kept: bool,
    /// Whether nothing more can be said over it.
    is_broken: bool,
}

impl Target {
    /// Connects.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn connect(
        server: &Server,
        config: &Config,
        request: &Request<'_>,
    ) -> Result<Target, KeyMigrationError> {
        let host = String::from_utf8_lossy(request.host);
        let port = String::from_utf8_lossy(request.port).parse().unwrap_or(0);
        // Compat: only a name that is not known counts as an error of connecting.
        if (&*host, port).to_socket_addrs().is_err() {
            return Err(KeyMigrationError::Connecting);
        }
        let is_tls = config.tls_replication;
        let to = Destination { host: &host, port, source: "", is_tls };
        let stream = Dialed::connect(&server.clock, config, to, request.timeout, &|| false);
        let stream = stream.map_err(|_| KeyMigrationError::Writing)?;
        Ok(Target {
            stream,
            output: Vec::new(),
            input: Vec::new(),
            n_read: 0,
            db: Some(0),
            kept_at: Duration::ZERO,
            was_kept: false,
            is_broken: false,
        })
    }

    /// Introduces itself where that is asked for, and selects the database. Gives the other server's
    /// refusal.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn prepare(&mut self, request: &Request<'_>) -> Result<Option<Vec<u8>>, Broken> {
        let (socket, timeout) = (self.stream.socket(), Some(request.timeout));
        let set = socket.set_read_timeout(timeout).and(socket.set_write_timeout(timeout));
        set.map_err(|error| self.broken(KeyMigrationError::Writing, &error))?;
        let mut n_replies = 0;
        if !request.auth.is_empty() {
            let words: Vec<&[u8]> =
                std::iter::once(&b"AUTH"[..]).chain(request.auth.iter().copied()).collect();
            self.send(&words)?;
            n_replies += 1;
        }
        if self.db != Some(request.db) {
            self.send(&[b"SELECT", request.db.to_string().as_bytes()])?;
            n_replies += 1;
        }
        // Keys that were sent behind a refusal would go to another database, or to somebody else.
        self.flush()?;
        self.db = None;
        let mut refusal = None;
        for _ in 0..n_replies {
            let refused = self.read_reply()?;
            refusal = refusal.or(refused);
        }
        if refusal.is_none() {
            self.db = Some(request.db);
        }
        Ok(refusal)
    }

    /// Sends a request, sooner or later.
    ///
    /// # Errors
    /// If that fails.
    pub fn send(&mut self, words: &[&[u8]]) -> Result<(), Broken> {
        crabcache_resp::request::write(&mut self.output, words.iter().copied());
        if self.output.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends what has not been sent yet.
    ///
    /// # Errors
    /// If that fails.
    pub fn flush(&mut self) -> Result<(), Broken> {
        let sent = self.stream.write_all(&self.output).and_then(|()| self.stream.flush());
        self.output.clear();
        self.output.shrink_to(CHUNK_BYTES);
        sent.map_err(|error| self.broken(KeyMigrationError::Writing, &error))
    }

    /// Reads the reply to a request. Gives the error, without the mark, if it is one.
    ///
    /// # Errors
    /// If there is none.
    pub fn read_reply(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let line = self.read_line().and_then(|line| match line.split_first() {
            Some((b'-', text)) => Ok(Some(text.to_vec())),
            Some((b'+', _)) => Ok(None),
            _ => Err(io::ErrorKind::InvalidData.into()),
        });
        line.map_err(|error| self.broken(KeyMigrationError::Reading, &error))
    }

    fn broken(&mut self, error: KeyMigrationError, why: &io::Error) -> Broken {
        self.is_broken = true;
        Broken { error, is_timeout: is_not_yet(why) }
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let unread = &self.input[self.n_read..];
            if let Some(len) = memchr::memchr(b'\n', unread) {
                let line = unread[..len].trim_ascii_end().to_vec();
                self.n_read += len + 1;
                return Ok(line);
            }
            if unread.len() > LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.input.drain(..self.n_read);
            self.n_read = 0;
            let mut buffer = [0; LINE_BYTES_MAX];
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n_bytes => self.input.extend_from_slice(&buffer[..n_bytes]),
            }
        }
    }

    /// Whether the other server still seems to be there.
    fn is_alive(&self) -> bool {
        let socket = self.stream.socket();
        let peeked = socket.set_nonblocking(true).and_then(|()| socket.peek(&mut [0]));
        let is_there = match peeked {
            Ok(0) => false,
            // Nothing comes from there that was not asked for, but what TLS has to say.
            Ok(_) => matches!(self.stream, Dialed::Tls(_)),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        is_there && socket.set_nonblocking(false).is_ok()
    }
}

/// Connections that were used, by address.
#[derive(Default)]
pub struct Kept {
    by_address: Mutex<HashMap<Vec<u8>, Target>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    /// Their number.
    pub fn len(&self) -> usize {
        self.by_address.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes sure that there is a connection for a request.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn prepare(
        &self,
        server: &Server,
        config: &Arc<Config>,
        request: &Request<'_>,
    ) -> Result<(), CommandError> {
        let target = self.take(server, config, request)?;
        self.put(server, request, target);
        Ok(())
    }

    /// Takes the connection out, or connects.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn take(
        &self,
        server: &Server,
        config: &Config,
        request: &Request<'_>,
    ) -> Result<Target, KeyMigrationError> {
        let kept = self.by_address.lock().remove(&address(request));
        match kept.filter(Target::is_alive) {
            Some(target) => Ok(target),
            None => Target::connect(server, config, request),
        }
    }

    /// Keeps a connection for the next one, if it is of use.
    pub fn put(&self, server: &Server, request: &Request<'_>, mut target: Target) {
        if target.is_broken {
            return;
        }
        (target.kept_at, target.was_kept) = (server.clock.elapsed(), true);
        let mut by_address = self.by_address.lock();
        if by_address.len() >= N_KEPT_MAX
            && let Some(oldest) = by_address
                .iter()
                .min_by_key(|(_, target)| target.kept_at)
                .map(|(address, _)| address.clone())
        {
            by_address.remove(&oldest);
        }
        by_address.insert(address(request), target);
    }

    /// Closes those that were not used for a while.
    pub fn close_old(&self, server: &Server) {
        let now = server.clock.elapsed();
        let is_young = |target: &Target| now.saturating_sub(target.kept_at) < KEPT_TIME;
        self.by_address.lock().retain(|_, target| is_young(target));
    }
}

fn address(request: &Request<'_>) -> Vec<u8> {
    [request.host, b":", request.port].concat()
}
