//! The set group in process.

use crate::testing::TestServer;
use std::collections::BTreeSet;

/// The elements of a reply, which is an array or a set.
fn members(reply: &str) -> BTreeSet<String> {
    let list = reply.trim_start_matches(['~', '[', '{']).trim_end_matches([']', '}']);
    list.split(", ").filter(|member| !member.is_empty()).map(str::to_string).collect()
}

/// Forgets what was told until now.
fn forget(t: &mut TestServer) {
    t.events();
    t.propagated();
}

fn n_dirty(t: &TestServer) -> u64 {
    t.server.stats.sum(|worker| &worker.dirty)
}

#[test]
fn members_come_and_go() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("SADD s 3 1 2 1", ":3"),
        ("SADD s 1", ":0"),
        ("SMEMBERS s", "[\"1\", \"2\", \"3\"]"),
        ("SCARD s", ":3"),
        ("SISMEMBER s 1", ":1"),
        ("SISMEMBER s 01", ":0"),
        ("SMISMEMBER s 1 x 3", "[:1, :0, :1]"),
        ("SMISMEMBER missing 1 x", "[:0, :0]"),
        ("SREM s 1 x 2", ":2"),
        ("SREM s 1", ":0"),
        ("SREM s 3 3 4", ":1"),
        ("EXISTS s", ":0"),
        ("SREM s 3", ":0"),
        ("SCARD s", ":0"),
        ("SMEMBERS s", "[]"),
        ("SISMEMBER s 3", ":0"),
    ]);
    assert_eq!(t.events(), ["sadd s", "srem s", "srem s", "del s"]);
    assert_eq!(t.propagated(), ["SADD s 3 1 2 1", "SREM s 1 x 2", "SREM s 3 3 4"]);
    assert_eq!(n_dirty(&t), 6);
}

#[test]
fn sets_are_sets_in_resp3() {
    let mut t = TestServer::new();
    t.run("HELLO 3");
    t.check_all(&[
        ("SADD s 1", ":1"),
        ("SMEMBERS s", "~{\"1\"}"),
        ("SMEMBERS missing", "~{}"),
        ("SINTER s s", "~{\"1\"}"),
        ("SINTER s missing", "~{}"),
        ("SUNION s missing", "~{\"1\"}"),
        ("SDIFF s missing", "~{\"1\"}"),
        ("SDIFF missing s", "~{}"),
        ("SRANDMEMBER s 5", "[\"1\"]"),
        ("SRANDMEMBER missing 5", "[]"),
        ("SRANDMEMBER missing", "nil"),
        ("SPOP missing 5", "~{}"),
        ("SPOP s 0", "~{}"),
        ("SPOP s 2", "~{\"1\"}"),
        ("SPOP s", "nil"),
    ]);
}

#[test]
fn smove_moves() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("SADD a 1 2", ":2"),
        ("SADD b 2 x", ":2"),
        ("SMOVE a b 3", ":0"),
        ("SMOVE missing b 1", ":0"),
        ("SMOVE a a 1", ":1"),
        ("SMOVE a a 3", ":0"),
    ]);
    forget(&mut t);
    let before = n_dirty(&t);
    t.check_all(&[("SMOVE a b 1", ":1"), ("SMOVE a b 2", ":1"), ("EXISTS a", ":0")]);
    assert_eq!(t.events(), ["srem a", "sadd b", "srem a", "del a"]);
    assert_eq!(n_dirty(&t) - before, 3);
    t.check_all(&[("SMOVE b c 1", ":1"), ("SMEMBERS c", "[\"1\"]"), ("SET k v", "+OK")]);
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    t.check_all(&[("SMOVE k b 1", wrong), ("SMOVE b k x", wrong), ("SMOVE missing k x", ":0")]);
}

#[test]
fn spop_is_replicated_as_what_it_removed() {
    let mut t = TestServer::new();
    t.check_all(&[("SADD s 1", ":1"), ("SADD t 1 2 3", ":3")]);
    forget(&mut t);
    t.check("SPOP s", "\"1\"");
    assert_eq!(t.events(), ["spop s", "del s"]);
    assert_eq!(t.propagated(), ["SREM s 1"]);
    let popped = members(&t.run("SPOP t 2"));
    assert_eq!((popped.len(), t.events()), (2, vec!["spop t".to_string()]));
    let replicated = t.propagated();
    assert_eq!(replicated.len(), 1);
    for member in &popped {
        assert!(replicated[0].contains(member.trim_matches('"')), "{replicated:?} {member}");
    }
    assert_eq!(members(&t.run("SPOP t 7")).len(), 1);
    assert_eq!(t.events(), ["spop t", "del t"]);
    assert_eq!(t.propagated(), ["DEL t"]);
    for member in 0..3000 {
        t.run(&format!("SADD big {member}"));
    }
    forget(&mut t);
    let before = n_dirty(&t);
    assert_eq!(members(&t.run("SPOP big 2500")).len(), 2500);
    let lens: Vec<usize> = t.propagated().iter().map(|line| line.split(' ').count() - 2).collect();
    assert_eq!((lens, n_dirty(&t) - before), (vec![1024, 1024, 452], 2500));
    t.check_all(&[
        ("SCARD big", ":500"),
        ("SPOP big -1", "-ERR value is out of range, must be positive"),
    ]);
    t.check("SPOP big 1 2", "-ERR syntax error");
}

