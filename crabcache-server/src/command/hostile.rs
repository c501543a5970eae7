//! A property of every row of the command table: whatever words a request has, it is answered by one
//! well-formed frame, or by none if the client waits. Nothing panics, and no word of the request
//! breaks a reply into two.
//!
//! Requests follow the rows' documentation, so that they get past the parsers of options; the words in
//! between are absurd numbers, line ends, damaged payloads and keys of other types.

use super::syntax::{Argument, ArgumentKind, parse};
use super::{CommandRow, Flags};
use crate::testing::{TestClient, TestServer};
use crabcache_resp::{Protocol, request};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What ends the process, waits for real time, works with files, or changes how the next requests are
/// treated.
const LEFT_OUT: &[&str] = &[
    "acl|load",
    "acl|save",
    "bgrewriteaof",
    "bgsave",
    "client|pause",
    "config|rewrite",
    "config|set",
    "debug",
    "failover",
    "monitor",
    "pfselftest",
    "psync",
    "replicaof",
    "save",
    "script|debug",
    "shutdown",
    "slaveof",
    "sync",
];

/// The environment variable that repeats a run.
const SEED: &str = "CRABCACHE_SEED";
/// Requests of each row.
const N_REQUESTS: usize = 120;
/// Requests after which the keys are as they were in the beginning.
const N_BETWEEN_RESETS: usize = 15;

const SETUP: &[&str] = &[
    "FLUSHALL",
    "SET str hello",
    "SET int 9223372036854775807",
    "SET float 1e308",
    "RPUSH list a b c 1 2 3",
    "SADD set a b c",
    "SADD intset 1 2 3",
    "HSET hash f v g 1 h 1e308",
    "HSET timed f v g 1",
    "HPEXPIRE timed 100000 FIELDS 1 f",
    "ZADD zset 1 a 2 b inf c",
    "GEOADD geo 13.4 52.5 berlin 2.35 48.85 paris",
    "XADD stream 1-1 f v",
    "XADD stream 2-1 f v",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group someone COUNT 1 STREAMS stream >",
    "XDEL stream 1-1",
    "PFADD hll a b c",
    "SET broken \"HYLL\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xff\\xff\\x7f\"",
    "VADD vectors VALUES 3 1 2 3 element",
];

const KEYS: &[&str] = &[
    "str", "int", "float", "list", "set", "intset", "hash", "timed", "zset", "geo", "stream",
    "hll", "broken", "vectors", "missing", "a\r\nb",
];

const WORDS: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"-0",
    b"+1",
    b"01",
    b" 1",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"18446744073709551616",
    b"4294967295",
    b"4294967296",
    b"2147483648",
    b"-2147483649",
    b"1.5",
    b"1e308",
    b"-1e309",
    b"1e-400",
    b"nan",
    b"-nan",
    b"inf",
    b"-inf",
    b"0x10",
    b"\r\n",
    b"a\r\n-ERR b\r\n",
    b"\n",
    b"\x00",
    b"a\x00b",
    b"\xff\xfe",
    b"*",
    b"[",
    b"[^",
    b"\\",
    b"-",
    b"+",
    b"(1",
    b"[a",
    b"$",
    b">",
    b"0-0",
    b"1-*",
    b"18446744073709551615-18446744073709551615",
    b"a",
    b"b",
    b"f",
    b"group",
    b"someone",
    b"element",
    b"berlin",
    b"%s%n",
    b"${a}",
    b"return redis.call('GET', KEYS[1])",
    b"error('a\\r\\nb')",
    b"return redis.error_reply('a\\r\\nb')",
    b"#!lua name=l\nredis.register_function('f', function() error('a\\r\\nb') end)",
    b"\x00\xc0\x01\x0c\x00\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x0e\x81\xff\xff\xff\xff\xff\xff\xff\xff\x0b\x00",
];

struct Generator(StdRng);

impl Generator {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    fn is_one_of(&mut self, n: u32) -> bool {
        self.0.random_range(0..n) == 0
    }

