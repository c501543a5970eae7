//! Snapshots: SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::{AofError, CommandError};
use crate::persistence::aof::rewrite;
use crate::persistence::save;
use crate::persistence::snapshot::{self, Purpose};
use crabcache_store::{Pass, Trace, WriteDb};
use std::sync::atomic::Ordering;

/// SAVE
///
/// The client waits, and those that are served by the same thread; all others go on.
pub(super) fn save(pass: &mut Pass, ctx: &mut Ctx, _: Args, _: &Trace) -> CommandResult {
    let mut locked = pass.lock_all();
    if ctx.server.persistence.current_purpose() == Some(Purpose::Rewrite) {
        // There is one walk through the keyspace at a time; this save needs none.
        save::save_held(ctx.server, &ctx.config, &locked).map_err(|_| CommandError::Failed)?;
        ctx.reply.ok();
        return Ok(());
    }
    let job = snapshot::begin(ctx.server, ctx.config.shared(), &mut locked)?;
    drop(locked);
    snapshot::run_in_foreground(ctx.server, job, pass).map_err(|_| CommandError::Failed)?;
    ctx.reply.ok();
    Ok(())
}

/// BGSAVE [SCHEDULE]
pub(super) fn bgsave(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len() > 2 || (args.len() == 2 && !args.is(1, "SCHEDULE")) {
        return Err(CommandError::Syntax);
    }
    let persistence = &ctx.server.persistence;
    let purpose = persistence.current_purpose();
    if matches!(purpose, Some(Purpose::Save | Purpose::Sync)) {
        return Err(CommandError::SaveInProgress);
    }
    let may_be_scheduled = args.len() == 2 || ctx.in_exec;
    if purpose.is_some() && !may_be_scheduled {
        return Err(AofError::OtherSnapshotInProgress.into());
    }
    if ctx.in_exec || purpose.is_some() {
        // It is to be a snapshot between two commands, not within a transaction.
        persistence.is_scheduled.store(true, Ordering::Relaxed);
        ctx.reply.status("Background saving scheduled");
        return Ok(());
    }
    snapshot::begin_in_background(ctx.server, ctx.config.shared(), db.locked())?;
    ctx.reply.status("Background saving started");
    Ok(())
}

/// BGREWRITEAOF
pub(super) fn bgrewriteaof(db: &mut WriteDb, ctx: &mut Ctx, _: Args) -> CommandResult {
    let (server, rewrites) = (ctx.server, &ctx.server.aof.rewrites);
    let purpose = server.persistence.current_purpose();
    if purpose == Some(Purpose::Rewrite) {
        return Err(AofError::RewriteInProgress.into());
    }
    if purpose.is_some() || ctx.in_exec {
        rewrites.is_scheduled.store(true, Ordering::Relaxed);
        // Who asks for it wants it even after failures.
        rewrites.n_failures.store(0, Ordering::Relaxed);
        ctx.reply.status("Background append only file rewriting scheduled");
        return Ok(());
    }
    rewrite::begin(server, ctx.config.shared(), db.locked())
        .map_err(|_| AofError::RewriteFailed)?;
    ctx.reply.status("Background append only file rewriting started");
    Ok(())
}

