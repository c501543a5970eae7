//! Replication, as those who replicate see it: SYNC, PSYNC, REPLCONF, ROLE.

use crate::client::ClientFlags;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{CommandError, ReplicationError};
use crate::replication::replicas::SyncRequest;

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
            // They answer a stream that this connection does not get, or ask for an answer that it
            // does not give; there is no reply to either.
            b"ack" | b"fack" | b"getack" => return Ok(()),
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

/// ROLE
pub(super) fn role(ctx: &mut Ctx, _: Args) -> CommandResult {
    let replicas = ctx.server.replication.replicas.all();
    let online: Vec<_> = replicas.iter().filter(|replica| replica.is_online()).collect();
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.int(i64::try_from(ctx.server.log.ends().replicas).unwrap_or(i64::MAX));
    ctx.reply.array(online.len());
    for replica in online {
        ctx.reply.array(3);
        ctx.reply.bulk(replica.ip().as_bytes());
        ctx.reply.bulk_int(replica.introduction.listening_port);
        let acked = replica.acked.load(std::sync::atomic::Ordering::Relaxed);
        ctx.reply.bulk_int(i64::try_from(acked).unwrap_or(i64::MAX));
    }
    Ok(())
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
