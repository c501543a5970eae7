//! TIME.

use crate::command::{Args, CommandResult, Ctx};

/// TIME
pub(super) fn time(ctx: &mut Ctx, _: Args) -> CommandResult {
    let now_us = match ctx.script_time_us {
        // Within a script no time passes.
        Some(now_us) if ctx.in_script => now_us,
        _ => ctx.server.clock.unix_us(),
    };
    ctx.script_time_us = ctx.in_script.then_some(now_us);
    ctx.reply.array(2);
    ctx.reply.bulk_int(now_us / 1_000_000);
    ctx.reply.bulk_int(now_us % 1_000_000);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestServer;

    #[test]
    fn time_is_seconds_and_microseconds() {
        let mut t = TestServer::new();
        let seconds = |reply: &str| reply.split('"').nth(1).unwrap().parse::<i64>().unwrap();
        let before = seconds(&t.run("TIME"));
        t.advance_ms(5000);
        assert!((5..7).contains(&(seconds(&t.run("TIME")) - before)));
        t.check("TIME x", "-ERR wrong number of arguments for 'time' command");
    }
}
