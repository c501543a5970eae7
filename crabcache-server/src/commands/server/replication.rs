//! Replication, as those who replicate see it: SYNC, PSYNC, REPLCONF, REPLICAOF, FAILOVER, ROLE.

use crate::client::{ClientFlags, Running, describe};
use crate::command::{Args, CommandResult, Ctx};
use crate::error::{CommandError, ReplicationError};
use crate::persistence::rdb::encode::Filter;
use crate::replication::failover::{Plan, find_replica};
use crate::replication::link::{Address, Phase};
use crate::replication::replicas::{Replica, Stage, SyncRequest};
use crabcache_store::WriteDb;
use std::sync::atomic::Ordering;

/// SYNC
pub(super) fn sync(ctx: &mut Ctx, _: Args) -> CommandResult {
    become_replica(ctx, SyncRequest::Sync)
}

/// PSYNC replicationid offset [FAILOVER]
pub(super) fn psync(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let replid = String::from_utf8_lossy(args.get(1)).into_owned();
    if args.len() > 3 && args.is(3, "failover") {
        take_over(ctx, &replid)?;
    }
    let offset = args.int(2).inspect_err(|_| {
        let introduction = ctx.client.introduction.as_deref().cloned().unwrap_or_default();
        let (client, now_ms) = (ctx.client.handle.clone(), ctx.server.clock.unix_ms());
        let replica = Replica::new(client, introduction, Stage::Waiting(now_ms), now_ms);
        let name = replica.name();
        tracing::warn!("Replica {name} asks for synchronization but with a wrong offset");
    })?;
    become_replica(ctx, SyncRequest::Psync { replid, offset })
}

/// Our primary wants to change places with us.
fn take_over(ctx: &mut Ctx, replid: &str) -> CommandResult {
    let server = ctx.server;
    tracing::info!("Failover request received for replid {replid}.");
    if !server.conditions.is_replica() {
        return Err(ReplicationError::IsPrimary.into());
    }
    if !server.replication.history.lock().replid.eq_ignore_ascii_case(replid) {
        return Err(ReplicationError::OtherHistory.into());
    }
    server.replication.follow_from_now_on(server, None);
    ctx.refresh_config();
    let client = describe(server, &ctx.client.handle, Running::default());
    tracing::info!("MASTER MODE enabled (failover request from '{client}')");
    Ok(())
}

/// Leaves the connection to whoever serves replicas, once this batch is over.
fn become_replica(ctx: &mut Ctx, request: SyncRequest) -> CommandResult {
    // Whoever watches all commands is told of them by other means.
    if ctx.client.flags.contains(ClientFlags::MONITOR) {
        return Err(CommandError::ReplicaTouchesKeyspace);
    }
    let server = ctx.server;
    if server.conditions.is_failing_over() {
        return Err(ReplicationError::NoSyncWhileFailingOver.into());
    }
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
            b"rdb-filter-only" => introduction.filter = filter(value)?,
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

/// What a snapshot is to have: nothing but what is named.
fn filter(value: &[u8]) -> Result<Filter, ReplicationError> {
    let words = crabcache_resp::words::split_words(value).ok_or(ReplicationError::MissingFilter)?;
    let mut filter = Filter { keys: false, functions: false };
    for word in words {
        if !word.eq_ignore_ascii_case(b"functions") {
            let word = String::from_utf8_lossy(&word).into_owned();
            return Err(ReplicationError::UnknownFilter(word));
        }
        filter.functions = true;
    }
    Ok(filter)
}

/// Bytes of an address that a replica tells of.
const IP_ADDRESS_BYTES_MAX: usize = 46 * 2;

/// REPLICAOF host port | NO ONE
pub(super) fn replicaof(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let server = ctx.server;
    if server.conditions.is_failing_over() {
        return Err(ReplicationError::FailingOver.into());
    }
    let client = describe(server, &ctx.client.handle, Running::default());
    let current = server.replication.link.status().primary;
    if args.is(1, "no") && args.is(2, "one") {
        if current.is_some() {
            follow(ctx, None);
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
    follow(ctx, Some(primary));
    ctx.reply.ok();
    Ok(())
}

/// Follows a primary, or none, from now on.
fn follow(ctx: &mut Ctx, primary: Option<Address>) {
    ctx.server.replication.follow_from_now_on(ctx.server, primary);
    ctx.refresh_config();
}

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]
pub(super) fn failover(_: &mut WriteDb, ctx: &mut Ctx, args: Args) -> CommandResult {
    let server = ctx.server;
    let failover = &server.replication.failover;
    if args.len() == 2 && args.is(1, "abort") {
        if !failover.abort(server, "Failover manually aborted") {
            return Err(ReplicationError::NoFailover.into());
        }
        ctx.refresh_config();
        ctx.reply.ok();
        return Ok(());
    }
    let plan = parse_failover(args, ctx.env.now_ms)?;
    if server.conditions.is_failing_over() {
        return Err(ReplicationError::FailoverUnderWay.into());
    }
    if server.conditions.is_replica() {
        return Err(ReplicationError::FailoverOfReplica.into());
    }
    if server.replication.replicas.is_empty() {
        return Err(ReplicationError::FailoverWithoutReplicas.into());
    }
    if plan.is_forced && (plan.deadline_ms.is_none() || plan.target.is_none()) {
        return Err(ReplicationError::FailoverForce.into());
    }
    if let Some(target) = &plan.target {
        let replica = find_replica(server, target).ok_or(ReplicationError::FailoverTarget)?;
        if !replica.is_online() {
            return Err(ReplicationError::FailoverTargetOffline.into());
        }
    }
    failover.begin(server, plan);
    ctx.reply.ok();
    Ok(())
}

fn parse_failover(args: Args, now_ms: i64) -> Result<Plan, CommandError> {
    let mut plan =
        Plan { target: None, deadline_ms: None, is_forced: false, is_handing_over: false };
    let mut index = 1;
    while index < args.len() {
        let n_left = args.len() - index - 1;
        if args.is(index, "timeout") && n_left >= 1 && plan.deadline_ms.is_none() {
            let timeout_ms = args.int(index + 1)?;
            if timeout_ms <= 0 {
                return Err(ReplicationError::FailoverTimeout.into());
            }
            plan.deadline_ms = Some(now_ms.saturating_add(timeout_ms));
            index += 2;
        } else if args.is(index, "to") && n_left >= 2 && plan.target.is_none() {
            let host = String::from_utf8_lossy(args.get(index + 1)).into_owned();
            // What is no port is none of a replica.
            let port = u16::try_from(args.int(index + 2)?).unwrap_or(0);
            plan.target = Some(Address { host, port });
            index += 3;
        } else if args.is(index, "force") && !plan.is_forced {
            plan.is_forced = true;
            index += 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(plan)
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
