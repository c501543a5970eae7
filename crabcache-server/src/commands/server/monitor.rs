//! MONITOR.

use crate::client::ClientFlags;
use crate::command::{Args, CommandResult, Ctx};
use crate::error::CommandError;
use crate::monitor;

/// MONITOR
pub(super) fn monitor(ctx: &mut Ctx, _: Args) -> CommandResult {
    if ctx.in_exec {
        return Err(CommandError::MonitorInTransaction);
    }
    // Compat: a monitor is not answered.
    if !ctx.client.flags.contains(ClientFlags::MONITOR) {
        // What ran before is not for the new monitor.
        monitor::send(ctx);
        ctx.server.monitors.add(ctx.server, ctx.client);
        ctx.reply.ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestClient, TestServer};

    /// What the client has been shown, without the times.
    fn shown(t: &mut TestServer, client: &mut TestClient) -> Vec<String> {
        let text = String::from_utf8(t.take_mail(client)).unwrap();
        let without_time = |line: &str| {
            let (time, rest) = line.split_once(' ').unwrap();
            let (seconds, micros) = time.strip_prefix('+').unwrap().split_once('.').unwrap();
            assert!(seconds.parse::<u64>().is_ok() && micros.len() == 6, "{line}");
            rest.to_string()
        };
        text.lines().map(without_time).collect()
    }

    #[test]
    fn monitors_see_commands_as_they_ran() {
        let mut t = TestServer::new();
        let mut monitor = t.client();
        assert_eq!(t.run_as(&mut monitor, "MONITOR"), "+OK");
        assert_eq!(t.run_as(&mut monitor, "MONITOR"), "");
        t.run(r#"SET "a\"b\n\x01" \xff"#);
        for line in ["SELECT 3", "NOSUCH", "GET", "CLIENT LIST", "CLIENT ID", "PING"] {
            t.run(line);
        }
        let expected = [
            r#"[0 127.0.0.1:1] "SET" "a\"b\n\x01" "\\xff""#,
            r#"[3 127.0.0.1:1] "SELECT" "3""#,
            r#"[3 127.0.0.1:1] "CLIENT" "ID""#,
            r#"[3 127.0.0.1:1] "PING""#,
        ];
        assert_eq!(shown(&mut t, &mut monitor), expected);
    }

    #[test]
    fn transactions_are_shown_command_by_command() {
        let mut t = TestServer::new();
        let mut monitor = t.client();
        t.run_as(&mut monitor, "MONITOR");
        for line in ["MULTI", "SET a 1", "AUTH x y", "EXEC", "EXEC x"] {
            t.run(line);
        }
        let expected = [
            r#"[0 127.0.0.1:1] "MULTI""#,
            r#"[0 127.0.0.1:1] "SET" "a" "1""#,
            r#"[0 127.0.0.1:1] "AUTH" "(redacted)" "(redacted)""#,
            r#"[0 127.0.0.1:1] "EXEC""#,
            r#"[0 127.0.0.1:1] "EXEC" "x""#,
        ];
        assert_eq!(shown(&mut t, &mut monitor), expected);
    }

    #[test]
    fn a_monitor_sees_itself_and_touches_no_keys() {
        let mut t = TestServer::new();
        let mut monitor = t.client();
        t.run_as(&mut monitor, "MONITOR");
        let (out, _) = t.send_as(&mut monitor, b"PING\r\n");
        assert!(out.starts_with(b"+PONG\r\n+") && out.ends_with(b" \"PING\"\r\n"));
        assert_eq!(
            t.run_as(&mut monitor, "GET a"),
            "-ERR Replica can't interact with the keyspace"
        );
        assert_eq!(t.run_as(&mut monitor, "RESET"), "+RESET");
        assert_eq!(t.run_as(&mut monitor, "GET a"), "nil");
        assert!(t.server.monitors.is_empty());
        t.run("PING");
        assert!(t.take_mail(&mut monitor).is_empty());
    }

    #[test]
    fn monitor_cannot_be_part_of_a_transaction() {
        let mut t = TestServer::new();
        t.check_all(&[
            ("MULTI", "+OK"),
            ("MONITOR", "+QUEUED"),
            ("EXEC", "[-ERR MONITOR isn't allowed for DENY BLOCKING client]"),
        ]);
    }

    #[test]
    fn slow_monitors_are_cut() {
        let params = [("client-output-buffer-limit", "pubsub 1000 0 0")];
        let mut t = TestServer::with_config(&params);
        let mut monitor = t.client();
        t.run_as(&mut monitor, "MONITOR");
        t.run("PING");
        assert!(!monitor.client.handle.is_killed());
        t.run(&format!("ECHO {}", "x".repeat(1000)));
        assert!(monitor.client.handle.is_killed());
        t.check("PING", "+PONG");
    }
}
