//! DEBUG RELOAD and LOADAOF: data are written to disk and read again, in one go.

use crate::command::{Args, CommandResult, Ctx};
use crate::error::{AofError, CommandError};
use crate::persistence::aof::load::Into;
use crate::persistence::aof::{self, State};
use crate::persistence::load::{self, Present};
use crate::persistence::save;
use crabcache_store::WriteDb;

/// DEBUG RELOAD [MERGE | NOFLUSH | NOSAVE ...]
pub(super) fn reload(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let (mut saves, mut flushes, mut present) = (true, true, Present::Refuse);
    for word in args.from(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"merge" => present = Present::Replace,
            b"noflush" => flushes = false,
            b"nosave" => saves = false,
            _ => return Err(CommandError::ReloadOption),
        }
    }
    let server = ctx.server;
    if saves {
        save::save_held(server, &ctx.config, db.locked()).map_err(|_| CommandError::Failed)?;
    }
    if flushes {
        load::empty(server, db.locked(), false);
    }
    load::held(server, &ctx.config, db.locked(), present)
        .map_err(|_| CommandError::ReloadFailed)?;
    tracing::info!("DB reloaded by DEBUG RELOAD");
    ctx.reply.ok();
    Ok(())
}

/// DEBUG LOADAOF
pub(super) fn load_aof(db: &mut WriteDb, ctx: &mut Ctx, _: Args) -> CommandResult {
    let server = ctx.server;
    let is_on = server.aof.state() == State::On;
    if is_on {
        aof::writer::flush(server).map_err(|_| AofError::LoadFailed)?;
        *server.aof.manifest.lock() =
            aof::files::read_manifest(&ctx.config).map_err(|_| AofError::LoadFailed)?;
    }
    load::empty(server, db.locked(), false);
    // What is loaded is in the file already.
    let collects = server.log.collects_for_aof();
    server.log.collect_for_aof(false);
    server.conditions.set_loading(true);
    let loaded = aof::load::load(server, ctx.config.shared(), &mut Into::Held(db.locked()));
    server.conditions.set_loading(false);
    if collects {
        server.log.collect_for_aof(true);
    }
    loaded.map_err(|_| AofError::LoadFailed)?;
    let dirty = server.stats.dirty();
    server.persistence.dirty_saved.store(dirty, std::sync::atomic::Ordering::Relaxed);
    tracing::info!("Append Only File loaded by DEBUG LOADAOF");
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestServer, temp_dir};

    #[test]
    fn data_comes_back() {
        let dir = temp_dir("reload");
        let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
        let filled = [
            ("SET s v", "+OK"),
            ("SET i 12 PXAT 99999999999999", "+OK"),
            ("RPUSH l a 1 b", ":3"),
            ("SADD m 1 2 3", ":3"),
            ("ZADD z 1 a 2.5 b", ":2"),
            ("HSET h f v", ":1"),
            ("XADD x 1-1 f v", "\"1-1\""),
            ("SET short v PXAT 99999999999998", "+OK"),
        ];
        t.check_all(&filled);
        let digest = t.run("DEBUG DIGEST");
        t.check_all(&[("DEBUG RELOAD", "+OK"), ("DBSIZE", ":8"), ("TTL s", ":-1")]);
        assert_eq!(t.run("DEBUG DIGEST"), digest);
        t.check_all(&[
            ("PEXPIRETIME i", ":99999999999999"),
            ("SET s other", "+OK"),
            ("SET new v", "+OK"),
            ("DEBUG RELOAD NOSAVE", "+OK"),
            ("DEL s", ":1"),
            ("DEBUG RELOAD nosave", "+OK"),
            ("MGET s new", "[\"v\", nil]"),
            ("SET new v", "+OK"),
            ("SET s other", "+OK"),
            (
                "DEBUG RELOAD NOSAVE NOFLUSH",
                "-ERR Error trying to load the RDB dump, check server logs.",
            ),
            ("DEBUG RELOAD NOSAVE NOFLUSH MERGE", "+OK"),
            ("MGET s new", "[\"v\", \"v\"]"),
            (
                "DEBUG RELOAD x",
                "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ),
        ]);
    }

    #[test]
    fn expired_keys_do_not_come_back() {
        let dir = temp_dir("reload-expired");
        let mut t = TestServer::with_config(&[("dir", dir.path().to_str().unwrap())]);
        t.check_all(&[("SET a v", "+OK"), ("SET b v PX 10", "+OK"), ("SAVE", "+OK")]);
        t.advance_ms(11);
        t.check_all(&[("DEBUG RELOAD NOSAVE", "+OK"), ("DBSIZE", ":1")]);
        let info = t.run("INFO persistence");
        assert!(info.contains("rdb_last_load_keys_expired:1\\r\\nrdb_last_load_keys_loaded:1"));
    }
}
