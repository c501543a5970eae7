//! Tests of client-side caching.

use crate::testing::{TestClient, TestServer};

/// A client in RESP3 that tracks with these options.
fn tracker(t: &mut TestServer, options: &str) -> TestClient {
    let mut client = t.client();
    t.run_as(&mut client, "HELLO 3");
    assert_eq!(t.run_as(&mut client, &format!("CLIENT TRACKING ON {options}")), "+OK");
    client
}

/// What a client was sent, without the headers of lengths.
fn taken(t: &mut TestServer, client: &mut TestClient) -> String {
    let text = t.taken_by(client);
    let words = text.split(' ').filter(|word| !word.is_empty() && !word.starts_with('$'));
    words.collect::<Vec<_>>().join(" ")
}

fn counts(t: &TestServer) -> (usize, usize, usize) {
    let tracking = &t.server.tracking;
    (tracking.n_clients(), tracking.n_keys(), tracking.n_items())
}

#[test]
fn a_read_key_is_told_once() {
    let mut t = TestServer::new();
    let mut client = tracker(&mut t, "");
    t.run_as(&mut client, "MGET a b");
    assert_eq!(counts(&t), (1, 2, 2));
    t.run("SET a 1");
    assert_eq!(taken(&mut t, &mut client), ">2 invalidate *1 a");
    t.run("SET a 2");
    t.run("SET c 2");
    t.run("GET b");
    assert_eq!(taken(&mut t, &mut client), "");
    t.run("DEL b");
    assert_eq!(taken(&mut t, &mut client), "");
    t.run("SET b 1");
    assert_eq!(taken(&mut t, &mut client), ">2 invalidate *1 b");
    assert_eq!(counts(&t), (1, 0, 0));
}

#[test]
fn what_a_client_changes_itself_is_told_behind_the_reply() {
    let mut t = TestServer::new();
    let mut client = tracker(&mut t, "");
    t.run_as(&mut client, "GET a");
    assert_eq!(t.run_as(&mut client, "SET a 1"), "+OK >[\"invalidate\", [\"a\"]]");
    t.run_as(&mut client, "MGET a b");
    for line in ["MULTI", "SET a 1", "GET a", "SET b 2"] {
        t.run_as(&mut client, line);
    }
    assert_eq!(
        t.run_as(&mut client, "EXEC"),
        "[+OK, \"1\", +OK] >[\"invalidate\", [\"a\"]] >[\"invalidate\", [\"b\"]]"
    );
    // It was read in the transaction.
    assert_eq!(t.run_as(&mut client, "SET a 2"), "+OK >[\"invalidate\", [\"a\"]]");
    let mut client = tracker(&mut t, "NOLOOP");
    t.run_as(&mut client, "GET a");
    assert_eq!(t.run_as(&mut client, "SET a 1"), "+OK");
    t.run_as(&mut client, "GET a");
    t.run("SET a 3");
    assert_eq!(taken(&mut t, &mut client), ">2 invalidate *1 a");
}

#[test]
fn scripts_track_what_they_read_not_what_they_name() {
    let mut t = TestServer::new();
    let mut client = tracker(&mut t, "");
    for command in ["EVAL", "EVAL_RO"] {
        t.run_as(&mut client, &format!("{command} 'return 1' 2 a b"));
        assert_eq!(counts(&t).1, 0, "{command}");
        t.run_as(&mut client, &format!("{command} 'return redis.call(\"GET\", \"b\")' 2 a b"));
        assert_eq!(counts(&t).1, 1, "{command}");
        t.run("MSET a 1 b 1");
        assert_eq!(taken(&mut t, &mut client), ">2 invalidate *1 b", "{command}");
    }
}

#[test]
fn reads_are_chosen() {
    let mut t = TestServer::new();
    let mut client = tracker(&mut t, "OPTIN");
    t.run_as(&mut client, "GET a");
    assert_eq!(counts(&t).1, 0);
    t.run_as(&mut client, "CLIENT CACHING yes");
    t.run_as(&mut client, "CLIENT ID");
    t.run_as(&mut client, "GET a");
    t.run_as(&mut client, "GET b");
    assert_eq!(counts(&t).1, 1);
    for line in ["CLIENT CACHING yes", "MULTI", "GET c", "GET d", "EXEC", "GET e"] {
        t.run_as(&mut client, line);
    }
    assert_eq!(counts(&t).1, 3);
    let mut client = tracker(&mut t, "OPTOUT");
    for line in ["GET x", "CLIENT CACHING no", "GET y", "GET z"] {
        t.run_as(&mut client, line);
    }
    assert_eq!(counts(&t), (2, 5, 5));
}

