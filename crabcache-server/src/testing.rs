//! Commands without sockets: a server in the test's own thread, driven like `redis-cli`.
//!
//! ```ignore
//! let mut t = TestServer::new();
//! t.check("SET k v", "+OK");
//! t.check("GET k", "\"v\"");
//! t.advance_ms(10);
//! ```
//!
//! Replies are written out in a short form: `+OK`, `-ERR text`, `:1`, `"bulk"` (escaped), `nil`,
//! `[a, b]`, `{key: value}`, `~{a, b}`, `,1.5`, `#t`, `(123`, `txt"verbatim"`.

use crate::client::{Client, Peer};
use crate::command::pipeline::{OUTPUT_BYTES_MAX, Pipeline, Stop};
use crate::config::{Config, Param};
use crate::notify::Event;
use crate::server::Server;
use crate::server::interest::Interest;
use bytes::BytesMut;
use crabcache_resp::words::split_words;
use crabcache_resp::{Limits, Progress, Protocol, RequestParser, Value};
use std::sync::Arc;
use std::task::Waker;

/// A directory of a test's own, which is removed at its end.
pub(crate) struct TempDir(std::path::PathBuf);

impl TempDir {
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What stays in the system's temporary directory does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A new directory; `name` is the test's.
pub(crate) fn temp_dir(name: &str) -> TempDir {
    let path = std::env::temp_dir().join(format!("crabcache-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    TempDir(path)
}

/// A server with one worker and a default client.
pub(crate) struct TestServer {
    pub(crate) server: Arc<Server>,
    pipeline: Pipeline,
    default: Option<TestClient>,
}

/// One client of a [`TestServer`].
pub(crate) struct TestClient {
    pub(crate) client: Client,
    input: BytesMut,
}

impl TestServer {
    pub(crate) fn new() -> TestServer {
        TestServer::with_config(&[])
    }

    /// A server with these parameters (name, value).
    pub(crate) fn with_config(params: &[(&str, &str)]) -> TestServer {
        let mut config = Config::default();
        let all = [("io-threads", "1"), ("enable-debug-command", "yes"), ("save", "\"\"")];
        for (name, value) in all.iter().chain(params) {
            let param = Param::find(name.as_bytes()).unwrap();
            (param.set)(&mut config, &split_words(value.as_bytes()).unwrap(), false).unwrap();
        }
        let server = Arc::new(Server::new(config).unwrap());
        server.interests.set(Interest::EVENTS | Interest::PROPAGATION, true);
        let pipeline = Pipeline::new(server.clone(), 0);
        let mut test = TestServer { server, pipeline, default: None };
        test.default = Some(test.client());
        test
    }

    /// Another client.
    pub(crate) fn client(&self) -> TestClient {
        let peer = Peer { addr: "127.0.0.1:1".to_string(), ..Peer::default() };
        let user = self.server.users.default_user();
        let handle = self.server.clients.add(peer, 0, user.clone(), self.server.clock.unix_ms());
        TestClient { client: Client::new(handle, !user.is_open()), input: BytesMut::new() }
    }

    /// Ends a client's connection.
    pub(crate) fn forget(&mut self, mut client: TestClient) {
        self.pipeline.forget(&mut client.client);
        self.server.clients.remove(client.client.handle.id);
    }

    /// Lets a blocked client's time run out if it has come, and go on; gives what it is sent.
    pub(crate) fn time_out(&mut self, client: &mut TestClient) -> Vec<u8> {
        let mut out = Vec::new();
        self.pipeline.time_out(&mut client.client, &mut out);
        self.pipeline.run(&mut client.client, &mut client.input, &mut out);
        out
    }

    /// Gives what others have sent to a client, and what they have freed it to do.
    pub(crate) fn take_mail(&mut self, client: &mut TestClient) -> Vec<u8> {
        let mail = client.client.handle.take_mail(Waker::noop());
        let mut out = mail.output;
        self.pipeline.settle_mail(&mut client.client, mail.unblock, &mut out);
        self.pipeline.run(&mut client.client, &mut client.input, &mut out);
        out
    }

    /// Sends one command as a client that must not be answered: it waits.
    #[track_caller]
    pub(crate) fn wait_as(&mut self, client: &mut TestClient, line: &str) {
        assert_eq!(self.run_as(client, line), "", "{line}");
    }

    /// What a client that waited was sent; line ends are spaces.
    pub(crate) fn taken_by(&mut self, client: &mut TestClient) -> String {
        String::from_utf8(self.take_mail(client)).unwrap().replace("\r\n", " ")
    }

    /// Sends bytes as a client; gives the bytes that come back and why the pipeline stopped.
    pub(crate) fn send_as(&mut self, client: &mut TestClient, bytes: &[u8]) -> (Vec<u8>, Stop) {
        client.input.extend_from_slice(bytes);
        let mut out = Vec::new();
        loop {
            let n_bytes = out.len();
            let stop = self.pipeline.run(&mut client.client, &mut client.input, &mut out);
            // The turn may be over because the machine is slow.
            if stop != Stop::NeedsFlush || out.len() - n_bytes >= OUTPUT_BYTES_MAX {
                return (out, stop);
            }
        }
    }

    /// Sends one command as a client; gives the reply in its short form, empty if there is none.
    pub(crate) fn run_as(&mut self, client: &mut TestClient, line: &str) -> String {
        let words = split_words(line.as_bytes()).unwrap();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let protocol_before = client.client.protocol;
        let (out, _) = self.send_as(client, &request(&words));
        // HELLO answers in the protocol that it switches to.
        let text = read_all(&out, client.client.protocol);
        text.or_else(|| read_all(&out, protocol_before)).unwrap().join(" ")
    }

    /// Sends one command as the default client.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let mut client = self.default.take().unwrap();
        let reply = self.run_as(&mut client, line);
        self.default = Some(client);
        reply
    }

    /// The payload of a key, as DUMP gives it.
    #[track_caller]
    pub(crate) fn dump(&mut self, key: &str) -> Vec<u8> {
        self.payload(&[b"DUMP", key.as_bytes()])
    }

    /// What FUNCTION DUMP gives.
    #[track_caller]
    pub(crate) fn dump_functions(&mut self) -> Vec<u8> {
        self.payload(&[b"FUNCTION", b"DUMP"])
    }

    #[track_caller]
    fn payload(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut client = self.client();
        let (out, _) = self.send_as(&mut client, &request(words));
        match Value::decode(&out, Protocol::Resp2) {
            Ok(Some((Value::Bulk(payload), _))) => payload,
            other => panic!("{other:?}"),
        }
    }

    /// Sends one command of binary words as the default client.
    pub(crate) fn run_words(&mut self, words: &[&[u8]]) -> String {
        let mut client = self.default.take().unwrap();
        let (out, _) = self.send_as(&mut client, &request(words));
        let reply = read_all(&out, client.client.protocol).unwrap().join(" ");
        self.default = Some(client);
        reply
    }

    /// The only code that compares: `line` must be answered by `expected`.
    #[track_caller]
    pub(crate) fn check(&mut self, line: &str, expected: &str) {
        assert_eq!(self.run(line), expected, "{line}");
    }

    /// Each line with its reply.
    #[track_caller]
    pub(crate) fn check_all(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            self.check(line, expected);
        }
    }

    /// Moves the clock forward.
    pub(crate) fn advance_ms(&self, by_ms: i64) {
        self.server.clock.advance_ms(by_ms);
    }

    /// Keyspace events since the last call, as `event key` (with `@db` where it is not 0).
    pub(crate) fn events(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.server.recorded.events.lock());
        let line = |(db, key, event): (usize, Vec<u8>, Event)| {
            let at = if db == 0 { String::new() } else { format!("@{db}") };
            format!("{} {}{at}", event.name, key.escape_ascii())
        };
        events.into_iter().map(line).collect()
    }

