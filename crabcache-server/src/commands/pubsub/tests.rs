//! Tests of channels, patterns and shard channels.

use crate::testing::{TestClient, TestServer};

/// What a client was sent, with line ends as spaces, and its length headers left out.
fn taken(t: &mut TestServer, client: &mut TestClient) -> String {
    let text = t.taken_by(client);
    let words = text.split(' ').filter(|word| !word.is_empty() && !word.starts_with('$'));
    words.collect::<Vec<_>>().join(" ")
}

fn subscriber(t: &mut TestServer, line: &str) -> TestClient {
    let mut client = t.client();
    t.run_as(&mut client, line);
    client
}

#[test]
fn messages_reach_channels_and_patterns() {
    let mut t = TestServer::new();
    let mut one = subscriber(&mut t, "SUBSCRIBE a b");
    let mut two = subscriber(&mut t, "PSUBSCRIBE a* *");
    t.check_all(&[("PUBLISH a x", ":3"), ("PUBLISH c y", ":1"), ("SPUBLISH a z", ":0")]);
    assert_eq!(taken(&mut t, &mut one), "*3 message a x");
    assert_eq!(taken(&mut t, &mut two), "*4 pmessage a* a x *4 pmessage * a x *4 pmessage * c y");
}

#[test]
fn shard_channels_are_apart() {
    let mut t = TestServer::new();
    let mut client = subscriber(&mut t, "SSUBSCRIBE a");
    t.check_all(&[("PUBLISH a x", ":0"), ("SPUBLISH a y", ":1")]);
    assert_eq!(taken(&mut t, &mut client), "*3 smessage a y");
    t.check_all(&[
        ("PUBSUB SHARDCHANNELS", "[\"a\"]"),
        ("PUBSUB CHANNELS", "[]"),
        ("PUBSUB SHARDNUMSUB a b", "[\"a\", :1, \"b\", :0]"),
    ]);
}

