//! LATENCY and its subcommands.

use crate::command::{Args, Command, CommandResult, CommandRow, Ctx, Flags, help, server};
use crate::error::{self, CommandError};
use crate::latency::{Series, graph};

const FLAGS: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

pub(super) const SUBCOMMANDS: &[Command] = &[
    server("doctor", doctor).arity(2).flags(FLAGS).tips(TIPS).doc(
        "2.8.13",
        "O(1)",
        "",
        "Reports on latency in words.",
    ),
    server("graph", latency_graph).arity(3).flags(FLAGS).tips(TIPS).doc(
        "2.8.13",
        "O(1)",
        "event",
        "Draws the latencies of an event.",
    ),
    server("help", latency_help).arity(2).flags(Flags::LOADING.union(Flags::STALE)).doc(
        "2.8.13",
        "O(1)",
        "",
        "Lists the subcommands of LATENCY.",
    ),
    server("histogram", histogram).arity(-2).flags(FLAGS).tips(TIPS).doc(
        "7.0.0",
        "O(N), N being the commands with latencies",
        "[command...]",
        "Returns the distribution of commands' latencies.",
    ),
    server("history", history).arity(3).flags(FLAGS).tips(TIPS).doc(
        "2.8.13",
        "O(1)",
        "event",
        "Returns the latencies of an event.",
    ),
    server("latest", latest).arity(2).flags(FLAGS).tips(TIPS).doc(
        "2.8.13",
        "O(1)",
        "",
        "Returns the latest latency of every event.",
    ),
    server("reset", reset)
        .arity(-2)
        .flags(FLAGS)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum"])
        .doc("2.8.13", "O(1)", "[event...]", "Forgets the latencies of events."),
];

