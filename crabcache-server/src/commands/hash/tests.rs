//! Tests of the hash group.

use crate::testing::TestServer;
use std::sync::atomic::Ordering;

/// Forgets the events and commands so far.
fn forget(t: &TestServer) {
    t.events();
    t.propagated();
}

fn server_without_cycle() -> TestServer {
    let t = TestServer::new();
    t.server.active_expire.enable(false);
    t
}

#[test]
fn fields_are_set_and_read() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("HSET h a 1 b x", ":2"),
        ("HSET h a 2 c 3", ":1"),
        ("HMSET h d 4", "+OK"),
        ("HGET h a", "\"2\""),
        ("HGET h z", "nil"),
        ("HMGET h a z b", "[\"2\", nil, \"x\"]"),
        ("HLEN h", ":4"),
        ("HEXISTS h a", ":1"),
        ("HSTRLEN h b", ":1"),
        ("HGETALL h", "[\"a\", \"2\", \"b\", \"x\", \"c\", \"3\", \"d\", \"4\"]"),
        ("HKEYS h", "[\"a\", \"b\", \"c\", \"d\"]"),
        ("HVALS h", "[\"2\", \"x\", \"3\", \"4\"]"),
        ("HSETNX h a 9", ":0"),
        ("HSETNX h e 9", ":1"),
        ("HDEL h a z b", ":2"),
        ("HDEL h c d e", ":3"),
        ("EXISTS h", ":0"),
        ("HGETALL h", "[]"),
        ("HSET h a", "-ERR wrong number of arguments for 'hset' command"),
    ]);
    let events = ["hset h", "hset h", "hset h", "hset h", "hdel h", "hdel h", "del h"];
    assert_eq!(t.events(), events);
    assert_eq!(t.propagated().len(), 6);
}

#[test]
fn other_types_are_refused() {
    let mut t = TestServer::new();
    t.check("SET s v", "+OK");
    let lines = [
        "HSET s a 1",
        "HSETNX s a 1",
        "HMSET s a 1",
        "HGET s a",
        "HMGET s a",
        "HGETALL s",
        "HKEYS s",
        "HVALS s",
        "HLEN s",
        "HEXISTS s a",
        "HDEL s a",
        "HSTRLEN s a",
        "HINCRBY s a 1",
        "HINCRBYFLOAT s a 1",
        "HRANDFIELD s",
        "HRANDFIELD s 1",
        "HSCAN s 0",
        "HGETDEL s FIELDS 1 a",
        "HGETEX s FIELDS 1 a",
        "HSETEX s FIELDS 1 a 1",
        "HEXPIRE s 1 FIELDS 1 a",
        "HTTL s FIELDS 1 a",
        "HPERSIST s FIELDS 1 a",
    ];
    for line in lines {
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        t.check(line, wrong_type);
    }
}

#[test]
fn numbers_are_added_to() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("HINCRBY h n 5", ":5"),
        ("HINCRBY h n -7", ":-2"),
        ("HSET h max 9223372036854775807 t x", ":2"),
        ("HINCRBY h max 1", "-ERR increment or decrement would overflow"),
        ("HINCRBY h t 1", "-ERR hash value is not an integer"),
        ("HINCRBYFLOAT h t 1", "-ERR hash value is not a float"),
        ("HINCRBYFLOAT h n inf", "-ERR value is NaN or Infinity"),
        ("HINCRBYFLOAT h n x", "-ERR value is not a valid float"),
    ]);
    forget(&t);
    t.check_all(&[("HINCRBYFLOAT h n 0.1", "\"-1.9\""), ("HINCRBYFLOAT h f 0.1", "\"0.1\"")]);
    t.check("HINCRBYFLOAT h f 0.2", "\"0.3\"");
    assert_eq!(t.events(), ["hincrbyfloat h"; 3]);
    assert_eq!(t.propagated()[0], "HSETEX h KEEPTTL FIELDS 1 n -1.9");
}

