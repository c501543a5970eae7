//! A client of one of the two servers: blocking, one request or one batch at a time.

use super::arguments::{Address, TlsFiles};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::MigrateError;
use crate::net::dial::{Destination, Dialed};
use crabcache_resp::{Protocol, Value};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::time::Duration;

const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A reply may take so long.
const REPLY_TIME: Duration = Duration::from_secs(60);
/// Bytes asked for with one read.
const READ_BYTES: usize = 64 * 1024;

/// See the module's text.
pub(super) struct Client {
    name: String,
    stream: Dialed,
    /// What has been received and not been looked at.
    input: Vec<u8>,
}

/// What INFO says, by field.
pub(super) type Info = HashMap<String, String>;

impl Client {
    /// Connects and authenticates.
    pub(super) fn connect(address: &Address, tls: &TlsFiles) -> Result<Client, MigrateError> {
        let name = address.to_string();
        let stream = open(address, tls)
            .map_err(|error| MigrateError::Connection { server: name.clone(), error })?;
        let mut client = Client { name, stream, input: Vec::new() };
        if let Some(password) = &address.password {
            match &address.user {
                Some(user) => client.call(&["AUTH", user, password])?,
                None => client.call(&["AUTH", password])?,
            };
        }
        client.call(&["CLIENT", "SETNAME", "crabcache-migrate"])?;
        Ok(client)
    }

    /// The server's address, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The reply to one request; one that is refused is an error.
    pub(super) fn call(&mut self, words: &[&str]) -> Result<Value, MigrateError> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut replies = self.call_all(std::slice::from_ref(&words))?;
        match replies.pop() {
            Some(Value::Error(text)) => Err(MigrateError::Refused {
                server: self.name.clone(),
                command: lossy(words[0]),
                text: lossy(&text),
            }),
            Some(reply) => Ok(reply),
            None => Err(self.unexpected(&lossy(words[0]))),
        }
    }

    /// The replies to a batch of requests, among them errors.
    pub(super) fn call_all(&mut self, requests: &[Vec<&[u8]>]) -> Result<Vec<Value>, MigrateError> {
        let mut bytes = Vec::new();
        for words in requests {
            bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                bytes.extend_from_slice(word);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        let sent = self.stream.write_all(&bytes).and_then(|()| self.stream.flush());
        sent.map_err(|error| self.lost(error))?;
        requests.iter().map(|_| self.reply()).collect()
    }

    fn reply(&mut self) -> Result<Value, MigrateError> {
        let mut n_wanted = 1;
        loop {
            // A long reply is looked at again when there is twice as much of it.
            if self.input.len() >= n_wanted {
                let server = || self.name.clone();
                let decoded = Value::decode(&self.input, Protocol::Resp2)
                    .map_err(|error| MigrateError::Protocol { server: server(), error })?;
                if let Some((value, len)) = decoded {
                    self.input.drain(..len);
                    return Ok(value);
                }
                n_wanted = self.input.len() * 2;
            }
            let before = self.input.len();
            self.input.resize(before + READ_BYTES, 0);
            let received = self.stream.read(&mut self.input[before..]);
            self.input.truncate(before + *received.as_ref().unwrap_or(&0));
            match received.map_err(|error| self.lost(error))? {
                0 => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                // Less than there was room for: this may be all.
                n if n < READ_BYTES => n_wanted = 1,
                _ => {}
            }
        }
    }

    /// INFO, by field.
    pub(super) fn info(&mut self, section: &str) -> Result<Info, MigrateError> {
        let reply = self.call(&["INFO", section])?;
        let text = text(&reply).ok_or_else(|| self.unexpected("INFO"))?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields.map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    /// CONFIG GET of all parameters.
    pub(super) fn parameters(&mut self) -> Result<HashMap<String, String>, MigrateError> {
        let reply = self.call(&["CONFIG", "GET", "*"])?;
        let Value::Array(words) = reply else { return Err(self.unexpected("CONFIG")) };
        let pair = |pair: &[Value]| Some((text(&pair[0])?, text(&pair[1])?));
        Ok(words.chunks_exact(2).filter_map(pair).collect())
    }

    /// One parameter; `None` if the server does not have it.
    pub(super) fn parameter(&mut self, name: &str) -> Result<Option<String>, MigrateError> {
        let reply = self.call(&["CONFIG", "GET", name])?;
        let Value::Array(words) = reply else { return Err(self.unexpected("CONFIG")) };
        Ok(words.get(1).and_then(text))
    }

    /// Another kind of reply was to be expected.
    pub(super) fn unexpected(&self, command: &str) -> MigrateError {
        MigrateError::Unexpected { server: self.name.clone(), command: command.to_string() }
    }

    fn lost(&self, error: io::Error) -> MigrateError {
        MigrateError::Connection { server: self.name.clone(), error }
    }
}

fn open(address: &Address, tls: &TlsFiles) -> io::Result<Dialed> {
    let config = Config {
        tls_ca_cert_file: tls.ca_file.clone(),
        tls_ca_cert_dir: tls.ca_folder.clone(),
        tls_cert_file: tls.certificate.clone(),
        tls_key_file: tls.key.clone(),
        ..Config::default()
    };
    let to =
        Destination { host: &address.host, port: address.port, source: "", is_tls: address.is_tls };
    let stream = Dialed::connect(&Clock::default(), &config, to, CONNECT_TIME, &|| false)?;
    stream.socket().set_read_timeout(Some(REPLY_TIME))?;
    stream.socket().set_write_timeout(Some(REPLY_TIME))?;
    Ok(stream)
}

/// The number of a field; 0 if it is not there.
pub(super) fn number(info: &Info, field: &str) -> u64 {
    info.get(field).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// The text of a string or status.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bulk(bytes) | Value::Status(bytes) => Some(lossy(bytes)),
        _ => None,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