/// LATENCY DOCTOR
fn doctor(ctx: &mut Ctx, _: Args) -> CommandResult {
    let report = report(ctx);
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

/// LATENCY GRAPH event
fn latency_graph(ctx: &mut Ctx, args: Args) -> CommandResult {
    let Some((event, series)) = ctx.server.latency.get(args.get(2)) else {
        let event = error::shown(args.get(2));
        return Err(CommandError::NoLatencySamples(event));
    };
    let latencies = || series.samples.iter().map(|sample| sample.latency_ms);
    let chart = format!(
        "{event} - high {} ms, low {} ms (all time high {} ms)\n{}\n{}",
        latencies().max().unwrap_or(0),
        latencies().min().unwrap_or(0),
        series.max_ms,
        "-".repeat(80),
        graph::draw(series.samples.iter(), ctx.server.clock.unix_ms() / 1000),
    );
    ctx.reply.verbatim("txt", chart.as_bytes());
    Ok(())
}

/// LATENCY HELP
fn latency_help(ctx: &mut Ctx, _: Args) -> CommandResult {
    help(
        ctx,
        &[
            ("DOCTOR", "Return a report on latency in words."),
            ("GRAPH <event>", "Return a drawing of the latencies of <event>."),
            ("HISTORY <event>", "Return time and latency of slow instances of <event>."),
            ("LATEST", "Return the latest latency of every event."),
            (
                "RESET [<event> ...]",
                "Forget the latencies of one or more events.\n(default: those of all events)",
            ),
            (
                "HISTOGRAM [COMMAND ...]",
                "Return the distribution of the latencies of one or more commands.\n\
                 (default: of all commands that were called)",
            ),
        ],
    )
}

/// LATENCY HISTOGRAM [command ...]
fn histogram(ctx: &mut Ctx, args: Args) -> CommandResult {
    let table = &ctx.server.commands;
    let named: Vec<&CommandRow> = if args.len() == 2 {
        table.commands().collect()
    } else {
        args.from(2).filter_map(|name| table.by_full_name(name)).collect()
    };
    let rows = named.iter().flat_map(|row| std::iter::once(row.id).chain(row.subcommands.clone()));
    let reply = &mut ctx.reply;
    let map = reply.deferred();
    let mut n_rows = 0;
    for id in rows {
        let Some(latencies) = ctx.server.stats.latencies(id) else { continue };
        n_rows += 1;
        reply.bulk(table.row(id).full_name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(latencies.n_calls() as i64);
        reply.bulk(b"histogram_usec");
        let limits = latencies.cumulative_us();
        reply.map(limits.len());
        for (limit_us, n_calls) in limits {
            reply.int(limit_us as i64);
            reply.int(n_calls as i64);
        }
    }
    reply.end_map(map, n_rows);
    Ok(())
}

/// LATENCY HISTORY event
fn history(ctx: &mut Ctx, args: Args) -> CommandResult {
    let found = ctx.server.latency.get(args.get(2));
    let samples = found.map(|(_, series)| series.samples).unwrap_or_default();
    ctx.reply.array(samples.len());
    for sample in samples {
        ctx.reply.array(2);
        ctx.reply.int(sample.at_s);
        ctx.reply.int(sample.latency_ms as i64);
    }
    Ok(())
}

/// LATENCY LATEST
fn latest(ctx: &mut Ctx, _: Args) -> CommandResult {
    let all = ctx.server.latency.all();
    ctx.reply.array(all.len());
    for (event, series) in all {
        let last = series.samples.back().expect("an event is known by its samples");
        ctx.reply.array(4);
        ctx.reply.bulk(event.as_bytes());
        ctx.reply.int(last.at_s);
        ctx.reply.int(last.latency_ms as i64);
        ctx.reply.int(series.max_ms as i64);
    }
    Ok(())
}

/// LATENCY RESET [event ...]
fn reset(ctx: &mut Ctx, args: Args) -> CommandResult {
    let is_named = |event: &str| {
        args.len() == 2 || args.from(2).any(|name| name.eq_ignore_ascii_case(event.as_bytes()))
    };
    ctx.reply.count(ctx.server.latency.reset(is_named));
    Ok(())
}

/// What LATENCY DOCTOR says.
fn report(ctx: &Ctx) -> String {
    let threshold_ms = ctx.config.latency_monitor_threshold;
    let all = ctx.server.latency.all();
    if all.is_empty() {
        return if threshold_ms == 0 {
            "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> turns \
             it on; come back when it has had some time to look.\n"
                .to_string()
        } else {
            format!("No event took {threshold_ms} ms or longer. There is nothing to complain of.\n")
        };
    }
    let mut report = String::from("Some events were slow:\n\n");
    let now_s = ctx.server.clock.unix_ms() / 1000;
    for (number, (event, series)) in all.iter().enumerate() {
        report.push_str(&format!("{}. {event}: {}\n", number + 1, describe(series, now_s)));
    }
    report.push_str("\nWhat may help:\n\n");
    for event in all.keys() {
        for advice in advice(ctx, event) {
            report.push_str(&format!("- {event}: {advice}\n"));
        }
    }
    report
}

fn describe(series: &Series, now_s: i64) -> String {
    let n = series.samples.len().max(1) as u64;
    let latencies = || series.samples.iter().map(|sample| sample.latency_ms);
    let mean = latencies().sum::<u64>() / n;
    let deviation = latencies().map(|latency| latency.abs_diff(mean)).sum::<u64>() / n;
    let oldest_s = series.samples.front().map_or(now_s, |sample| sample.at_s);
    let period = (now_s - oldest_s).max(1) as f64 / n as f64;
    format!(
        "{n} latency spikes (average {mean}ms, mean deviation {deviation}ms, period {period:.2} \
         sec). Worst all time event {}ms.",
        series.max_ms
    )
}

fn advice(ctx: &Ctx, event: &str) -> Vec<String> {
    let config = &ctx.config;
    let threshold_us = config.latency_monitor_threshold.saturating_mul(1000);
    match event {
        "command" => {
            let mut advice = Vec::new();
            let slowlog_us = config.slowlog_log_slower_than;
            if slowlog_us < 0 || config.slowlog_max_len == 0 || slowlog_us > threshold_us {
                let set = format!("CONFIG SET slowlog-log-slower-than {threshold_us}");
                advice.push(format!("Let the slow log keep such commands: {set}."));
            }
            advice.push("SLOWLOG GET names the commands.".to_string());
            advice.push(
                "Commands on very large values take long; cut the values into smaller ones."
                    .to_string(),
            );
            advice
        }
        "fast-command" => vec![
            "Such commands are quick by themselves: the process was not given the processor. Look \
             for other busy processes, or other guests of a virtual machine's host; `redis-cli \
             --intrinsic-latency 100` measures it."
                .to_string(),
        ],
        "expire-cycle" => vec![
            "Many keys expire at the same time: spread their expiries, or raise hz so that fewer \
             are removed at once."
                .to_string(),
        ],
        _ => vec!["There is no simple remedy.".to_string()],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn histograms_of_commands_that_were_called() {
        let mut t = TestServer::new();
        t.check("LATENCY HISTOGRAM nosuch get", "[]");
        for line in ["SET k v", "GET k", "COMMAND COUNT", "SET"] {
            t.run(line);
        }
        let set = t.run("LATENCY HISTOGRAM nosuch SET");
        assert!(set.starts_with(r#"["set", ["calls", :1, "histogram_usec", [:"#), "{set}");
        assert!(set.ends_with(", :1]]]") && set.matches("calls").count() == 1, "{set}");
        let command = t.run("LATENCY HISTOGRAM command");
        assert!(command.starts_with(r#"["command|count", ["calls", :1"#), "{command}");
        assert_eq!(
            t.run("LATENCY HISTOGRAM latency|histogram command|count").matches("calls").count(),
            2
        );
        assert_eq!(t.run("LATENCY HISTOGRAM").matches("calls").count(), 4);
    }

    #[test]
    fn slow_events_are_noted() {
        let mut t = TestServer::with_config(&[("latency-monitor-threshold", "20")]);
        t.server.note_latency("command", 19);
        t.check_all(&[("LATENCY LATEST", "[]"), ("LATENCY HISTORY command", "[]")]);
        t.server.note_latency("command", 30);
        t.advance_ms(2000);
        t.server.note_latency("command", 20);
        t.server.note_latency("expire-cycle", 25);
        let (_, series) = t.server.latency.get(b"command").unwrap();
        let [first, second] = [0, 1].map(|index| series.samples[index].at_s);
        t.check("LATENCY HISTORY command", &format!("[[:{first}, :30], [:{second}, :20]]"));
        let latest = t.run("LATENCY LATEST");
        assert!(
            latest.starts_with(&format!(r#"[["command", :{second}, :20, :30], ["expire-cycle","#))
        );
        let chart = t.run("LATENCY GRAPH command");
        assert!(chart.starts_with("\"command - high 30 ms, low 20 ms (all time high 30 ms)\\n---"));
        assert!(t.run("LATENCY DOCTOR").contains("1. command: 2 latency spikes (average 25ms"));
        t.check("LATENCY GRAPH x", "-ERR No samples available for event 'x'");
        t.check_all(&[("LATENCY RESET x Command", ":1"), ("LATENCY RESET", ":1")]);
        t.check("LATENCY RESET", ":0");
    }

    #[test]
    fn the_doctor_has_an_answer_without_events() {
        let mut t = TestServer::new();
        assert!(t.run("LATENCY DOCTOR").contains("latency-monitor-threshold"));
        let mut t = TestServer::with_config(&[("latency-monitor-threshold", "20")]);
        assert!(t.run("LATENCY DOCTOR").contains("No event took 20 ms"));
    }
}
