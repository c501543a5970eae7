//! The sorted set group in process.

use crate::server::interest::Interest;
use crate::testing::TestServer;
use std::collections::BTreeSet;

fn server() -> TestServer {
    let mut t = TestServer::new();
    t.check("ZADD z 1 a 2 b 3 c 4 d", ":4");
    t.events();
    t.propagated();
    t
}

#[track_caller]
fn check_effects(t: &mut TestServer, line: &str, reply: &str, events: &[&str], commands: &[&str]) {
    t.check(line, reply);
    assert_eq!(t.events(), events, "{line}");
    assert_eq!(t.propagated(), commands, "{line}");
}

#[test]
fn additions_tell_what_they_did() {
    let mut t = TestServer::new();
    check_effects(&mut t, "ZADD z 1 a 2 b", ":2", &["zadd z"], &["ZADD z 1 a 2 b"]);
    check_effects(&mut t, "ZADD z 1 a", ":0", &[], &[]);
    check_effects(&mut t, "ZADD z CH 5 a", ":1", &["zadd z"], &["ZADD z CH 5 a"]);
    check_effects(&mut t, "ZADD z XX 1 x", ":0", &[], &[]);
    check_effects(&mut t, "ZADD new XX 1 x", ":0", &[], &[]);
    check_effects(&mut t, "ZADD z NX INCR 1 a", "nil", &[], &[]);
    check_effects(&mut t, "ZADD z INCR 1 a", "\"6\"", &["zincr z"], &["ZADD z INCR 1 a"]);
    check_effects(&mut t, "ZINCRBY z 0 a", "\"6\"", &[], &[]);
    check_effects(&mut t, "ZINCRBY z 1 a", "\"7\"", &["zincr z"], &["ZINCRBY z 1 a"]);
    check_effects(&mut t, "ZADD z INCR -inf x", "\"-inf\"", &["zincr z"], &["ZADD z INCR -inf x"]);
    let nan = "-ERR resulting score is not a number (NaN)";
    check_effects(&mut t, "ZINCRBY z inf x", nan, &[], &[]);
    t.check("TYPE z", "+zset");
}

#[test]
fn removals_tell_what_they_did() {
    let mut t = server();
    check_effects(&mut t, "ZREM z x", ":0", &[], &[]);
    check_effects(&mut t, "ZREM z a x b", ":2", &["zrem z"], &["ZREM z a x b"]);
    check_effects(&mut t, "ZREMRANGEBYRANK z 5 6", ":0", &[], &[]);
    let line = "ZREMRANGEBYSCORE z 3 3";
    check_effects(&mut t, line, ":1", &["zremrangebyscore z"], &[line]);
    let line = "ZREMRANGEBYLEX z - +";
    check_effects(&mut t, line, ":1", &["zremrangebylex z", "del z"], &[line]);
    t.check("EXISTS z", ":0");
    t.check("ZADD z 1 a", ":1");
    t.events();
    t.propagated();
    let line = "ZREMRANGEBYRANK z 0 -1";
    check_effects(&mut t, line, ":1", &["zremrangebyrank z", "del z"], &[line]);
}

#[test]
fn pops_tell_what_they_did() {
    let mut t = server();
    check_effects(&mut t, "ZPOPMIN z", "[\"a\", \"1\"]", &["zpopmin z"], &["ZPOPMIN z"]);
    check_effects(&mut t, "ZPOPMAX z 0", "[]", &[], &[]);
    let reply = "[\"z\", [[\"d\", \"4\"]]]";
    check_effects(&mut t, "ZMPOP 2 x z MAX", reply, &["zpopmax z"], &["ZPOPMAX z 1"]);
    let reply = "[\"z\", [[\"b\", \"2\"], [\"c\", \"3\"]]]";
    let events = ["zpopmin z", "del z"];
    check_effects(&mut t, "ZMPOP 1 z MIN COUNT 9", reply, &events, &["ZPOPMIN z 2"]);
    check_effects(&mut t, "ZMPOP 1 z MIN", "nil", &[], &[]);
}

