//! MIGRATE between CrabCache and the reference, each as source and as target.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::content::ask;
use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, Received, request};
use crabcache_resp::Protocol;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const KINDS: [Which; 2] = [Which::Reference, Which::CrabCache];

fn start(which: Which) -> Server {
    Server::start(which, &[]).unwrap()
}

fn call(server: &Server, words: &[&str]) -> String {
    server.connect(Protocol::Resp2).unwrap().call(words).unwrap().show()
}

/// Sends MIGRATE with these words behind host and port.
fn migrate(source: &Server, target: &Server, words: &[&str]) -> String {
    let port = target.port();
    call(source, &[&["MIGRATE", "127.0.0.1", &port], words].concat())
}

/// Keys of all types and encodings.
fn fill(server: &Server) {
    let mut connection = server.connect(Protocol::Resp3).unwrap();
    let long = "x".repeat(200_000);
    for words in [
        &["SET", "string", "value"][..],
        &["SET", "number", "12345"],
        &["SET", "long", &long],
        &["SET", "expiring", "v", "PX", "100000"],
        &["RPUSH", "list", "a", "b", "1"],
        &["RPUSH", "long list", &long, "b", "1"],
        &["SADD", "set", "a", "b", "1"],
        &["SADD", "numbers", "3", "1", "2"],
        &["ZADD", "zset", "1.5", "a", "inf", "b"],
        &["HSET", "hash", "f", "v", "g", "w"],
        &["HSET", "fields", "f", "v", "g", "w"],
        &["HPEXPIRE", "fields", "100000", "FIELDS", "1", "f"],
        &["XADD", "stream", "1-1", "f", "v"],
        &["XGROUP", "CREATE", "stream", "group", "0"],
        &["VADD", "vectors", "VALUES", "2", "1", "2", "e"],
    ] {
        let Received::Reply(reply) = connection.call(words).unwrap() else { panic!("{words:?}") };
        assert_ne!(reply[0], b'-', "{words:?}");
    }
}

#[test]
fn all_types_get_there() {
    for source in KINDS {
        for target in KINDS {
            let (source, target) = (start(source), start(target));
            fill(&source);
            let digest = ask(&source, &["DEBUG", "DIGEST"]).unwrap();
            let keys = [
                "string",
                "number",
                "long",
                "expiring",
                "list",
                "long list",
                "set",
                "numbers",
                "zset",
                "hash",
                "fields",
                "stream",
                "vectors",
                "missing",
            ];
            let words = [&["", "0", "5000", "KEYS"][..], &keys].concat();
            assert_eq!(migrate(&source, &target, &words), "+OK\\r\\n");
            let both = || [&source, &target].map(|s| ask(s, &["DEBUG", "DIGEST"]).unwrap());
            assert_eq!(both(), ["0".repeat(40), digest.clone()]);
            assert!(call(&target, &["PTTL", "expiring"]).starts_with(":9"));
            // And back, where they stay in both.
            let words = [&["", "0", "5000", "COPY", "REPLACE", "KEYS"][..], &keys].concat();
            assert_eq!(migrate(&target, &source, &words), "+OK\\r\\n");
            assert_eq!(both(), [digest.clone(), digest]);
            assert_eq!(migrate(&source, &target, &["", "0", "5000", "KEYS", "no"]), "+NOKEY\\r\\n");
        }
    }
}

