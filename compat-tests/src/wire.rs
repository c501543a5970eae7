//! Connections that send and receive bytes.

use crate::frame::{Frame, Scanner};
use crabcache_resp::Protocol;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reply may take before the test gives up.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// What came instead of, or as, a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// One whole reply.
    Reply(Vec<u8>),
    /// The server closed the connection; with what it sent of a last reply.
    Closed(Vec<u8>),
    /// Nothing, or not all, in time.
    Nothing(Vec<u8>),
    /// Bytes that are no reply.
    Garbage(Vec<u8>),
}

impl Received {
    /// For reports: bytes escaped, long ones cut.
    pub fn show(&self) -> String {
        match self {
            Received::Reply(bytes) => show(bytes),
            Received::Closed(bytes) if bytes.is_empty() => "(connection closed)".to_string(),
            Received::Closed(bytes) => format!("(connection closed after {})", show(bytes)),
            Received::Nothing(bytes) if bytes.is_empty() => "(no reply)".to_string(),
            Received::Nothing(bytes) => format!("(no whole reply: {})", show(bytes)),
            Received::Garbage(bytes) => format!("(not a reply: {})", show(bytes)),
        }
    }
}

/// Bytes in a form that fits into a report.
pub fn show(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 2000;
    if bytes.len() <= SHOWN_BYTES_MAX {
        return bytes.escape_ascii().to_string();
    }
    format!("{}... ({} bytes)", bytes[..SHOWN_BYTES_MAX].escape_ascii(), bytes.len())
}

/// A request as clients send it.
pub fn request(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects; RESP3 is switched on by HELLO.
    ///
    /// # Errors
    /// If the server does not accept, or refuses HELLO.
    pub fn open(address: SocketAddr, protocol: Protocol) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, REPLY_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        let mut connection = Connection { stream, received: Vec::new() };
        if protocol == Protocol::Resp3 {
            let reply = connection.call(&["HELLO", "3"])?;
            if !matches!(&reply, Received::Reply(bytes) if bytes.starts_with(b"%")) {
                return Err(io::Error::other(format!("HELLO 3 was answered {}", reply.show())));
            }
        }
        Ok(connection)
    }

    /// Sends a request and waits for the reply.
    ///
    /// # Errors
    /// If the request cannot be sent.
    pub fn call(&mut self, words: &[impl AsRef<[u8]>]) -> io::Result<Received> {
        self.send(&request(words))?;
        Ok(self.receive(REPLY_TIMEOUT))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the connection fails; that the server has closed it shows when receiving.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write_all(bytes) {
            Err(error) if is_hangup(&error) => Ok(()),
            result => result,
        }
    }

    /// Takes the next reply.
    pub fn receive(&mut self, timeout: Duration) -> Received {
        let deadline = Instant::now() + timeout;
        let mut scanner = Scanner::default();
        loop {
            match scanner.scan(&self.received) {
                Ok(Some(len)) => {
                    let rest = self.received.split_off(len);
                    return Received::Reply(std::mem::replace(&mut self.received, rest));
                }
                Ok(None) => {}
                Err(_) => return Received::Garbage(std::mem::take(&mut self.received)),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.read_some(left) {
                Ok(true) => {}
                Ok(false) => return Received::Nothing(std::mem::take(&mut self.received)),
                Err(_) => return Received::Closed(std::mem::take(&mut self.received)),
            }
        }
    }

    /// Bytes that have arrived and were not taken.
    pub fn unread(&mut self) -> &[u8] {
        // A closed connection shows by what it did not send.
        while let Ok(true) = self.read_some(Duration::ZERO) {}
        &self.received
    }

    /// Reads what is there; false if nothing comes in time, an error at the end.
    fn read_some(&mut self, timeout: Duration) -> io::Result<bool> {
        self.stream.set_nonblocking(timeout.is_zero())?;
        if !timeout.is_zero() {
            self.stream.set_read_timeout(Some(timeout))?;
        }
        let mut bytes = [0; 64 * 1024];
        let result = self.stream.read(&mut bytes);
        self.stream.set_nonblocking(false)?;
        match result {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.received.extend_from_slice(&bytes[..len]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn is_hangup(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

/// The text of a reply, if it is one that is not an aggregate.
pub fn reply_text(received: &Received) -> Option<Vec<u8>> {
    let Received::Reply(bytes) = received else { return None };
    let frame = Frame::parse(bytes).ok()?;
    (frame.children.is_empty() && !frame.is_null()).then(|| frame.text().to_vec())
}