#[test]
fn stores_tell_what_they_did() {
    let mut t = server();
    t.server.interests.set(Interest::FINE_EVENTS, true);
    t.check("SET s x", "+OK");
    t.events();
    t.propagated();
    let line = "ZUNIONSTORE d 1 z";
    check_effects(&mut t, line, ":4", &["new d", "zunionstore d"], &[line]);
    let line = "ZINTERSTORE d 2 z d WEIGHTS 1 2";
    check_effects(&mut t, line, ":4", &["overwritten d", "zinterstore d"], &[line]);
    let line = "ZRANGESTORE s z 0 1";
    let events = ["overwritten s", "type_changed s", "zrangestore s"];
    check_effects(&mut t, line, ":2", &events, &[line]);
    let line = "ZDIFFSTORE d 2 z z";
    check_effects(&mut t, line, ":0", &["del d"], &[line]);
    check_effects(&mut t, line, ":0", &[], &[]);
    t.check_all(&[("ZRANGE s 0 -1 WITHSCORES", "[\"a\", \"1\", \"b\", \"2\"]")]);
}

#[test]
fn dirty_changes_are_counted_by_member() {
    let mut t = TestServer::new();
    let n_dirty = |t: &mut TestServer| {
        let info = t.run("INFO persistence");
        let rest = info.split("rdb_changes_since_last_save:").nth(1).map(str::to_string);
        rest.map_or(0, |rest| {
            rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
        })
    };
    let before: u64 = n_dirty(&mut t);
    t.check_all(&[
        ("ZADD z 1 a 2 b 3 c", ":3"),
        ("ZADD z 2 a 2 b 4 d", ":1"),
        ("ZREM z a b", ":2"),
    ]);
    if t.run("INFO persistence").contains("rdb_changes_since_last_save:") {
        assert_eq!(n_dirty(&mut t) - before, 3 + 2 + 2);
    }
}

#[test]
fn watchers_see_changes_and_only_changes() {
    for (line, is_change) in [
        ("ZADD z 1 a", false),
        ("ZADD z 9 a", true),
        ("ZREM z x", false),
        ("ZPOPMIN z", true),
        ("ZREMRANGEBYSCORE z 100 200", false),
        ("ZUNIONSTORE z 1 z", true),
        ("ZINTERSTORE z 1 x", true),
    ] {
        let mut t = server();
        t.check("WATCH z", "+OK");
        t.run(line);
        t.check("MULTI", "+OK");
        t.check("EXEC", if is_change { "nil" } else { "[]" });
    }
}

#[test]
fn replies_in_both_protocols() {
    let mut t = server();
    t.check_all(&[
        ("ZRANGE z 0 1 WITHSCORES", "[\"a\", \"1\", \"b\", \"2\"]"),
        ("ZPOPMIN z 1", "[\"a\", \"1\"]"),
        ("ZRANK z c WITHSCORE", "[:1, \"3\"]"),
        ("ZMSCORE z b x", "[\"2\", nil]"),
    ]);
    t.run("HELLO 3");
    t.check_all(&[
        ("ZRANGE z 0 1 WITHSCORES", "[[\"b\", ,2], [\"c\", ,3]]"),
        ("ZPOPMIN z", "[\"b\", ,2]"),
        ("ZPOPMIN z 1", "[[\"c\", ,3]]"),
        ("ZRANDMEMBER z 1 WITHSCORES", "[[\"d\", ,4]]"),
        ("ZSCORE z d", ",4"),
        ("ZSCAN z 0", "[\"0\", [\"d\", \"4\"]]"),
        ("ZADD z INCR 0.5 d", ",4.5"),
        ("ZUNION 1 z WITHSCORES", "[[\"d\", ,4.5]]"),
    ]);
}