#[test]
fn broadcasts_come_at_the_end_of_a_batch() {
    let mut t = TestServer::new();
    let mut all = tracker(&mut t, "BCAST");
    let mut some = tracker(&mut t, "BCAST PREFIX a PREFIX b: NOLOOP");
    assert_eq!(t.server.tracking.n_prefixes(), 3);
    let mut writer = t.client();
    t.send_as(&mut writer, b"SET b:1 x\r\nSET a1 x\r\nSET c 1\r\nSET a0 x\r\n");
    assert_eq!(taken(&mut t, &mut all), ">2 invalidate *4 a0 a1 b:1 c");
    let text = taken(&mut t, &mut some);
    assert!(text.contains(">2 invalidate *2 a0 a1") && text.contains(">2 invalidate *1 b:1"));
    t.send_as(&mut some, b"SET a1 x\r\nSET d 1\r\n");
    assert_eq!(taken(&mut t, &mut some), "");
    assert_eq!(taken(&mut t, &mut all), ">2 invalidate *2 a1 d");
    t.run_as(&mut all, "CLIENT TRACKING OFF");
    t.server.clients.kill(&t.server, &some.client.handle);
    assert_eq!((counts(&t).0, t.server.tracking.n_prefixes()), (0, 0));
}

#[test]
fn invalidations_are_redirected() {
    let mut t = TestServer::new();
    let (mut target, mut client) = (t.client(), t.client());
    t.run_as(&mut target, "SUBSCRIBE __redis__:invalidate");
    let id = target.client.handle.id;
    t.run_as(&mut client, &format!("CLIENT TRACKING ON REDIRECT {id}"));
    t.run_as(&mut client, "MGET a b");
    t.run("SET a 1");
    assert_eq!(taken(&mut t, &mut target), "*3 message __redis__:invalidate *1 a");
    t.run("FLUSHALL");
    assert_eq!(t.taken_by(&mut target).split(' ').next_back().unwrap(), "");
    assert_eq!(t.run_as(&mut client, "CLIENT GETREDIR"), format!(":{id}"));
    t.run_as(&mut client, "HELLO 3");
    t.run_as(&mut client, "GET b");
    t.server.clients.kill(&t.server, &target.client.handle);
    t.run("SET b 1");
    assert_eq!(taken(&mut t, &mut client), format!(">2 tracking-redir-broken :{id}"));
    assert!(t.run_as(&mut client, "CLIENT INFO").contains(" flags=tR "));
}

#[test]
fn keys_that_expire_or_are_flushed_are_told() {
    let mut t = TestServer::new();
    let mut client = tracker(&mut t, "");
    t.run("SET a 1 PX 10");
    t.run_as(&mut client, "GET a");
    t.advance_ms(20);
    t.run("GET a");
    assert_eq!(taken(&mut t, &mut client), ">2 invalidate *1 a");
    t.run_as(&mut client, "GET a");
    t.run("FLUSHDB");
    assert_eq!(taken(&mut t, &mut client), ">2 invalidate _");
    assert_eq!(counts(&t), (1, 0, 0));
    assert_eq!(t.run_as(&mut client, "FLUSHALL"), "+OK >[\"invalidate\", nil]");
}

#[test]
fn the_table_is_kept_small() {
    let mut t = TestServer::with_config(&[("tracking-table-max-keys", "10")]);
    let mut client = tracker(&mut t, "");
    let keys: Vec<String> = (0..500).map(|number| format!("k{number}")).collect();
    t.run_as(&mut client, &format!("MGET {}", keys.join(" ")));
    for _ in 0..5 {
        t.run("PING");
    }
    assert_eq!(counts(&t), (1, 10, 10));
    assert_eq!(taken(&mut t, &mut client).matches("invalidate").count(), 490);
    t.run_as(&mut client, "RESET");
    assert_eq!(counts(&t), (0, 0, 0));
}
