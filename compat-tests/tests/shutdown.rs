//! A primary that is told to end while a replica lags: the same on the reference and here.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::group::{ask, await_that, follow, info, signal, start};
use compat_tests::server::{Server, Which};
use compat_tests::wire::{Connection, Received, request};
use crabcache_resp::Protocol;
use std::time::{Duration, Instant};

const KINDS: [Which; 2] = [Which::Reference, Which::CrabCache];
const LONG: Duration = Duration::from_secs(30);

/// A primary, and a replica that stands still and lacks the last change.
struct Lagging {
    primary: Server,
    replica: Server,
}

impl Lagging {
    fn start(which: Which, options: &[&str]) -> Lagging {
        let lagging =
            Lagging { primary: start(which, options), replica: start(Which::CrabCache, &[]) };
        follow(&lagging.replica, &lagging.primary);
        ask(&lagging.primary, &["SET", "n", "1"]);
        let servers = [&lagging.primary, &lagging.replica];
        await_that("the key", &servers, || ask(&lagging.replica, &["GET", "n"]) == "1");
        signal(&lagging.replica, "STOP");
        ask(&lagging.primary, &["INCR", "n"]);
        lagging
    }

    /// Sends SHUTDOWN, and waits until it is under way.
    fn shut_down(&self) -> Connection {
        let mut connection = self.primary.connect(Protocol::Resp2).unwrap();
        connection.send(&request(&["SHUTDOWN"])).unwrap();
        self.await_wait();
        connection
    }

    fn await_wait(&self) {
        await_that("the wait", &[&self.primary], || {
            info(&self.primary, "shutdown_in_milliseconds").parse::<i64>().is_ok_and(|ms| ms > 0)
        });
    }

    /// What the replica has in the end.
    fn last(&self) -> String {
        signal(&self.replica, "CONT");
        await_that("the end of the link", &[&self.replica], || {
            info(&self.replica, "master_link_status") == "down"
        });
        ask(&self.replica, &["GET", "n"])
    }
}

impl Drop for Lagging {
    fn drop(&mut self) {
        signal(&self.replica, "CONT");
    }
}

/// Whether no reply comes for a while.
fn is_held(connection: &mut Connection) -> bool {
    !matches!(connection.receive(Duration::from_millis(300)), Received::Reply(_))
}

#[test]
fn replicas_are_waited_for() {
    for which in KINDS {
        for is_signal in [false, true] {
            let mut lagging = Lagging::start(which, &["--shutdown-timeout", "60"]);
            let mut asking = None;
            if is_signal {
                signal(&lagging.primary, "TERM");
                lagging.await_wait();
            } else {
                asking = Some(lagging.shut_down());
            }
            let mut writing = lagging.primary.connect(Protocol::Resp2).unwrap();
            writing.send(&request(&["INCR", "n"])).unwrap();
            assert!(is_held(&mut writing), "{which:?}");
            assert_eq!(ask(&lagging.primary, &["GET", "n"]), "2", "{which:?}");
            assert_eq!(lagging.last(), "2", "{which:?}");
            assert!(lagging.primary.has_ended(LONG), "{which:?}");
            let log = lagging.primary.log();
            assert!(log.contains("1 of 1 replicas are in sync when shutting down."), "{log}");
            let ends = [asking, Some(writing)].into_iter().flatten();
            for mut connection in ends {
                assert!(!matches!(connection.receive(LONG), Received::Reply(_)), "{which:?}");
            }
        }
    }
}

#[test]
fn the_wait_has_an_end() {
    for which in KINDS {
        let mut lagging = Lagging::start(which, &["--shutdown-timeout", "1"]);
        let began = Instant::now();
        lagging.shut_down();
        assert!(lagging.primary.has_ended(LONG), "{which:?}");
        assert!(began.elapsed() > Duration::from_millis(900), "{which:?}");
        let log = lagging.primary.log();
        assert!(log.contains("0 of 1 replicas are in sync when shutting down."), "{log}");
        assert!(log.contains("Lagging replica 127.0.0.1:"), "{log}");
    }
}

#[test]
fn nobody_waits_who_does_not_want_to() {
    for which in KINDS {
        for (timeout, words) in [("60", &["SHUTDOWN", "NOW"][..]), ("0", &["SHUTDOWN"])] {
            let mut lagging = Lagging::start(which, &["--shutdown-timeout", timeout]);
            let mut connection = lagging.primary.connect(Protocol::Resp2).unwrap();
            connection.send(&request(words)).unwrap();
            assert!(lagging.primary.has_ended(Duration::from_secs(5)), "{which:?}");
        }
    }
}

#[test]
fn a_shutdown_that_waits_can_be_given_up() {
    for which in KINDS {
        let lagging = Lagging::start(which, &["--shutdown-timeout", "60"]);
        let primary = &lagging.primary;
        let none = "ERR No shutdown in progress.";
        assert_eq!(ask(primary, &["SHUTDOWN", "ABORT"]), none, "{which:?}");
        let mut asking = [lagging.shut_down(), lagging.shut_down()];
        let mut writing = primary.connect(Protocol::Resp2).unwrap();
        writing.send(&request(&["INCR", "n"])).unwrap();
        assert!(is_held(&mut writing), "{which:?}");
        await_that("both", &[primary], || info(primary, "blocked_clients") == "3");
        assert_eq!(ask(primary, &["SHUTDOWN", "ABORT"]), "OK", "{which:?}");
        for connection in &mut asking {
            let reply = connection.receive(LONG).show();
            assert_eq!(reply, "-ERR Errors trying to SHUTDOWN. Check logs.\\r\\n", "{which:?}");
        }
        assert_eq!(writing.receive(LONG).show(), ":3\\r\\n", "{which:?}");
        assert_eq!(ask(primary, &["SHUTDOWN", "ABORT"]), none, "{which:?}");
        assert_eq!(info(primary, "shutdown_in_milliseconds"), "", "{which:?}");
        // A signal as well.
        signal(primary, "TERM");
        lagging.await_wait();
        assert_eq!(ask(primary, &["SHUTDOWN", "ABORT"]), "OK", "{which:?}");
        assert_eq!(ask(primary, &["INCR", "n"]), "4", "{which:?}");
    }
}
