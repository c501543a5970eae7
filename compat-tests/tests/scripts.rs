//! Scripts on both servers: what happens while one takes too long, numbers on their way through Lua;
//! and that many clients at once see transactions and scripts happen as a whole.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, Received, reply_text, request};
use crabcache_resp::Protocol;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A server whose scripts are over their time soon, in threads of this number.
fn start(which: Which, n_threads: &str) -> Server {
    let mut options = vec!["--busy-reply-threshold", "50"];
    if which == Which::CrabCache {
        options.extend(["--io-threads", n_threads]);
    }
    Server::start(which, &options).unwrap()
}

/// What both servers answer, one thread or several.
fn on_both(talk: impl Fn(&mut Server) -> Vec<String>) {
    let expected = talk(&mut start(Which::Reference, ""));
    for n_threads in ["1", "2"] {
        let ours = talk(&mut start(Which::CrabCache, n_threads));
        assert_eq!(ours, expected, "{n_threads} threads");
    }
}

/// A script that is over its time, the connection that waits for it, and another one.
struct Busy {
    waiting: Connection,
    other: Connection,
}

impl Busy {
    /// Has `words` run on a connection, until others are told that the server is busy. Of several
    /// connections that are there before, one is on the thread that runs the script.
    fn with(server: &Server, words: &[&str]) -> Busy {
        let mut others: Vec<Connection> =
            (0..3).map(|_| server.connect(Protocol::Resp2).unwrap()).collect();
        let mut waiting = server.connect(Protocol::Resp2).unwrap();
        waiting.send(&request(words)).unwrap();
        for other in &mut others {
            let deadline = Instant::now() + Duration::from_secs(5);
            while !show(other, &["PING"]).starts_with("-BUSY") {
                assert!(Instant::now() < deadline, "{words:?} keeps nobody waiting");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Busy { waiting, other: others.remove(0) }
    }

    fn ask(&mut self, words: &[&str]) -> String {
        show(&mut self.other, words)
    }

    /// What the script is answered in the end.
    fn end(&mut self) -> String {
        self.waiting.receive(Duration::from_secs(10)).show()
    }
}

fn show(connection: &mut Connection, words: &[&str]) -> String {
    connection.call(words).unwrap().show()
}

const LOOP: &[&str] = &["EVAL", "while true do end", "0"];
/// It writes, then takes its time.
const WRITER: &[&str] = &[
    "EVAL",
    "redis.call('set', KEYS[1], 'y') local t = os.clock() + 1 while os.clock() < t do end return 7",
    "1",
    "x",
];
const LIBRARY: &str = "#!lua name=lib
    redis.register_function('endless', function() while true do end end)
    redis.register_function('stubborn', function()
        while true do pcall(function() while true do end end) end
    end)";

#[test]
fn scripts_that_take_too_long_can_be_ended() {
    on_both(|server| {
        let mut told = Vec::new();
        let mut busy = Busy::with(server, LOOP);
        for words in [
            &["GET", "x"][..],
            &["SET", "x", "1"],
            &["EVAL", "return 1", "0"],
            &["FUNCTION", "KILL"],
            &["FUNCTION", "STATS"],
            &["MULTI"],
            &["SET", "x", "1"],
            &["EXEC"],
            &["SHUTDOWN"],
            &["SHUTDOWN", "SAVE"],
        ] {
            told.push(busy.ask(words));
        }
        // Who comes only now is answered too.
        let mut late = server.connect(Protocol::Resp3).unwrap();
        told.push(show(&mut late, &["PING"]));
        told.push(show(&mut late, &["SUBSCRIBE", "channel"]));
        told.push(show(&mut late, &["SCRIPT", "KILL"]));
        told.push(busy.end());
        told.push(busy.ask(&["PING"]));
        told.push(busy.ask(&["SCRIPT", "KILL"]));
        told.push(show(&mut late, &["GET", "x"]));
        told
    });
}

#[test]
fn scripts_that_have_written_cannot_be_ended() {
    on_both(|server| {
        let mut busy = Busy::with(server, WRITER);
        let mut told = vec![busy.ask(&["SCRIPT", "KILL"]), busy.ask(&["GET", "x"])];
        told.push(busy.end());
        told.push(busy.ask(&["GET", "x"]));
        told
    });
}

#[test]
fn functions_that_take_too_long_can_be_ended() {
    on_both(|server| {
        let mut connection = server.connect(Protocol::Resp2).unwrap();
        let mut told = vec![show(&mut connection, &["FUNCTION", "LOAD", LIBRARY])];
        for function in ["endless", "STUBBORN"] {
            let mut busy = Busy::with(server, &["FCALL", function, "0"]);
            told.push(busy.ask(&["PING"]));
            told.push(busy.ask(&["SCRIPT", "KILL"]));
            told.push(busy.ask(&["FUNCTION", "KILL"]));
            told.push(busy.end());
            told.push(busy.ask(&["PING"]));
        }
        told
    });
}

#[test]
fn the_server_can_be_ended_while_a_script_runs() {
    on_both(|server| {
        let mut busy = Busy::with(server, WRITER);
        let told = vec![busy.ask(&["SHUTDOWN", "NOSAVE"]), busy.end()];
        let deadline = Instant::now() + Duration::from_secs(5);
        while server.is_alive() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        told
    });
}

/// Numbers as scripts may write them.
fn number(random: &mut StdRng) -> String {
    let sign = if random.random_bool(0.3) { "-" } else { "" };
    let text = match random.random_range(0..9) {
        0 => random.random_range(0..100i64).to_string(),
        1 => random.random_range(0..i64::MAX).to_string(),
        2 => format!("2^{}", random.random_range(0..70)),
        3 => format!("2^{}-1", random.random_range(0..70)),
        4 => format!("{}", random.random::<f64>()),
        5 => format!("{}e{}", random.random_range(1..10_000), random.random_range(-330..320)),
        6 => format!("{}/{}", random.random_range(0..50), random.random_range(0..12)),
        7 => format!("{}.{}", random.random_range(0..100_000), random.random_range(0..1000)),
        _ => {
            ["0", "1e15", "1e17", "1e18", "0.1+0.2", "1/0", "0/0", "3.0", "1e100", "99999999999999"]
                .choose(random)
                .unwrap()
                .to_string()
        }
    };
    format!("{sign}({text})")
}

/// What is done with a number `x`.
const USES: &[&str] = &[
    "return x",
    "return {x, -x, {x}}",
    "return tostring(x)",
    "return tonumber(tostring(x))",
    "return '<' .. x .. '>'",
    "return string.format('%d %s %g %.17g %5.2f %x', x, x, x, x, x, x)",
    "redis.call('set', KEYS[1], x) return redis.call('get', KEYS[1])",
    "redis.call('rpush', KEYS[1], x, x + 1, x * 10) return redis.call('lrange', KEYS[1], 0, -1)",
    "redis.call('zadd', KEYS[1], x, 'm') return redis.call('zscore', KEYS[1], 'm')",
    "redis.setresp(3) redis.call('zadd', KEYS[1], x, 'm') return redis.call('zscore', KEYS[1], 'm')",
    "redis.call('zadd', KEYS[1], x, 'm') return redis.call('zrange', KEYS[1], 0, -1, 'withscores')",
    "return redis.pcall('incrby', KEYS[1], x)",
    "return redis.pcall('incrbyfloat', KEYS[1], x)",
    "redis.call('set', KEYS[1], 5) return redis.call('incrby', KEYS[1], 3) + x",
    "return redis.pcall('expire', KEYS[1], x)",
    "return {double = x}",
    "redis.setresp(3) return {double = x}",
    "return cjson.encode({x})",
    "return cjson.decode(cjson.encode({x}))",
    "return cmsgpack.pack(x)",
    "return cmsgpack.unpack(cmsgpack.pack(x))",
    "return {bit.tobit(x), bit.band(x, 255), bit.tohex(x), bit.lshift(x, 3)}",
    "return struct.pack('>I4d', x % 1000, x)",
    "return {math.floor(x), math.ceil(x), math.fmod(x, 7), x % 7}",
    "return #tostring(x) + select('#', x)",
    "local t = {} t[x == x and x or 1] = 1 return {next(t)}",
];

#[test]
fn numbers_are_converted_alike() {
    const N_CASES: usize = 1500;
    let servers = [Which::Reference, Which::CrabCache].map(|which| start(which, "1"));
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut connections = [0, 1].map(|index: usize| servers[index].connect(protocol).unwrap());
        for _ in 0..N_CASES {
            let script =
                format!("local x = {} {}", number(&mut random), USES.choose(&mut random).unwrap());
            let [expected, ours] = connections.each_mut().map(|connection| {
                connection.call(&["DEL", "k"]).unwrap();
                show(connection, &["EVAL", &script, "1", "k"])
            });
            // Errors tell the script's name, which is the same: its hash.
            assert_eq!(ours, expected, "seed {seed}: {script}");
        }
    }
}

const N_ACCOUNTS: usize = 20;
const N_TELLERS: usize = 50;
const BALANCE: i64 = 1000;

fn account(index: usize) -> String {
    format!("account:{index}")
}

fn integer(received: &Received) -> i64 {
    let text = reply_text(received).unwrap_or_else(|| panic!("{}", received.show()));
    std::str::from_utf8(&text).unwrap().parse().unwrap()
}

/// The keys are declared, or, as seen from its text, it may reach for any.
const TRANSFERS: &[&str] = &[
    "redis.call('DECRBY', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])",
    "redis.call('DECRBY', '' .. KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])",
];

/// Moves money from one account to another, in one of several ways.
fn transfer(connection: &mut Connection, random: &mut StdRng) {
    let (from, to) = (random.random_range(0..N_ACCOUNTS), random.random_range(0..N_ACCOUNTS));
    let (from, to) = (account(from), account(to));
    let amount = random.random_range(1..100).to_string();
    match random.random_range(0..4) {
        0 => {
            let requests: [&[&str]; 4] =
                [&["MULTI"], &["DECRBY", &from, &amount], &["INCRBY", &to, &amount], &["EXEC"]];
            connection.send(&requests.map(request).concat()).unwrap();
            for _ in requests {
                let reply = connection.receive(Duration::from_secs(20));
                assert!(!reply.show().starts_with('-'), "{}", reply.show());
            }
        }
        1 if from != to => {
            // Optimistic: what was read is written back, unless somebody else was there.
            connection.call(&["WATCH", &from, &to]).unwrap();
            let read = |connection: &mut Connection, key: &str| {
                integer(&connection.call(&["GET", key]).unwrap())
            };
            let (old_from, old_to) = (read(connection, &from), read(connection, &to));
            let moved: i64 = amount.parse().unwrap();
            connection.call(&["MULTI"]).unwrap();
            connection.call(&["SET", &from, &(old_from - moved).to_string()]).unwrap();
            connection.call(&["SET", &to, &(old_to + moved).to_string()]).unwrap();
            connection.call(&["EXEC"]).unwrap();
        }
        _ => {
            let script = *TRANSFERS.choose(random).unwrap();
            let words = ["EVAL", script, "2", &from, &to, &amount];
            integer(&connection.call(&words).unwrap());
        }
    }
}

/// Fifty clients for as many seconds as `CRABCACHE_STRESS_SECONDS` says.
#[test]
fn money_neither_comes_nor_goes() {
    let seconds = std::env::var("CRABCACHE_STRESS_SECONDS").ok();
    let seconds = seconds.map_or(2.0, |text| text.parse::<f64>().unwrap());
    let server = start(Which::CrabCache, "4");
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    for index in 0..N_ACCOUNTS {
        connection.call(&["SET", &account(index), &BALANCE.to_string()]).unwrap();
    }
    let is_over = AtomicBool::new(false);
    let n_looks = std::thread::scope(|scope| {
        for seed in 0..N_TELLERS as u64 {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                let mut connection = server.connect(Protocol::Resp2).unwrap();
                let mut random = StdRng::seed_from_u64(seed);
                while !is_over.load(Ordering::Relaxed) {
                    transfer(&mut connection, &mut random);
                }
            });
        }
        let names: Vec<String> = (0..N_ACCOUNTS).map(account).collect();
        let words: Vec<&str> =
            std::iter::once("MGET").chain(names.iter().map(String::as_str)).collect();
        let began = Instant::now();
        let mut n_looks = 0;
        let mut sums = Vec::new();
        while began.elapsed().as_secs_f64() < seconds {
            let reply = connection.call(&words).unwrap().show();
            let balances = reply.split("\\r\\n").skip(2).step_by(2);
            sums.push(balances.map(|text| text.parse::<i64>().unwrap()).sum::<i64>());
            n_looks += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        let wrong: Vec<_> =
            sums.iter().filter(|sum| **sum != N_ACCOUNTS as i64 * BALANCE).collect();
        assert!(wrong.is_empty(), "{} of {n_looks} looks: {wrong:?}", wrong.len());
        n_looks
    });
    assert!(n_looks > 10);
}