#[test]
fn refusals_are_those_of_the_reference() {
    let said = KINDS.map(|source| {
        let (source, target) = (start(source), start(Which::Reference));
        let mut said = Vec::new();
        let mut note = |words: &[&str]| {
            let words: Vec<&str> =
                words.iter().map(|w| if *w == "PORT" { "1" } else { *w }).collect();
            said.push(call(&source, &words));
        };
        note(&["SET", "k", "v"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0", "x"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "x", "1"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0", "1", "foo"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0", "1", "auth"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0", "1", "auth2", "a"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0", "1", "keys", "a"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "", "0", "1", "keys"]);
        note(&["MIGRATE", "127.0.0.1", "PORT", "k", "0", "100"]);
        note(&["MIGRATE", "127.0.0.1", "x", "k", "0", "100"]);
        note(&["MIGRATE", "no.such.host.invalid", "PORT", "k", "0", "100"]);
        note(&["GET", "k"]);
        let mut to_target = |words: &[&str]| said.push(migrate(&source, &target, words));
        to_target(&["k", "99", "1000"]);
        // The reference has sent the key all the same, and it is in database 0 now.
        call(&target, &["FLUSHALL"]);
        to_target(&["k", "3", "1000", "AUTH2", "nobody", "x"]);
        call(&target, &["FLUSHALL"]);
        to_target(&["k", "3", "1000", "COPY"]);
        to_target(&["k", "3", "1000"]);
        to_target(&["k", "3", "-5", "REPLACE"]);
        to_target(&["k", "3", "1000"]);
        call(&source, &["MSET", "a", "1", "b", "2", "c", "3"]);
        call(&target, &["SET", "b", "x"]);
        to_target(&["", "0", "1000", "KEYS", "a", "b", "missing", "c"]);
        for words in [
            &["KEYS", "*"][..],
            &["COMMAND", "GETKEYSANDFLAGS", "MIGRATE", "h", "p", "", "0", "1", "KEYS", "a", "b"],
            &["COMMAND", "GETKEYSANDFLAGS", "MIGRATE", "h", "p", "keys", "0", "1", "AUTH", "keys"],
            &["COMMAND", "INFO", "MIGRATE"],
        ] {
            said.push(call(&source, words));
        }
        let stats = ask(&source, &["INFO", "all"]).unwrap();
        let line = |name: &str| stats.lines().find(|l| l.starts_with(name)).unwrap().to_string();
        said.push(line("migrate_cached_sockets"));
        said.push(line("errorstat_IOERR"));
        said.extend(
            line("cmdstat_migrate").split(',').filter(|f| !f.contains("usec")).map(str::to_string),
        );
        said
    });
    let [expected, got] = said;
    for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
        assert_eq!(got, expected, "number {number}");
    }
}

#[test]
fn users_are_introduced_and_nothing_is_sent_without_that() {
    for source in KINDS {
        let (source, target) = (start(source), start(Which::CrabCache));
        call(&target, &["ACL", "SETUSER", "mover", "on", ">pw", "~*", "+@all"]);
        call(&target, &["CONFIG", "SET", "requirepass", "secret"]);
        call(&source, &["MSET", "k", "v", "l", "w"]);
        let no_auth = migrate(&source, &target, &["k", "0", "1000"]);
        assert!(no_auth.contains("NOAUTH"), "{no_auth}");
        assert_eq!(migrate(&source, &target, &["k", "0", "1000", "AUTH", "secret"]), "+OK\\r\\n");
        let words = ["l", "2", "1000", "AUTH2", "mover", "pw"];
        assert_eq!(migrate(&source, &target, &words), "+OK\\r\\n");
        let mut inside = target.connect(Protocol::Resp2).unwrap();
        inside.call(&["AUTH", "secret"]).unwrap();
        assert_eq!(inside.call(&["GET", "k"]).unwrap().show(), "$1\\r\\nv\\r\\n");
        let slow = call(&source, &["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
        assert_eq!(slow, "+OK\\r\\n");
        call(&source, &["SET", "m", "v"]);
        migrate(&source, &target, &["m", "0", "1000", "AUTH", "secret"]);
        assert!(!call(&source, &["SLOWLOG", "GET", "-1"]).contains("secret"));
    }
}

/// Somebody who takes connections and says nothing.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

fn send(server: &Server, words: &[&str]) -> Connection {
    let mut connection = server.connect(Protocol::Resp2).unwrap();
    connection.send(&request(words)).unwrap();
    connection
}

#[test]
fn others_go_on_while_the_target_is_silent() {
    let source = Server::start(Which::CrabCache, &["--io-threads", "1"]).unwrap();
    let (_listener, port) = silent();
    call(&source, &["MSET", "k", "v", "other", "w"]);
    let began = Instant::now();
    let mut moving = send(&source, &["MIGRATE", "127.0.0.1", &port, "k", "0", "2000"]);
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..20 {
        assert_eq!(call(&source, &["PING"]), "+PONG\\r\\n");
        assert_eq!(call(&source, &["GET", "other"]), "$1\\r\\nw\\r\\n");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // Nobody can change what may have arrived there.
    let mut changing = send(&source, &["INCR", "k"]);
    let replied = changing.receive(Duration::from_millis(300));
    assert!(!matches!(replied, Received::Reply(_)) && began.elapsed() < Duration::from_secs(2));
    let reply = moving.receive(Duration::from_secs(10)).show();
    assert_eq!(reply, "-IOERR error or timeout reading to target instance\\r\\n");
    assert!(began.elapsed() >= Duration::from_secs(2));
    let reply = changing.receive(Duration::from_secs(10)).show();
    assert!(reply.starts_with("-ERR value is not an integer"), "{reply}");
    // A client that does not wait for it holds up nobody either.
    drop(send(&source, &["MIGRATE", "127.0.0.1", &port, "k", "0", "500"]));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(call(&source, &["PING"]), "+PONG\\r\\n");
    assert_eq!(call(&source, &["GET", "k"]), "$1\\r\\nv\\r\\n");
}

#[test]
fn a_connection_that_was_kept_may_be_gone() {
    let (source, mut target) = (start(Which::CrabCache), start(Which::CrabCache));
    call(&source, &["MSET", "a", "1", "b", "2", "c", "3"]);
    assert_eq!(migrate(&source, &target, &["a", "3", "1000"]), "+OK\\r\\n");
    call(&target, &["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(migrate(&source, &target, &["b", "4", "1000"]), "+OK\\r\\n");
    target.kill();
    let reply = migrate(&source, &target, &["c", "4", "1000"]);
    assert_eq!(reply, "-IOERR error or timeout writing to target instance\\r\\n");
    target.start_again(&[]).unwrap();
    assert_eq!(migrate(&source, &target, &["c", "4", "1000"]), "+OK\\r\\n");
    assert_eq!(ask(&target, &["DBSIZE"]).unwrap(), "0");
}

#[test]
fn transactions_and_scripts_move_keys_too() {
    let (source, target) = (start(Which::CrabCache), start(Which::CrabCache));
    let port = target.port();
    let mut connection = source.connect(Protocol::Resp2).unwrap();
    connection.call(&["MULTI"]).unwrap();
    connection.call(&["SET", "a", "1"]).unwrap();
    connection.call(&["MIGRATE", "127.0.0.1", &port, "a", "0", "1000"]).unwrap();
    connection.call(&["EXISTS", "a"]).unwrap();
    let reply = connection.call(&["EXEC"]).unwrap().show();
    assert_eq!(reply, "*3\\r\\n+OK\\r\\n+OK\\r\\n:0\\r\\n");
    let script = "redis.call('set', KEYS[1], 2); \
                  return redis.call('migrate', '127.0.0.1', ARGV[1], KEYS[1], 0, 1000)";
    let reply = call(&source, &["EVAL", script, "1", "b", &port]);
    assert_eq!(reply, "+OK\\r\\n");
    assert_eq!(call(&target, &["MGET", "a", "b"]), "*2\\r\\n$1\\r\\n1\\r\\n$1\\r\\n2\\r\\n");
}

/// Counters that wander between two servers while clients count on whichever has them: no count is
/// lost, and none is counted twice.
#[test]
fn nothing_is_lost_on_the_way() {
    let servers = [start(Which::CrabCache), start(Which::CrabCache)];
    let names: Vec<String> = (0..5).map(|number| format!("counter:{number}")).collect();
    for name in &names {
        call(&servers[0], &["SET", name, "0"]);
    }
    let is_over = AtomicBool::new(false);
    let n_counted: i64 = std::thread::scope(|scope| {
        let counting: Vec<_> = (0..3)
            .map(|number| {
                let (servers, names, is_over) = (&servers, &names, &is_over);
                scope.spawn(move || {
                    // Counts where the key is.
                    let script = "if redis.call('exists', KEYS[1]) == 1 then \
                                  redis.call('incr', KEYS[1]) return 1 end return 0";
                    let mut connections =
                        servers.each_ref().map(|server| server.connect(Protocol::Resp2).unwrap());
                    let mut n_counted = 0;
                    for turn in number.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        let name = &names[turn % names.len()];
                        let connection = &mut connections[turn % 2];
                        let reply = connection.call(&["EVAL", script, "1", name]).unwrap().show();
                        n_counted += i64::from(reply == ":1\\r\\n");
                    }
                    n_counted
                })
            })
            .collect();
        for round in 0..100 {
            let (from, to) = (&servers[round % 2], &servers[1 - round % 2]);
            let words = ["", "0", "5000", "KEYS"].into_iter();
            let words: Vec<&str> = words.chain(names.iter().map(String::as_str)).collect();
            assert_eq!(migrate(from, to, &words), "+OK\\r\\n");
        }
        is_over.store(true, Ordering::Relaxed);
        counting.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let value =
        |name: &String| -> i64 { ask(&servers[0], &["GET", name]).unwrap().parse().unwrap() };
    assert_eq!(names.iter().map(value).sum::<i64>(), n_counted);
    assert!(n_counted > 0);
    assert_eq!(ask(&servers[1], &["DBSIZE"]).unwrap(), "0");
}

#[test]
fn replicas_learn_what_has_left() {
    let [source, replica, target] = [(); 3].map(|()| start(Which::CrabCache));
    call(&source, &["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    call(&replica, &["REPLICAOF", "127.0.0.1", &source.port()]);
    call(&source, &["MSET", "a", "1", "b", "2", "c", "3"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let has = |n: &str| {
        while ask(&replica, &["DBSIZE"]).unwrap() != n {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    has("3");
    // One of them is there already: the others leave all the same.
    call(&target, &["SET", "b", "x"]);
    let reply = migrate(&source, &target, &["", "0", "1000", "KEYS", "a", "b", "c"]);
    assert!(reply.contains("BUSYKEY"), "{reply}");
    has("1");
    let mut connection = replica.connect(Protocol::Resp2).unwrap();
    let reply = connection.call(&["MIGRATE", "127.0.0.1", "1", "b", "0", "1000"]).unwrap().show();
    assert!(reply.starts_with("-READONLY"), "{reply}");
}