#[test]
fn confirmations_count_subscriptions() {
    let mut t = TestServer::new();
    let mut client = t.client();
    for (line, expected) in [
        (
            "SUBSCRIBE a b a",
            "[\"subscribe\", \"a\", :1] [\"subscribe\", \"b\", :2] [\"subscribe\", \"a\", :2]",
        ),
        ("PSUBSCRIBE p", "[\"psubscribe\", \"p\", :3]"),
        ("SSUBSCRIBE s", "[\"ssubscribe\", \"s\", :1]"),
        ("UNSUBSCRIBE a x", "[\"unsubscribe\", \"a\", :2] [\"unsubscribe\", \"x\", :2]"),
        ("UNSUBSCRIBE", "[\"unsubscribe\", \"b\", :1]"),
        ("UNSUBSCRIBE", "[\"unsubscribe\", nil, :1]"),
        ("PUNSUBSCRIBE", "[\"punsubscribe\", \"p\", :0]"),
        (
            "GET k",
            "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        ),
        ("SUNSUBSCRIBE", "[\"sunsubscribe\", \"s\", :0]"),
        ("SUNSUBSCRIBE", "[\"sunsubscribe\", nil, :0]"),
        ("GET k", "nil"),
    ] {
        assert_eq!(t.run_as(&mut client, line), expected, "{line}");
    }
    assert!(t.server.pubsub.is_empty() && t.server.pubsub.n_clients() == 0);
}

#[test]
fn a_client_gets_its_own_message_behind_the_reply() {
    let mut t = TestServer::new();
    t.run("HELLO 3");
    t.check("SUBSCRIBE a", ">[\"subscribe\", \"a\", :1]");
    t.check("PUBLISH a x", ":1 >[\"message\", \"a\", \"x\"]");
    t.check_all(&[("MULTI", "+OK"), ("PUBLISH a y", "+QUEUED"), ("SET k v", "+QUEUED")]);
    t.check("EXEC", "[:1, +OK] >[\"message\", \"a\", \"y\"]");
    t.check("PING", "+PONG");
    t.check("CLIENT REPLY OFF", "");
    t.check("PUBLISH a z", ">[\"message\", \"a\", \"z\"]");
    t.check("SUBSCRIBE b", ">[\"subscribe\", \"b\", :2]");
    t.check("PING", "");
}

#[test]
fn what_was_sent_before_comes_before_the_end_of_a_subscription() {
    let mut t = TestServer::new();
    for (line, reply) in [
        ("UNSUBSCRIBE", "*3 unsubscribe a :0"),
        ("RESET", "+RESET"),
        ("UNSUBSCRIBE x", "*3 unsubscribe x :1"),
    ] {
        let mut client = subscriber(&mut t, "SUBSCRIBE a");
        t.check("PUBLISH a x", ":1");
        let (out, _) = t.send_as(&mut client, format!("{line}\r\n").as_bytes());
        let text = String::from_utf8(out).unwrap().replace("\r\n", " ");
        let words: Vec<_> =
            text.split(' ').filter(|w| !w.is_empty() && !w.starts_with('$')).collect();
        assert_eq!(words.join(" "), format!("*3 message a x {reply}"));
        t.server.pubsub.forget(&client.client.handle);
    }
}

#[test]
fn another_protocol_begins_with_its_reply() {
    let mut t = TestServer::new();
    let mut client = t.client();
    t.run_as(&mut client, "HELLO 3");
    t.run_as(&mut client, "SUBSCRIBE a");
    t.check("PUBLISH a x", ":1");
    let (out, _) = t.send_as(&mut client, b"HELLO 2\r\n");
    assert!(out.starts_with(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n*14\r\n"));
    t.check("PUBLISH a y", ":1");
    assert_eq!(taken(&mut t, &mut client), "*3 message a y");
}

#[test]
fn ping_of_a_subscriber_is_a_message() {
    let mut t = TestServer::new();
    let mut client = subscriber(&mut t, "SUBSCRIBE a");
    assert_eq!(t.run_as(&mut client, "PING"), "[\"pong\", \"\"]");
    assert_eq!(t.run_as(&mut client, "PING x"), "[\"pong\", \"x\"]");
    t.run_as(&mut client, "RESET");
    assert_eq!(t.run_as(&mut client, "PING"), "+PONG");
    t.check("PUBSUB NUMSUB a", "[\"a\", :0]");
}

#[test]
fn slow_subscribers_are_cut() {
    let mut t = TestServer::with_config(&[("client-output-buffer-limit", "pubsub 50000 0 0")]);
    let slow = subscriber(&mut t, "SUBSCRIBE a");
    let line = format!("PUBLISH a {}", "x".repeat(20_000));
    t.check(&line, ":1");
    assert!(!slow.client.handle.is_killed());
    t.check_all(&[(&line, ":1"), (&line, ":1")]);
    assert!(slow.client.handle.is_killed());
    t.check_all(&[(&line, ":0"), ("PUBSUB CHANNELS", "[]")]);
    assert_eq!(t.server.pubsub.n_clients(), 0);
}

#[test]
fn a_killed_subscriber_is_gone_at_once() {
    let mut t = TestServer::new();
    let _one = subscriber(&mut t, "SUBSCRIBE a");
    let _two = subscriber(&mut t, "PSUBSCRIBE a");
    let mut other = subscriber(&mut t, "SSUBSCRIBE a");
    t.check_all(&[
        ("PUBSUB NUMPAT", ":1"),
        ("CLIENT KILL TYPE pubsub", ":3"),
        ("PUBLISH a x", ":0"),
        ("PUBSUB NUMPAT", ":0"),
        ("PUBSUB SHARDCHANNELS *", "[]"),
    ]);
    // Whatever it still had to say has no effect.
    t.run_as(&mut other, "SSUBSCRIBE b");
    assert_eq!((t.server.pubsub.n_clients(), t.run("PUBSUB SHARDCHANNELS")), (0, "[]".to_string()));
}

#[test]
fn subscribers_are_shown() {
    let mut t = TestServer::new();
    let mut client = t.client();
    for line in ["HELLO 3", "SUBSCRIBE a b", "PSUBSCRIBE c", "SSUBSCRIBE d"] {
        t.run_as(&mut client, line);
    }
    let line = t.run_as(&mut client, "CLIENT INFO");
    assert!(line.contains(" flags=P ") && line.contains(" sub=2 psub=1 ssub=1 "), "{line}");
    let info = t.run("INFO");
    for field in
        ["pubsub_clients:1", "pubsub_channels:2", "pubsub_patterns:1", "pubsubshard_channels:1"]
    {
        assert!(info.contains(&format!("{field}\\r\\n")), "{field}");
    }
}

#[test]
fn many_patterns_and_long_names_cost_no_more_than_themselves() {
    let mut t = TestServer::new();
    let mut client = t.client();
    let words: Vec<String> = (0..5000).map(|number| format!("*a*b*{number}*")).collect();
    t.run_as(&mut client, &format!("PSUBSCRIBE {}", words.join(" ")));
    let long = "x".repeat(20_000);
    t.run_as(&mut client, &format!("SUBSCRIBE {long}"));
    t.check(&format!("PUBLISH {} m", "a".repeat(1000)), ":0");
    t.check(&format!("PUBLISH {long} m"), ":1");
    t.run_as(&mut client, "PUNSUBSCRIBE");
    t.run_as(&mut client, "UNSUBSCRIBE");
    assert!(t.server.pubsub.is_empty());
}

#[test]
fn transactions_may_subscribe() {
    let mut t = TestServer::new();
    t.check_all(&[("MULTI", "+OK"), ("SUBSCRIBE a", "+QUEUED"), ("PUBLISH a x", "+QUEUED")]);
    t.check("SSUBSCRIBE s", "+QUEUED");
    t.check(
        "EXEC",
        "[[\"subscribe\", \"a\", :1], :1, -ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client] \
         [\"message\", \"a\", \"x\"]",
    );
}