    fn request(&mut self, row: &CommandRow, arguments: &[Argument<'_>]) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> =
            row.full_name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        let n_names = words.len();
        arguments.iter().for_each(|argument| self.add(argument, &mut words));
        if self.is_one_of(10) {
            words.push(self.pick(WORDS).to_vec());
        }
        if words.len() > n_names && self.is_one_of(6) {
            let index = self.0.random_range(n_names..words.len());
            words[index] = self.pick(WORDS).to_vec();
        }
        if words.len() > n_names && self.is_one_of(12) {
            words.truncate(self.0.random_range(n_names..words.len()));
        }
        words
    }

    fn add(&mut self, argument: &Argument<'_>, words: &mut Vec<Vec<u8>>) {
        if argument.is_optional && self.is_one_of(2) {
            return;
        }
        let n_times = if argument.is_multiple { self.0.random_range(1..4) } else { 1 };
        for time in 0..n_times {
            if let Some(token) = argument.token
                && (time == 0 || argument.repeats_token)
            {
                words.push(token.as_bytes().to_vec());
            }
            match argument.kind {
                ArgumentKind::PureToken => {}
                ArgumentKind::Block => {
                    argument.arguments.iter().for_each(|inner| self.add(inner, words));
                }
                ArgumentKind::OneOf => {
                    let index = self.0.random_range(0..argument.arguments.len());
                    self.add(&argument.arguments[index], words);
                }
                ArgumentKind::Key => words.push(self.pick(KEYS).as_bytes().to_vec()),
                ArgumentKind::Integer if !self.is_one_of(3) => {
                    words.push(self.pick(&WORDS[1..18]).to_vec());
                }
                ArgumentKind::Double | ArgumentKind::UnixTime if !self.is_one_of(3) => {
                    words.push(self.pick(&WORDS[1..26]).to_vec());
                }
                _ => words.push(self.pick(WORDS).to_vec()),
            }
        }
    }
}

fn reset(t: &mut TestServer) {
    for line in SETUP {
        let reply = t.run(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
}

/// Holds the reply to one request against what a reply must be.
fn check(t: &mut TestServer, client: &mut TestClient, row: &CommandRow, words: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    request::write(&mut bytes, words.iter().map(Vec::as_slice));
    // HELLO answers in the protocol that it switches to.
    let protocol_before = client.client.protocol;
    let (out, _) = t.send_as(client, &bytes);
    let is_resp3 = [protocol_before, client.client.protocol].contains(&Protocol::Resp3);
    let shown = || {
        let words = words.iter().map(|word| word.escape_ascii().to_string());
        format!("{:?}: {}", words.collect::<Vec<_>>(), out.escape_ascii())
    };
    if client.client.blocked.is_some() || client.client.sync.is_some() {
        return assert!(out.is_empty(), "{}", shown());
    }
    let is_right = match count_frames(&out, is_resp3) {
        Some(1) => true,
        Some(0) => row.full_name == "client|reply",
        Some(_) => row.flags.contains(Flags::PUSHES),
        None => false,
    };
    assert!(is_right, "{}", shown());
}

/// How many values `bytes` are made of; `None` if they are not made of whole ones.
fn count_frames(mut bytes: &[u8], is_resp3: bool) -> Option<usize> {
    let mut n_frames = 0;
    while !bytes.is_empty() {
        bytes = skip_frame(bytes, is_resp3)?;
        n_frames += 1;
    }
    Some(n_frames)
}

/// What is behind the value at the front. Values are decoded by hand because an error's text may have
/// bytes that are no UTF-8, which `Value` refuses.
fn skip_frame(bytes: &[u8], is_resp3: bool) -> Option<&[u8]> {
    let (&kind, bytes) = bytes.split_first()?;
    if !is_resp3 && !b"+-:$*".contains(&kind) {
        return None;
    }
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let (line, bytes) = (&bytes[..end], bytes[end..].strip_prefix(b"\r\n")?);
    let number = str::from_utf8(line).ok().and_then(|line| line.parse::<i64>().ok());
    match kind {
        b'+' | b'-' => Some(bytes),
        b':' => number.map(|_| bytes),
        b'_' => line.is_empty().then_some(bytes),
        b',' => str::from_utf8(line).ok()?.parse::<f64>().ok().map(|_| bytes),
        b'#' => matches!(line, b"t" | b"f").then_some(bytes),
        b'(' => line.iter().all(|byte| b"-0123456789".contains(byte)).then_some(bytes),
        b'$' | b'*' if number? == -1 && !is_resp3 => Some(bytes),
        b'$' | b'=' => bytes.get(usize::try_from(number?).ok()?..)?.strip_prefix(b"\r\n"),
        b'*' | b'~' | b'>' | b'%' => {
            let n_inner = number? * if kind == b'%' { 2 } else { 1 };
            (0..u64::try_from(n_inner).ok()?).try_fold(bytes, |rest, _| skip_frame(rest, is_resp3))
        }
        _ => None,
    }
}

#[test]
fn every_request_is_answered_by_one_frame() {
    let params = [("proto-max-bulk-len", "1mb"), ("busy-reply-threshold", "0")];
    let mut t = TestServer::with_config(&params);
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().expect("a seed is a number"),
        Err(_) => rand::random(),
    };
    println!("{SEED}={seed} repeats this run");
    let mut random = Generator(StdRng::seed_from_u64(seed));
    let server = t.server.clone();
    for row in server.commands.rows() {
        let is_container = matches!(row.spec.handler, super::Handler::Container);
        if is_container || LEFT_OUT.contains(&&*row.full_name) {
            continue;
        }
        let arguments = parse(row.spec.docs.syntax).expect("documentation is well-formed");
        for number in 0..N_REQUESTS {
            if number % N_BETWEEN_RESETS == 0 {
                reset(&mut t);
            }
            let mut client = t.client();
            if number % 2 == 1 {
                t.run_as(&mut client, "HELLO 3");
            }
            let words = random.request(row, &arguments);
            check(&mut t, &mut client, row, &words);
            t.forget(client);
        }
    }
}