    /// What was to be replicated since the last call, a line per command (with `@db` before it where
    /// it is not 0).
    pub(crate) fn propagated(&self) -> Vec<String> {
        let commands = std::mem::take(&mut *self.server.recorded.propagated.lock());
        let line = |(db, command): (usize, Vec<Vec<u8>>)| {
            let at = if db == 0 { String::new() } else { format!("@{db} ") };
            let words: Vec<String> =
                command.iter().map(|word| word.escape_ascii().to_string()).collect();
            at + &words.join(" ")
        };
        commands.into_iter().map(line).collect()
    }
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Requests as lines of words.
pub(crate) fn request_lines(bytes: &[u8]) -> Vec<String> {
    let (mut bytes, mut parser, mut spans) =
        (BytesMut::from(bytes), RequestParser::default(), Vec::new());
    let (mut lines, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        spans.clear();
        match parser.parse(&mut bytes, start, &Limits::authenticated(1 << 30), &mut spans) {
            Ok(Progress::Complete { consumed }) => start += consumed,
            other => panic!("no whole request: {other:?}"),
        }
        let words: Vec<String> =
            spans.iter().map(|span| span.of(&bytes).escape_ascii().to_string()).collect();
        lines.push(words.join(" "));
    }
    lines
}

fn read_all(mut bytes: &[u8], protocol: Protocol) -> Option<Vec<String>> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let (value, len) = Value::decode(bytes, protocol).ok()??;
        replies.push(short(&value));
        bytes = &bytes[len..];
    }
    Some(replies)
}