#[test]
fn spop_of_a_whole_set_may_be_an_unlink() {
    let mut t = TestServer::with_config(&[("lazyfree-lazy-server-del", "yes")]);
    t.check("SADD s a", ":1");
    forget(&mut t);
    t.check("SPOP s 1", "[\"a\"]");
    assert_eq!(t.propagated(), ["UNLINK s"]);
}

#[test]
fn srandmember_draws() {
    let mut t = TestServer::new();
    for key in ["s", "t"] {
        for member in 0..200 {
            t.run(&format!("SADD {key} m{member}"));
        }
        t.run("CONFIG SET set-max-listpack-entries 512");
    }
    t.check_all(&[("OBJECT ENCODING s", "\"hashtable\""), ("OBJECT ENCODING t", "\"listpack\"")]);
    forget(&mut t);
    for key in ["s", "t"] {
        assert!(t.run(&format!("SRANDMEMBER {key}")).starts_with("\"m"));
        for (count, expected) in [(0, 0), (1, 1), (10, 10), (150, 150), (200, 200), (500, 200)] {
            let drawn = t.run(&format!("SRANDMEMBER {key} {count}"));
            assert_eq!(members(&drawn).len(), expected, "{key} {count}");
        }
        let drawn = t.run(&format!("SRANDMEMBER {key} -1000"));
        assert_eq!(drawn.split(", ").count(), 1000);
        assert!(members(&drawn).len() > 100);
    }
    let range = "-ERR value is out of range, value must between ";
    t.check_all(&[
        ("SRANDMEMBER s x", "-ERR value is not an integer or out of range"),
        (
            "SRANDMEMBER s -9223372036854775808",
            &format!("{range}-9223372036854775807 and 9223372036854775807"),
        ),
        ("SRANDMEMBER s -9223372036854775807", "-ERR value is out of range"),
        ("SRANDMEMBER s 1 2", "-ERR syntax error"),
        ("SCARD s", ":200"),
    ]);
    assert!(t.events().is_empty() && t.propagated().is_empty());
}

#[test]
fn algebra_reads_and_stores() {
    let mut t = TestServer::new();
    t.check_all(&[("SADD a 1 2 3 x", ":4"), ("SADD b 2 3 4", ":3"), ("SADD c 3 x y", ":3")]);
    forget(&mut t);
    assert_eq!(members(&t.run("SINTER a b")), members("[\"2\", \"3\"]"));
    assert_eq!(members(&t.run("SUNION a b c missing")).len(), 6);
    assert_eq!(members(&t.run("SDIFF a b missing")), members("[\"1\", \"x\"]"));
    t.check_all(&[
        ("SINTER a b c", "[\"3\"]"),
        ("SINTER a missing", "[]"),
        ("SINTERCARD 2 a b", ":2"),
        ("SINTERCARD 2 a b LIMIT 0", ":2"),
        ("SINTERCARD 2 a b LIMIT 1", ":1"),
        ("SINTERCARD 2 a b LIMIT 9 limit 1", ":1"),
        ("SINTERCARD 1 a", ":4"),
        ("SINTERCARD 2 a missing", ":0"),
    ]);
    assert!(t.events().is_empty() && t.propagated().is_empty());
    t.check_all(&[
        ("SINTERSTORE d a b", ":2"),
        ("OBJECT ENCODING d", "\"intset\""),
        ("SUNIONSTORE d d c", ":4"),
        ("OBJECT ENCODING d", "\"listpack\""),
        ("SDIFFSTORE d d c", ":1"),
        ("SMEMBERS d", "[\"2\"]"),
        ("SDIFFSTORE d d d", ":0"),
        ("EXISTS d", ":0"),
        ("SINTERSTORE d missing", ":0"),
    ]);
    assert_eq!(t.events(), ["sinterstore d", "sunionstore d", "sdiffstore d", "del d"]);
    assert_eq!(t.propagated().len(), 4);
    // The destination's type does not matter, and its expiry ends.
    t.check_all(&[("SET k v EX 100", "+OK"), ("SUNIONSTORE k a", ":4"), ("TTL k", ":-1")]);
    t.check("TYPE k", "+set");
}

