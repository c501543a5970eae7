//! WAIT.

use crate::blocking::WaitKind;
use crate::command::{Args, Categories, Command, CommandResult, Ctx, Flags, server};
use crate::error::ReplicationError;
use crate::replication::log;
use crate::replication::replicas::Wanted;

pub(in crate::commands) const COMMANDS: &[Command] = &[server("wait", wait)
    .arity(3)
    .flags(Flags::BLOCKING)
    .categories(Categories::CONNECTION)
    .tips(&["request_policy:all_shards", "response_policy:agg_min"])
    .doc(
        "3.0.0",
        "O(1)",
        "numreplicas:int timeout:int",
        "Waits until replicas have the connection's changes.",
    )];

/// WAIT numreplicas timeout
fn wait(ctx: &mut Ctx, args: Args) -> CommandResult {
    if ctx.server.replication.link.is_replica() {
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
    let wanted = Wanted { n_replicas, offset, is_on_disk: false };
    ctx.server.replication.replicas.wait(&ctx.client.handle, wanted);
    ctx.server.replication.ask_for_acks(ctx.server);
    Ok(())
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