/// LASTSAVE
pub(super) fn lastsave(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.int(ctx.server.persistence.last_save_s.load(Ordering::Relaxed));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::persistence::due;
    use crate::persistence::snapshot::run_in_background;
    use crate::testing::{TestServer, temp_dir};

    fn finish(t: &TestServer) {
        run_in_background(&t.server, t.server.persistence.jobs.take_waiting().unwrap());
    }

    fn info(t: &mut TestServer, field: &str) -> String {
        let text = t.run("INFO persistence");
        let value = text.split(&format!("{field}:")).nth(1).unwrap();
        value.split("\\r").next().unwrap().to_string()
    }

    #[test]
    fn a_snapshot_has_the_data_of_its_beginning() {
        let dir = temp_dir("bgsave");
        let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
        for number in 0..1000 {
            t.run(&format!("SET {number} old"));
        }
        let digest = t.run("DEBUG DIGEST");
        t.check("BGSAVE", "+Background saving started");
        t.check_all(&[
            ("BGSAVE", "-ERR Background save already in progress"),
            ("SAVE", "-ERR Background save already in progress"),
            ("BGSAVE SCHEDULE", "-ERR Background save already in progress"),
            ("BGSAVE x", "-ERR syntax error"),
        ]);
        for number in 0..1000 {
            match number % 4 {
                0 => t.run(&format!("DEL {number}")),
                1 => t.run(&format!("APPEND {number} er")),
                2 => t.run(&format!("RENAME {number} {}", number + 1000)),
                _ => t.run(&format!("EXPIRE {number} 100")),
            };
        }
        t.run("SWAPDB 0 1");
        assert_eq!(info(&mut t, "rdb_bgsave_in_progress"), "1");
        assert_eq!(info(&mut t, "current_save_keys_total"), "1000");
        finish(&t);
        assert_eq!(info(&mut t, "rdb_bgsave_in_progress"), "0");
        assert_eq!(info(&mut t, "rdb_changes_since_last_save"), "1001");
        t.check_all(&[("DEBUG RELOAD NOSAVE", "+OK"), ("DBSIZE", ":1000")]);
        assert_eq!(t.run("DEBUG DIGEST"), digest);
    }

    #[test]
    fn a_full_queue_is_written_by_those_who_change() {
        let dir = temp_dir("bgsave-queue");
        let dir = dir.path().to_str().unwrap();
        let mut t = TestServer::with_config(&[("dir", dir), ("snapshot-queue-limit", "100")]);
        for number in 0..200 {
            t.run(&format!("SET {number} {}", "x".repeat(50)));
        }
        let digest = t.run("DEBUG DIGEST");
        t.check_all(&[("BGSAVE", "+Background saving started"), ("FLUSHDB", "+OK")]);
        for number in 0..100 {
            t.run(&format!("SET {number} y"));
        }
        finish(&t);
        t.check("DEBUG RELOAD NOSAVE", "+OK");
        assert_eq!(t.run("DEBUG DIGEST"), digest);
    }

    #[test]
    fn flushall_ends_a_snapshot() {
        let dir = temp_dir("bgsave-flushall");
        let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
        t.check_all(&[("SET a b", "+OK"), ("SAVE", "+OK"), ("SET a c", "+OK")]);
        t.check_all(&[("BGSAVE", "+Background saving started"), ("FLUSHALL", "+OK")]);
        finish(&t);
        assert_eq!(info(&mut t, "rdb_last_bgsave_status"), "ok");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        t.check_all(&[
            ("DEBUG RELOAD NOSAVE", "+OK"),
            ("GET a", "\"b\""),
            ("BGSAVE", "+Background saving started"),
        ]);
        finish(&t);
    }

    #[test]
    fn failures_stop_changes_until_one_succeeds() {
        let dir = temp_dir("bgsave-fail");
        let missing = dir.path().join("missing");
        let missing = missing.to_str().unwrap();
        let mut t = TestServer::with_config(&[("dir", missing), ("save", "900 1")]);
        t.check_all(&[("SET a b", "+OK"), ("BGSAVE", "+Background saving started")]);
        finish(&t);
        assert_eq!(info(&mut t, "rdb_last_bgsave_status"), "err");
        for refused in ["SET a c", "PING"] {
            assert!(t.run(refused).starts_with("-MISCONF Redis is configured to save RDB"));
        }
        t.check_all(&[
            ("GET a", "\"b\""),
            ("CONFIG SET stop-writes-on-bgsave-error no", "+OK"),
            ("SET a c", "+OK"),
            ("CONFIG SET stop-writes-on-bgsave-error yes", "+OK"),
            ("SAVE", "-ERR"),
        ]);
        std::fs::create_dir(missing).unwrap();
        t.check_all(&[("BGSAVE", "+Background saving started")]);
        finish(&t);
        t.check_all(&[("SET a d", "+OK"), ("PING", "+PONG")]);
    }

    #[test]
    fn in_a_transaction_it_is_scheduled() {
        let dir = temp_dir("bgsave-multi");
        let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
        t.check_all(&[("MULTI", "+OK"), ("BGSAVE", "+QUEUED")]);
        t.check("EXEC", "[+Background saving scheduled]");
        due::save_if_due(&t.server);
        finish(&t);
        assert!(dir.path().join("dump.rdb").exists());
        due::save_if_due(&t.server);
        assert!(t.server.persistence.jobs.take_waiting().is_none());
    }

    #[test]
    fn save_points_are_kept() {
        let dir = temp_dir("save-points");
        let dir = dir.path().to_str().unwrap();
        let mut t = TestServer::with_config(&[("dir", dir), ("save", "100 3 10 5")]);
        let is_due = |t: &mut TestServer| {
            due::save_if_due(&t.server);
            let job = t.server.persistence.jobs.take_waiting();
            job.map(|job| run_in_background(&t.server, job)).is_some()
        };
        t.check_all(&[("SET a 1", "+OK"), ("SET a 2", "+OK"), ("SET a 3", "+OK")]);
        t.advance_ms(20_000);
        assert!(!is_due(&mut t));
        t.check_all(&[("SET a 4", "+OK"), ("SET a 5", "+OK")]);
        assert!(is_due(&mut t));
        t.check_all(&[("SET a 1", "+OK"), ("SET a 2", "+OK"), ("SET a 3", "+OK")]);
        assert!(!is_due(&mut t));
        t.advance_ms(101_000);
        assert!(is_due(&mut t) && !is_due(&mut t));
    }

    #[test]
    fn what_an_older_version_cannot_hold_is_refused() {
        let dir = temp_dir("save-older");
        let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
        t.check_all(&[("SET a 1", "+OK"), ("VADD v VALUES 1 1 element", ":1")]);
        for version in ["9", "10", "11"] {
            t.run(&format!("CONFIG SET rdb-write-version {version}"));
            t.check("SAVE", "-ERR");
        }
        t.check_all(&[("DEL v", ":1"), ("SAVE", "+OK"), ("DEBUG RELOAD", "+OK")]);
    }
}