#[test]
fn stores_meet_expired_keys() {
    let mut t = TestServer::new();
    t.check_all(&[("SADD a 1 2", ":2"), ("SADD b 2 3", ":2"), ("PEXPIRE a 5", ":1")]);
    t.advance_ms(10);
    forget(&mut t);
    t.check_all(&[("SUNIONSTORE a a b", ":2"), ("SMEMBERS a", "[\"2\", \"3\"]"), ("TTL a", ":-1")]);
    assert_eq!(t.events(), ["expired a", "sunionstore a"]);
}

#[test]
fn errors() {
    let mut t = TestServer::new();
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    t.check_all(&[("SET k v", "+OK"), ("SADD s a", ":1")]);
    for line in [
        "SADD k a",
        "SREM k a",
        "SISMEMBER k a",
        "SMISMEMBER k a",
        "SCARD k",
        "SMEMBERS k",
        "SPOP k",
        "SPOP k 1",
        "SRANDMEMBER k",
        "SRANDMEMBER k 1",
        "SINTER s k",
        "SINTER missing k",
        "SINTERCARD 2 s k",
        "SINTERSTORE d s k",
        "SUNION s k",
        "SUNIONSTORE d k",
        "SDIFF missing k",
        "SDIFFSTORE d s k",
        "SSCAN k 0",
    ] {
        t.check(line, wrong);
    }
    t.check_all(&[
        ("SINTERCARD 0 s", "-ERR numkeys should be greater than 0"),
        ("SINTERCARD x s", "-ERR numkeys should be greater than 0"),
        ("SINTERCARD 2 s", "-ERR Number of keys can't be greater than number of args"),
        ("SINTERCARD 1 s LIMIT", "-ERR syntax error"),
        ("SINTERCARD 1 s LIMIT -1", "-ERR LIMIT can't be negative"),
        ("SINTERCARD 1 s LIMIT x", "-ERR LIMIT can't be negative"),
        ("SINTERCARD 1 s FOO", "-ERR syntax error"),
        ("SPOP s x", "-ERR value is out of range, must be positive"),
        ("EXISTS d", ":0"),
    ]);
}

#[test]
fn sscan_returns_all() {
    let mut t = TestServer::new();
    t.check_all(&[("SADD s a b 12", ":3"), ("SSCAN s 0", "[\"0\", [\"a\", \"b\", \"12\"]]")]);
    t.check_all(&[
        ("SSCAN s 7 MATCH [a1]*", "[\"0\", [\"a\", \"12\"]]"),
        ("SSCAN missing 5 FOO", "[\"0\", []]"),
        ("SSCAN s x", "-ERR invalid cursor"),
        ("SSCAN s 0 COUNT 0", "-ERR syntax error"),
        ("SSCAN s 0 TYPE set", "-ERR syntax error"),
        ("SSCAN s 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN"),
    ]);
    for member in 0..1000 {
        t.run(&format!("SADD big m{member}"));
    }
    let (mut found, mut cursor, mut n_calls) = (BTreeSet::new(), "0".to_string(), 0);
    loop {
        let reply = t.run(&format!("SSCAN big {cursor} COUNT 50"));
        found.extend(members(reply.rsplit('[').next().unwrap().trim_end_matches("]]")));
        cursor = reply.split('"').nth(1).unwrap().to_string();
        n_calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert!(found.len() == 1000 && n_calls > 5, "{} {n_calls}", found.len());
}

#[test]
fn sets_are_copied_and_dumped() {
    let mut t = TestServer::new();
    for member in 0..300 {
        t.run(&format!("SADD table m{member}"));
    }
    t.check_all(&[("SADD ints 1 2 70000", ":3"), ("SADD pack a 1", ":2")]);
    for (key, encoding) in [("table", "hashtable"), ("ints", "intset"), ("pack", "listpack")] {
        let all = members(&t.run(&format!("SMEMBERS {key}")));
        t.check_all(&[
            (&format!("COPY {key} copy REPLACE"), ":1"),
            ("OBJECT ENCODING copy", &format!("\"{encoding}\"")),
            ("RENAME copy renamed", "+OK"),
            ("TYPE renamed", "+set"),
        ]);
        assert_eq!(members(&t.run("SMEMBERS renamed")), all);
        let payload = t.dump(key);
        assert_eq!(t.run_words(&[b"RESTORE", b"restored", b"0", &payload, b"REPLACE"]), "+OK");
        t.check("OBJECT ENCODING restored", &format!("\"{encoding}\""));
        assert_eq!(members(&t.run("SMEMBERS restored")), all);
    }
}
