//! What replicas do about commands of their primary that they cannot carry out, or not keep.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use compat_tests::group::{TIMEOUT, ask, await_that, follow, info, start};
use compat_tests::server::{Server, Which};

const KINDS: [Which; 2] = [Which::Reference, Which::CrabCache];

/// A replica with these options that has got to see a command that does not exist.
fn misled(which: Which, options: &[&str]) -> (Server, Server) {
    let (primary, replica) = (start(Which::CrabCache, &[]), start(which, options));
    follow(&replica, &primary);
    ask(&primary, &["DEBUG", "REPLICATE", "fake-command"]);
    ask(&primary, &["SET", "k", "v"]);
    (primary, replica)
}

#[test]
fn an_error_of_a_replicated_command_ends_whoever_wants_it() {
    for which in KINDS {
        for behavior in ["panic", "panic-on-replicas"] {
            let (_primary, mut replica) =
                misled(which, &["--propagation-error-behavior", behavior]);
            assert!(replica.has_ended(TIMEOUT), "{which:?} {behavior}");
            assert!(replica.log().contains("This replica panicked sending an error"), "{which:?}");
        }
        let more =
            [&["--propagation-error-behavior", "ignore"][..], &["--replica-read-only", "no"]];
        for options in more {
            let (primary, replica) = misled(which, options);
            let servers = [&primary, &replica];
            await_that("the key", &servers, || ask(&replica, &["GET", "k"]) == "v");
            assert_eq!(info(&replica, "unexpected_error_replies"), "1", "{which:?} {options:?}");
            assert!(replica.log().contains("== CRITICAL =="), "{which:?}");
        }
    }
}

/// A replica that cannot save its data, and that its primary sends something.
fn without_disk(which: Which, options: &[&str]) -> (Server, Server) {
    let options = [&["--enable-protected-configs", "yes"], options].concat();
    let (primary, replica) = (start(Which::CrabCache, &[]), start(which, &options));
    follow(&replica, &primary);
    let gone = replica.folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let gone = gone.to_str().unwrap().to_string();
    assert_eq!(ask(&replica, &["CONFIG", "SET", "save", "3600 1"]), "OK");
    assert_eq!(ask(&replica, &["CONFIG", "SET", "dir", &gone]), "OK");
    std::fs::remove_dir(&gone).unwrap();
    ask(&replica, &["BGSAVE"]);
    await_that("the failure", &[&replica], || info(&replica, "rdb_last_bgsave_status") == "err");
    ask(&primary, &["SET", "k", "v"]);
    (primary, replica)
}

#[test]
fn a_replica_that_cannot_write_to_disk_ends_unless_that_does_not_matter() {
    for which in KINDS {
        let (_primary, mut replica) = without_disk(which, &[]);
        assert!(replica.has_ended(TIMEOUT), "{which:?}");
        let log = replica.log();
        assert!(log.contains("Replica was unable to write command to disk."), "{which:?} {log}");
        let (primary, replica) =
            without_disk(which, &["--replica-ignore-disk-write-errors", "yes"]);
        let servers = [&primary, &replica];
        await_that("the key", &servers, || ask(&replica, &["GET", "k"]) == "v");
        assert!(replica.log().contains("Replica is applying a command even though"), "{which:?}");
    }
}