#[test]
fn expiries_are_set_and_asked_for() {
    let mut t = TestServer::new();
    t.check("HSET h a 1 b 2 c 3", ":3");
    forget(&t);
    t.check_all(&[
        ("HPEXPIRE h 10000 FIELDS 2 a z", "[:1, :-2]"),
        ("OBJECT ENCODING h", "\"listpackex\""),
        ("HPEXPIRE h 20000 NX FIELDS 2 a b", "[:0, :1]"),
        ("HPEXPIRE h 15000 GT FIELDS 3 a b c", "[:1, :0, :0]"),
        ("HPEXPIRE h 12000 LT FIELDS 1 c", "[:1]"),
        ("HTTL h FIELDS 4 a b c z", "[:15, :20, :12, :-2]"),
        ("HPERSIST h FIELDS 3 a z a", "[:1, :-2, :-1]"),
        ("HTTL h FIELDS 1 a", "[:-1]"),
        ("HGETALL h", "[\"c\", \"3\", \"b\", \"2\", \"a\", \"1\"]"),
        (
            "HPEXPIREAT h 99999999999999 FIELDS 1 a",
            "-ERR invalid expire time in 'hpexpireat' command",
        ),
        ("HEXPIRE h -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0"),
        ("HEXPIREAT h 9999999999 FIELDS 1 a", "[:1]"),
        ("HPEXPIRETIME h FIELDS 1 a", "[:9999999999000]"),
    ]);
    let events = ["hexpire h", "hexpire h", "hexpire h", "hexpire h", "hpersist h", "hexpire h"];
    assert_eq!(t.events(), events);
    let propagated = t.propagated();
    assert!(propagated[0].starts_with("HPEXPIREAT h ") && propagated[0].ends_with(" FIELDS 1 a"));
    assert!(propagated[1].ends_with(" NX FIELDS 1 b"));
    assert_eq!(
        propagated[4..],
        ["HPERSIST h FIELDS 3 a z a", "HPEXPIREAT h 9999999999000 FIELDS 1 a"]
    );
}

#[test]
fn expiries_of_the_past_delete() {
    let mut t = TestServer::new();
    t.check("HSET h a 1 b 2 c 3", ":3");
    forget(&t);
    t.check("HPEXPIREAT h 1 FIELDS 3 a z b", "[:2, :-2, :2]");
    assert_eq!(t.events(), ["hdel h"]);
    assert_eq!(t.propagated(), ["HDEL h a", "HDEL h b"]);
    t.check("HEXPIRE h 0 FIELDS 1 c", "[:2]");
    assert_eq!(t.events(), ["hdel h", "del h"]);
    t.check("EXISTS h", ":0");
    assert_eq!(t.server.stats.expired_subkeys.load(Ordering::Relaxed), 3);
}

#[test]
fn readers_do_not_see_what_has_expired_and_have_it_removed() {
    for (line, reply) in [
        ("HGET h a", "nil"),
        ("HEXISTS h a", ":0"),
        ("HSTRLEN h a", ":0"),
        ("HMGET h a a", "[nil, nil]"),
    ] {
        let mut t = server_without_cycle();
        t.check_all(&[("HSET h a 1 b 2", ":2"), ("HPEXPIRE h 5 FIELDS 1 a", "[:1]")]);
        t.advance_ms(10);
        forget(&t);
        t.check_all(&[("HLEN h", ":2"), ("HGETALL h", "[\"b\", \"2\"]"), ("HKEYS h", "[\"b\"]")]);
        t.check_all(&[("HSCAN h 0", "[\"0\", [\"b\", \"2\"]]"), ("HTTL h FIELDS 1 a", "[:-2]")]);
        assert!(t.events().is_empty());
        t.check_all(&[(line, reply), ("HLEN h", ":1")]);
        assert_eq!(
            (t.events(), t.propagated()),
            (vec!["hexpired h".into()], vec!["HDEL h a".into()])
        );
    }
    let mut t = server_without_cycle();
    t.check_all(&[("HSET h a 1 b 2", ":2"), ("HPEXPIRE h 5 FIELDS 2 a b", "[:1, :1]")]);
    t.advance_ms(10);
    forget(&t);
    t.check_all(&[("HRANDFIELD h 3", "[]"), ("EXISTS h", ":0")]);
    assert_eq!(t.events(), ["hexpired h", "del h"]);
    assert_eq!(t.server.keyspace.size(0).n_subexpires, 0);
}

#[test]
fn writers_remove_what_has_expired() {
    let run = |line: &str, reply: &str| {
        let mut t = server_without_cycle();
        t.check_all(&[("HSET h a 1", ":1"), ("HPEXPIRE h 5 FIELDS 1 a", "[:1]")]);
        t.advance_ms(10);
        forget(&t);
        t.check(line, reply);
        (t.events(), t.propagated())
    };
    let lists = |events: &[&str], commands: &[&str]| {
        let list = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect::<Vec<_>>();
        (list(events), list(commands))
    };
    let set = lists(&["hexpired h", "del h", "hset h"], &["HDEL h a", "HSETNX h a 2"]);
    assert_eq!(run("HSETNX h a 2", ":1"), set);
    let added = lists(&["hexpired h", "del h", "hincrby h"], &["HDEL h a", "HINCRBY h a 2"]);
    assert_eq!(run("HINCRBY h a 2", ":2"), added);
    let gone = lists(&["hexpired h", "del h"], &["HDEL h a"]);
    assert_eq!(run("HGETDEL h FIELDS 1 a", "[nil]"), gone);
    assert_eq!(run("HGETEX h EX 5 FIELDS 1 a", "[nil]"), gone);
    assert_eq!(run("HSETEX h FXX FIELDS 1 a 2", ":0"), gone);
    let set = lists(&["hexpired h", "hset h"], &["HDEL h a", "HSETEX h FNX FIELDS 1 a 2"]);
    assert_eq!(run("HSETEX h FNX FIELDS 1 a 2", ":1"), set);
    // These take it for a field like any other.
    assert_eq!(run("HSET h a 2", ":0"), lists(&["hset h"], &["HSET h a 2"]));
    assert_eq!(run("HDEL h a", ":1"), lists(&["hdel h", "del h"], &["HDEL h a"]));
}

