//! Tests of the commands that wait.

use crate::testing::TestServer;

#[test]
fn they_take_what_is_there() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("RPUSH l 1 2 3 4 5 6", ":6"),
        ("BLPOP no l 0", "[\"l\", \"1\"]"),
        ("BRPOP no l 0", "[\"l\", \"6\"]"),
        ("BLMPOP 0 2 no l LEFT COUNT 2", "[\"l\", [\"2\", \"3\"]]"),
        ("BLMOVE l m RIGHT LEFT 0", "\"5\""),
        ("BRPOPLPUSH l m 0", "\"4\""),
        ("LRANGE m 0 -1", "[\"4\", \"5\"]"),
    ]);
    assert_eq!(
        t.propagated(),
        [
            "RPUSH l 1 2 3 4 5 6",
            "LPOP l",
            "RPOP l",
            "LPOP l 2",
            "LMOVE l m RIGHT LEFT",
            "RPOPLPUSH l m"
        ]
    );
}

#[test]
fn time_outs_are_checked() {
    let mut t = TestServer::new();
    t.check_all(&[
        ("BLPOP l a", "-ERR timeout is not a float or out of range"),
        ("BLPOP l nan", "-ERR timeout is not a float or out of range"),
        ("BLPOP l inf", "-ERR timeout is out of range"),
        ("BLPOP l 1e300", "-ERR timeout is out of range"),
        ("BLPOP l 9223372036854775", "-ERR timeout is out of range"),
        ("BLPOP l -1", "-ERR timeout is negative"),
        ("BLPOP l -inf", "-ERR timeout is negative"),
        ("SET s v", "+OK"),
        ("BLPOP s a", "-ERR timeout is not a float or out of range"),
        ("BLPOP no s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        (
            "BLMOVE s l LEFT LEFT 0",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("MULTI", "+OK"),
        ("BLPOP l 0", "+QUEUED"),
        ("BLMOVE l m LEFT LEFT 0", "+QUEUED"),
        ("BLMPOP 0 1 l LEFT", "+QUEUED"),
        ("EXEC", "[nil, nil, nil]"),
    ]);
    let mut client = t.client();
    t.wait_as(&mut client, "BLPOP l 0.005");
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert_eq!(t.time_out(&mut client), b"*-1\r\n");
    assert_eq!((t.server.blocking.n_blocked(), t.server.keyspace.n_waited_keys()), (0, 0));
    t.check("RPUSH l a", ":1");
    assert_eq!(t.taken_by(&mut client), "");
}

#[test]
fn clients_are_served_in_the_order_in_which_they_came() {
    let mut t = TestServer::new();
    let mut clients = [(); 4].map(|()| t.client());
    let [a, b, c, d] = &mut clients;
    t.wait_as(a, "BLPOP x l l 0");
    t.wait_as(b, "BRPOP l 0");
    t.wait_as(c, "BLMPOP 0 1 l LEFT COUNT 2");
    t.wait_as(d, "BLMOVE l m LEFT RIGHT 0");
    assert_eq!((t.server.blocking.n_blocked(), t.server.keyspace.n_waited_keys()), (4, 2));
    t.check("RPUSH l 1 2 3 4", ":4");
    assert_eq!(t.taken_by(a), "*2 $1 l $1 1 ");
    assert_eq!(t.taken_by(b), "*2 $1 l $1 4 ");
    assert_eq!(t.taken_by(c), "*2 $1 l *2 $1 2 $1 3 ");
    assert_eq!(t.taken_by(d), "");
    t.check_all(&[("EXISTS l", ":0"), ("LPUSH l 5", ":1"), ("LRANGE m 0 -1", "[\"5\"]")]);
    assert_eq!(t.taken_by(d), "$1 5 ");
    assert_eq!((t.server.blocking.n_blocked(), t.server.keyspace.n_waited_keys()), (0, 0));
    assert_eq!(
        t.events(),
        ["rpush l", "lpop l", "rpop l", "lpop l", "del l", "lpush l", "rpush m", "lpop l", "del l"]
    );
    assert_eq!(
        t.propagated(),
        ["RPUSH l 1 2 3 4", "LPOP l", "RPOP l", "LPOP l 2", "LPUSH l 5", "LMOVE l m LEFT RIGHT"]
    );
}

#[test]
fn all_that_brings_a_list_serves() {
    let ways: &[&[&str]] = &[
        &["RPUSH l a"],
        &["RPUSH other a", "RENAME other l"],
        &["RPUSH other a", "COPY other l"],
        &["SELECT 1", "RPUSH l a", "MOVE l 0"],
        &["SELECT 1", "RPUSH l a", "SWAPDB 0 1"],
        &["MULTI", "SET l v", "DEL l", "RPUSH l a", "LPUSHX l b", "EXEC"],
        &["RPUSH other a", "LMOVE other l LEFT LEFT"],
    ];
    for way in ways {
        let mut t = TestServer::new();
        let mut client = t.client();
        t.wait_as(&mut client, "BRPOP l 0");
        for line in *way {
            t.run(line);
        }
        assert_eq!(t.taken_by(&mut client), "*2 $1 l $1 a ", "{way:?}");
    }
}

#[test]
fn other_changes_do_not_end_a_wait() {
    let mut t = TestServer::new();
    let mut client = t.client();
    t.wait_as(&mut client, "BLMOVE l m LEFT LEFT 0");
    for line in ["SET l v", "APPEND l w", "DEL l", "RPUSH m x", "FLUSHALL", "SET m v"] {
        t.run(line);
        assert_eq!(t.taken_by(&mut client), "", "{line}");
    }
    t.check_all(&[("MULTI", "+OK"), ("RPUSH l a", "+QUEUED"), ("DEL l", "+QUEUED")]);
    t.check("EXEC", "[:1, :1]");
    assert_eq!(t.taken_by(&mut client), "");
    // What is wrong with the destination shows when there is something to be moved.
    t.check("RPUSH l a", ":1");
    let error = "-WRONGTYPE Operation against a key holding the wrong kind of value ";
    assert_eq!(t.taken_by(&mut client), error);
    t.check("LRANGE l 0 -1", "[\"a\"]");
}

#[test]
fn serving_may_serve_others() {
    let mut t = TestServer::new();
    let (mut a, mut b, mut c) = (t.client(), t.client(), t.client());
    t.wait_as(&mut a, "BLMOVE x y LEFT LEFT 0");
    t.wait_as(&mut b, "BLMOVE y z LEFT LEFT 0");
    t.wait_as(&mut c, "BLMOVE z x LEFT LEFT 0");
    t.check("RPUSH x 1", ":1");
    for client in [&mut a, &mut b, &mut c] {
        assert_eq!(t.taken_by(client), "$1 1 ");
    }
    t.check("LRANGE x 0 -1", "[\"1\"]");
}

#[test]
fn waits_end_by_others() {
    let mut t = TestServer::new();
    let mut client = t.client();
    let id = client.client.handle.id;
    t.wait_as(&mut client, "BLPOP l 0");
    t.check(&format!("CLIENT UNBLOCK {id} ERROR"), ":1");
    assert_eq!(t.taken_by(&mut client), "-UNBLOCKED client unblocked via CLIENT UNBLOCK ");
    t.wait_as(&mut client, "BLMOVE l m LEFT LEFT 0");
    t.check(&format!("CLIENT UNBLOCK {id}"), ":1");
    assert_eq!(t.taken_by(&mut client), "*-1 ");
    t.wait_as(&mut client, "BLPOP l 0");
    t.check(&format!("CLIENT KILL ID {id}"), ":1");
    t.check_all(&[("RPUSH l a", ":1"), ("LLEN l", ":1")]);
    assert_eq!(t.server.blocking.n_blocked(), 0);
}

#[test]
fn replies_are_withheld_from_those_who_want_none() {
    let mut t = TestServer::new();
    let mut client = t.client();
    assert_eq!(t.run_as(&mut client, "CLIENT REPLY SKIP"), "");
    t.wait_as(&mut client, "BLPOP l 0");
    t.check_all(&[("RPUSH l a b", ":2"), ("LLEN l", ":1")]);
    assert_eq!(t.taken_by(&mut client), "");
    assert_eq!(t.run_as(&mut client, "LPOP l"), "\"b\"");
}