fn short(value: &Value) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = |items: &[Value]| items.iter().map(short).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "nil".to_string(),
        Value::Status(status) => format!("+{}", text(status)),
        Value::Error(error) => format!("-{}", text(error)),
        Value::Int(number) => format!(":{number}"),
        Value::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Value::Double(number) => format!(",{number}"),
        Value::Bool(yes) => if *yes { "#t" } else { "#f" }.to_string(),
        Value::BigNumber(digits) => format!("({}", text(digits)),
        Value::Verbatim(format, bytes) => format!("{format}\"{}\"", bytes.escape_ascii()),
        Value::Array(items) => format!("[{}]", all(items)),
        Value::Set(items) => format!("~{{{}}}", all(items)),
        Value::Push(items) => format!(">[{}]", all(items)),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| format!("{}: {}", short(key), short(value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_without_sockets() {
        let mut t = TestServer::new();
        t.check_all(&[("PING", "+PONG"), ("ping 'a b'", "\"a b\""), ("SET k v", "+OK")]);
        t.check("NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ");
        t.check("GET", "-ERR wrong number of arguments for 'get' command");
        assert_eq!(t.events(), ["set k"]);
        assert_eq!(t.propagated(), ["SET k v"]);
    }

    #[test]
    fn requests_are_pipelined_and_may_be_split() {
        let mut t = TestServer::new();
        let mut client = t.client();
        let (out, stop) = t.send_as(&mut client, b"PING\r\nSET a 1\r\n*2\r\n$3\r\nGE");
        assert_eq!(out, b"+PONG\r\n+OK\r\n");
        assert!(matches!(stop, Stop::NeedsInput { .. }));
        assert_eq!(t.send_as(&mut client, b"T\r\n$1\r\na\r\n*1\r\n$x").0, b"$1\r\n1\r\n");
        let (out, stop) = t.send_as(&mut client, b"\r\n");
        assert_eq!(out, b"-ERR Protocol error: invalid bulk length\r\n");
        assert_eq!(stop, Stop::Closes);
    }

    #[test]
    fn empty_requests_may_stand_between_others_however_they_are_split() {
        let input = b"PING\r\n\r\n\n*0\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n\r\nPING\r\n\n*1\r\n$4\r\nPING\r\n";
        for split in 0..input.len() {
            for second in split..input.len() {
                let mut t = TestServer::new();
                let mut client = t.client();
                let mut out = Vec::new();
                for piece in [&input[..split], &input[split..second], &input[second..]] {
                    out.extend(t.send_as(&mut client, piece).0);
                }
                assert_eq!(out, b"+PONG\r\n$1\r\na\r\n+PONG\r\n+PONG\r\n", "{split} {second}");
            }
        }
    }

    #[test]
    fn transactions_are_one() {
        let mut t = TestServer::new();
        let mut other = t.client();
        t.check_all(&[("MULTI", "+OK"), ("SET a 1", "+QUEUED"), ("GET a", "+QUEUED")]);
        assert_eq!(t.run_as(&mut other, "GET a"), "nil");
        t.check("EXEC", "[+OK, \"1\"]");
        t.check_all(&[
            ("EXEC", "-ERR EXEC without MULTI"),
            ("DISCARD", "-ERR DISCARD without MULTI"),
            ("MULTI", "+OK"),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("WATCH a", "-ERR WATCH inside MULTI is not allowed"),
            ("EXEC", "[]"),
            ("MULTI", "+OK"),
            ("GET", "-ERR wrong number of arguments for 'get' command"),
            ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ]);
    }

    #[test]
    fn watched_keys_stop_a_transaction() {
        let mut t = TestServer::new();
        let mut other = t.client();
        t.check_all(&[("WATCH a b", "+OK"), ("MULTI", "+OK"), ("SET c 1", "+QUEUED")]);
        t.run_as(&mut other, "SET b 1");
        t.check_all(&[("EXEC", "nil"), ("GET c", "nil"), ("MULTI", "+OK"), ("EXEC", "[]")]);
        t.check_all(&[("WATCH a", "+OK"), ("UNWATCH", "+OK")]);
        t.run_as(&mut other, "SET a 1");
        t.check_all(&[("MULTI", "+OK"), ("UNWATCH", "+QUEUED"), ("EXEC", "[+OK]")]);
        assert_eq!(t.server.interests.n_watching(), 0);
        t.check("WATCH a", "+OK");
        t.run_as(&mut other, "SET a 2");
        t.check_all(&[("MULTI", "+OK"), ("GET a", "+QUEUED"), ("EXEC", "nil")]);
    }
}
