//! Streams in process: what the case files cannot see, events and replication, and times.

use crate::testing::TestServer;

/// A stream of the entries 1-0 to n-0.
fn stream(t: &mut TestServer, n: u32) {
    for number in 1..=n {
        t.check(&format!("XADD s {number} f v{number}"), &format!("\"{number}-0\""));
    }
    t.events();
    t.propagated();
}

#[test]
fn entries_get_ids_of_their_time() {
    let mut t = TestServer::new();
    let now_ms = t.server.clock.unix_ms();
    let id = t.run("XADD s * a b");
    let (ms, seq) = id.trim_matches('"').split_once('-').unwrap();
    assert!((ms.parse::<i64>().unwrap() - now_ms).abs() < 60_000 && seq == "0", "{id}");
    let added: Vec<String> = t.propagated();
    assert_eq!(added, [format!("XADD s {ms}-0 a b")]);
    t.check_all(&[
        ("XADD s 99999999999999-5 a b", "\"99999999999999-5\""),
        ("XADD s * a b", "\"99999999999999-6\""),
        ("XADD s 99999999999999-* a b", "\"99999999999999-7\""),
        ("XLEN s", ":4"),
    ]);
    assert_eq!(t.events(), ["xadd s"; 4]);
    assert_eq!(
        t.propagated(),
        [
            "XADD s 99999999999999-5 a b",
            "XADD s 99999999999999-6 a b",
            "XADD s 99999999999999-7 a b",
        ]
    );
}

#[test]
fn trims_are_replicated_exactly() {
    let mut t = TestServer::with_config(&[("stream-node-max-entries", "2")]);
    stream(&mut t, 5);
    t.check("XADD s MAXLEN ~ 3 6 a b", "\"6-0\"");
    assert_eq!(t.events(), ["xadd s", "xtrim s"]);
    assert_eq!(t.propagated(), ["XADD s MAXLEN = 4 6 a b"]);
    t.check("XADD s MINID ~ 4 LIMIT 10 7-* a b", "\"7-0\"");
    assert_eq!(t.events(), ["xadd s"]);
    assert_eq!(t.propagated(), ["XADD s MINID = 3-0 LIMIT 10 7-0 a b"]);
    t.check_all(&[
        ("XTRIM s MAXLEN ~ 100", ":0"),
        ("XTRIM s MINID ~ 6", ":2"),
        ("XTRIM s MAXLEN 1", ":2"),
        ("XTRIM s MAXLEN 1", ":0"),
        ("XADD s MAXLEN = 1 8 a b", "\"8-0\""),
    ]);
    assert_eq!(t.events(), ["xtrim s", "xtrim s", "xadd s", "xtrim s"]);
    let expected = ["XTRIM s MINID = 5-0", "XTRIM s MAXLEN 1", "XADD s MAXLEN = 1 8 a b"];
    assert_eq!(t.propagated(), expected);
    assert_eq!(t.server.stats.sum(|worker| &worker.dirty), 5 + 2 + 2 + 2 + 1);
}

#[test]
fn deletions_tell_of_themselves() {
    let mut t = TestServer::new();
    stream(&mut t, 5);
    t.check_all(&[
        ("XDEL s 1 2 9", ":2"),
        ("XDEL s 1", ":0"),
        ("XDELEX s IDS 2 3 9", "[:1, :-1]"),
        ("XDELEX s IDS 1 3", "[:-1]"),
        ("XGROUP CREATE s g 0", "+OK"),
        ("XDELEX s ACKED IDS 1 4", "[:2]"),
    ]);
    assert_eq!(t.events(), ["xdel s", "xdel s", "xgroup-create s"]);
    assert_eq!(t.propagated(), ["XDEL s 1 2 9", "XDELEX s IDS 2 3 9", "XGROUP CREATE s g 0"]);
    t.run("XREADGROUP GROUP g c STREAMS s >");
    t.events();
    t.propagated();
    t.check_all(&[
        ("XACK s g 9", ":0"),
        ("XACK s g 4", ":1"),
        ("XACKDEL s g IDS 2 4 5", "[:-1, :1]"),
        ("EXISTS s", ":1"),
    ]);
    assert_eq!(t.events(), ["xdel s"]);
    assert_eq!(t.propagated(), ["XACK s g 4", "XACKDEL s g IDS 2 4 5"]);
}

#[test]
fn reads_of_groups_are_replicated_as_claims() {
    let mut t = TestServer::new();
    stream(&mut t, 2);
    t.check("XGROUP CREATE s g 0", "+OK");
    t.propagated();
    t.events();
    t.check(
        "XREADGROUP GROUP g c STREAMS s >",
        "[[\"s\", [[\"1-0\", [\"f\", \"v1\"]], [\"2-0\", [\"f\", \"v2\"]]]]]",
    );
    assert_eq!(t.events(), ["xgroup-createconsumer s"]);
    let time = |line: &str| line.split(' ').nth(7).unwrap_or_default().to_string();
    let propagated = t.propagated();
    let now = time(&propagated[0]);
    assert_eq!(
        propagated,
        [
            format!("XCLAIM s g c 0 1-0 TIME {now} RETRYCOUNT 1 FORCE JUSTID LASTID 1-0"),
            format!("XCLAIM s g c 0 2-0 TIME {now} RETRYCOUNT 1 FORCE JUSTID LASTID 2-0"),
            "XGROUP SETID s g 2-0 ENTRIESREAD 2".to_string(),
        ]
    );
    // Nothing new, and what the consumer has already.
    t.check("XREADGROUP GROUP g c STREAMS s >", "nil");
    t.run("XREADGROUP GROUP g c STREAMS s 0");
    assert_eq!((t.events(), t.propagated()), (vec![], vec![]));
    // A consumer alone is not replicated, unless it reads without acknowledging.
    t.check("XREADGROUP GROUP g d STREAMS s >", "nil");
    t.check("XREADGROUP GROUP g e NOACK STREAMS s >", "nil");
    assert_eq!(t.propagated(), ["XGROUP CREATECONSUMER s g e"]);
    t.check("XADD s 3 f v", "\"3-0\"");
    t.propagated();
    t.run("XREADGROUP GROUP g e NOACK STREAMS s >");
    assert_eq!(t.propagated(), ["XGROUP SETID s g 3-0 ENTRIESREAD 3"]);
    t.check("XGROUP DELCONSUMER s g c", ":2");
    t.check("XGROUP DESTROY s g", ":1");
    assert_eq!(t.propagated(), ["XGROUP DELCONSUMER s g c", "XGROUP DESTROY s g"]);
}

