//! WAIT, WAITAOF.

use crate::blocking::WaitKind;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, server};
use crate::error::{AofError, CommandError, ReplicationError};
use crate::persistence::aof::State;
use crate::replication::log::{self, Ends};
use crate::replication::replicas::Wanted;
use crate::server::Server;
use crabcache_resp::Reply;

const TIPS: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];

pub(in crate::commands) const COMMANDS: &[Command] = &[
    server("wait", wait)
        .arity(3)
        .flags(Flags::BLOCKING)
        .categories(Categories::CONNECTION)
        .tips(TIPS)
        .doc(
            "3.0.0",
            "O(1)",
            "numreplicas:int timeout:int",
            "Waits until replicas have the connection's changes.",
        ),
    server("waitaof", waitaof)
        .arity(4)
        .flags(Flags::BLOCKING)
        .categories(Categories::CONNECTION)
        .tips(TIPS)
        .doc(
            "7.2.0",
            "O(1)",
            "numlocal:int numreplicas:int timeout:int",
            "Waits until append-only files have the connection's changes on disk.",
        ),
];

/// WAIT numreplicas timeout
fn wait(ctx: &mut Ctx, args: Args) -> CommandResult {
    if ctx.server.conditions.is_replica() {
        return Err(ReplicationError::WaitOnReplica.into());
    }
    let n_wanted = args.int(1)?;
    let deadline_ms = args.deadline_ms(2, ctx.env.now_ms)?;
    if let Some(ends) = log::take_last() {
        ctx.client.last_write = ends;
    }
    let offset = ctx.client.last_write.replicas;
    let n_acked = ctx.server.replication.replicas.n_acked(offset, false);
    let n_replicas = usize::try_from(n_wanted).unwrap_or(0);
    if n_acked >= n_replicas || !ctx.may_block() {
        ctx.reply.count(n_acked);
        return Ok(());
    }
    ctx.block(WaitKind::Replicas, deadline_ms, move |server, reply| {
        reply.count(server.replication.replicas.n_acked(offset, false));
    });
    let wanted = Wanted { n_replicas, offset, is_on_disk: false, aof_end: None };
    ctx.server.replication.replicas.wait(&ctx.client.handle, wanted);
    ctx.server.replication.ask_for_acks(ctx.server);
    Ok(())
}

/// WAITAOF numlocal numreplicas timeout
fn waitaof(ctx: &mut Ctx, args: Args) -> CommandResult {
    let n_local = args.int(1)?;
    if !(0..=1).contains(&n_local) {
        return Err(CommandError::OutsideRange(0, 1));
    }
    let n_replicas = usize::try_from(args.int(2)?).map_err(|_| CommandError::NotPositive)?;
    let deadline_ms = args.deadline_ms(3, ctx.env.now_ms)?;
    if ctx.server.conditions.is_replica() {
        return Err(ReplicationError::WaitAofOnReplica.into());
    }
    let wants_local = n_local > 0;
    if wants_local && ctx.server.aof.state() == State::Off {
        return Err(AofError::WaitWithoutAof.into());
    }
    if let Some(ends) = log::take_last() {
        ctx.client.last_write = ends;
    }
    let ends = ctx.client.last_write;
    let n_acked = ctx.server.replication.replicas.n_acked(ends.replicas, true);
    let has_local = ctx.server.aof.has_on_disk(ends.aof);
    if (n_acked >= n_replicas && (has_local || !wants_local)) || !ctx.may_block() {
        tell_logged(ctx.server, &mut ctx.reply, ends);
        return Ok(());
    }
    ctx.block(WaitKind::Replicas, deadline_ms, move |server, reply| {
        if wants_local && server.aof.state() == State::Off {
            reply.error(CommandError::from(AofError::WaitWithoutAof).to_string().as_bytes());
        } else {
            tell_logged(server, reply, ends);
        }
    });
    let aof_end = wants_local.then_some(ends.aof);
    let wanted = Wanted { n_replicas, offset: ends.replicas, is_on_disk: true, aof_end };
    ctx.server.replication.replicas.wait(&ctx.client.handle, wanted);
    ctx.server.replication.ask_for_acks(ctx.server);
    Ok(())
}

/// How many files have the stream on disk: our own, and those of replicas.
fn tell_logged(server: &Server, reply: &mut Reply<'_>, ends: Ends) {
    reply.array(2);
    reply.int(i64::from(server.aof.has_on_disk(ends.aof)));
    reply.count(server.replication.replicas.n_acked(ends.replicas, true));
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;
    use std::time::Duration;

    #[test]
    fn wait_answers_at_once_where_nothing_is_to_be_waited_for() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("WAIT 0 0", ":0"),
            ("WAIT -1 0", ":0"),
            ("WAIT a 0", "-ERR value is not an integer or out of range"),
            ("WAIT 1 a", "-ERR timeout is not an integer or out of range"),
            ("WAIT 1 1.5", "-ERR timeout is not an integer or out of range"),
            ("WAIT 1 -1", "-ERR timeout is negative"),
            ("WAIT 1 9223372036854775807", "-ERR timeout is out of range"),
            ("WAIT 1", "-ERR wrong number of arguments for 'wait' command"),
            ("MULTI", "+OK"),
            ("WAIT 1 0", "+QUEUED"),
            ("EXEC", "[:0]"),
        ]);
    }

    #[test]
    fn wait_answers_when_its_time_has_come() {
        let mut t = TestServer::new();
        let mut client = t.client();
        let (out, _) = t.send_as(&mut client, b"PING\r\nWAIT 1 30\r\nECHO after\r\n");
        assert_eq!(out, b"+PONG\r\n");
        assert_eq!(t.server.blocking.n_blocked(), 1);
        assert!(t.time_out(&mut client).is_empty());
        std::thread::sleep(Duration::from_millis(31));
        assert_eq!(t.time_out(&mut client), b":0\r\n$5\r\nafter\r\n");
        assert_eq!(t.server.blocking.n_blocked(), 0);
        assert!(t.time_out(&mut client).is_empty());
        let row = t.server.commands.command(b"wait").unwrap().id;
        assert_eq!(t.server.stats.workers[0].commands[row].calls.get(), 1);
    }

    #[test]
    fn wait_without_a_time_out_ends_by_client_unblock() {
        let mut t = TestServer::new();
        let mut client = t.client();
        let id = client.client.handle.id;
        t.check(&format!("CLIENT UNBLOCK {id}"), ":0");
        for (reason, expected) in [
            ("", &b":0\r\n"[..]),
            ("TIMEOUT", b":0\r\n"),
            ("ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
        ] {
            assert!(t.send_as(&mut client, b"WAIT 1 0\r\n").0.is_empty());
            t.check(&format!("CLIENT UNBLOCK {id} {reason}"), ":1");
            t.check(&format!("CLIENT UNBLOCK {id} {reason}"), ":0");
            assert_eq!(t.server.blocking.n_blocked(), 0);
            assert_eq!(t.take_mail(&mut client), expected);
        }
        t.check("CLIENT UNBLOCK 0", ":0");
    }
}