#[test]
fn members_are_drawn_from_all() {
    for (n, extra) in [(5, ""), (300, "")] {
        let mut t = TestServer::new();
        for number in 0..n {
            t.run(&format!("ZADD z {number} m{number}{extra}"));
        }
        let names = |reply: String| -> Vec<String> {
            reply.split('"').skip(1).step_by(2).map(str::to_string).collect()
        };
        let mut seen = BTreeSet::new();
        for _ in 0..2000 {
            seen.extend(names(t.run("ZRANDMEMBER z 4")));
        }
        assert_eq!(seen.len(), n);
        let drawn = names(t.run("ZRANDMEMBER z 4"));
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(names(t.run("ZRANDMEMBER z -1000")).len(), 1000);
        assert_eq!(names(t.run("ZRANDMEMBER z 1000")).len(), n);
    }
}

#[test]
fn a_scan_in_many_steps_finds_all_members() {
    let mut t = TestServer::new();
    for number in 0..1000 {
        t.run(&format!("ZADD z {number} m{number}"));
    }
    let (mut cursor, mut found) = ("0".to_string(), BTreeSet::new());
    loop {
        let reply = t.run(&format!("ZSCAN z {cursor} COUNT 20"));
        let mut words = reply.split('"').skip(1).step_by(2).map(str::to_string);
        cursor = words.next().unwrap();
        let members: Vec<String> = words.step_by(2).collect();
        assert!(members.len() < 100);
        found.extend(members);
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found.len(), 1000);
}

#[test]
fn huge_numbers_do_no_harm() {
    let mut t = server();
    t.check_all(&[
        ("ZRANGE z -9223372036854775808 9223372036854775807", "[\"a\", \"b\", \"c\", \"d\"]"),
        ("ZRANGE z 9223372036854775807 -9223372036854775808", "[]"),
        ("ZRANGEBYSCORE z 0 9 LIMIT 9223372036854775807 9223372036854775807", "[]"),
        ("ZRANGEBYSCORE z 0 9 LIMIT -9223372036854775808 1", "[]"),
        ("ZREMRANGEBYRANK z 9223372036854775807 9223372036854775807", ":0"),
        ("ZRANDMEMBER z -9223372036854775807", "-ERR value is out of range"),
        ("ZUNION 9223372036854775807 z", "-ERR syntax error"),
        ("ZMPOP 9223372036854775807 z MIN", "-ERR syntax error"),
        (
            "ZPOPMIN z 9223372036854775807",
            "[\"a\", \"1\", \"b\", \"2\", \"c\", \"3\", \"d\", \"4\"]",
        ),
    ]);
}

#[test]
fn scores_have_the_same_text_in_replies_and_in_the_store() {
    use crabcache_store::algorithms::double;
    for bits in (0..200_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
        for value in
            [f64::from_bits(bits), (bits >> 20) as f64 / 1024.0, (bits >> 40) as f64 * 1e-9]
        {
            if value.is_nan() || value == 0.0 {
                continue;
            }
            let (mut reply, mut stored) = (Vec::new(), Vec::new());
            crabcache_resp::number::write_f64(&mut reply, value);
            double::write(&mut stored, value);
            assert_eq!(reply, stored, "{value}");
        }
    }
}

#[test]
fn payloads_come_back() {
    let mut t = TestServer::new();
    t.check("ZADD z 1 a -2.5 b inf 12", ":3");
    t.check("ZADD z -inf '' 1e300 c", ":2");
    t.run("COPY z small");
    t.check("CONFIG SET zset-max-listpack-entries 2", "+OK");
    t.run("ZADD z 1 d");
    for key in ["z", "small"] {
        let payload = t.dump(key);
        let reply = t.run_words(&[b"RESTORE", b"copy", b"0", &payload, b"REPLACE"]);
        assert_eq!(reply, "+OK");
        let expected = t.run(&format!("ZRANGE {key} 0 -1 WITHSCORES"));
        t.check("ZRANGE copy 0 -1 WITHSCORES", &expected);
        t.check("OBJECT ENCODING copy", "\"skiplist\"");
    }
}
