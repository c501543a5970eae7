//! What commands see during whose wait for the keyspace something has changed.

use crate::server::Server;
use crate::testing::{TestClient, TestServer};
use crabcache_store::Mode;
use std::time::Duration;

/// Runs a line that must wait for others; `change` comes in between.
fn run_late(
    t: &mut TestServer,
    client: &mut TestClient,
    line: &str,
    change: impl FnOnce(&Server),
) -> String {
    let server = t.server.clone();
    std::thread::scope(|scope| {
        let mut pass = server.keyspace.enter(server.cron_worker());
        // Walks wait for each stripe.
        let last = pass.lock_one(server.keyspace.n_stripes() as u32 - 1, Mode::Write);
        let answer = scope.spawn(|| t.run_as(client, line));
        std::thread::sleep(Duration::from_millis(50));
        change(&server);
        drop(last);
        drop(pass);
        answer.join().unwrap()
    })
}

const READ_ONLY: &str = "READONLY You can't write against a read only replica.";

#[test]
fn a_command_that_waited_may_not_run_any_more() {
    let mut t = TestServer::new();
    let mut client = t.client();
    t.run("SET k 1");
    t.propagated();
    let become_replica = |server: &Server| server.conditions.set_replica(true);
    let answer = run_late(&mut t, &mut client, "FLUSHALL", become_replica);
    assert_eq!(answer, format!("-{READ_ONLY}"));
    t.server.conditions.set_replica(false);
    let undeclared = "EVAL \"redis.call('set', 'k' .. ARGV[1], 1)\" 0 x";
    let answer = run_late(&mut t, &mut client, undeclared, become_replica);
    assert!(answer.starts_with(&format!("-{READ_ONLY}")), "{answer}");
    t.server.conditions.set_replica(false);
    for line in ["MULTI", "SET k 2", "RANDOMKEY"] {
        t.run_as(&mut client, line);
    }
    let answer = run_late(&mut t, &mut client, "EXEC", become_replica);
    assert_eq!(answer, format!("-EXECABORT Transaction discarded because of: {READ_ONLY}"));
    assert_eq!(t.run_as(&mut client, "EXEC"), "-ERR EXEC without MULTI");
    t.check_all(&[("GET k", "\"1\""), ("DBSIZE", ":1")]);
    assert!(t.propagated().is_empty());
}

#[test]
fn a_command_that_waited_is_held_by_a_pause() {
    let mut t = TestServer::new();
    let mut client = t.client();
    for line in ["MULTI", "SET k 2", "RANDOMKEY"] {
        t.run_as(&mut client, line);
    }
    let pause = |server: &Server| server.conditions.set_failing_over(true);
    assert_eq!(run_late(&mut t, &mut client, "EXEC", pause), "");
    t.check("GET k", "nil");
    t.server.conditions.set_failing_over(false);
    t.server.resume_paused();
    assert_eq!(t.taken_by(&mut client), "*2 +OK $1 k ");
}

#[test]
fn what_expired_is_left_to_the_primary_that_came_meanwhile() {
    let mut t = TestServer::new();
    let mut client = t.client();
    for line in ["SCAN 0 COUNT 10000", "SORT list BY w:* GET k"] {
        t.server.conditions.set_replica(false);
        t.run("DEL list");
        t.run("RPUSH list 1 2");
        t.run("SET k 1 PX 5");
        t.advance_ms(10);
        t.propagated();
        run_late(&mut t, &mut client, line, |server| server.conditions.set_replica(true));
        assert_eq!(t.server.keyspace.size(0).n_keys, 2, "{line}");
        assert!(t.propagated().is_empty(), "{line}");
    }
}
