//! SLOWLOG and its subcommands.

use crate::command::{Args, Command, CommandResult, Ctx, Flags, help, server};
use crate::error::CommandError;

const FLAGS: Flags = Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE);

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("get", get)
        .arity(-2)
        .flags(FLAGS)
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .doc(
            "2.2.12",
            "O(N), N being the commands returned",
            "[count:int]",
            "Returns slow commands, newest first.",
        ),
    server("help", slowlog_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "6.2.0",
        "O(1)",
        "",
        "Lists the subcommands of SLOWLOG.",
    ),
    server("len", len)
        .arity(2)
        .flags(FLAGS)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
        .doc("2.2.12", "O(1)", "", "Counts the slow commands."),
    server("reset", reset)
        .arity(2)
        .flags(FLAGS)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("2.2.12", "O(N), N being the slow commands", "", "Forgets the slow commands."),
];

/// SLOWLOG GET [count]
fn get(ctx: &mut Ctx, args: Args) -> CommandResult {
    const COUNT_DEFAULT: usize = 10;
    let count = match args.len() {
        2 => COUNT_DEFAULT,
        3 => match args.int(2) {
            Ok(-1) => usize::MAX,
            Ok(count) => usize::try_from(count).map_err(|_| CommandError::CountBelowMinusOne)?,
            Err(_) => return Err(CommandError::CountBelowMinusOne),
        },
        _ => return Err(CommandError::subcommand_syntax(args, "SLOWLOG")),
    };
    let slow = ctx.server.slowlog.newest(count);
    let reply = &mut ctx.reply;
    reply.array(slow.len());
    for entry in slow {
        reply.array(6);
        reply.int(entry.id);
        reply.int(entry.at_s);
        reply.int(entry.took_us);
        reply.array(entry.words.len());
        entry.words.iter().for_each(|word| reply.bulk(word));
        reply.bulk(entry.addr.as_bytes());
        reply.bulk(entry.name.as_bytes());
    }
    Ok(())
}

/// SLOWLOG HELP
fn slowlog_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            (
                "GET [<count>]",
                "Return the newest <count> slow commands (default: 10; -1 is all).\n\
                 Each is an array of:\n\
                 id, time, duration in microseconds, words of the request, address and port of\n\
                 the client, name of the client",
            ),
            ("LEN", "Return the number of slow commands."),
            ("RESET", "Forget the slow commands."),
        ],
    )
}

/// SLOWLOG LEN
fn len(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.reply.count(ctx.server.slowlog.len());
    Ok(())
}

/// SLOWLOG RESET
fn reset(ctx: &mut Ctx, _: Args) -> CommandResult {
    ctx.server.slowlog.reset();
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    /// The words of all slow commands, newest first.
    fn words(t: &mut TestServer) -> Vec<Vec<String>> {
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let entries = t.server.slowlog.newest(usize::MAX);
        entries.iter().map(|entry| entry.words.iter().map(|w| text(w)).collect()).collect()
    }

    #[test]
    fn slow_commands_are_kept_newest_first() {
        let config = [("slowlog-log-slower-than", "0"), ("slowlog-max-len", "3")];
        let mut t = TestServer::with_config(&config);
        t.check("SLOWLOG LEN", ":0");
        for line in ["PING", "SET k v", "nosuch", "GET", "GET k"] {
            t.run(line);
        }
        // Refused commands never ran.
        assert_eq!(words(&mut t), [vec!["GET", "k"], vec!["SET", "k", "v"], vec!["PING"]]);
        t.check("SLOWLOG LEN", ":3");
        let newest = t.run("SLOWLOG GET 1");
        assert!(newest.starts_with("[[:4, :1"), "{newest}");
        assert!(newest.ends_with(r#", ["SLOWLOG", "LEN"], "127.0.0.1:1", ""]]"#), "{newest}");
        t.check_all(&[("SLOWLOG GET 0", "[]"), ("SLOWLOG RESET", "+OK")]);
        assert_eq!(words(&mut t), [["SLOWLOG", "RESET"]]);
    }

    #[test]
    fn long_requests_are_shortened() {
        let mut t = TestServer::with_config(&[("slowlog-log-slower-than", "0")]);
        let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        t.run(&format!("WATCH {}", many.join(" ")));
        let kept = &words(&mut t)[0];
        assert_eq!((kept.len(), &*kept[30], &*kept[31]), (32, "29", "... (10 more arguments)"));
        t.run(&format!("WATCH {}", many[..31].join(" ")));
        assert_eq!(words(&mut t)[0].last().unwrap(), "30");
        let long = "A".repeat(129);
        t.run(&format!("SET {} {long}", &long[..128]));
        let expected = [&long[..128], &format!("{}... (1 more bytes)", &long[..128])];
        assert_eq!(words(&mut t)[0][1..], expected);
    }

    #[test]
    fn transactions_show_their_commands() {
        let mut t = TestServer::with_config(&[("slowlog-log-slower-than", "0")]);
        for line in ["MULTI", "SET k v", "EXEC"] {
            t.run(line);
        }
        assert_eq!(words(&mut t), [vec!["SET", "k", "v"], vec!["MULTI"]]);
    }

    #[test]
    fn limits_hold_for_the_command_that_sets_them() {
        let mut t = TestServer::new();
        t.run("CONFIG SET slowlog-log-slower-than 0");
        t.run("CONFIG SET slowlog-log-slower-than -1");
        assert_eq!(words(&mut t), [["CONFIG", "SET", "slowlog-log-slower-than", "0"]]);
    }

    #[test]
    fn secrets_are_left_out() {
        let mut t = TestServer::with_config(&[("slowlog-log-slower-than", "0")]);
        t.run("CONFIG SET maxclients 100 MASTERAUTH secret");
        let expected = ["CONFIG", "SET", "maxclients", "100", "MASTERAUTH", "(redacted)"];
        assert_eq!(words(&mut t)[0], expected);
    }

    #[test]
    fn the_slow_log_can_be_off() {
        for config in [("slowlog-log-slower-than", "-1"), ("slowlog-max-len", "0")] {
            let mut t = TestServer::with_config(&[("slowlog-log-slower-than", "0"), config]);
            t.run("PING");
            t.check("SLOWLOG LEN", ":0");
        }
    }

    #[test]
    fn slowlog_get_refuses_wrong_counts() {
        let mut t = TestServer::new();
        let error = "-ERR count should be greater than or equal to -1";
        t.check_all(&[
            ("SLOWLOG GET -2", error),
            ("SLOWLOG GET x", error),
            ("SLOWLOG GET -1", "[]"),
        ]);
        t.check(
            "SLOWLOG GET 1 2",
            "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        );
    }
}
