//! Replication, as those who replicate see it: SYNC, PSYNC, REPLCONF, REPLICAOF, ROLE.

use crate::client::{ClientFlags, Running, describe};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{CommandError, ReplicationError};
use crate::replication::link::{Address, Phase};
use crate::replication::replicas::SyncRequest;
use crabcache_store::WriteDb;
use std::sync::atomic::Ordering;

/// SYNC
pub(super) fn sync(ctx: &mut Ctx, _: Args) -> CommandResult {
    become_replica(ctx, SyncRequest::Sync)
}

/// PSYNC replicationid offset
pub(super) fn psync(ctx: &mut Ctx, args: Args) -> CommandResult {
    let offset = args.int(2)?;
    let replid = String::from_utf8_lossy(args.get(1)).into_owned();
    become_replica(ctx, SyncRequest::Psync { replid, offset })
}

/// Leaves the connection to whoever serves replicas, once this batch is over.
fn become_replica(ctx: &mut Ctx, request: SyncRequest) -> CommandResult {
    // Whoever watches all commands is told of them by other means.
    if ctx.client.flags.contains(ClientFlags::MONITOR) {
        return Err(CommandError::ReplicaTouchesKeyspace);
    }
    let server = ctx.server;
    if server.conditions.is_replica() && !server.replication.link.is_connected() {
        return Err(ReplicationError::NoPrimaryLink.into());
    }
    ctx.client.sync = Some(request);
    ctx.client.set_flag(ClientFlags::REPLICA, true);
    Ok(())
}

/// REPLCONF [option value ...]
pub(super) fn replconf(ctx: &mut Ctx, args: Args) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    for index in (1..args.len()).step_by(2) {
        let (name, value) = (args.get(index).to_ascii_lowercase(), args.get(index + 1));
        let introduction = ctx.client.introduction.get_or_insert_default();
        match name.as_slice() {
            b"listening-port" => introduction.listening_port = args.int(index + 1)?,
            b"ip-address" => {
                if value.len() >= IP_ADDRESS_BYTES_MAX {
                    return Err(ReplicationError::AddressTooLong(value.len()).into());
                }
                introduction.ip_address = String::from_utf8_lossy(value).into_owned();
            }
            b"capa" => match value.to_ascii_lowercase().as_slice() {
                b"eof" => introduction.knows_eof = true,
                b"psync2" => introduction.knows_psync2 = true,
                // Redis from version 8 on, and our own replicas.
                b"rdb-channel-repl" | b"crabcache" => introduction.reads_rdb_12 = true,
                // What is not known is not used.
                _ => {}
            },
            b"rdb-only" => introduction.wants_rdb_only = args.int(index + 1)? != 0,
            b"getack" => {
                if ctx.client.flags.contains(ClientFlags::PRIMARY) {
                    ctx.server.replication.link.want_ack();
                }
                return Ok(());
            }
            // It answers a stream that this connection does not get. There is no reply.
            b"ack" | b"fack" => return Ok(()),
            _ => {
                let name = String::from_utf8_lossy(args.get(index)).into_owned();
                return Err(ReplicationError::UnknownOption(name).into());
            }
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// Bytes of an address that a replica tells of.
const IP_ADDRESS_BYTES_MAX: usize = 46 * 2;

/// REPLICAOF host port | NO ONE
pub(super) fn replicaof(db: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let server = ctx.server;
    let client = describe(server, &ctx.client.handle, Running::default());
    let current = server.replication.link.status().primary;
    if args.is(1, "no") && args.is(2, "one") {
        if current.is_some() {
            follow(db, ctx, None);
            tracing::info!("MASTER MODE enabled (user request from '{client}')");
        }
        ctx.reply.ok();
        return Ok(());
    }
    let port = u16::try_from(args.int(2)?).map_err(|_| ReplicationError::InvalidPort)?;
    let host = String::from_utf8_lossy(args.get(1)).into_owned();
    let primary = Address { host, port };
    if current.as_ref() == Some(&primary) {
        tracing::info!(
            "REPLICAOF would result into synchronization with the master we are already connected \
             with. No operation performed."
        );
        ctx.reply.status("OK Already connected to specified master");
        return Ok(());
    }
    tracing::info!(
        "REPLICAOF {}:{} enabled (user request from '{client}')",
        primary.host,
        primary.port
    );
    follow(db, ctx, Some(primary));
    ctx.reply.ok();
    Ok(())
}

/// Follows a primary, or none, from now on. CONFIG REWRITE will say so.
fn follow(_: &mut WriteDb, ctx: &mut Ctx, primary: Option<Address>) {
    let server = ctx.server;
    server.replication.follow(server, &ctx.config, primary.clone());
    let _change = server.config.begin_change();
    let mut config = (*server.config.get()).clone();
    config.replicaof = primary.map(|at| (at.host, at.port));
    server.config.publish(config);
    ctx.refresh_config();
}

/// ROLE
pub(super) fn role(ctx: &mut Ctx, _: Args) -> CommandResult {
    let link = ctx.server.replication.link.status();
    match link.primary {
        Some(primary) => {
            let offset = match link.phase {
                Phase::Connected => shown(ctx.server.log.ends().replicas),
                _ => -1,
            };
            ctx.reply.array(5);
            ctx.reply.bulk(b"slave");
            ctx.reply.bulk(primary.host.as_bytes());
            ctx.reply.int(primary.port.into());
            ctx.reply.bulk(link.phase.name().as_bytes());
            ctx.reply.int(offset);
        }
        None => role_of_primary(ctx),
    }
    Ok(())
}

fn role_of_primary(ctx: &mut Ctx) {
    let replicas = ctx.server.replication.replicas.all();
    let online: Vec<_> = replicas.iter().filter(|replica| replica.is_online()).collect();
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.int(shown(ctx.server.log.ends().replicas));
    ctx.reply.array(online.len());
    for replica in online {
        ctx.reply.array(3);
        ctx.reply.bulk(replica.ip().as_bytes());
        ctx.reply.bulk_int(replica.introduction.listening_port);
        ctx.reply.bulk_int(shown(replica.acked.load(Ordering::Relaxed)));
    }
}

fn shown(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn role_of_a_primary_without_replicas() {
        let mut t = TestServer::new();
        t.check("ROLE", "[\"master\", :0, []]");
        t.check("ROLE x", "-ERR wrong number of arguments for 'role' command");
    }

    #[test]
    fn replicas_introduce_themselves() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("REPLCONF", "+OK"),
            ("REPLCONF listening-port", "-ERR syntax error"),
            ("REPLCONF listening-port 7000 capa eof CAPA psync2 capa unknown", "+OK"),
            ("REPLCONF listening-port x", "-ERR value is not an integer or out of range"),
            ("REPLCONF nosuch 1", "-ERR Unrecognized REPLCONF option: nosuch"),
            ("REPLCONF ack 1", ""),
            ("PSYNC ? x", "-ERR value is not an integer or out of range"),
        ]);
        assert!(t.run(&format!("REPLCONF ip-address {}", "x".repeat(100))).starts_with("-ERR"));
    }
}
