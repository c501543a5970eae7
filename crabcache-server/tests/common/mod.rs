//! The program and its clients, for tests with sockets.

#![allow(dead_code, reason = "each test uses its part")]

use crabcache_resp::{Protocol, Value};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const TIME_MAX: Duration = Duration::from_secs(60);
pub(crate) const PAUSE: Duration = Duration::from_millis(10);
/// After so many pauses, what has not happened will not.
pub(crate) const N_PAUSES_MAX: usize = 6000;

/// A server that ends with the test.
pub(crate) struct Program(Child, u16);

impl Program {
    /// Starts it in a directory, with further options.
    pub(crate) fn start(dir: &Path, options: &[&str]) -> Program {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let text = port.to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_crabcache-server"))
            .args(["--port", &text, "--io-threads", "4", "--save", ""])
            .args(options)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let program = Program(child, port);
        let mut n_tries = 0;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            n_tries += 1;
            assert!(n_tries < N_PAUSES_MAX, "the program does not start");
            std::thread::sleep(PAUSE);
        }
        program
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.1)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIME_MAX)).unwrap();
        Client { stream, protocol: Protocol::Resp2, input: Vec::new(), start: 0 }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) protocol: Protocol,
    input: Vec<u8>,
    /// Where what was not yet looked at begins.
    start: usize,
}

impl Client {
    /// Sends a command, or several of them with line ends between.
    pub(crate) fn send(&mut self, line: &str) -> Result<(), Error> {
        self.stream.write_all(format!("{line}\r\n").as_bytes())
    }

    pub(crate) fn receive(&mut self) -> Result<Value, Error> {
        loop {
            let decoded = Value::decode(&self.input[self.start..], self.protocol);
            if let Some((value, len)) = decoded.map_err(|_| ErrorKind::InvalidData)? {
                self.start += len;
                return Ok(value);
            }
            self.input.drain(..std::mem::take(&mut self.start));
            let mut bytes = [0; 16 * 1024];
            let n_read = self.stream.read(&mut bytes)?;
            if n_read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&bytes[..n_read]);
        }
    }

    pub(crate) fn call(&mut self, line: &str) -> Result<Value, Error> {
        self.send(line)?;
        self.receive()
    }

    pub(crate) fn int(&mut self, line: &str) -> i64 {
        match self.call(line).unwrap() {
            Value::Int(int) => int,
            other => panic!("{line}: {other:?}"),
        }
    }
}