#[test]
fn reading_can_delete_or_renew() {
    let mut t = TestServer::new();
    t.check("HSET h a 1 b 2 c 3 d 4", ":4");
    forget(&t);
    t.check_all(&[
        ("HGETDEL h FIELDS 2 a z", "[\"1\", nil]"),
        ("HGETEX h PXAT 9999999999999 FIELDS 2 b z", "[\"2\", nil]"),
        ("HGETEX h PERSIST FIELDS 2 b z", "[\"2\", nil]"),
        ("HGETEX h PXAT 1 FIELDS 1 b", "[\"2\"]"),
        ("HGETEX h FIELDS 2 c d", "[\"3\", \"4\"]"),
        ("HGETDEL h FIELDS 2 c d", "[\"3\", \"4\"]"),
        ("HGETDEL h FIELDS 2 c d", "[nil, nil]"),
        ("HGETEX h FIELDS 0 c", "-ERR Number of fields must be a positive integer"),
        (
            "HGETEX h FIELDS 2 c",
            "-ERR The `numfields` parameter must match the number of arguments",
        ),
        (
            "HGETEX h FOO 2 c",
            "-ERR Mandatory argument FIELDS is missing or not at the right position",
        ),
    ]);
    assert_eq!(
        t.propagated(),
        [
            "HDEL h a z",
            "HPEXPIREAT h 9999999999999 FIELDS 2 b z",
            "HPERSIST h FIELDS 2 b z",
            "HDEL h b",
            "HDEL h c d",
        ]
    );
    let events = ["hdel h", "hexpire h", "hpersist h", "hdel h", "hdel h", "del h"];
    assert_eq!(t.events(), events);
}

#[test]
fn hsetex_sets_expiries_under_conditions() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("HSETEX h FXX FIELDS 1 a 1", ":0"),
        ("EXISTS h", ":0"),
        ("HSETEX h FNX PXAT 9999999999999 FIELDS 2 a 1 b 2", ":1"),
        ("HSETEX h FNX FIELDS 1 a 3", ":0"),
        ("HSETEX h KEEPTTL FIELDS 1 a 3", ":1"),
        ("HPEXPIRETIME h FIELDS 1 a", "[:9999999999999]"),
        ("HSETEX h EXAT 9999999999 FIELDS 1 a 4", ":1"),
        ("HSETEX h FIELDS 1 a 5", ":1"),
        ("HTTL h FIELDS 1 a", "[:-1]"),
        ("HSETEX h PXAT 1 FIELDS 2 a 5 b 6", ":1"),
        ("EXISTS h", ":0"),
        ("HSETEX h EX 1 PX 1 FIELDS 1 a 5", ONE_TIME),
        ("HSETEX h FNX FXX FIELDS 1 a 5", ONE_CONDITION),
        ("HSETEX h FOO FIELDS 1 a 5", "-ERR unknown argument: FOO"),
        ("HSETEX h FIELDS 0 a 5", "-ERR invalid number of fields"),
        ("HSETEX h FIELDS 2 a 5", "-ERR wrong number of arguments for 'hsetex' command"),
    ]);
    let propagated = [
        "HSETEX h FNX PXAT 9999999999999 FIELDS 2 a 1 b 2",
        "HSETEX h KEEPTTL FIELDS 1 a 3",
        "HSETEX h PXAT 9999999999000 FIELDS 1 a 4",
        "HSETEX h FIELDS 1 a 5",
        "HDEL h a",
        "HDEL h b",
    ];
    assert_eq!(t.propagated(), propagated);
    let events = [
        "hset h",
        "hexpire h",
        "hset h",
        "hset h",
        "hexpire h",
        "hset h",
        "hset h",
        "hdel h",
        "del h",
    ];
    assert_eq!(t.events(), events);
}