#[test]
fn claims_are_replicated_with_what_they_gave() {
    let mut t = TestServer::new();
    stream(&mut t, 3);
    t.check("XGROUP CREATE s g 0", "+OK");
    t.run("XREADGROUP GROUP g c STREAMS s >");
    t.advance_ms(500);
    t.propagated();
    t.events();
    t.check_all(&[
        ("XCLAIM s g d 1000 1", "[]"),
        ("XCLAIM s g d 500 1 TIME 5 JUSTID", "[\"1-0\"]"),
        ("XCLAIM s g d 0 1 RETRYCOUNT 9 TIME 7", "[[\"1-0\", [\"f\", \"v1\"]]]"),
        ("XDEL s 2", ":1"),
        ("XCLAIM s g d 0 2", "[]"),
        ("XCLAIM s g d 0 7 LASTID 9", "[]"),
    ]);
    assert_eq!(t.events(), ["xgroup-createconsumer s", "xdel s"]);
    let propagated = t.propagated();
    assert_eq!(
        propagated[..3],
        [
            "XCLAIM s g d 0 1 TIME 5 RETRYCOUNT 1 FORCE JUSTID LASTID 3-0",
            "XCLAIM s g d 0 1 TIME 7 RETRYCOUNT 9 FORCE JUSTID LASTID 3-0",
            "XDEL s 2",
        ]
    );
    assert!(propagated[3].starts_with("XCLAIM s g c 0 2 TIME "), "{}", propagated[3]);
    assert_eq!(propagated[4..], ["XGROUP SETID s g 9-0 ENTRIESREAD 3"]);
    t.check("XAUTOCLAIM s g e 500 - JUSTID", "[\"0-0\", [\"1-0\", \"3-0\"], []]");
    let propagated = t.propagated();
    assert!(propagated[0].starts_with("XCLAIM s g e 0 1-0 TIME "), "{}", propagated[0]);
    assert_eq!(propagated.len(), 2);
}

#[test]
fn idle_times() {
    let mut t = TestServer::new();
    stream(&mut t, 2);
    t.check("XGROUP CREATE s g 0", "+OK");
    t.check("XGROUP CREATECONSUMER s g c", ":1");
    t.advance_ms(1000);
    let info = t.run("XINFO CONSUMERS s g");
    assert!(info.contains("\"inactive\", :-1"), "{info}");
    t.run("XREADGROUP GROUP g c COUNT 1 STREAMS s >");
    t.advance_ms(5000);
    t.run("XREADGROUP GROUP g d STREAMS s >");
    let shown = |t: &mut TestServer, filter: &str| {
        t.run(&format!("XPENDING s g {filter}")).matches("-0").count()
    };
    assert_eq!(shown(&mut t, "- + 10"), 2);
    assert_eq!(shown(&mut t, "IDLE 4000 - + 10"), 1);
    assert_eq!(shown(&mut t, "IDLE 4000 - + 10 d"), 0);
    t.check("XAUTOCLAIM s g d 4000 - COUNT 1 JUSTID", "[\"2-0\", [\"1-0\"], []]");
    assert_eq!(shown(&mut t, "IDLE 4000 - + 10"), 0);
}

#[test]
fn watchers_mind_entries_but_not_groups() {
    let mut t = TestServer::new();
    let mut other = t.client();
    stream(&mut t, 2);
    let mut survives = |line: &str| {
        t.check_all(&[("WATCH s", "+OK"), ("MULTI", "+OK")]);
        assert!(!t.run_as(&mut other, line).starts_with('-'), "{line}");
        t.run("EXEC") == "[]"
    };
    assert!(survives("XGROUP CREATE s g 0"));
    assert!(survives("XREADGROUP GROUP g c STREAMS s >"));
    assert!(survives("XACK s g 1"));
    assert!(survives("XSETID s 5"));
    assert!(!survives("XADD s 6 a b"));
    assert!(!survives("XDEL s 6"));
    assert!(!survives("XTRIM s MAXLEN 1"));
}

#[test]
fn large_entries_get_nodes_of_their_own() {
    let mut t = TestServer::new();
    let big = vec![b'x'; 100_000];
    for id in [&b"1"[..], b"2", b"3"] {
        t.run_words(&[b"XADD", b"s", id, b"f", &big]);
    }
    let info = t.run("XINFO STREAM s FULL COUNT 1");
    assert!(info.contains("\"radix-tree-keys\", :3"));
    t.check("XTRIM s MAXLEN 1", ":2");
}