const ONE_TIME: &str = "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
const ONE_CONDITION: &str = "-ERR Only one of FXX or FNX arguments can be specified";

#[test]
fn hrandfield_draws() {
    let mut t = TestServer::new();
    t.check_all(&[("HRANDFIELD h", "nil"), ("HRANDFIELD h 5", "[]"), ("HSET h a 1", ":1")]);
    t.check_all(&[
        ("HRANDFIELD h", "\"a\""),
        ("HRANDFIELD h 5", "[\"a\"]"),
        ("HRANDFIELD h -2 WITHVALUES", "[\"a\", \"1\", \"a\", \"1\"]"),
        ("HRANDFIELD h 0", "[]"),
        ("HRANDFIELD h 1 FOO", "-ERR syntax error"),
        ("HRANDFIELD h -9223372036854775807 WITHVALUES", "-ERR value is out of range"),
        ("HRANDFIELD h -9223372036854775807", "-ERR value is out of range"),
    ]);
    for n in [10, 2000] {
        for number in 0..n {
            t.run(&format!("HSET big {number} v"));
        }
        for count in [1, 5, n / 2, n, n + 1] {
            let reply = t.run(&format!("HRANDFIELD big {count}"));
            let names: std::collections::BTreeSet<&str> =
                reply.trim_matches(['[', ']']).split(", ").collect();
            assert_eq!(names.len(), count.min(n));
        }
        let reply = t.run("HRANDFIELD big -30");
        assert_eq!(reply.split(", ").count(), 30);
    }
}

#[test]
fn hscan_goes_through_all_fields() {
    let mut t = TestServer::new();
    for number in 0..1000 {
        t.run(&format!("HSET h field:{number} v"));
    }
    for (options, n_expected) in [("", 1000), ("MATCH field:1?", 10), ("COUNT 1", 1000)] {
        let (mut names, mut cursor) = (std::collections::BTreeSet::new(), "0".to_string());
        loop {
            let reply = t.run(&format!("HSCAN h {cursor} NOVALUES {options}"));
            let list = reply.rsplit('[').next().unwrap().trim_matches(']').to_string();
            names.extend(list.split(", ").filter(|name| !name.is_empty()).map(str::to_string));
            cursor = reply.split('"').nth(1).unwrap().to_string();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(names.len(), n_expected, "{options}");
    }
    t.check_all(&[
        ("HSCAN none 0 FOO", "[\"0\", []]"),
        ("HSCAN h x", "-ERR invalid cursor"),
        ("HSCAN h 0 FOO", "-ERR syntax error"),
        ("HSCAN h 0 COUNT 0", "-ERR syntax error"),
    ]);
}

#[test]
fn values_that_take_the_place_of_a_hash_end_its_times() {
    let mut t = TestServer::new();
    let n_subexpires = |t: &TestServer, db| t.server.keyspace.size(db).n_subexpires;
    for line in ["SET h v", "DEL h", "HDEL h a", "HPERSIST h FIELDS 1 a", "RENAME h i", "FLUSHALL"]
    {
        t.check_all(&[("DEL h", ":0"), ("HSET h a 1 b 2", ":2")]);
        t.check("HEXPIRE h 100 FIELDS 1 a", "[:1]");
        assert_eq!(n_subexpires(&t, 0), 1);
        t.run(line);
        let n_expected = usize::from(line.starts_with("RENAME"));
        assert_eq!(n_subexpires(&t, 0), n_expected, "{line}");
        t.run("DEL h i");
        assert_eq!(n_subexpires(&t, 0), 0);
    }
    t.check_all(&[("HSETEX h EX 100 FIELDS 1 a 1", ":1"), ("COPY h i", ":1"), ("MOVE h 1", ":1")]);
    assert_eq!((n_subexpires(&t, 0), n_subexpires(&t, 1)), (1, 1));
    t.check_all(&[("HTTL i FIELDS 1 a", "[:100]"), ("EXPIRE i 100", ":1"), ("PERSIST i", ":1")]);
    assert_eq!(n_subexpires(&t, 0), 1);
    assert!(t.run("INFO keyspace").contains("db0:keys=1,expires=0,avg_ttl=0,subexpiry=1"));
}

#[test]
fn a_reply_that_may_not_be_so_long_cuts_the_client() {
    let mut t = TestServer::with_config(&[("client-output-buffer-limit", "normal 1000000 0 0")]);
    t.run("HSET h a b");
    let mut client = t.client();
    t.run_as(&mut client, "HRANDFIELD h -1000");
    assert!(!client.client.handle.is_killed());
    t.run_as(&mut client, "HRANDFIELD h -999999999");
    assert!(client.client.handle.is_killed());
}
